#include "report/report_parts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum { REPLICATES_MOST = 1000, REPLICATES_LEAST = 200 };

/* Rows times replicates, as far as both limits allow: 1,000 draws of up to 20,000 rows, 200 of
 * 100,000 and more, whose intervals are narrow and steady anyway. */
static const double MOST_DRAWN = 2e7;

void *report_alloc(struct report *r, size_t count, size_t size)
{
    void *p = arena_alloc(&r->arena, (count ? count : 1) * size);
    return p ? memset(p, 0, count * size) : NULL;
}

struct metric_value report_gain_of(const struct metric_value *against, enum metric_kind m)
{
    if (metric_sign(m) < 0)
        return *against;
    return (struct metric_value){-against->value, -against->high, -against->low};
}

/* ---- The test part ---- */

static void count_labels(struct report_part *p, size_t request)
{
    bool labelled = false, positive = false;
    for (uint64_t row = p->first[request]; row < p->first[request + 1]; row++) {
        float label = p->labels[row];
        if (isnan(label))
            continue;
        labelled = true;
        positive |= label > 0;
        p->labelled++;
        p->positives += label > 0;
        p->mean_label += (double)label;
    }
    p->labelled_requests += labelled;
    p->positive_requests += positive;
}

static int order_of_users(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static size_t different(uint32_t *users, size_t count)
{
    size_t n = 0;
    qsort(users, count, sizeof *users, order_of_users);
    for (size_t i = 0; i < count; i++)
        n += i == 0 || users[i] != users[i - 1];
    return n;
}

/* Whether a request says something: a positive, or of regression any label. */
static bool has_outcome(const struct report_part *p, size_t request, bool regression)
{
    for (uint64_t row = p->first[request]; row < p->first[request + 1]; row++)
        if (p->labels[row] > 0 || (regression && !isnan(p->labels[row])))
            return true;
    return false;
}

static int count_users(struct report_part *p, bool regression, struct err *e)
{
    size_t count = 0;
    uint32_t *users = malloc((p->request_count + 1) * sizeof *users);
    if (!users)
        return err_nomem(e);
    memcpy(users, p->users, p->request_count * sizeof *users);
    p->user_count = different(users, p->request_count);
    if (p->user_count >= REPORT_USERS)
        p->clusters = p->users;
    for (size_t i = 0; i < p->request_count; i++)
        if (has_outcome(p, i, regression))
            users[count++] = p->users[i];
    p->positive_clusters = p->clusters ? different(users, count) : count;
    free(users);
    return 0;
}

static int make_part(struct report *r, struct err *e)
{
    const struct set_rows *all = r->data.rows;
    struct report_part *p = &r->part;
    size_t at = r->data.test_first;
    p->request_count = r->data.test_requests;
    p->base = all->first[at];
    p->row_count = all->first[at + p->request_count] - p->base;
    p->labels = all->labels + p->base;
    p->users = all->users + at;
    p->first = report_alloc(r, p->request_count + 1, sizeof *p->first);
    if (!p->first)
        return err_nomem(e);
    bool weighted = false;
    for (size_t i = 0; i <= p->request_count; i++)
        p->first[i] = all->first[at + i] - p->base;
    for (size_t i = 0; i < p->request_count; i++) {
        weighted |= all->shares[at + i] != 1;
        count_labels(p, i);
    }
    p->mean_label = p->labelled ? p->mean_label / (double)p->labelled : NAN;
    if (weighted) {
        p->weights = report_alloc(r, p->request_count, sizeof *p->weights);
        for (size_t i = 0; p->weights && i < p->request_count; i++)
            p->weights[i] = all->shares[at + i] > 0 ? 1 / all->shares[at + i] : 1;
        if (!p->weights)
            return err_nomem(e);
    }
    return count_users(p, r->data.regression, e);
}

static int check(const struct report *r, struct err *e)
{
    const struct report_part *p = &r->part;
    const char *advice = "take a longer range, or a larger test part";
    if (!p->request_count)
        return err_set(e, ERR_INVALID, "nothing to judge: the test part has no requests: %s",
                       advice);
    if (!p->labelled)
        return err_set(e, ERR_INVALID,
                       "nothing to judge: none of the %zu requests of the test part has a label: "
                       "check that impressions name their requests, that the label window has "
                       "passed, and which events count as labels",
                       p->request_count);
    if (!r->data.regression && !p->positives)
        return err_set(e, ERR_INVALID,
                       "nothing to judge: none of the %llu labelled rows of the test part is "
                       "positive: %s, or count other events as labels",
                       (unsigned long long)p->labelled, advice);
    return 0;
}

/* ---- Metrics ---- */

static struct metric_rows rows_of(const struct report_part *p)
{
    return (struct metric_rows){.request_count = p->request_count,
                                .first = p->first,
                                .labels = p->labels,
                                .weights = p->weights,
                                .clusters = p->clusters};
}

static struct metric_opts opts_of(const struct report *r, int replicates)
{
    return (struct metric_opts){.k = r->k,
                                .replicates = replicates,
                                .level = 0.95,
                                .seed = r->data.seed,
                                .regression = r->data.regression};
}

int report_judge(struct metric_value *model, struct metric_value *baseline,
                 struct metric_value *gain, const struct report *r, const struct metric_rows *rows,
                 const struct report_scores *scores, enum metric_kind m, int replicates,
                 struct err *e)
{
    struct metric_results results[2];
    struct metric_scorer scorers[2];
    size_t count = r->baseline ? 2 : 1;
    struct metric_opts opts = opts_of(r, replicates);
    for (size_t i = 0; i < count; i++)
        scorers[i] = (struct metric_scorer){.name = r->data.scorers[i ? r->baseline : 0].name,
                                            .scores = i ? scores->baseline : scores->model,
                                            .order = i ? NULL : scores->order,
                                            .threshold = NAN};
    int rc = metrics_of(results, rows, scorers, count, &opts, e);
    if (rc)
        return rc;
    *model = results[0].values[m];
    *baseline = (struct metric_value){NAN, NAN, NAN};
    /* Errors are only the model's (forget_errors). */
    bool compared = count > 1 && m != METRIC_RMSE;
    if (compared)
        *baseline = results[1].values[m];
    if (gain)
        *gain = compared ? report_gain_of(&results[1].against[m], m) : *baseline;
    return 0;
}

static size_t scorer_named(const struct report *r, const char *name)
{
    for (size_t i = 1; i < r->data.scorer_count; i++)
        if (strcmp(r->data.scorers[i].name, name) == 0)
            return i;
    return 0;
}

/* Rules are what ranks without a model; without them, the nearest thing to it. */
static void choose_baseline(struct report *r)
{
    static const char *const names[] = {"rules", "popularity", "as shown"};
    for (size_t i = 0; !r->baseline && i < sizeof names / sizeof *names; i++)
        r->baseline = scorer_named(r, names[i]);
    if (!r->baseline && r->data.scorer_count > 1)
        r->baseline = 1;
}

/* Where requests have one candidate each, every order is the best one: rows are judged instead. */
static void choose_metric(struct report *r)
{
    double random = r->random.values[METRIC_NDCG].value;
    bool ordered = !isnan(random) && random <= 0.999;
    r->metric = ordered ? METRIC_NDCG : r->data.regression ? METRIC_RMSE : METRIC_AUC;
}

/* Only the model's scores are predictions of the label: errors of the others mean nothing. */
static void forget_errors(struct report *r)
{
    static const enum metric_kind errors[] = {METRIC_RMSE, METRIC_MAE, METRIC_R2};
    for (size_t i = 1; i <= r->data.scorer_count; i++) {
        struct metric_results *x = i < r->data.scorer_count ? &r->results[i] : &r->random;
        for (size_t m = 0; m < sizeof errors / sizeof *errors; m++)
            x->values[errors[m]] = x->against[errors[m]] = (struct metric_value){NAN, NAN, NAN};
    }
}

static int make_metrics(struct report *r, struct err *e)
{
    struct metric_scorer scorers[REPORT_SCORERS];
    const struct metric_rows rows = rows_of(&r->part);
    double threshold = r->data.threshold > 0 ? r->data.threshold : NAN;
    double drawn = MOST_DRAWN / (double)r->part.row_count;
    r->replicates = (int)fmax(REPLICATES_LEAST, fmin(REPLICATES_MOST, drawn));
    struct metric_opts opts = opts_of(r, r->replicates);
    for (size_t i = 0; i < r->data.scorer_count; i++) {
        const struct report_scorer *s = &r->data.scorers[i];
        scorers[i] = (struct metric_scorer){.name = s->name,
                                            .scores = s->scores,
                                            .is_probability = s->is_probability,
                                            .order = i ? NULL : r->data.margins,
                                            .threshold = i ? NAN : threshold};
    }
    int rc = metrics_of(r->results, &rows, scorers, r->data.scorer_count, &opts, e);
    if (!rc)
        rc = metrics_of_random(&r->random, &rows, &opts, e);
    if (rc)
        return err_wrap(e, "metrics of the test part");
    forget_errors(r);
    choose_metric(r);
    choose_baseline(r);
    r->gain = (struct metric_value){NAN, NAN, NAN};
    if (r->baseline)
        r->gain = report_gain_of(&r->results[r->baseline].against[r->metric], r->metric);
    return 0;
}

/* ---- Periods ---- */

static const int64_t MINUTE_MS = 60000, DAY_MS = 86400000;

/* The shortest natural unit of which the test part has at most REPORT_PERIODS / 2, with enough
 * requests each. */
static int64_t period_ms(int64_t span_ms, size_t requests)
{
    static const int minutes[] = {1, 5, 15, 30, 60, 180, 360, 720, 1440, 2880, 10080, 40320};
    size_t count = sizeof minutes / sizeof *minutes, i = 0;
    int64_t periods = (int64_t)(requests / (2 * REPORT_PERIOD_REQUESTS)) + 1;
    periods = periods < REPORT_PERIODS / 2 ? periods : REPORT_PERIODS / 2;
    while (i + 1 < count && span_ms > minutes[i] * MINUTE_MS * periods)
        i++;
    int64_t most = 365 * DAY_MS * 10, unit = minutes[i] * MINUTE_MS;
    while (unit < most && span_ms > unit * (REPORT_PERIODS - 2))
        unit *= 2;
    return unit;
}

static int64_t floor_to(int64_t t, int64_t unit)
{
    int64_t rest = t % unit;
    return t - rest - (rest < 0 ? unit : 0);
}

static int judge_period(struct report *r, struct report_period *p, size_t from, size_t to,
                        struct err *e)
{
    const struct report_part *part = &r->part;
    uint64_t base = part->first[from];
    p->requests = to - from;
    p->model = p->baseline = (struct metric_value){NAN, NAN, NAN};
    if (p->requests < REPORT_PERIOD_REQUESTS)
        return 0;
    uint64_t *first = malloc((to - from + 1) * sizeof *first);
    if (!first)
        return err_nomem(e);
    for (size_t i = from; i <= to; i++)
        first[i - from] = part->first[i] - base;
    struct metric_rows rows = {.request_count = to - from,
                               .first = first,
                               .labels = part->labels + base,
                               .weights = part->weights ? part->weights + from : NULL,
                               .clusters = part->clusters ? part->clusters + from : NULL};
    struct report_scores scores = {.model = r->data.scorers[0].scores + base,
                                   .baseline = r->data.scorers[r->baseline].scores + base,
                                   .order = r->data.margins ? r->data.margins + base : NULL};
    int rc = report_judge(&p->model, &p->baseline, NULL, r, &rows, &scores, r->metric,
                          REPLICATES_LEAST, e);
    r->periods_known += isnan(p->model.value) ? 0 : 1;
    free(first);
    return rc;
}

int report_periods_make(struct report *r, struct err *e)
{
    const int64_t *times = r->data.rows->timestamps_ms + r->data.test_first;
    size_t n = r->part.request_count;
    int64_t unit = period_ms(times[n - 1] - times[0], n);
    int rc = 0;
    r->period_metric = r->metric;
    for (size_t from = 0, to; !rc && from < n && r->period_count < REPORT_PERIODS; from = to) {
        struct report_period *p = &r->periods[r->period_count];
        p->from_ms = floor_to(times[from], unit);
        p->to_ms = p->from_ms + unit;
        for (to = from + 1; to < n && times[to] < p->to_ms; to++)
            continue;
        rc = judge_period(r, p, from, to, e);
        r->period_count++;
    }
    return rc ? err_wrap(e, "metrics over time") : 0;
}

/* ---- All of it ---- */

int model_report_new(struct report **out, const struct report_data *data, struct err *e)
{
    assert(data->scorer_count > 0);
    struct report *r = calloc(1, sizeof *r);
    int rc = r ? 0 : err_nomem(e);
    *out = NULL;
    if (rc)
        return rc;
    r->data = *data;
    r->given = data;
    r->k = data->k > 0 ? data->k : 10;
    if (r->data.scorer_count > REPORT_SCORERS)
        r->data.scorer_count = REPORT_SCORERS;
    rc = make_part(r, e);
    if (!rc)
        rc = check(r, e);
    if (!rc)
        rc = make_metrics(r, e);
    if (!rc)
        rc = report_curves_make(r, e);
    if (!rc)
        rc = report_periods_make(r, e);
    if (!rc)
        rc = report_segments_make(r, e);
    if (!rc)
        rc = report_effect_make(r, e);
    if (!rc)
        rc = report_columns_make(r, e);
    if (!rc)
        rc = report_rows_make(r, e);
    if (rc)
        model_report_free(r);
    else
        *out = r;
    return rc;
}

void model_report_free(struct report *r)
{
    if (!r)
        return;
    arena_free(&r->arena);
    free(r);
}

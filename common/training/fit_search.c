/* The trials of fit_make(). */
#include "training/fit_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the difference to the standard: half of it is one standard error to either side. */
#define ONE_ERROR 0.6827

enum { REPLICATES = 200, MOST_PARAMETERS = SPACE_PARAMETERS + 10, TEXT_BYTES = 32 };

/* A trial while it runs. */
struct running {
    struct fit *f;
    const struct space_point *point;
    struct boosting *boosting;
    uint32_t rounds, best_rounds, patience;
    double best_loss;
    bool stopped;   /* by the search */
    bool abandoned; /* time is up, or it was asked to stop */
};

/* ---- What a trial is told ---- */

struct told {
    struct boosting_parameter items[MOST_PARAMETERS];
    char values[MOST_PARAMETERS][TEXT_BYTES];
    size_t count;
};

static void tell(struct told *t, const char *name, const char *value)
{
    snprintf(t->values[t->count], TEXT_BYTES, "%s", value);
    t->items[t->count] = (struct boosting_parameter){name, t->values[t->count]};
    t->count++;
}

static void tell_number(struct told *t, const char *name, double value)
{
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "%.9g", value);
    tell(t, name, text);
}

/* Trees need not find the mean label first: they begin there. */
static void tell_base(struct told *t, const struct fit *f)
{
    switch (f->memory->opts->objective->kind) {
    case INSTANCES_BINARY:
        tell_number(t, "base_score", fmin(fmax(f->train.mean, 1e-6), 1 - 1e-6));
        break;
    case INSTANCES_REGRESSION:
        tell_number(t, "base_score", f->train.mean);
        break;
    case INSTANCES_RANKING: /* an order has no mean */
        break;
    }
}

static void tell_all(struct told *t, const struct fit *f, const struct space_point *p)
{
    const struct fit_opts *o = f->memory->opts;
    char loss[TEXT_BYTES];
    snprintf(loss, sizeof loss, "%s", o->objective->loss);
    if (o->objective->kind == INSTANCES_RANKING)
        snprintf(loss, sizeof loss, "ndcg@%d-", o->k);
    tell(t, "verbosity", "0");
    tell(t, "booster", "gbtree");
    tell(t, "tree_method", "hist");
    tell(t, "objective", o->objective->name);
    tell(t, "eval_metric", loss);
    tell(t, "seed_per_iteration", "true");
    tell_number(t, "nthread", o->threads);
    tell_number(t, "seed", (double)(o->seed % INT32_MAX));
    tell_base(t, f);
    for (int i = 0; i < SPACE_PARAMETERS; i++) {
        char value[TEXT_BYTES];
        space_value_text(value, p, (enum space_parameter)i);
        tell(t, space_name((enum space_parameter)i), value);
    }
}

/* ---- Scores ---- */

/* Of the validation rows, by the first trees; what the metric is of. */
static int score_rows(struct running *r, uint32_t trees, struct err *e)
{
    struct fit *f = r->f;
    float *scores = f->memory->valid_scores;
    int rc = boosting_margins(r->boosting, f->memory->served, trees, scores, e);
    for (size_t i = 0; f->score == METRIC_LOG_LOSS && i < f->valid.count && !rc; i++)
        scores[i] = 1 / (1 + expf(-scores[i]));
    return rc;
}

/* The metric of scores, its sign such that more is better; *better where it beats the standard. */
static int judge(const struct fit *f, const float *scores, const float *standard, double *score,
                 bool *better, struct err *e)
{
    const bool is_probability = f->score == METRIC_LOG_LOSS;
    const struct fit_opts *o = f->memory->opts;
    struct metric_rows rows = {.request_count = f->valid.group_count,
                               .first = f->memory->valid_first,
                               .labels = f->valid.labels};
    /* Differences are to the first. A threshold is not wanted, and one that is given costs less. */
    struct metric_scorer scorers[] = {
        {.name = "standard",
         .scores = standard ? standard : scores,
         .is_probability = is_probability,
         .threshold = 0.5},
        {.name = "trial", .scores = scores, .is_probability = is_probability, .threshold = 0.5}};
    struct metric_opts opts = {.k = o->k,
                               .replicates = standard ? REPLICATES : 0,
                               .level = ONE_ERROR,
                               .seed = o->seed,
                               .regression = o->objective->kind == INSTANCES_REGRESSION};
    struct metric_results results[2];
    int rc = metrics_of(results, &rows, scorers, standard ? 2 : 1, &opts, e);
    if (rc)
        return rc;
    const struct metric_results *own = &results[standard ? 1 : 0];
    int sign = metric_sign(f->score);
    *score = sign * own->values[f->score].value;
    const struct metric_value *against = &own->against[f->score];
    *better = standard && (sign > 0 ? against->low > 0 : against->high < 0);
    return 0;
}

/* ---- One trial ---- */

static bool is_over(struct running *r)
{
    const struct fit_opts *o = r->f->memory->opts;
    bool first = search_count(r->f->memory->search) == 0;
    if (o->hooks.stopping && o->hooks.stopping(o->hooks.arg)) {
        r->f->was_stopped = true;
        return true;
    }
    return !first && o->time_us &&
           o->hooks.now_us(o->hooks.arg) - r->f->memory->started_us > o->time_us;
}

static int take_look(struct running *r, int *look, struct err *e)
{
    struct search *s = r->f->memory->search;
    double score;
    bool better;
    /* Where there is one trial, nobody is held against it. */
    if (r->f->memory->opts->trials == 1 || *look == SEARCH_LOOKS ||
        r->rounds < search_round_of(s, *look))
        return 0;
    int rc = score_rows(r, 0, e);
    if (!rc)
        rc = judge(r->f, r->f->memory->valid_scores, NULL, &score, &better, e);
    if (!rc)
        r->stopped = !search_look(s, score);
    ++*look;
    return rc;
}

static int grow(struct running *r, struct err *e)
{
    const struct fit_opts *o = r->f->memory->opts;
    size_t trial = search_count(r->f->memory->search);
    int look = 0, rc = 0;
    while (!rc && r->rounds < o->rounds && r->rounds - r->best_rounds < r->patience &&
           !r->stopped && !(r->abandoned = is_over(r))) {
        double loss;
        if ((rc = boosting_round(r->boosting, e)) || (rc = boosting_metric(r->boosting, &loss, e)))
            return rc;
        r->rounds++;
        loss = o->objective->more_is_better ? -loss : loss;
        if (r->rounds == 1 || loss < r->best_loss) {
            r->best_loss = loss;
            r->best_rounds = r->rounds;
        }
        if (o->hooks.round)
            o->hooks.round(o->hooks.arg, trial, r->rounds);
        rc = take_look(r, &look, e);
    }
    return rc;
}

/* The score of a trial that has grown; the model file of the best. */
static int end_trial(struct running *r, const char *const *names, int64_t began_us, struct err *e)
{
    struct fit *f = r->f;
    struct fit_memory *m = f->memory;
    const struct fit_hooks *hooks = &m->opts->hooks;
    size_t number = search_count(m->search);
    struct search_trial ended = {.trees = r->best_rounds, .stopped = r->stopped};
    int rc = score_rows(r, r->best_rounds, e);
    if (!rc)
        rc = judge(f, m->valid_scores, number && !r->stopped ? m->standard_scores : NULL,
                   &ended.score, &ended.better, e);
    if (rc)
        return rc;
    if (!number)
        memcpy(m->standard_scores, m->valid_scores, f->valid.count * sizeof *m->valid_scores);
    ended.seconds = (double)(hooks->now_us(hooks->arg) - began_us) / 1e6;
    search_end(m->search, &ended);
    bool is_best = search_best(m->search) == number;
    if (is_best)
        rc = boosting_save(r->boosting, r->best_rounds, names, f->survey.used_count, &f->bytes, e);
    if (!rc && hooks->trial)
        hooks->trial(hooks->arg, number, &search_trials(m->search)[number], f->score, is_best);
    return rc;
}

static uint32_t patience_of(const struct fit_opts *o, const struct space_point *p)
{
    double trees = ceil(2.5 / p->values[SPACE_ETA]);
    return o->patience ? o->patience : (uint32_t)fmin(fmax(trees, 20), 200);
}

static int run_trial(struct fit *f, const char *const *names, bool *over, struct err *e)
{
    struct fit_memory *m = f->memory;
    const struct fit_hooks *hooks = &m->opts->hooks;
    int64_t began_us = hooks->now_us(hooks->arg);
    struct running r = {.f = f, .point = search_begin(m->search)};
    struct told told = {0};
    if (!r.point) {
        *over = true;
        return 0;
    }
    r.patience = patience_of(m->opts, r.point);
    tell_all(&told, f, r.point);
    struct boosting_matrix *matrices[] = {m->train, m->shown ? m->shown : m->served, m->served};
    int rc = boosting_new(&r.boosting, matrices, m->shown ? 3 : 2, told.items, told.count, e);
    if (!rc)
        rc = grow(&r, e);
    if (!rc && r.abandoned)
        search_abandon(m->search);
    else if (!rc)
        rc = end_trial(&r, names, began_us, e);
    boosting_free(r.boosting);
    *over = r.abandoned || search_count(m->search) == m->opts->trials;
    return rc;
}

/* ---- All of them ---- */

static int prepare(struct fit *f, const char **names, char **texts, struct err *e)
{
    struct fit_memory *m = f->memory;
    const struct str_list *columns = &set_info(m->set)->columns;
    m->valid_first = malloc((f->valid.group_count + 1) * sizeof *m->valid_first);
    m->valid_scores = malloc((f->valid.count + 1) * sizeof *m->valid_scores);
    m->standard_scores = malloc((f->valid.count + 1) * sizeof *m->standard_scores);
    if (!m->valid_first || !m->valid_scores || !m->standard_scores)
        return err_nomem(e);
    m->valid_first[0] = 0;
    for (size_t g = 0; g < f->valid.group_count; g++)
        m->valid_first[g + 1] = m->valid_first[g] + f->valid.groups[g];
    for (size_t i = 0; i < f->survey.used_count; i++) {
        struct str name = columns->items[f->survey.used[i]];
        if (!(texts[i] = strndup(name.data, name.len)))
            return err_nomem(e);
        names[i] = texts[i];
    }
    f->score = m->opts->objective->kind == INSTANCES_REGRESSION ? METRIC_RMSE
               : f->valid.unequal                               ? METRIC_NDCG
                                                                : METRIC_LOG_LOSS;
    return 0;
}

int fit_search(struct fit *f, struct err *e)
{
    struct fit_memory *m = f->memory;
    size_t n = f->survey.used_count;
    const char **names = calloc(n + 1, sizeof *names);
    char **texts = calloc(n + 1, sizeof *texts);
    bool over = false;
    int rc = names && texts ? prepare(f, names, texts, e) : err_nomem(e);
    while (!rc && !over)
        rc = run_trial(f, names, &over, e);
    for (size_t i = 0; texts && i < n; i++)
        free(texts[i]);
    free(texts);
    free(names);
    if (!rc && !search_count(m->search))
        rc = err_set(e, ERR_ABORTED,
                     "asked to stop before the first trial was done: there is no model");
    if (rc)
        return rc;
    f->trials = search_trials(m->search);
    f->trial_count = search_count(m->search);
    f->best = search_best(m->search);
    return 0;
}

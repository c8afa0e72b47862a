#include "stats/off_policy_inside.h"

#include "stats/cluster.h"

#include <math.h>
#include <stdlib.h>

enum {
    MOST_PLACES = 10000,
    EFFECTIVE_LEAST = 30, /* below it the numbers are not to be relied on */
};

static const char *const no_requests = "no request is logged with what was shown, how likely that "
                                       "was and what it brought";
static const char *const not_explored =
    "nothing was explored, so nothing is known of what was not shown: let a share of the rankings "
    "be drawn (placements: exploration)";
static const char *const no_overlap = "nothing was ever shown where this order would have put it";
static const char *const little_overlap =
    "too little was shown where this order would have put it: do not rely on these numbers";
static const char *const wrong_weights =
    "the logged probabilities do not fit what was shown: do not rely on these numbers";

/* ------------------------------------------------------------ requests */

/* Counts a request where it belongs; true if it can be used. */
static bool sort_request(struct off_policy_requests *out, const struct off_policy_log *log,
                         size_t request)
{
    size_t shown = 0;
    bool is_known = true, is_explored = false;
    for (uint64_t row = log->first[request]; row < log->first[request + 1]; row++) {
        if (log->places[row] < 0)
            continue;
        double p = log->propensities[row];
        shown++;
        is_known &= p > 0 && p <= 1 && !isnan(log->rewards[row]) && log->places[row] < MOST_PLACES;
        is_explored |= p < 1;
    }
    /* A single candidate could only stand where it stood. */
    is_explored |= log->first[request + 1] - log->first[request] == 1;
    if (!shown || !is_known)
        out->unknown++;
    else if (!is_explored)
        out->unexplored++;
    else
        out->used++;
    return shown && is_known && is_explored;
}

static int look_at_requests(struct judging *j, struct off_policy_requests *out, struct err *e)
{
    const struct off_policy_log *log = j->log;
    size_t n = log->request_count;
    j->is_used = malloc(n + 1);
    j->clusters = malloc(n * sizeof *j->clusters + 1);
    if (!j->is_used || !j->clusters)
        return err_nomem(e);
    for (size_t q = 0; q < n; q++) {
        j->is_used[q] = sort_request(out, log, q);
        j->clusters[q] = log->clusters ? log->clusters[q] : (uint32_t)q;
        for (uint64_t row = log->first[q]; row < log->first[q + 1] && j->is_used[q]; row++)
            if (log->places[row] >= (int32_t)j->place_count)
                j->place_count = (size_t)log->places[row] + 1;
    }
    return clusters_number(j->clusters, n, &j->cluster_count, e);
}

static int make_room(struct judging *j, size_t targets, struct err *e)
{
    size_t n = j->cluster_count;
    j->weights = calloc(n + 1, sizeof *j->weights);
    j->shown = calloc(n + 1, sizeof *j->shown);
    j->logged = calloc(n + 1, sizeof *j->logged);
    j->sums = calloc(targets * OFF_POLICY_SUMS * n + 1, sizeof *j->sums);
    j->places = calloc(j->place_count + 1, sizeof *j->places);
    j->order = malloc(j->place_count * sizeof *j->order + 1);
    j->stood = malloc(j->place_count * sizeof *j->stood + 1);
    j->differences = malloc(n * sizeof *j->differences + 1);
    j->squares = calloc(targets + 1, sizeof *j->squares);
    j->overlap = calloc(targets + 1, sizeof *j->overlap);
    bool ok = j->weights && j->shown && j->logged && j->sums && j->places && j->order && j->stood &&
              j->squares && j->overlap && j->differences;
    return ok ? 0 : err_nomem(e);
}

static void judging_free(struct judging *j)
{
    free(j->differences);
    free(j->overlap);
    free(j->squares);
    free(j->stood);
    free(j->order);
    free(j->places);
    free(j->sums);
    free(j->logged);
    free(j->shown);
    free(j->weights);
    free(j->clusters);
    free(j->is_used);
}

/* ------------------------------------------------------------ numbers */

static const double *sums_of(const struct judging *j, size_t target, enum off_policy_sum which)
{
    return j->sums + (target * OFF_POLICY_SUMS + which) * j->cluster_count;
}

static struct metric_value mean_of(const struct judging *j, const double *sums, double level)
{
    return cluster_mean(sums, j->weights, j->cluster_count, level);
}

/* Minus that of the first target. */
static struct metric_value against_of(struct judging *j, size_t target, enum off_policy_sum which,
                                      double level)
{
    const double *own = sums_of(j, target, which), *first = sums_of(j, 0, which);
    for (size_t c = 0; c < j->cluster_count; c++)
        j->differences[c] = own[c] - first[c];
    return mean_of(j, j->differences, level);
}

/* The value with the bounds of another of the same spread. */
static struct metric_value with_spread(struct metric_value value, struct metric_value spread)
{
    return (struct metric_value){value.value, value.value + (spread.low - spread.value),
                                 value.value + (spread.high - spread.value)};
}

/* What cannot be negative and has few large values is skewed: the interval is of its logarithm. */
static struct metric_value by_logarithm(struct metric_value v, const double *sums, size_t count)
{
    double reach = (v.high - v.value) / v.value;
    bool is_positive = v.value > 0;
    for (size_t c = 0; c < count; c++)
        is_positive &= sums[c] >= 0;
    if (!is_positive)
        return v;
    return (struct metric_value){v.value, v.value * exp(-reach), v.value * exp(reach)};
}

static const char *find_reason(const struct off_policy_estimates *out)
{
    /* By factors, since wrong probabilities are. At 95 % the bounds are about two standard errors
     * away; five are no coincidence. */
    double mean = out->mean_weight.value, reach = (out->mean_weight.high - mean) / mean;
    if (fabs(log(mean)) > 2.5 * reach)
        return wrong_weights;
    return out->effective < EFFECTIVE_LEAST ? little_overlap : NULL;
}

static double sum_of(const double *numbers, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += numbers[i];
    return sum;
}

static struct off_policy_estimates without_numbers(const char *reason)
{
    static const struct metric_value no = {NAN, NAN, NAN};
    return (struct off_policy_estimates){no, no, no, no, no, no, 0, 0, no, reason};
}

static void tell_target(struct off_policy_estimates *out, struct judging *j,
                        const struct off_policy_target *targets, size_t target, double level)
{
    size_t n = j->cluster_count;
    double hits = sum_of(sums_of(j, target, SUM_HITS), n);
    bool is_paired = j->overlap[0] > 0;
    *out = without_numbers(no_overlap);
    out->overlap = j->overlap[target] / sum_of(j->weights, n);
    if (!(hits > 0))
        return;
    out->effective = hits * hits / j->squares[target];
    out->mean_weight = cluster_mean(sums_of(j, target, SUM_HITS), j->shown, n, 0.95);
    const double *ips = sums_of(j, target, SUM_IPS);
    out->ips = by_logarithm(mean_of(j, ips, level), ips, n);
    out->snips = with_spread(mean_of(j, sums_of(j, target, SUM_SNIPS), level),
                             mean_of(j, sums_of(j, target, SUM_SNIPS_SPREAD), level));
    if (targets[target].expected)
        out->dr = mean_of(j, sums_of(j, target, SUM_DR), level);
    if (is_paired) {
        out->ips_against = against_of(j, target, SUM_IPS, level);
        out->snips_against = with_spread(against_of(j, target, SUM_SNIPS, level),
                                         against_of(j, target, SUM_SNIPS_SPREAD, level));
    }
    if (is_paired && targets[target].expected && targets[0].expected)
        out->dr_against = against_of(j, target, SUM_DR, level);
    out->reason = find_reason(out);
}

static int estimate(struct judging *j, struct off_policy_requests *requests,
                    struct off_policy_estimates *out, const struct off_policy_target *targets,
                    size_t count, double level, struct err *e)
{
    int rc = look_at_requests(j, requests, e);
    if (!rc)
        rc = make_room(j, count, e);
    if (rc)
        return rc;
    off_policy_look(j);
    requests->logged = mean_of(j, j->logged, level);
    for (size_t i = 0; i < count; i++)
        off_policy_judge(j, &targets[i], i);
    for (size_t i = 0; i < count; i++) {
        if (requests->used)
            tell_target(&out[i], j, targets, i, level);
        else
            out[i] = without_numbers(requests->unexplored ? not_explored : no_requests);
    }
    return 0;
}

int off_policy_estimate(struct off_policy_requests *requests, struct off_policy_estimates *out,
                        const struct off_policy_log *log, const struct off_policy_target *targets,
                        size_t count, double level, struct err *e)
{
    struct judging j = {.log = log};
    if (!(level > 0 && level < 1))
        return err_set(e, ERR_INVALID, "intervals of level %g: it must be between 0 and 1", level);
    if (log->request_count && log->first[log->request_count] >= OFF_POLICY_NONE)
        return err_set(e, ERR_TOO_LARGE, "a log of %llu rows: at most %u can be looked at",
                       (unsigned long long)log->first[log->request_count], OFF_POLICY_NONE - 1);
    *requests = (struct off_policy_requests){0};
    int rc = estimate(&j, requests, out, targets, count, level, e);
    judging_free(&j);
    return rc;
}

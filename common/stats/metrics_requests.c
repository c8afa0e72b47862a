/*
 * Metrics of requests, of scores that may be equal: what they are on average over all orders of
 * those that are.
 *
 * Of a group of n equals behind `before` rows, with r positives among them: each of its places has
 * the group's mean gain, and a positive with probability r / n; the row at its t-th place being
 * positive, (t - 1) * (r - 1) / (n - 1) of those in the group before it are, on average; and the
 * first positive of the group stands at place t with probability C(n - t, r - 1) / C(n, r).
 */
#include "stats/metrics_inside.h"

#include "stats/float_order.h"

#include <math.h>
#include <stdlib.h>

struct judged {
    uint32_t rank; /* of the score */
    float label;
};

/* Memory for the largest request, and what is asked of all. */
struct judging {
    size_t k;
    bool is_regression;
    double *discounts; /* of places */
    struct judged *rows;
};

/* Of labels above it no gain can be a finite number. */
static const double highest_grade = 1000;

/* Graded labels count exponentially (Burges et al. 2005); values as they are. */
static double gain_of(float label, bool is_regression)
{
    if (!(label > 0))
        return 0;
    return is_regression ? (double)label : exp2(fmin((double)label, highest_grade)) - 1;
}

static int by_rank(const void *a, const void *b)
{
    const struct judged *x = a, *y = b;
    return (x->rank < y->rank) - (x->rank > y->rank);
}

static int by_label(const void *a, const void *b)
{
    const struct judged *x = a, *y = b;
    return (x->label < y->label) - (x->label > y->label);
}

static double ideal_of(const struct judging *j, size_t count)
{
    double sum = 0;
    qsort(j->rows, count, sizeof *j->rows, by_label);
    for (size_t i = 0; i < count && i < j->k && j->rows[i].label > 0; i++)
        sum += gain_of(j->rows[i].label, j->is_regression) * j->discounts[i];
    return sum;
}

/* What the way down a request's rows has found so far. */
struct found {
    double gain;      /* discounted, of the first k places */
    double at_k;      /* positives in the first k places */
    double precision; /* sum over positives of the precision at their places */
    double first;     /* of 1 / place of the first positive */
    size_t positives;
};

static void pass_equals(struct found *f, const struct judging *j, size_t from, size_t to)
{
    size_t n = to - from, positives = 0;
    double gain = 0, chance = 0;
    for (size_t i = from; i < to; i++) {
        positives += j->rows[i].label > 0;
        gain += gain_of(j->rows[i].label, j->is_regression);
    }
    double share = (double)positives / (double)n;
    for (size_t i = from; i < to && i < j->k; i++) {
        f->gain += gain / (double)n * j->discounts[i];
        f->at_k += share;
    }
    if (!positives)
        return;
    double others = n > 1 ? (double)(positives - 1) / (double)(n - 1) : 0;
    for (size_t t = 0; t < n; t++) {
        double place = (double)(from + t + 1);
        double before = (double)f->positives + (double)t * others;
        f->precision += share * (before + 1) / place;
        if (f->positives || t > n - positives)
            continue;
        chance = t ? chance * (double)(n - t + 1 - positives) / (double)(n - t) : share;
        f->first += chance / place;
    }
    f->positives += positives;
}

/* False if there is no positive row. */
static bool judge_request(double values[REQUEST_METRICS], const struct judging *j, size_t count)
{
    struct found f = {0};
    double ideal = ideal_of(j, count);
    qsort(j->rows, count, sizeof *j->rows, by_rank);
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && j->rows[to].rank == j->rows[from].rank;)
            to++;
        pass_equals(&f, j, from, to);
    }
    double positives = (double)f.positives, first = (double)(j->k < count ? j->k : count);
    values[METRIC_NDCG - METRIC_NDCG] = f.gain / ideal;
    values[METRIC_MAP - METRIC_NDCG] = f.precision / positives;
    values[METRIC_MRR - METRIC_NDCG] = f.first;
    values[METRIC_PRECISION_AT_K - METRIC_NDCG] = f.at_k / first;
    values[METRIC_RECALL_AT_K - METRIC_NDCG] = f.at_k / positives;
    return f.positives > 0;
}

void metric_of_request_sums(double values[METRICS], const double sums[REQUEST_SUMS])
{
    for (int m = 0; m < REQUEST_METRICS; m++)
        values[METRIC_NDCG + m] = sums[m] / sums[REQUEST_METRICS];
}

static void judge_all(struct metric_part *p, const struct metric_sample *s,
                      const struct metric_scorer *scorer, const struct judging *j)
{
    double values[REQUEST_METRICS], all[REQUEST_SUMS] = {0};
    const float *scores = scorer->order ? scorer->order : scorer->scores;
    for (size_t q = 0; q < s->request_count; q++) {
        uint64_t from = s->first[q], to = s->first[q + 1];
        double *sums = p->request_sums + s->clusters[q] * (size_t)REQUEST_SUMS;
        for (uint64_t i = from; i < to; i++)
            j->rows[i - from] = (struct judged){float_rank(scores[s->rows[i]]), s->labels[i]};
        if (!judge_request(values, j, (size_t)(to - from)))
            continue;
        p->requests++;
        for (int m = 0; m < REQUEST_METRICS; m++)
            sums[m] += s->weights[q] * values[m];
        sums[REQUEST_METRICS] += s->weights[q];
    }
    for (size_t c = 0; c < s->cluster_count; c++)
        for (int m = 0; m < REQUEST_SUMS; m++)
            all[m] += p->request_sums[c * REQUEST_SUMS + (size_t)m];
    metric_of_request_sums(p->values, all);
}

int metric_by_request(struct metric_part *p, const struct metric_sample *s,
                      const struct metric_scorer *scorer, size_t k, bool is_regression,
                      struct err *e)
{
    size_t largest = 0;
    for (size_t q = 0; q < s->request_count; q++)
        if (s->first[q + 1] - s->first[q] > largest)
            largest = (size_t)(s->first[q + 1] - s->first[q]);
    struct judging j = {.k = k, .is_regression = is_regression};
    p->request_sums = calloc(s->cluster_count * REQUEST_SUMS + 1, sizeof *p->request_sums);
    j.discounts = malloc(largest * sizeof *j.discounts + 1);
    j.rows = malloc(largest * sizeof *j.rows + 1);
    bool ok = p->request_sums && j.discounts && j.rows;
    for (size_t i = 0; i < largest && ok; i++)
        j.discounts[i] = 1 / log2((double)i + 2);
    if (ok)
        judge_all(p, s, scorer, &j);
    free(j.rows);
    free(j.discounts);
    return ok ? 0 : err_nomem(e);
}

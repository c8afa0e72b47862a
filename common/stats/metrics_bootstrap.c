/* The bootstrap of metrics.h: whole clusters are drawn with replacement. */
#include "stats/metrics_inside.h"

#include "base/prng.h"

#include <math.h>
#include <stdlib.h>

/* How often each cluster was drawn. */
static void draw_clusters(uint32_t *times, size_t count, struct prng *random)
{
    memset(times, 0, count * sizeof *times);
    for (size_t i = 0; i < count; i++)
        times[prng_below(random, (uint32_t)count)]++;
}

static void add_sums(double *out, const double *sums, size_t width, const uint32_t *times,
                     size_t clusters)
{
    for (size_t c = 0; c < clusters; c++) {
        if (!times[c])
            continue;
        for (size_t k = 0; k < width; k++)
            out[k] += (double)times[c] * sums[c * width + k];
    }
}

static void fill_histogram(double *histogram, const struct metric_part *p,
                           const struct metric_sample *s, const uint32_t *times)
{
    memset(histogram, 0, 2 * p->bin_count * sizeof *histogram);
    for (size_t q = 0; q < s->request_count; q++) {
        double weight = (double)times[s->clusters[q]] * s->weights[q];
        if (!(weight > 0))
            continue;
        for (uint64_t i = s->first[q]; i < s->first[q + 1]; i++)
            histogram[p->codes[i]] += weight;
    }
}

static void replicate(double values[METRICS], const struct metric_part *p,
                      const struct metric_sample *s, const uint32_t *times, double *histogram,
                      bool is_regression)
{
    double row_sums[ROW_SUMS] = {0}, request_sums[REQUEST_SUMS] = {0};
    for (int m = 0; m < METRICS; m++)
        values[m] = NAN;
    add_sums(row_sums, p->row_sums, ROW_SUMS, times, s->cluster_count);
    add_sums(request_sums, p->request_sums, REQUEST_SUMS, times, s->cluster_count);
    metric_of_sums(values, row_sums, p->is_probability, is_regression);
    metric_of_request_sums(values, request_sums);
    if (is_regression)
        return;
    fill_histogram(histogram, p, s, times);
    metric_of_histogram(values, p, histogram);
}

int metric_draw(struct metric_part *parts, size_t count, const struct metric_sample *s,
                const struct metric_opts *opts, struct err *e)
{
    size_t n = (size_t)opts->replicates;
    uint32_t *times = malloc(s->cluster_count * sizeof *times + 1);
    double *histogram = malloc((size_t)2 * METRIC_BINS * sizeof *histogram), values[METRICS];
    struct prng random;
    bool ok = times && histogram;
    prng_seed(&random, opts->seed);
    for (size_t i = 0; i < count && ok; i++)
        ok = (parts[i].replicates = malloc(METRICS * n * sizeof *parts[i].replicates));
    for (size_t r = 0; r < n && ok; r++) {
        draw_clusters(times, s->cluster_count, &random);
        for (size_t i = 0; i < count; i++) {
            replicate(values, &parts[i], s, times, histogram, opts->regression);
            /* Intervals of one cluster would be as narrow as they are wrong. */
            for (size_t m = 0; m < METRICS; m++)
                parts[i].replicates[m * n + r] = s->cluster_count > 1 ? values[m] : NAN;
        }
    }
    free(histogram);
    free(times);
    return ok ? 0 : err_nomem(e);
}

/* ------------------------------------------------------------ intervals */

static int double_before(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between two neighbours a straight line (type 7 of Hyndman and Fan 1996). */
static double quantile_of(const double *sorted, size_t count, double share)
{
    double at = share * (double)(count - 1);
    size_t below = (size_t)at;
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

/* These are distances, which drawing rows again makes larger on average. */
static bool is_distance(enum metric_kind m)
{
    return m == METRIC_KS || m == METRIC_ECE;
}

struct metric_value metric_interval(enum metric_kind m, double value, double *replicates,
                                    size_t count, double level)
{
    struct metric_value out = {value, NAN, NAN};
    size_t known = 0;
    double sum = 0, shift = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(replicates[i])) {
            sum += replicates[i];
            replicates[known++] = replicates[i];
        }
    /* Half of the draws must tell something. */
    if (isnan(value) || !known || 2 * known < count)
        return out;
    if (is_distance(m))
        shift = value - sum / (double)known;
    qsort(replicates, known, sizeof *replicates, double_before);
    out.low = quantile_of(replicates, known, (1 - level) / 2) + shift;
    out.high = quantile_of(replicates, known, (1 + level) / 2) + shift;
    return out;
}

#include "stats/cluster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int number_before(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int clusters_number(uint32_t *clusters, size_t count, size_t *different, struct err *e)
{
    size_t n = 0;
    uint32_t *sorted = malloc(count * sizeof *sorted + 1);
    if (!sorted)
        return err_nomem(e);
    memcpy(sorted, clusters, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, number_before);
    for (size_t i = 0; i < count; i++)
        if (!n || sorted[i] != sorted[n - 1])
            sorted[n++] = sorted[i];
    for (size_t i = 0; i < count; i++) {
        const uint32_t *at = bsearch(&clusters[i], sorted, n, sizeof *sorted, number_before);
        clusters[i] = (uint32_t)(at - sorted);
    }
    *different = n;
    free(sorted);
    return 0;
}

/* By bisection: it is asked a few times for each report. */
static double normal_quantile(double share)
{
    double low = -40, high = 40;
    for (int i = 0; i < 64; i++) {
        double middle = (low + high) / 2;
        if (erfc(-middle / sqrt(2)) / 2 < share)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

/* Abramowitz and Stegun 26.7.5: within 1 % from three degrees of freedom on, at 95 %. */
static double student_quantile(double share, double freedom)
{
    double z = normal_quantile(share), z2 = z * z;
    return z + z * (z2 + 1) / (4 * freedom) +
           z * ((5 * z2 + 16) * z2 + 3) / (96 * freedom * freedom) +
           z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * freedom * freedom * freedom);
}

struct metric_value cluster_mean(const double *sums, const double *weights, size_t count,
                                 double level)
{
    double sum = 0, weight = 0, n = 0, squares = 0, fourths = 0;
    for (size_t c = 0; c < count; c++) {
        sum += sums[c];
        weight += weights[c];
        n += weights[c] > 0;
    }
    struct metric_value out = {sum / weight, NAN, NAN};
    if (!(weight > 0) || n < 2 || isnan(out.value)) {
        out.value = weight > 0 ? out.value : NAN;
        return out;
    }
    for (size_t c = 0; c < count; c++) {
        double off = sums[c] - out.value * weights[c];
        squares += off * off;
        fourths += off * off * off * off;
    }
    double kurtosis = squares > 0 ? n * fourths / (squares * squares) : 3;
    double freedom = fmin(n - 1, kurtosis > 1 ? 2 * n / (kurtosis - 1) : n - 1);
    double error = sqrt(squares * n / (n - 1)) / weight;
    double reach = error * student_quantile((1 + level) / 2, fmax(freedom, 1));
    out.low = out.value - reach;
    out.high = out.value + reach;
    return out;
}

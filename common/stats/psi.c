#include "stats/psi.h"

#include <math.h>

double psi(const uint64_t *counts, const uint64_t *reference, size_t bins)
{
    double n = 0, m = 0, sum = 0, half = (double)bins / 2;
    for (size_t i = 0; i < bins; i++) {
        n += (double)counts[i];
        m += (double)reference[i];
    }
    for (size_t i = 0; i < bins; i++) {
        double p = ((double)counts[i] + 0.5) / (n + half);
        double q = ((double)reference[i] + 0.5) / (m + half);
        sum += (p - q) * log(p / q);
    }
    return sum;
}

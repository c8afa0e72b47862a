/*
 * Values that belong together in clusters (the requests of a user), and intervals of their mean.
 *
 * Any thread; no clock.
 */
#pragma once

#include "base/err.h"
#include "stats/metrics.h"

#include <stddef.h>
#include <stdint.h>

/* Gives any numbers of clusters those from 0 to *different - 1, in their order. Fails with
 * ERR_NOMEM. */
int clusters_number(uint32_t *clusters, size_t count, size_t *different, struct err *e);

/*
 * The mean sum(sums) / sum(weights) over clusters, with a Student's interval of its linearised
 * variance. The degrees of freedom are those that a variance of values with these tails has,
 * 2 * count / (kurtosis - 1) (O'Neill, "Some useful moment results in sampling problems", American
 * Statistician 2014), so that few large values among many give a wide interval. NaN where there are
 * none; bounds are NaN where fewer than two clusters have a weight.
 */
struct metric_value cluster_mean(const double *sums, const double *weights, size_t count,
                                 double level);

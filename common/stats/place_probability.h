/*
 * How likely an item stands at a place of a ranking that explores, whatever stands above it.
 *
 * With probability 1 - share the ranking is the best order: by utility, highest first, equal ones
 * in the order of the candidates. With probability share it is drawn place by place, each candidate
 * that is left with probability proportional to exp(utility / temperature) (Plackett 1975, Luce
 * 1959). That is a race: each candidate arrives at an exponential time of that rate. So the
 * probability that candidate i is the j-th to arrive is
 *
 *     integral over t of rate_i * exp(-rate_i * t) * P(just j of the others have arrived at t)
 *
 * the number of those being Poisson-binomial. It is integrated over ln t by the trapezoidal rule,
 * which converges exponentially for such integrands (Trefethen and Weideman, SIAM Review 2014); to
 * about 1e-9 of itself, at O(candidates * places) for each of some hundred nodes.
 *
 * Of rankings with diversity this is not the probability: there is no short form of it.
 *
 * Any thread; no clock.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Borrowed. */
struct place_ranking {
    const struct str *ids;   /* of the candidates; one that comes again counts once, where it comes
                                first; NULL: all are different */
    const double *utilities; /* of each candidate; NaN counts as -infinity, infinities as +-1e300 */
    size_t count;
    const int32_t *shown; /* candidates in the order shown */
    size_t shown_count;
    double share;       /* of exploration, 0 to 1 */
    double temperature; /* above 0 */
};

/*
 * Writes P(it stands at its place) of each place shown, above 0. Memory is taken from the arena and
 * given back. Fails with ERR_INVALID (share, temperature, or a place shown that is no candidate, or
 * is one twice), ERR_NOMEM.
 */
int place_probabilities(double *out, const struct place_ranking *r, struct arena *a, struct err *e);

/*
 * What a ranking would have brought, from what another one was shown for: off-policy estimates of
 * the mean number of clicks (or value) a request, with intervals.
 *
 * The model of the world is the position-based one: what an item brings at a place depends on the
 * item, the user, the context and the place, not on the other items (Craswell et al. 2008; Li et
 * al., "Offline evaluation of ranking policies with click models", KDD 2018: the item-position
 * estimator). So the weight of a shown item is
 *
 *     [the policy puts it at this place] / P(it stood at this place when it was logged)
 *
 * with the probability at that place, whatever stood above it (place_probability.h).
 *
 *   IPS   mean over requests of sum of weight * reward          (Horvitz and Thompson 1952)
 *   SNIPS self-normalised, place by place                       (Swaminathan and Joachims 2015)
 *   DR    sum over places of q(policy's item there) + weight * (reward - q(item shown there))
 *         (Dudik, Langford and Li 2011), q being the reward that a model expects: of the item,
 *         times how much of it a place brings, which is estimated from the log
 *
 * A policy is an order of the request's candidates; of it counts as much as was shown. Requests
 * count that explored: what could never have been shown cannot be judged. Intervals are those of
 * means over clusters (users; cluster.h): of IPS, which is skewed, of its logarithm unless a reward
 * is negative; of SNIPS linearised, with residuals that leave each one out (MacKinnon and White
 * 1985, HC3). Any thread; no clock.
 */
#pragma once

#include "base/err.h"
#include "stats/metrics.h"

#include <stddef.h>
#include <stdint.h>

/* What was logged. Borrowed. */
struct off_policy_log {
    size_t request_count;
    const uint64_t *first; /* request_count + 1: rows of each request, its candidates */
    const uint32_t *items; /* by row; one that comes again in a request (with the same score) counts
                              once, where it comes first; NULL: all are different */
    const int32_t *places; /* by row: where it was shown, from 0; -1: not shown */
    const double *propensities; /* by row: P(it stood at this place); NaN: not known */
    const float *rewards;       /* by row: what it brought; NaN: not known */
    const double *weights;      /* by request; NULL: 1 each */
    const uint32_t *clusters;   /* of each request, any numbers; NULL: each request is its own */
};

/* Borrowed. */
struct off_policy_target {
    const float *scores;   /* by row: the highest is first; equal ones in the order of the rows; NaN
                              counts as the lowest */
    const float *expected; /* by row: what a model expects it to bring where it is looked at, such
                              as its calibrated score; NULL: there is no DR */
};

/* Per request. A number that cannot be told is NaN, and so are its bounds. */
struct off_policy_estimates {
    struct metric_value ips, snips, dr;
    struct metric_value ips_against, snips_against,
        dr_against;   /* minus those of the first target */
    double overlap;   /* share of requests where something was shown at the policy's place */
    double effective; /* (sum of weights)^2 / sum of weights^2, of requests: how many requests shown
                         by the policy itself they are worth (Kish 1965) */
    struct metric_value mean_weight; /* per place: 1, if the propensities are right */
    const char *reason;              /* why there are no numbers, or none to rely on; NULL */
};

/* What the estimates are of. */
struct off_policy_requests {
    struct metric_value logged; /* what was shown brought, per request */
    uint64_t used;              /* requests that the estimates are of */
    uint64_t unexplored;        /* left out: nothing else could have been shown */
    uint64_t unknown;           /* left out: a propensity or a reward is not known */
};

/* requests: one; out: one each of `count` targets, of the same requests. level: 0.95. Fails with
 * ERR_INVALID (level), ERR_TOO_LARGE (2^32 rows), ERR_NOMEM. */
int off_policy_estimate(struct off_policy_requests *requests, struct off_policy_estimates *out,
                        const struct off_policy_log *log, const struct off_policy_target *targets,
                        size_t count, double level, struct err *e);

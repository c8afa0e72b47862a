/* The parts of off_policy.h: which requests are used and what is told of them, and the two passes
 * over them. Not for others. */
#pragma once

#include "stats/off_policy.h"

#include <stdbool.h>

#define OFF_POLICY_NONE UINT32_MAX

/* Sums over the requests used, at a place. */
struct at_place {
    double requests; /* their weight */
    double rewards;  /* of what was shown */
    /* of the target at hand */
    double expected;     /* by its model, of what was shown */
    double hits;         /* how often it agrees with what was shown */
    double weight, gain; /* sums of weights, and of weighted rewards, of what it agrees with */
    double group_weight; /* of the group of places */
    double normal;       /* requests / weight of the group of places */
    double mean;         /* gain / weight of it */
    double factor;       /* how much of what is expected this place brings */
};

enum off_policy_sum { SUM_IPS, SUM_SNIPS, SUM_SNIPS_SPREAD, SUM_DR, SUM_HITS, OFF_POLICY_SUMS };

struct judging {
    const struct off_policy_log *log;
    bool *is_used;
    uint32_t *clusters; /* of each request, from 0 on */
    size_t cluster_count;
    double *weights;     /* of each cluster: requests */
    double *shown;       /* of each cluster: places */
    double *logged;      /* of each cluster: rewards */
    double *sums;        /* of each target, then sum, then cluster */
    double *squares;     /* of each target: of weights of requests */
    double *differences; /* of each cluster */
    double *overlap;     /* of each target: requests with any weight */
    struct at_place *places;
    size_t place_count;
    /* of the request at hand */
    uint32_t *order; /* its rows by the target's scores, each item once, as far as was shown */
    uint32_t *stood; /* rows by place */
    size_t ordered;
};

/* Adds what was shown to weights, shown, logged and places. */
void off_policy_look(struct judging *j);

/* Adds up what a target would have brought. */
void off_policy_judge(struct judging *j, const struct off_policy_target *t, size_t target);

/*
 * What XGBoost is told of the rows with a label beside their values: target, weight, group.
 *
 *     binary:logistic   target 1 where the label is above 0; the weight of a positive row is its
 *                       label where labels differ (click=1,convert=5), so that a conversion counts
 *                       as five clicks
 *     rank:*            target the label, a group each request
 *     reg:*             target the label
 *
 * Times 1 / share of the request, where requests were sampled when they were logged; times
 * 1 / propensity of the row, where exploration was logged (a row with one below 1), at most
 * INSTANCES_MOST: rarer places would rule the rest (Ionides, "Truncated importance sampling",
 * 2008). Groups have one weight: the mean over its positive rows, or over all where none is.
 * Weights are then brought to a mean of 1. Any thread; no clock.
 */
#pragma once

#include "base/err.h"
#include "set/set.h"

#define INSTANCES_MOST 20.0

enum instances_kind { INSTANCES_BINARY, INSTANCES_RANKING, INSTANCES_REGRESSION };

struct instances_opts {
    enum instances_kind kind;
    bool no_propensities;
    bool flat; /* positive rows of binary:logistic count alike, whatever their labels: where
                  probabilities are wanted */
};

struct instances {
    size_t count; /* rows */
    float *targets;
    float *labels;      /* as the set has them */
    float *weights;     /* by row, of a ranking by group; NULL: 1 each */
    size_t group_count; /* requests with a row that has a label */
    uint32_t *groups;   /* rows of each */
    uint64_t positives; /* targets above 0 */
    size_t unequal;     /* groups in which not all labels are the same */
    double mean;        /* of the targets, weighted */
    double least, most; /* targets */
    bool explored;      /* propensities count in the weights */
    uint64_t cut;       /* rows whose 1 / propensity was above INSTANCES_MOST */
};

/* Of `count` requests from `first` on. instances_free() in any case. Fails with ERR_INVALID (a
 * label that is infinite, or in a ranking below 0, no whole number, or above 31, where XGBoost's
 * gain 2^label ends: says of which request), ERR_NOMEM. */
int instances_make(struct instances *out, const struct set_rows *rows, size_t first, size_t count,
                   const struct instances_opts *opts, struct err *e);

/* Frees what is by row and by group; what was counted stays. */
void instances_forget_rows(struct instances *i);
void instances_free(struct instances *i);

/*
 * Where a set is cut by time: train, then validation, then test.
 *
 * Whole requests; those of one time stay together. Shares are counted over the requests that say
 * something (a row with a label above 0; of a regression, any row with a label), so that a part
 * has its share of what is learned from and judged by. Pure: any thread, no clock.
 */
#pragma once

#include "base/err.h"
#include "set/set.h"

#define SPLIT_BY_SHARE INT64_MIN

struct split_opts {
    double test_share;       /* of all; in (0, 1) */
    double validation_share; /* of what is not test; in (0, 1) */
    int64_t test_from_ms;    /* SPLIT_BY_SHARE, or test is what is not before that */
    bool regression;
};

enum split_part { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST, SPLIT_PARTS };

/* Requests first <= i < first + count of the set. */
struct split_range {
    size_t first, count;
    int64_t from_ms, to_ms; /* the oldest and the newest request */
    uint64_t labelled;      /* rows with a label */
    uint64_t positives;     /* rows with a label above 0 */
    size_t telling;         /* requests that shares are counted over */
};

struct split {
    struct split_range parts[SPLIT_PARTS];
};

/*
 * Fails with ERR_INVALID: shares out of range; the requests are not in the order of time; a part
 * would have no request, or no request that says something (says which part, why, and what to do).
 */
int split_make(struct split *out, const struct set_rows *rows, const struct split_opts *opts,
               struct err *e);

const char *split_part_name(enum split_part part); /* train, validation, test */

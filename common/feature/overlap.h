/*
 * Reading `overlap`: how many of a user's past propositions have a value in common with each
 * candidate. Memory is in the caller's arena. One thread; no clock.
 */
#pragma once

#include "feature/aggregate.h"

/* The hashes (known_value.hashes) of a candidate's values of the attribute. */
struct overlap_values {
    const uint64_t *hashes;
    size_t count;
};

/* What it is read for. */
struct overlap_reading {
    const struct feature *feature;
    struct part part; /* of the user */
    int64_t as_of_ms;
    const struct entities *propositions;
    const struct overlap_values *candidates;
    size_t count;
    double *out; /* a candidate's value, the next one's `stride` doubles on */
    size_t stride;
};

/* Writes the values. Fails with ERR_NOMEM. */
int overlap_read(const struct overlap_reading *r, struct arena *a, struct err *e);

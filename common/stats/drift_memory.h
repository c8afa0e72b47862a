/* The inside of drift_reference.h, for what builds one and what reads one. Not for others. */
#pragma once

#include "base/arena.h"
#include "stats/drift_reference.h"

#include <stdbool.h>

enum { DRIFT_EDGES_MOST = 9 + 2 * 10 };

struct drift_reference {
    uint64_t rows; /* that are looked at */
    size_t column_count;
    struct drift_bins *bins; /* of the columns, then of the score */
    struct arena arena;      /* names, edges and counts */
    uint64_t total;          /* rows that it is of */
    float *values;           /* of a column after another; NULL once it is finished */
};

/* With bins that are empty, and names to come. Fails with ERR_NOMEM. */
int drift_reference_make(struct drift_reference **out, size_t columns, struct err *e);

/* Room for edges, and for counts that are 0. */
bool drift_bins_make(struct drift_bins *b, struct arena *a, const float *edges, size_t count);

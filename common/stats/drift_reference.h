/*
 * What a model's columns and scores looked like when it was trained: bins that are frozen with the
 * version, and how many values fell into each. Later values are counted into the same bins, and
 * the counts of both are compared.
 *
 * Bins of a column with m finite values, sorted s[0] to s[m - 1]: edges are s[ceil(k * m / 10) - 1]
 * for k of 1 to 9 (deciles), and of every value v that at least a tenth of them have, v and the
 * number right below it, so that v has a bin of its own. The bin of x is the number of edges below
 * x. NaN and infinities are counted apart.
 *
 * One thread. No clock. The same rows give the same reference.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Of more rows, so many are looked at: one of each of as many stretches of equal length. Memory is
 * 4 bytes for each of these and column. */
enum { DRIFT_REFERENCE_ROWS = 1000000 };

/* Owned by the reference. */
struct drift_bins {
    struct str name;        /* of the column; of the score "" */
    size_t edge_count;      /* at most 29: 9 deciles, and two each of 10 values */
    const float *edges;     /* finite, rising */
    const uint64_t *counts; /* edge_count + 1 */
    uint64_t missing;       /* NaN */
    uint64_t infinite;
};

/* The place of a value: 0 to edge_count of its bins, then one for NaN, then one for infinities. */
size_t drift_bins_place(const struct drift_bins *b, float value);

struct drift_reference;

/*
 * For `rows` rows of these columns. Copies the names. Fails with ERR_INVALID (no rows), ERR_NOMEM.
 */
int drift_reference_new(struct drift_reference **out, const struct str *names, size_t columns,
                        uint64_t rows, struct err *e);
void drift_reference_free(struct drift_reference *r); /* NULL is fine */

/*
 * Looks at rows first to first + count - 1: vectors has count * columns values, scores has count;
 * either may be NULL, and then be given by another call. Each row is to be given once; a row that
 * never is counts as NaN. Cannot fail.
 */
void drift_reference_put(struct drift_reference *r, uint64_t first, const float *vectors,
                         const float *scores, uint64_t count);

/* Makes the bins; nothing may be put behind it. Fails with ERR_NOMEM. */
int drift_reference_finish(struct drift_reference *r, struct err *e);

/* Of a finished one, or one that was read. */
uint64_t drift_reference_rows(const struct drift_reference *r); /* that were looked at */
size_t drift_reference_columns(const struct drift_reference *r);
const struct drift_bins *drift_reference_column(const struct drift_reference *r, size_t column);
const struct drift_bins *drift_reference_score(const struct drift_reference *r);

/*
 * As a JSON object, and back, bit for bit:
 *
 *     {"rows": 2000, "columns": [{"name": "price", "edges": [1, 2.5], "counts": [3, 4, 5],
 *      "missing": 0, "infinite": 0}, ...], "score": {"edges": ...}}
 *
 * Reading fails with ERR_CORRUPT (says which column and what is wrong), ERR_NOMEM.
 */
void drift_reference_write(const struct drift_reference *r, struct buf *out);
int drift_reference_read(struct drift_reference **out, struct str json, struct err *e);

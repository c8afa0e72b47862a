/*
 * XGBoost: the only place that speaks to its library.
 *
 * Trees are grown by histograms (tree_method hist) of a matrix that is quantised while it is read:
 * the values as floats stand in memory a batch at a time. The same matrices, parameters, seed
 * and number of threads give the same bytes on the same machine: columns and rows of a tree are
 * drawn from the seed and the number of the tree (seed_per_iteration).
 *
 * One thread an object; XGBoost's own threads are as many as is said, never more. No clock.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows, as often as asked. next: *count 0 behind the last; what it gives is read before the next
 * call. */
struct boosting_source {
    size_t columns;
    int (*next)(void *arg, float **values, size_t *count, struct err *e);
    void (*rewind)(void *arg);
    void *arg;
};

struct boosting_matrix;

/*
 * To train on: quantised, `bins` a column; reads the source a few times. Fails with ERR_INVALID (no
 * rows), the source's, ERR_FATAL (what XGBoost says), ERR_NOMEM.
 */
int boosting_matrix_new(struct boosting_matrix **out, const struct boosting_source *source,
                        int threads, int bins, struct err *e);

/*
 * To ask about while trees grow: `rows` rows with their values, 8 bytes each that is not missing,
 * and 4 more while it is made. Trees walk these some times faster than quantised ones. Fails as
 * boosting_matrix_new(), and with ERR_INVALID (the source has another number of rows).
 */
int boosting_matrix_plain(struct boosting_matrix **out, const struct boosting_source *source,
                          size_t rows, int threads, struct err *e);
void boosting_matrix_free(struct boosting_matrix *m); /* NULL is fine */

/* What instances_make() found: targets by row; groups, or NULL; weights (by group where there are
 * groups), or NULL. Copied. Fails with ERR_FATAL. */
int boosting_matrix_tell(struct boosting_matrix *m, const float *targets, const uint32_t *groups,
                         size_t group_count, const float *weights, struct err *e);

struct boosting;

struct boosting_parameter {
    const char *name, *value;
};

/*
 * Borrows the matrices: train, and those that it is asked about while it grows, of which the first
 * is the one that boosting_metric() is of. Fails with ERR_FATAL, ERR_NOMEM.
 */
enum { BOOSTING_MATRICES = 3 };
int boosting_new(struct boosting **out, struct boosting_matrix *const *matrices,
                 size_t matrix_count, const struct boosting_parameter *parameters, size_t count,
                 struct err *e);
void boosting_free(struct boosting *b); /* NULL is fine */

/* Another tree; and what the metric of the parameters (eval_metric) then is on the matrix
 * behind train. Fail with ERR_FATAL. */
int boosting_round(struct boosting *b, struct err *e);
int boosting_metric(struct boosting *b, double *metric, struct err *e);

/* Margins of a matrix's rows by the first `trees` (0: all) trees. Fails with ERR_FATAL. */
int boosting_margins(struct boosting *b, const struct boosting_matrix *m, uint32_t trees,
                     float *out, struct err *e);

/* The model file (UBJ) with the first `trees` trees and the columns' names. Replaces what is in
 * out. Fails with ERR_FATAL, ERR_NOMEM. */
int boosting_save(struct boosting *b, uint32_t trees, const char *const *names, size_t count,
                  struct buf *out, struct err *e);

/* What the library makes of a model file: scores of rows (0 for margins). Fails with ERR_FATAL. */
int boosting_predict(struct str bytes, const float *rows, size_t count, size_t columns,
                     bool margins, float *out, struct err *e);

/* The library's version: "1.7.4". */
const char *boosting_version(char text[32]);

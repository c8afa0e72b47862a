/*
 * The rows with a label of some requests of a set, some columns of them, batch by batch.
 *
 * One thread. No clock.
 */
#pragma once

#include "set/set.h"

struct labelled;

/* What a column (its place in the set) is in every row, whatever the set has there. */
struct labelled_fixed {
    size_t column;
    float value;
};

struct labelled_opts {
    struct set *set;       /* borrowed */
    size_t first, count;   /* requests */
    const size_t *columns; /* their places; copied */
    size_t column_count;
    const struct labelled_fixed *fixed; /* borrowed */
    size_t fixed_count;
    bool all;     /* rows without a label too */
    bool bounded; /* infinite values become 1e38 of their sign, beside which XGBoost can put a
                     threshold: a served infinity goes the same way */
};

/* Fails with ERR_NOMEM. */
int labelled_new(struct labelled **out, const struct labelled_opts *opts, struct err *e);
void labelled_free(struct labelled *l); /* NULL is fine */

/* Back to the first. */
void labelled_rewind(struct labelled *l);

/* The next rows, row after row, the caller's to change until the next call; *count 0 behind the
 * last. Fails as set_read(). */
int labelled_next(struct labelled *l, float **values, size_t *count, struct err *e);

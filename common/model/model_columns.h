/*
 * What the columns of a model are in this fleet: found by their names among the values of the
 * feature vector, and only if the features have not changed since.
 *
 * Any thread; no clock, no I/O. Nothing of the model file is read.
 */
#pragma once

#include "base/arena.h"
#include "model/model.h"

/* One of each a column. In the arena. */
struct model_columns {
    size_t *outputs;
    bool *shared;
    const char **names;
};

/* Fails with ERR_NOT_FOUND (names the first column that is not there or is another), ERR_CORRUPT
 * (numbers of columns and fingerprints do not fit), ERR_NOMEM. */
int model_find_columns(struct model_columns *c, const struct feature_set *set,
                       const struct model_parts *parts, struct arena *a, struct err *e);

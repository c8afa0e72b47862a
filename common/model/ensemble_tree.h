/*
 * A tree from the arrays in which XGBoost writes its nodes: an entry for each, under its number.
 *
 * Pure: any thread.
 */
#pragma once

#include "base/buf.h"
#include "model/ensemble.h"
#include "model/ensemble_memory.h"

/* Of int32_t, and of float. Arrays of the file that are not here say nothing that is needed. */
enum tree_integers {
    TREE_LEFT,
    TREE_RIGHT,
    TREE_PARENT,
    TREE_COLUMN,
    TREE_MISSING_LEFT,
    TREE_SPLIT_TYPE, /* 0: by a threshold; files before XGBoost 1.3 have none */
    TREE_INTEGERS
};
enum tree_floats { TREE_VALUE, TREE_COVER, TREE_FLOATS };

struct tree_arrays {
    struct buf integers[TREE_INTEGERS];
    struct buf floats[TREE_FLOATS];
    int64_t nodes, deleted, values_per_leaf; /* as tree_param has them */
    bool has_categories;
    struct buf seen, order; /* memory of ensemble_tree_make() */
};

/* Empties; keeps the memory. */
void tree_arrays_reset(struct tree_arrays *t);
void tree_arrays_free(struct tree_arrays *t);

/*
 * The nodes are put into `memory`, without those that XGBoost marked as deleted when it pruned.
 * Fails with ERR_INVALID (arrays of different lengths, a child out of range or reached twice, a
 * node that nothing leads to, a parent that is another's, a number that is not finite or, of
 * sum_hessian, negative, categorical splits, leaves with several values), ERR_TOO_LARGE (depth),
 * ERR_NOMEM.
 */
int ensemble_tree_make(struct ensemble_tree *out, struct tree_arrays *t,
                       struct ensemble_memory *memory, struct err *e);

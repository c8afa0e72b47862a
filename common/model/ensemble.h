/*
 * Gradient-boosted trees as XGBoost has them, read from its model files (UBJ, JSON), and the plain
 * way to walk them.
 *
 * Read once, then constant: any thread. No clock, no I/O.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ENSEMBLE_MAX_BYTES = 64 << 20, /* of a model file */
    ENSEMBLE_MAX_TREES = 10000,
    ENSEMBLE_MAX_NODES = 4 << 20, /* of all trees */
    ENSEMBLE_MAX_DEPTH = 64,
    ENSEMBLE_MAX_COLUMNS = 4096,
};

/* What the score of a margin is. Of binary:logitraw XGBoost's versions read the base score in
 * different ways, so that it is not served; others are not for ranking. */
enum objective {
    OBJECTIVE_IDENTITY, /* itself: reg:squarederror, reg:squaredlogerror, reg:absoluteerror,
                           reg:pseudohubererror, rank:pairwise, rank:ndcg, rank:map */
    OBJECTIVE_LOGISTIC, /* its sigmoid: binary:logistic, reg:logistic */
    OBJECTIVE_EXP,      /* its exponential: count:poisson, reg:gamma, reg:tweedie */
};

/* left < 0: a leaf, whose value stands in `value`; else the threshold: x < value goes left. */
struct ensemble_node {
    int32_t left, right; /* in the same tree */
    int32_t column;
    float value;
    float cover; /* sum_hessian, the weight of its training rows: for contributions */
    bool missing_left;
};

struct ensemble_tree {
    struct ensemble_node *nodes; /* the root is the first */
    size_t count;
    int depth; /* of a lone leaf 0 */
};

struct ensemble {
    struct ensemble_tree *trees;
    size_t tree_count;
    size_t column_count;
    float base_margin; /* added first */
    enum objective objective;
    const char *objective_name; /* binary:logistic */
    const char **column_names;  /* NULL: the file has none; else column_count */
    struct ensemble_memory *memory;
};

/* Whether a row of column_count values goes left at a node that is no leaf. */
static inline bool ensemble_goes_left(const struct ensemble_node *node, const float *row)
{
    float x = row[node->column];
    return isnan(x) ? node->missing_left : x < node->value;
}

/*
 * Reads a model file of XGBoost (1.7 to 3.2 were tried); the first bytes tell JSON from UBJ. Every
 * child stands behind no other parent and is reached once; thresholds and leaves are finite
 * (XGBoost makes infinite thresholds where a column has values beyond half the range of a float:
 * such a model is refused); what pruning deleted is left out. All trees count: a best iteration
 * that early stopping noted is not looked at, as XGBoost's own predictor does not unless asked.
 *
 * Fails with ERR_INVALID (damaged: says what and where; or something that is not served, by its
 * name: booster dart or gblinear, categorical splits, several classes or targets, an objective not
 * listed above), ERR_TOO_LARGE (over a limit above: says which), ERR_NOMEM. Memory while it reads
 * is within a few times the file's size, whatever is in it. Borrows nothing.
 */
int ensemble_read(struct ensemble **out, struct str bytes, struct err *e);
void ensemble_free(struct ensemble *m); /* NULL is fine */

/* The margin of a row of column_count values (NaN is missing), bit for bit XGBoost's: the base
 * margin, then the trees in order, one float32 addition each. */
float ensemble_margin(const struct ensemble *m, const float *row);

/* The score of a margin, bit for bit XGBoost's prediction (with the same C library's expf). */
float ensemble_score(const struct ensemble *m, float margin);

/*
 * How much each column moved the margin of a row: out has column_count + 1 values, the last is the
 * bias; they add up to the margin. These are the path-dependent Shapley values of Lundberg et al.,
 * "Consistent Individualized Feature Attribution for Tree Ensembles", 2018, as XGBoost's
 * pred_contribs gives them; equal to those within 1e-5 of the margin's size (XGBoost adds up
 * floats). contributions.c says how they are computed. Fails with ERR_NOMEM.
 */
int ensemble_contributions(const struct ensemble *m, const float *row, double *out, struct err *e);

/*
 * The parameters of a training run: what each may be, what it is where nobody says, and what the
 * search tries.
 *
 * Names and meanings are XGBoost's; those that are not listed here cannot be given. Pure: any
 * thread, no clock.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/prng.h"

#include <stdbool.h>
#include <stddef.h>

enum space_parameter {
    SPACE_ETA,
    SPACE_MAX_DEPTH,
    SPACE_MIN_CHILD_WEIGHT,
    SPACE_SUBSAMPLE,
    SPACE_COLSAMPLE_BYTREE,
    SPACE_COLSAMPLE_BYNODE,
    SPACE_LAMBDA,
    SPACE_ALPHA,
    SPACE_GAMMA,
    SPACE_MAX_DELTA_STEP,
    SPACE_MAX_BIN,
    SPACE_PARAMETERS
};

struct space_point {
    double values[SPACE_PARAMETERS];
    bool is_given[SPACE_PARAMETERS]; /* said by a person: the search leaves it alone */
};

/*
 * What stands where nobody says: what was best on the inner validation of RankLens (tests/bench).
 *
 * evidence: how much the rows tell, the sum of p * (1 - p) over labelled rows for a mean label of p
 * of a classification, else the number of rows: leaves need their share of it (min_child_weight is
 * evidence / 600, from 1 to 50). Each tree sees ten of the columns, but at least 30 % of them.
 */
void space_standard(struct space_point *out, double evidence, size_t columns);

/* name=value. Fails with ERR_INVALID: no such parameter (lists them), or out of its range (says
 * it). */
int space_give(struct space_point *p, const char *text, struct err *e);

/* Another point of the search: what was given stays, the rest is drawn around the standard. */
void space_draw(struct space_point *out, const struct space_point *standard, struct prng *r);

const char *space_name(enum space_parameter parameter);
/* As XGBoost reads it. */
void space_value_text(char text[32], const struct space_point *p, enum space_parameter parameter);

/* "eta 0.05, max_depth 6, ...": what is searched or was given. And "eta":0.05,"max_depth":6,...:
 * all of it, without braces. */
void space_put_text(struct buf *out, const struct space_point *p);
void space_put_json(struct buf *out, const struct space_point *p);

/*
 * From a model's score to the probability that is published: fitted once on rows that the trees
 * have not seen, then part of the version.
 *
 * Monotone, never falling: the order of candidates is that of the margins and does not change; two
 * different margins may get the same published score. Constant once made: any thread. No clock.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>

enum calibration_kind {
    CALIBRATION_NONE,  /* the score as it is */
    CALIBRATION_PLATT, /* 1 / (1 + exp(-(slope * margin + intercept))), slope above 0 (Platt 1999,
                          with his targets; Lin, Lin and Weng 2007) */
    CALIBRATION_ISOTONIC, /* pool adjacent violators (Ayer et al. 1955) on the margin; between the
                             middles of two pools a straight line, flat at both ends */
};

enum { CALIBRATION_MOST_KNOTS = 1000 };

struct calibration {
    enum calibration_kind kind;
    double slope, intercept;
    size_t count; /* knots: margins rising strictly, values never falling, in [0, 1] */
    const double *margins, *values;
    struct calibration_memory *memory;
};

/* The published score of a margin; `score` is what the objective makes of it (NONE gives that back,
 * bit for bit). In double, rounded to float once. */
float calibration_apply(const struct calibration *c, float margin, float score);

/*
 * Fits. labels: above 0 is positive; weights NULL: 1 each. Few rows (fewer than 20 positives or
 * negatives) give ERR_INVALID: says so. Isotonic has at most CALIBRATION_MOST_KNOTS knots. Also
 * ERR_NOMEM.
 */
int calibration_fit(struct calibration **out, enum calibration_kind kind, const float *margins,
                    const float *labels, const double *weights, size_t count, struct err *e);

/* As bytes, in the registry and on the topic: nothing at all is CALIBRATION_NONE, else JSON.
 * Numbers come back bit for bit. Fails with ERR_CORRUPT (says what is wrong), ERR_NOMEM. */
void calibration_write(const struct calibration *c, struct buf *out);
int calibration_read(struct calibration **out, struct str bytes, struct err *e);
void calibration_free(struct calibration *c); /* NULL is fine */

const char *calibration_name(enum calibration_kind kind); /* none, platt, isotonic */

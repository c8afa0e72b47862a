/*
 * The parts of fit_make() that know each other.
 */
#pragma once

#include "training/boosting.h"
#include "training/fit.h"

struct fit_memory {
    struct set *set;
    const struct fit_opts *opts;
    struct space_point standard;
    struct search *search;
    /* Validation rows as they are served; and as they were shown, which early stopping looks at:
     * NULL where that is the same, or not wanted. */
    struct boosting_matrix *train, *served, *shown;
    uint64_t *valid_first; /* rows of the validation groups, one more than there are groups */
    float *valid_scores;   /* of the trial at hand, and of the standard */
    float *standard_scores;
    int64_t started_us;
    struct calibration *calibration;
};

/* The matrices, from the rows of the set. Fails as set_read(), ERR_FATAL, ERR_NOMEM. */
int fit_matrices(struct fit *f, struct err *e);

/* Trials until the budget is spent; f->bytes is then the best one's. Fails with ERR_ABORTED,
 * ERR_FATAL, ERR_NOMEM. */
int fit_search(struct fit *f, struct err *e);

/* The calibration and the threshold, of the model in f->bytes on the validation rows. Fails as
 * set_read(), ERR_FATAL, ERR_NOMEM. */
int fit_calibrate(struct fit *f, struct err *e);

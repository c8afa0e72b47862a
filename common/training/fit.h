/*
 * A model from a set: split by time, search, the best trial's trees, calibration.
 *
 * Trees are grown on the train part, stopped early and chosen by the validation part, on which the
 * calibration is fitted as well; the test part is not read.
 *
 * Early stopping looks at the objective's own loss after each tree. Log loss and RMSE are taken of
 * validation rows as they were shown: labels come from there, and trees that learn what a place
 * does would be held to be wrong by rows that stand elsewhere. For NDCG and all else validation
 * rows stand at the place at which they are served (scoring.h).
 *
 * Trials are held against each other by what is served, NDCG@k of the validation requests (by the
 * loss of a regression, and where no validation request has rows with different labels).
 *
 * Reproducible to the byte on the same machine: the same set, options, seed and number of threads
 * give the same model, and a search that was ended by time or by request gives what a search of as
 * many trials gives. One thread besides XGBoost's. The clock is a function of the options.
 */
#pragma once

#include "base/buf.h"
#include "feature/definition.h"
#include "model/calibration.h"
#include "model/ensemble.h"
#include "stats/metrics.h"
#include "training/instances.h"
#include "training/labelled.h"
#include "training/search.h"
#include "training/split.h"
#include "training/survey.h"

enum fit_calibration { FIT_AUTO, FIT_NONE, FIT_PLATT, FIT_ISOTONIC };

enum { FIT_MOST_ROUNDS = 10000 };

struct fit_objective {
    const char *name; /* binary:logistic */
    enum instances_kind kind;
    const char *loss; /* XGBoost's metric for early stopping; "ndcg" gets @k- behind it */
    bool more_is_better;
};

/* NULL: there is none of this name. */
const struct fit_objective *fit_objective_find(const char *name);
#define FIT_OBJECTIVES "binary:logistic, rank:ndcg, rank:pairwise or reg:squarederror"

/* What is told while it runs; all but now_us may be NULL. */
struct fit_hooks {
    void *arg;
    int64_t (*now_us)(void *arg);
    bool (*stopping)(void *arg); /* end with the best trial so far */
    void (*found)(void *arg, const struct split *split, const struct survey *survey,
                  const struct instances *train);
    void (*round)(void *arg, size_t trial, uint32_t round);
    void (*trial)(void *arg, size_t trial, const struct search_trial *t, enum metric_kind score,
                  bool is_best);
};

struct fit_opts {
    const struct fit_objective *objective;
    const struct feature_set *definitions;
    struct split_opts split;
    const struct space_point *given; /* is_given and values; others become standard */
    size_t trials;                   /* 0: until the time is up */
    int64_t time_us;                 /* 0: no limit */
    uint64_t seed;
    int threads;
    uint32_t rounds;   /* most trees of a trial */
    uint32_t patience; /* trees without a better loss; 0: 2.5 / eta, from 20 to 200 */
    int k;
    bool no_propensities;
    enum fit_calibration calibration;
    struct fit_hooks hooks;
};

struct fit {
    struct split split;
    struct survey survey;
    struct instances train, valid;
    struct labelled_fixed *fixed; /* what is served, by column of the set */
    size_t fixed_count;
    const struct search_trial *trials;
    size_t trial_count, best;
    bool was_stopped;       /* asked to */
    enum metric_kind score; /* what trials are held against each other by; of a loss (metric_sign)
                          the trials have it with its sign turned */
    struct buf bytes;       /* the model file; its columns are survey.used */
    struct ensemble *ensemble;
    const struct calibration *calibration;
    char no_calibration[128]; /* why there is none; "" where there is one, or none was asked for */
    double threshold;         /* of the published score: the best F1 of the validation rows */
    struct fit_memory *memory;
};

/*
 * Borrows the set and the definitions while the fit lives. Fails with ERR_INVALID (what the data or
 * the options do not allow: says what to do), ERR_ABORTED (asked to stop before a trial was done),
 * as set_read(), ERR_FATAL (XGBoost), ERR_NOMEM.
 */
int fit_make(struct fit **out, struct set *set, const struct fit_opts *opts, struct err *e);
void fit_free(struct fit *f); /* NULL is fine */

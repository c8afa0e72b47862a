/*
 * How good scores are, with intervals: of one scorer, of several on the same requests, of their
 * differences.
 *
 * Rows belong to requests (groups); rows without a label (NaN) are left out everywhere. Intervals
 * are percentile bootstrap intervals by cluster (Efron 1979; a request or, where clusters are
 * given, a user is drawn with all its rows), with the same draws for all scorers, so that
 * differences are paired. Those of KS and ECE are centred on the value: they are distances, which
 * drawing rows again makes larger. One cluster has no interval. Any thread; no clock; randomness
 * comes from the seed.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metric_kind {
    /* By row. A row is positive if its label is above 0. */
    METRIC_AUC,      /* area under the ROC curve, ties count half (Mann and Whitney 1947) */
    METRIC_LOG_LOSS, /* of probabilities, clipped to 1e-15 .. 1 - 1e-15; NaN: some are none */
    METRIC_KS,       /* greatest distance of the distributions of scores of positives, negatives */
    METRIC_GINI,     /* 2 AUC - 1 */
    METRIC_ACCURACY,
    METRIC_PRECISION,
    METRIC_RECALL,
    METRIC_F1,  /* at the threshold: score >= */
    METRIC_ECE, /* expected calibration error (Guo et al. 2017): 10 bins of equal weight, equal
                   scores in one, where the middle of them falls */
    /* By request, mean over requests with at least one positive row; by score, highest first, equal
     * ones share their places (the mean over all orders of the tied). */
    METRIC_NDCG, /* at k: gain 2^label - 1 (in regression the label itself; 0 below it), discount
                    1 / log2(place + 1), ideal cut at k */
    METRIC_MAP,  /* mean average precision of the whole list */
    METRIC_MRR,  /* 1 / place of the first positive in the whole list */
    METRIC_PRECISION_AT_K, /* share of positives among the first k (of all if there are fewer) */
    METRIC_RECALL_AT_K,    /* share of the positives that are among the first k */
    /* By row, labels as numbers. */
    METRIC_RMSE,
    METRIC_MAE,
    METRIC_R2,
    METRICS
};

/* "auc", "log_loss", "ndcg", ... */
const char *metric_name(enum metric_kind m);
/* Whether more is better. */
int metric_sign(enum metric_kind m);

/* Borrowed throughout. */
struct metric_rows {
    size_t request_count;
    const uint64_t *first;    /* request_count + 1 */
    const float *labels;      /* by row; NaN: none */
    const double *weights;    /* by request; NULL: 1 each */
    const uint32_t *clusters; /* of each request, any numbers; NULL: each request is its own */
};

/* One order of the rows. */
struct metric_scorer {
    const char *name;
    const float *scores; /* by row; NaN counts as the lowest */
    bool is_probability; /* log loss, ECE, threshold metrics are only of such, else NaN */
    double threshold;    /* NaN: the one with the best F1 of these rows, the highest such */
    const float *order;  /* by row: what requests' rows are shown by where it is finer than scores,
                            such as the margins of calibrated ones; NULL: scores */
};

struct metric_value {
    double value, low, high; /* NaN: cannot be told of these rows */
};

struct metric_opts {
    int k;          /* 10 */
    int replicates; /* of the bootstrap; 0: no intervals */
    double level;   /* 0.95 */
    uint64_t seed;
    unsigned regression : 1; /* RMSE, MAE, R2 and those by request, none of the others */
};

/* Of one scorer; against[m]: its difference to the first scorer (0 of the first itself). */
struct metric_results {
    struct metric_value values[METRICS];
    struct metric_value against[METRICS];
    double threshold;  /* that was used; NaN: none, the scores being no probabilities */
    uint64_t requests; /* that NDCG and the like are means of */
    uint64_t rows, positives;
};

/* out: one each of `count` scorers. Fails with ERR_INVALID (k, level, replicates out of range),
 * ERR_TOO_LARGE (2^32 rows), ERR_NOMEM. Time grows with rows * replicates: of AUC, KS and ECE,
 * replicates work on 10,000 bins of the score or less; values themselves are exact. */
int metrics_of(struct metric_results *out, const struct metric_rows *rows,
               const struct metric_scorer *scorers, size_t count, const struct metric_opts *opts,
               struct err *e);

/* What random orders give on average: exact expectations, for the metrics by request and AUC, KS
 * NaN; the interval is that of the requests. */
int metrics_of_random(struct metric_results *out, const struct metric_rows *rows,
                      const struct metric_opts *opts, struct err *e);

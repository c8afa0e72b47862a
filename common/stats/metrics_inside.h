/* The parts of metrics.h: by row, by request, and the bootstrap over both. Not for others. */
#pragma once

#include "stats/metrics.h"

#include <string.h>

/* Rows that have a label, by request, and requests by cluster; a request without such rows is not
 * there. */
struct metric_sample {
    size_t row_count, request_count, cluster_count;
    uint32_t *rows;     /* the caller's places of them */
    uint64_t *first;    /* request_count + 1, in rows */
    double *weights;    /* of each request */
    uint32_t *clusters; /* of each request, from 0 on */
    float *labels;      /* by row, as are rows */
};

/* What a cluster adds up to; metrics that are made of sums alone come from these. */
enum row_sum {
    SUM_WEIGHT,
    SUM_POSITIVE,
    SUM_TRUE,     /* positive, and at or over the threshold */
    SUM_FALSE,    /* negative, and at or over the threshold */
    SUM_LOG_LOSS, /* NaN: scores are no probabilities */
    SUM_SQUARE,   /* of the error */
    SUM_ABSOLUTE,
    SUM_LABEL, /* minus the mean of all labels, as is the next */
    SUM_LABEL_SQUARE,
    ROW_SUMS
};

enum { REQUEST_METRICS = METRIC_RECALL_AT_K - METRIC_NDCG + 1, REQUEST_SUMS = REQUEST_METRICS + 1 };

enum { METRIC_BINS = 10000, CALIBRATION_BINS = 10 };

/* Of one scorer. */
struct metric_part {
    bool is_probability; /* and all scores of rows with a label are from 0 to 1 */
    double threshold;
    double *row_sums;     /* clusters * ROW_SUMS */
    double *request_sums; /* clusters * REQUEST_SUMS: weight * value of each, then the weight */
    uint16_t *codes;      /* by row: 2 * the bin of its score, + 1 for positives */
    double *bin_scores;   /* mean score of each bin, NaN: none */
    size_t bin_count;
    uint64_t requests;
    double values[METRICS]; /* exact */
    double *replicates;     /* METRICS * replicates */
};

/* ---- metrics_rows.c ---- */

/* Fills all of the part but what is by request. Fails with ERR_NOMEM. */
int metric_by_row(struct metric_part *p, const struct metric_sample *s,
                  const struct metric_scorer *scorer, bool is_regression, struct err *e);

/* Metrics from sums over clusters. */
void metric_of_sums(double values[METRICS], const double sums[ROW_SUMS], bool is_probability,
                    bool is_regression);

/* AUC, Gini, KS and, of probabilities, ECE from weights by code. */
void metric_of_histogram(double values[METRICS], const struct metric_part *p,
                         const double *histogram);

/* ---- metrics_requests.c ---- */

/* Fills request_sums, requests and values. Fails with ERR_NOMEM. */
int metric_by_request(struct metric_part *p, const struct metric_sample *s,
                      const struct metric_scorer *scorer, size_t k, bool is_regression,
                      struct err *e);

/* Metrics from sums over clusters. */
void metric_of_request_sums(double values[METRICS], const double sums[REQUEST_SUMS]);

/* ---- metrics_bootstrap.c ---- */

/* Fills the parts' replicates, with the same draws for all. Fails with ERR_NOMEM. */
int metric_draw(struct metric_part *parts, size_t count, const struct metric_sample *s,
                const struct metric_opts *opts, struct err *e);

/* The value with the interval that its replicates give. They are sorted. */
struct metric_value metric_interval(enum metric_kind m, double value, double *replicates,
                                    size_t count, double level);

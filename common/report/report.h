/*
 * The report on a model: what was tried, how good it is on requests later than those it was trained
 * on, beside what was there before, for whom it is worst, what it would bring.
 *
 * Made from rows and scores, once; as one self-contained HTML page, as rows for the registry, and
 * for a terminal (workers/ctl/report_print.h). Intervals are 95 % bootstrap intervals; users are
 * drawn with all their requests, or requests where the test part has few users. One thread. The
 * time that it was made is an argument.
 */
#pragma once

#include "base/buf.h"
#include "model/calibration.h"
#include "set/set.h"
#include "stats/metrics.h"

/* An order that the model is held against, and the model itself, which is the first. By row of the
 * test part. */
struct report_scorer {
    const char *name; /* model, rules, popularity, as shown */
    const float *scores;
    bool is_probability;
};

/* What one trial of the search was and gave. */
struct report_trial {
    struct str parameters; /* "eta 0.05, max_depth 6, ..." */
    double score;          /* of the validation part; more is better, so a loss is below 0 */
    uint32_t trees;
    bool stopped; /* early, since others were better */
    double seconds;
};

/* How much a column mattered: mean |contribution| to the margin on a sample of test rows (of any
 * order), and the sample itself for the picture. */
struct report_sample {
    size_t rows, columns;
    const float *values;        /* rows * columns: the vectors */
    const float *contributions; /* rows * (columns + 1), the last is the bias */
    const struct str *names;    /* of these columns; NULL: they are the set's */
};

/* Everything is borrowed until the report is freed. */
struct report_data {
    const char *model; /* its name */
    int64_t version;   /* 0: not registered; read when the report is shown, so it may come late */
    const char *objective;
    bool regression;
    const struct set_info *info;
    const struct set_rows *rows;           /* of the whole set */
    size_t train_requests, valid_requests; /* requests of the set in the order of time: train, */
    size_t test_first, test_requests;      /* validation, test */
    const struct report_scorer *scorers;   /* rows from rows->first[test_first] on */
    size_t scorer_count;
    const float *margins; /* of the model, test rows: what it orders by, finer than calibrated
                             scores; NULL: it orders by its scores */
    const struct calibration *calibration;
    const float *uncalibrated; /* the model's scores before it */
    const struct report_trial *trials;
    size_t trial_count;
    struct report_sample sample;
    struct str parameters; /* of the model, JSON */
    double threshold;      /* of the published score, chosen on the validation part; 0: the one with
                              the best F1 of the test rows, and the report says so */
    uint64_t seed;
    int64_t made_ms;
    int k;
    const char *version_text; /* of Flotilla */
};

struct report;

/* Computes everything. Fails with ERR_INVALID (nothing to judge: no test request has a label; says
 * what to do), ERR_NOMEM. */
int model_report_new(struct report **out, const struct report_data *data, struct err *e);
void model_report_free(struct report *r); /* NULL is fine */

/* One HTML page without anything from elsewhere: no script is needed to read it. */
void model_report_html(const struct report *r, struct buf *out);

/* A number with its interval, as the registry has them. Texts belong to the report. */
struct report_row {
    const char *scorer;  /* model, rules, ..., random; of a difference: "model - rules" */
    const char *segment; /* "" for all, else "user.tier=gold", "user=cold" */
    const char *metric;  /* metric_name(), with its k: "auc", "ndcg@10" */
    double value, low, high;
    uint64_t rows; /* or requests, that it is of */
};
size_t model_report_row_count(const struct report *r);
const struct report_row *model_report_rows(const struct report *r);

#define report_new  model_report_new
#define report_free model_report_free
#define report_html model_report_html
#define report_rows model_report_rows
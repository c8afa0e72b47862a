/*
 * What a report knows, for the files that make it and those that show it.
 *
 * Computed once by model_report_new() and constant from then on. Names and arrays belong to the
 * report's arena, everything else is borrowed from report_data.
 */
#pragma once

#include "base/arena.h"
#include "report/report.h"

enum {
    REPORT_SCORERS = 8, /* at most, the model among them */
    REPORT_BINS = 10,   /* of the calibration curve, of the lift */
    REPORT_GAIN_POINTS = 101,
    REPORT_SCORE_BINS = 40, /* of the distribution of scores, and of residuals */
    REPORT_PERIODS = 40,
    REPORT_PERIOD_REQUESTS = 20, /* at least */
    REPORT_VALUES = 50,    /* of an attribute: one with more names no kind that anybody acts on */
    REPORT_SEGMENTS = 200, /* at most that are judged */
    REPORT_SEGMENT_ROWS = 200, /* at least, */
    REPORT_SEGMENT_POSITIVES = 20,
    REPORT_COLD_EVENTS = 5,       /* of a user before the request: fewer is cold */
    REPORT_COLD_PROPOSITION = 20, /* events that named the proposition: fewer is cold */
    REPORT_DECIDING = 20,         /* users or requests with a positive: fewer decide nothing */
    REPORT_USERS = 50,            /* from here on intervals draw users instead of requests */
    REPORT_ESTIMATES = 3,         /* IPS, SNIPS, DR */
};

/* The test part, its rows counted from 0. */
struct report_part {
    size_t request_count;
    uint64_t base; /* row of the set that is row 0 here */
    uint64_t row_count;
    uint64_t *first;
    const float *labels;
    double *weights;          /* NULL: 1 each */
    const uint32_t *users;    /* of requests */
    const uint32_t *clusters; /* users, or NULL */
    uint64_t user_count;
    uint64_t labelled, positives; /* rows */
    uint64_t labelled_requests, positive_requests;
    size_t positive_clusters; /* users with a positive, or requests where those are drawn */
    double mean_label;
};

/* Rows of about equal score: what was said of them, what happened. */
struct report_bin {
    double said;
    struct metric_value
        happened; /* Wilson's interval; of regression: mean and its standard error */
    uint64_t rows;
};

struct report_curves {
    struct report_bin bins[REPORT_BINS];
    size_t bin_count;
    struct report_bin raw_bins[REPORT_BINS]; /* of the scores before calibration */
    size_t raw_bin_count;
    /* Share of the positives among the rows of highest score; [0] of the model, [1] of the baseline
     */
    double gain[2][REPORT_GAIN_POINTS];
    /* Counts by score from score_low on: negatives and positives; of regression: of residuals */
    double score_low, score_high;
    uint64_t score_counts[2][REPORT_SCORE_BINS];
};

struct report_period {
    int64_t from_ms, to_ms;
    uint64_t requests;
    struct metric_value model, baseline;
};

enum report_segment_kind { SEGMENT_OF_REQUESTS, SEGMENT_OF_ROWS };

struct report_segment {
    const char *name;
    enum report_segment_kind kind;
    enum metric_kind metric;
    uint64_t requests, rows, positives;
    size_t clusters;    /* users, or requests, that are drawn for its intervals */
    bool cold;          /* of those that are always listed */
    bool judged;        /* enough rows and positives to say something */
    uint32_t attribute; /* while they are made: which rows are in it */
    uint8_t slot;
    struct metric_value model, baseline;
    struct metric_value gain;       /* of the model over the baseline; above 0 is better */
    bool below_all, below_baseline; /* credibly, by Holm's method over all segments */
};

/* How much a column matters on the sample. */
struct report_column {
    uint32_t column;
    double importance; /* mean |contribution| */
    double share;      /* of the sum of all */
    double missing;    /* share of the sample's rows */
    double direction;  /* correlation of value and contribution; NaN where one does not vary */
};

/* What an order would have brought per 1,000 requests. */
struct report_brought {
    struct metric_value model, baseline, difference; /* model - baseline */
};

/* Estimates from requests that were logged with propensities below 1. */
struct report_effect {
    bool known;
    const char *reason;                 /* why not, or why they are not to be relied on; NULL */
    uint64_t used, unexplored, unknown; /* requests (stats/off_policy.h) */
    struct report_brought clicks[REPORT_ESTIMATES], value[REPORT_ESTIMATES];
    struct metric_value logged_clicks, logged_value; /* by what was shown, per 1,000 requests */
    bool has_clicks, has_value; /* labels are no numbers to predict; are not only 0 and 1 */
    double overlap, effective;
    struct metric_value mean_weight;
};

struct report {
    struct report_data data;
    const struct report_data *given; /* for its version, which may be known later */
    struct arena arena;
    struct report_part part;
    enum metric_kind metric; /* the one that the verdict is about */
    int k;
    size_t baseline; /* the scorer that the model is held against; 0: there is none */
    int replicates;
    struct metric_results results[REPORT_SCORERS]; /* by scorer */
    struct metric_results random;
    struct metric_value gain; /* of the model over the baseline in `metric`, above 0 is better */
    struct report_curves curves;
    struct report_period periods[REPORT_PERIODS];
    size_t period_count, periods_known; /* with enough requests to be judged */
    enum metric_kind period_metric;
    struct report_segment *segments; /* cold ones first, then by kind, then worst first */
    size_t segment_count;
    size_t segments_too_small, segments_beyond; /* left out: too few rows, beyond REPORT_SEGMENTS */
    struct str_list many_valued; /* attributes left out: more than REPORT_VALUES values */
    struct report_effect effect;
    struct report_column *columns; /* the most important first; none without a sample */
    size_t column_count;
    struct report_row *rows;
    size_t row_count;
};

/* Each fails with ERR_NOMEM, or with what common/stats gives. */
int report_curves_make(struct report *r, struct err *e);
int report_periods_make(struct report *r, struct err *e);
int report_segments_make(struct report *r, struct err *e);
int report_effect_make(struct report *r, struct err *e);
int report_columns_make(struct report *r, struct err *e);
int report_rows_make(struct report *r, struct err *e);

/* Judges the requests, or rows, whose slot is the segment's, if it is to be judged at all, and
 * counts them. */
int report_segment_judge(struct report *r, struct report_segment *s, const uint8_t *slots,
                         int replicates, struct err *e);

/*
 * Of the hypothesis that a quantity is 0 or more, from its value and its bootstrap interval; NaN:
 * nothing can be said. Few clusters vary more than their bootstrap does: its standard error is
 * widened by sqrt(n / (n - 1)), and the quotient is Student's with n - 1 degrees of freedom, as a
 * normal one by Wallace's formula (1959).
 */
double report_p_below(double value, struct metric_value interval, size_t clusters);

/* Which are credibly worse; puts them in order. */
int report_segments_compare(struct report *r, struct err *e);

/* The scores of some rows: the model's, the baseline's if there is one, and what the model orders
 * by where that is finer than its scores (NULL: it is not). */
struct report_scores {
    const float *model, *baseline, *order;
};

/* Model and baseline on some rows; seed and level are the report's. gain may be NULL. */
int report_judge(struct metric_value *model, struct metric_value *baseline,
                 struct metric_value *gain, const struct report *r, const struct metric_rows *rows,
                 const struct report_scores *scores, enum metric_kind m, int replicates,
                 struct err *e);

/* Zeroed; owned by the report. NULL if memory could not be had. */
void *report_alloc(struct report *r, size_t count, size_t size);

/* The difference that is above 0 where the model is better, of `other` held against it. */
struct metric_value report_gain_of(const struct metric_value *against, enum metric_kind m);

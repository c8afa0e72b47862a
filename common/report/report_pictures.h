/*
 * The pictures of a report, each with what it says in words for those who cannot see it. One
 * thread.
 */
#pragma once

#include "report/report_parts.h"

/* Each writes one SVG. Those of probabilities are for reports on them, see each. */
void picture_scorers(struct buf *out, const struct report *r);     /* the metric, by scorer */
void picture_time(struct buf *out, const struct report *r);        /* the metric, over time */
void picture_requests(struct buf *out, const struct report *r);    /* segments of requests */
void picture_rows(struct buf *out, const struct report *r);        /* segments of rows */
void picture_calibration(struct buf *out, const struct report *r); /* curves.bin_count > 0 */
void picture_distribution(struct buf *out, const struct report *r);
void picture_gain(struct buf *out, const struct report *r);       /* not of regression */
void picture_lift(struct buf *out, const struct report *r);       /* not of regression */
void picture_importance(struct buf *out, const struct report *r); /* column_count > 0 */
void picture_contributions(struct buf *out, const struct report *r);
void picture_trials(struct buf *out, const struct report *r); /* trial_count > 1 */

/* How many of the segments of a kind the picture shows. */
size_t picture_segment_count(const struct report *r, enum report_segment_kind kind);

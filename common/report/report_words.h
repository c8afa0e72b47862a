/*
 * Numbers and sentences of a report, the same on the page and in the terminal. Any thread.
 *
 * Sentences are plain text; commands stand between backquotes. Memory that could not be had shows
 * in the buffer.
 */
#pragma once

#include "report/report_parts.h"

/* At most four significant digits; "–" for what is not known. */
void report_put_number(struct buf *out, double v);
void report_put_percent(struct buf *out, double share);
void report_put_count(struct buf *out, uint64_t n); /* 1,234,567 */

/* 0.615 [0.608, 0.622]; signed: +0.02 [+0.01, +0.03]. */
void report_put_value(struct buf *out, struct metric_value v);
void report_put_difference(struct buf *out, struct metric_value v);
void report_put_interval(struct buf *out, struct metric_value v, bool with_sign); /* [ , ] alone */

/* 2026-11-21 16:12, and a span between two of them, UTC. */
void report_put_time(struct buf *out, int64_t ms);

/* A name of at most so many characters, "…" in place of its middle, since both ends tell names
 * apart; valid UTF-8 without control characters, whatever it was. */
void report_put_name(struct buf *out, struct str name, size_t most);

/* "NDCG@10", and what it is in a few words. */
void report_put_metric(struct buf *out, const struct report *r, enum metric_kind m);
const char *report_metric_meaning(enum metric_kind m);

/* Those that are shown, in this order; METRICS ends them. */
const enum metric_kind *report_metrics_shown(const struct report *r);

enum report_verdict { VERDICT_BETTER, VERDICT_OPEN, VERDICT_WORSE, VERDICT_ALONE };
enum report_verdict report_verdict(const struct report *r);

/* The best of the others where that is not the baseline (0: it is), and whether it is credibly
 * better than the model. */
size_t report_best_other(const struct report *r);
bool report_other_is_better(const struct report *r);

/* Is it better, and by how much; how sure that is; for whom it is worse; what it would bring; what
 * to do next. */
void report_put_headline(struct buf *out, const struct report *r);
void report_put_certainty(struct buf *out, const struct report *r);
void report_put_worst(struct buf *out, const struct report *r);
void report_put_effect(struct buf *out, const struct report *r);
void report_put_advice(struct buf *out, const struct report *r);

/* How intervals were made. */
void report_put_method(struct buf *out, const struct report *r);

/* Of a column of the sample. */
struct str report_column_name(const struct report *r, uint32_t column);

/* Whether a segment is one of the few that are shown first: cold ones, those that are credibly
 * worse than the baseline, and some of the worst. shown: how many others of its kind were, counted
 * here. */
bool report_segment_first(const struct report_segment *s, size_t shown[2]);

/* Segments for which it is credibly worse than the baseline. */
size_t report_count_below(const struct report *r);

/* Its name where all others are of propositions, too: "brand=acme". */
const char *report_segment_short(const struct report_segment *s);

/* The name of the baseline; NULL if there is none. */
const char *report_baseline_name(const struct report *r);

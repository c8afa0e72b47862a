/*
 * Parts of the page of a report. One thread.
 */
#pragma once

#include "report/report_parts.h"

extern const char report_style[];

/* Tables; each says what its columns are. */
void page_metrics(struct buf *out, const struct report *r);
void page_periods(struct buf *out, const struct report *r);
void page_segments(struct buf *out, const struct report *r);
void page_effect(struct buf *out, const struct report *r); /* effect.known */
void page_calibration(struct buf *out, const struct report *r);
void page_gain(struct buf *out, const struct report *r);
void page_columns(struct buf *out, const struct report *r);
void page_trials(struct buf *out, const struct report *r);

/* Which data, parameters and seeds it was made of. */
void page_origin(struct buf *out, const struct report *r);

/* A table begins and ends in a box that scrolls if it is wider than the page; headings have commas
 * between them, one that starts with > has numbers; "" are none. */
void page_table_begin(struct buf *out, const char *what, const char *headings);
void page_table_end(struct buf *out);

/* A row's cells: name first. */
void page_cell_name(struct buf *out, struct str name);
void page_cell_text(struct buf *out, struct str text);
void page_cell_number(struct buf *out, double v);
void page_cell_count(struct buf *out, uint64_t n);
void page_cell_value(struct buf *out, struct metric_value v); /* with its interval below it */
void page_cell_difference(struct buf *out, struct metric_value v, int sign);

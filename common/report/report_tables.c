/* The tables of the page. */
#include "report/report_page.h"
#include "report/report_svg.h"
#include "report/report_words.h"

#include <math.h>
#include <stdio.h>

enum { SEGMENT_NAME_LISTED = 56, SEGMENTS_LISTED = 120, COLUMNS_LISTED = 200, TRIALS_LISTED = 20 };

static void row_begin(struct buf *out, bool main)
{
    buf_put_text(out, main ? "<tr class=\"main\">" : "<tr>");
}

static void row_end(struct buf *out)
{
    buf_put_text(out, "</tr>\n");
}

static void details_begin(struct buf *out, const char *summary)
{
    buf_printf(out, "<details><summary>%s</summary>\n", summary);
}

static void details_end(struct buf *out)
{
    buf_put_text(out, "</details>\n");
}

/* "metric,>model,>rules", with a comma in a name replaced: commas part headings. */
static void put_heading(struct buf *out, const char *name)
{
    struct buf text = {0};
    report_put_name(&text, str_of(name), 32);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == ',')
            text.data[i] = ';';
    buf_put_text(out, ",>");
    buf_put_str(out, buf_str(&text));
    out->failed |= text.failed;
    buf_free(&text);
}

/* ---- Metrics ---- */

static void metrics_headings(struct buf *out, const struct report *r)
{
    buf_put_text(out, "metric");
    for (size_t i = 0; i < r->data.scorer_count; i++)
        put_heading(out, r->data.scorers[i].name);
    put_heading(out, "random");
    if (r->baseline) {
        struct buf name = {0};
        buf_printf(&name, "%s - %s", r->data.scorers[0].name, report_baseline_name(r));
        buf_put_u8(&name, 0);
        put_heading(out, buf_ok(&name) ? (const char *)name.data : "");
        out->failed |= name.failed;
        buf_free(&name);
    }
    buf_put_u8(out, 0);
}

static void metric_row(struct buf *out, const struct report *r, enum metric_kind m)
{
    struct buf name = {0};
    row_begin(out, m == r->metric);
    report_put_metric(&name, r, m);
    buf_put_text(out, "<th scope=\"row\" class=\"wrap\">");
    html_put(out, buf_str(&name), false);
    buf_printf(out, "<small>%s</small></th>", report_metric_meaning(m));
    for (size_t i = 0; i < r->data.scorer_count; i++)
        page_cell_value(out, r->results[i].values[m]);
    page_cell_value(out, r->random.values[m]);
    if (r->baseline) {
        struct metric_value a = r->results[r->baseline].against[m];
        struct metric_value difference = {-a.value, -a.high, -a.low};
        page_cell_difference(out, difference, metric_sign(m));
    }
    row_end(out);
    out->failed |= name.failed;
    buf_free(&name);
}

void page_metrics(struct buf *out, const struct report *r)
{
    struct buf headings = {0};
    metrics_headings(&headings, r);
    page_table_begin(out, "Metrics", buf_ok(&headings) ? (const char *)headings.data : "");
    for (const enum metric_kind *m = report_metrics_shown(r); *m != METRICS; m++)
        metric_row(out, r, *m);
    page_table_end(out);
    out->failed |= headings.failed;
    buf_free(&headings);
}

/* ---- Periods ---- */

void page_periods(struct buf *out, const struct report *r)
{
    details_begin(out, "Over time, in numbers");
    page_table_begin(out, "Over time", "from (UTC),>requests,>model,>baseline");
    for (size_t i = 0; i < r->period_count; i++) {
        const struct report_period *p = &r->periods[i];
        struct buf time = {0};
        report_put_time(&time, p->from_ms);
        row_begin(out, false);
        page_cell_name(out, buf_str(&time));
        page_cell_count(out, p->requests);
        page_cell_value(out, p->model);
        page_cell_value(out, p->baseline);
        row_end(out);
        out->failed |= time.failed;
        buf_free(&time);
    }
    page_table_end(out);
    details_end(out);
}

/* ---- Segments ---- */

static void segment_judgement(struct buf *out, const struct report_segment *s)
{
    buf_put_text(out, "<td>");
    if (!s->judged)
        buf_put_text(out, "too few to judge");
    else if (s->below_baseline)
        buf_put_text(out, "<span class=\"bad\">worse</span>");
    else if (s->gain.low > 0)
        buf_put_text(out, "<span class=\"good\">better</span>");
    if (s->below_all)
        buf_printf(out, "%sbelow the whole", s->below_baseline || s->gain.low > 0 ? "; " : "");
    buf_put_text(out, "</td>");
}

static void segment_cells(struct buf *out, const struct report *r, const struct report_segment *s)
{
    struct buf name = {0}, metric = {0};
    report_put_name(&name, str_of(s->name), SEGMENT_NAME_LISTED);
    report_put_metric(&metric, r, s->metric);
    row_begin(out, false);
    buf_put_text(out, "<th scope=\"row\">");
    html_put(out, buf_str(&name), false);
    buf_put_text(out, "<small>");
    html_put(out, buf_str(&metric), false);
    buf_put_text(out, "</small></th>");
    page_cell_count(out, s->requests);
    page_cell_count(out, s->rows);
    page_cell_count(out, s->positives);
    page_cell_value(out, s->model);
    page_cell_value(out, s->baseline);
    page_cell_difference(out, s->gain, 1);
    segment_judgement(out, s);
    row_end(out);
    out->failed |= name.failed || metric.failed;
    buf_free(&name);
    buf_free(&metric);
}

static void put_many_valued(struct buf *out, const struct report *r)
{
    if (!r->many_valued.count)
        return;
    buf_printf(out, " Not looked at, having more than %d values: ", REPORT_VALUES);
    for (size_t i = 0; i < r->many_valued.count; i++) {
        struct buf name = {0};
        report_put_name(&name, r->many_valued.items[i], SEGMENT_NAME_LISTED);
        buf_put_text(out, i ? ", " : "");
        html_put(out, buf_str(&name), false);
        out->failed |= name.failed;
        buf_free(&name);
    }
    buf_put_u8(out, '.');
}

static void segment_table(struct buf *out, const struct report *r, bool first, size_t listed)
{
    size_t shown[2] = {0, 0};
    page_table_begin(out, "Segments",
                     "segment,>requests,>rows,>positives,>model,>baseline,>advantage,so it is");
    for (size_t i = 0; i < listed; i++)
        if (!first || report_segment_first(&r->segments[i], shown))
            segment_cells(out, r, &r->segments[i]);
    page_table_end(out);
}

static size_t count_first(const struct report *r, size_t listed)
{
    size_t shown[2] = {0, 0}, n = 0;
    for (size_t i = 0; i < listed; i++)
        n += report_segment_first(&r->segments[i], shown);
    return n;
}

void page_segments(struct buf *out, const struct report *r)
{
    size_t listed = r->segment_count < SEGMENTS_LISTED ? r->segment_count : SEGMENTS_LISTED;
    segment_table(out, r, true, listed);
    if (count_first(r, listed) < listed) {
        char summary[64];
        snprintf(summary, sizeof summary, "All %zu segments", listed);
        details_begin(out, summary);
        segment_table(out, r, false, listed);
        details_end(out);
    }
    size_t more = r->segment_count - listed;
    buf_put_text(out, "<p class=\"soft\">");
    buf_printf(out,
               "An attribute of user, context or placement: of its requests. One of propositions: "
               "of its rows. Listed with at least %d labelled rows%s. Left out: ",
               REPORT_SEGMENT_ROWS, r->data.regression ? "" : " and 20 positives");
    report_put_count(out, r->segments_too_small);
    buf_put_text(out, " too small");
    if (r->segments_beyond + more)
        buf_printf(out, ", %zu of more than can be shown", r->segments_beyond + more);
    buf_put_text(out, ". \"Better\": than the baseline, by the interval. \"Worse\" (than it) and "
                      "\"below the whole\" are said at 5 % for all segments together (Holm's "
                      "correction), by bootstrap standard errors. user=unseen: no event before the "
                      "request; user=cold: fewer than 5; proposition=cold: named by fewer than 20 "
                      "events.");
    put_many_valued(out, r);
    buf_put_text(out, "</p>\n");
}

/* ---- Effect ---- */

static void effect_rows(struct buf *out, const struct report_brought *x, const char *what)
{
    static const char *const methods[REPORT_ESTIMATES] = {"IPS", "self-normalised (SNIPS)",
                                                          "doubly robust"};
    for (size_t i = 0; i < REPORT_ESTIMATES; i++) {
        if (isnan(x[i].model.value))
            continue;
        row_begin(out, false);
        page_cell_name(out, str_of(what));
        page_cell_text(out, str_of(methods[i]));
        page_cell_value(out, x[i].model);
        page_cell_value(out, x[i].baseline);
        page_cell_difference(out, x[i].difference, 1);
        row_end(out);
    }
}

void page_effect(struct buf *out, const struct report *r)
{
    const struct report_effect *x = &r->effect;
    page_table_begin(out, "Business effect per 1,000 requests",
                     "per 1,000 requests,estimate,>model,>baseline,>difference");
    if (x->has_clicks)
        effect_rows(out, x->clicks, "clicks");
    if (x->has_value)
        effect_rows(out, x->value, "value");
    page_table_end(out);
    buf_put_text(out, "<p class=\"soft\">What was shown brought ");
    report_put_value(out, x->has_clicks ? x->logged_clicks : x->logged_value);
    buf_put_text(out, ". Estimated from ");
    report_put_count(out, x->used);
    buf_put_text(out, " requests; ");
    report_put_count(out, x->unexplored);
    buf_put_text(out, " were not explored, of ");
    report_put_count(out, x->unknown);
    buf_put_text(out, " too little is known. They are worth as much as ");
    report_put_number(out, nearbyint(x->effective));
    buf_put_text(out, " requests that the model itself had answered (in ");
    report_put_percent(out, x->overlap);
    buf_put_text(out, " of them something stood where it would have put it); mean weight ");
    report_put_value(out, x->mean_weight);
    buf_put_text(out, ", which is 1 if the propensities are right.</p>\n");
}

/* ---- Scores ---- */

static void bin_rows(struct buf *out, const char *what, const struct report_bin *bins, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        row_begin(out, false);
        page_cell_name(out, str_of(what));
        page_cell_number(out, bins[i].said);
        page_cell_value(out, bins[i].happened);
        page_cell_count(out, bins[i].rows);
        row_end(out);
    }
}

void page_calibration(struct buf *out, const struct report *r)
{
    details_begin(out, "Calibration, in numbers");
    page_table_begin(out, "Calibration", "score,>said,>happened,>rows");
    bin_rows(out, "published", r->curves.bins, r->curves.bin_count);
    bin_rows(out, "before calibration", r->curves.raw_bins, r->curves.raw_bin_count);
    page_table_end(out);
    details_end(out);
}

void page_gain(struct buf *out, const struct report *r)
{
    details_begin(out, "Gain, in numbers");
    page_table_begin(out, "Gain", "% of the rows,>% of the positives: model,>baseline");
    for (size_t i = 5; i < REPORT_GAIN_POINTS; i += i < 20 ? 5 : 10) {
        row_begin(out, false);
        buf_printf(out, "<th scope=\"row\">%zu</th>", i);
        page_cell_number(out, 100 * r->curves.gain[0][i]);
        page_cell_number(out, r->baseline ? 100 * r->curves.gain[1][i] : NAN);
        row_end(out);
    }
    page_table_end(out);
    details_end(out);
}

static const char *direction_of(const struct report_column *c)
{
    if (isnan(c->direction))
        return "";
    if (c->direction > 0.5)
        return "more raises the score";
    return c->direction < -0.5 ? "more lowers it" : "mixed";
}

void page_columns(struct buf *out, const struct report *r)
{
    size_t listed = r->column_count < COLUMNS_LISTED ? r->column_count : COLUMNS_LISTED;
    details_begin(out, "Importance, in numbers");
    page_table_begin(out, "Importance", "column,>mean |contribution|,>share,>missing,direction");
    for (size_t i = 0; i < listed; i++) {
        const struct report_column *c = &r->columns[i];
        row_begin(out, false);
        page_cell_name(out, report_column_name(r, c->column));
        page_cell_number(out, c->importance);
        buf_put_text(out, "<td class=\"n\">");
        report_put_percent(out, c->share);
        buf_put_text(out, "</td><td class=\"n\">");
        report_put_percent(out, c->missing);
        buf_put_text(out, "</td>");
        page_cell_text(out, str_of(direction_of(c)));
        row_end(out);
    }
    page_table_end(out);
    details_end(out);
}

/* ---- Trials ---- */

/* The best first; a list of a few, so they are simply looked for again. */
static bool is_before(const struct report_trial *a, const struct report_trial *b)
{
    if (a->stopped != b->stopped)
        return !a->stopped;
    if (a->score != b->score)
        return a->score > b->score;
    return a < b;
}

void page_trials(struct buf *out, const struct report *r)
{
    const struct report_trial *last = NULL;
    details_begin(out, "The best trials");
    page_table_begin(out, "Trials", "parameters,>score,>trees,>seconds,");
    for (size_t n = 0; n < TRIALS_LISTED; n++) {
        const struct report_trial *best = NULL;
        for (size_t i = 0; i < r->data.trial_count; i++) {
            const struct report_trial *t = &r->data.trials[i];
            bool shown = last && !is_before(last, t);
            if (!shown && (!best || is_before(t, best)))
                best = t;
        }
        if (!best)
            break;
        row_begin(out, n == 0);
        page_cell_text(out, best->parameters);
        page_cell_number(out, best->score);
        page_cell_count(out, best->trees);
        page_cell_number(out, best->seconds);
        buf_printf(out, "<td>%s</td>", best->stopped ? "stopped early" : "");
        row_end(out);
        last = best;
    }
    page_table_end(out);
    details_end(out);
}

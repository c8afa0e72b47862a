/* Comparisons: of scorers, over time, of segments, of the search's trials. */
#include "report/report_pictures.h"

#include "report/report_svg.h"
#include "report/report_words.h"

#include <math.h>

enum {
    ROW_HEIGHT = 22,
    NAME_WIDTH = 150,
    NAME_CHARACTERS = 19,
    SEGMENTS_DRAWN = 24,
    TRIALS_DRAWN = 500
};

/* A title or a description, ended so that it can be read as a text. */
static const char *text_of(struct buf *b)
{
    buf_put_u8(b, 0);
    return buf_ok(b) ? (const char *)b->data : "";
}

static void name_at(struct svg *s, double y, const char *name, const char *class)
{
    struct buf text = {0};
    report_put_name(&text, str_of(name), NAME_CHARACTERS);
    svg_text(s, s->left - 8, y + 4, "end", class, buf_str(&text));
    s->out->failed |= text.failed;
    buf_free(&text);
}

/* ---- Bounds ---- */

struct bounds {
    double low, high;
};

static void include(struct bounds *b, double v)
{
    if (!isfinite(v))
        return;
    b->low = fmin(b->low, v);
    b->high = fmax(b->high, v);
}

static void include_value(struct bounds *b, struct metric_value v)
{
    include(b, v.value);
    include(b, v.low);
    include(b, v.high);
}

static struct bounds with_margin(struct bounds b)
{
    double margin = (b.high - b.low) * 0.06;
    return (struct bounds){b.low - margin, b.high + margin};
}

/* ---- Scorers ---- */

static void scorer_row(struct svg *s, size_t i, const char *name, struct metric_value v,
                       const char *class)
{
    double y = s->top + ROW_HEIGHT * ((double)i + 0.5);
    name_at(s, y, name, "");
    svg_interval_x(s, y, v.low, v.value, v.high, class);
}

void picture_scorers(struct buf *out, const struct report *r)
{
    struct svg s;
    struct buf title = {0}, label = {0};
    struct bounds b = {INFINITY, -INFINITY};
    size_t count = r->data.scorer_count;
    double random = r->random.values[r->metric].value;
    bool with_random = isfinite(random);
    for (size_t i = 0; i < count; i++)
        include_value(&b, r->results[i].values[r->metric]);
    if (with_random)
        include_value(&b, r->random.values[r->metric]);
    b = with_margin(b);
    report_put_metric(&label, r, r->metric);
    buf_put_str(&title, buf_str(&label));
    buf_put_text(&title, " of each order, with 95 % intervals");
    svg_start(&s, out, "scorers", text_of(&title),
              "A dot a scorer, a line for its interval. The numbers are in the table of metrics.",
              (double)(count + with_random) * ROW_HEIGHT + 60);
    s.left = NAME_WIDTH;
    s.top = 12;
    svg_range(&s, b.low, b.high, 0, 1);
    svg_x_axis(&s, text_of(&label));
    for (size_t i = 0; i < count; i++)
        scorer_row(&s, i, r->data.scorers[i].name, r->results[i].values[r->metric],
                   i == 0             ? "model"
                   : i == r->baseline ? "base"
                                      : "other");
    if (with_random)
        scorer_row(&s, count, "random", r->random.values[r->metric], "other");
    svg_end(&s);
    out->failed |= title.failed || label.failed;
    buf_free(&title);
    buf_free(&label);
}

/* ---- Time ---- */

static void time_ticks(struct svg *s, const struct report *r)
{
    size_t step = (r->period_count + 3) / 4;
    bool days = r->periods[0].to_ms - r->periods[0].from_ms >= 86400000;
    for (size_t i = 0; i < r->period_count; i += step) {
        struct buf text = {0};
        report_put_time(&text, r->periods[i].from_ms);
        /* 2026-11-21 16:12: month and day, or those and the time. */
        struct str t = buf_str(&text);
        size_t skip = t.len > 5 ? 5 : 0, keep = days && t.len > 10 ? 5 : t.len - skip;
        svg_text(s, svg_x(s, (double)i), s->bottom + 14, i ? "middle" : "start", "",
                 (struct str){t.data + skip, keep});
        s->out->failed |= text.failed;
        buf_free(&text);
    }
    svg_line(s, s->left, s->bottom, s->right, s->bottom, "axis");
}

static void time_line(struct svg *s, const struct report *r, bool model, const char *class)
{
    bool first = true;
    svg_path_start(s);
    for (size_t i = 0; i < r->period_count; i++) {
        double v = model ? r->periods[i].model.value : r->periods[i].baseline.value;
        if (isnan(v))
            continue;
        svg_path_to(s, svg_x(s, (double)i), svg_y(s, v), first);
        first = false;
    }
    svg_path_end(s, class, false);
}

void picture_time(struct buf *out, const struct report *r)
{
    struct svg s;
    struct buf label = {0};
    struct bounds b = {INFINITY, -INFINITY};
    const char *classes[] = {"model", "base"};
    const char *words[] = {r->data.scorers[0].name, report_baseline_name(r), NULL};
    for (size_t i = 0; i < r->period_count; i++) {
        include_value(&b, r->periods[i].model);
        include_value(&b, r->periods[i].baseline);
    }
    report_put_metric(&label, r, r->period_metric);
    buf_put_text(&label, " over time");
    svg_start(&s, out, "time", text_of(&label),
              "A dot a period with its 95 % interval; the numbers are in the table below.", 250);
    b = with_margin(b);
    svg_range(&s, -0.5, (double)r->period_count - 0.5, b.low, b.high);
    svg_y_axis(&s, "");
    svg_legend(&s, classes, words);
    time_ticks(&s, r);
    svg_text(&s, (s.left + s.right) / 2, s.bottom + 31, "middle", "label",
             str_of("begin of the period, UTC"));
    for (int model = 0; model < 2; model++) {
        time_line(&s, r, model, model ? "line model" : "line base");
        for (size_t i = 0; i < r->period_count; i++) {
            const struct report_period *p = &r->periods[i];
            struct metric_value v = model ? p->model : p->baseline;
            svg_interval_y(&s, (double)i + (model ? 0.08 : -0.08), v.low, v.value, v.high,
                           model ? "model" : "base");
        }
    }
    svg_end(&s);
    out->failed |= label.failed;
    buf_free(&label);
}

/* ---- Segments ---- */

size_t picture_segment_count(const struct report *r, enum report_segment_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < r->segment_count; i++)
        n += r->segments[i].judged && r->segments[i].kind == kind;
    return n < SEGMENTS_DRAWN ? n : SEGMENTS_DRAWN;
}

static void segment_row(struct svg *s, const struct report_segment *x, size_t at)
{
    double y = s->top + ROW_HEIGHT * ((double)at + 0.5);
    name_at(s, y, report_segment_short(x), x->below_baseline ? "bad" : "");
    svg_interval_x(s, y + 3, x->baseline.low, x->baseline.value, x->baseline.high, "base");
    svg_interval_x(s, y - 3, x->model.low, x->model.value, x->model.high, "model");
}

static void segments_of(struct buf *out, const struct report *r, enum report_segment_kind kind)
{
    struct svg s;
    struct buf label = {0};
    struct bounds b = {INFINITY, -INFINITY};
    const char *classes[] = {"model", "base"};
    const char *words[] = {r->data.scorers[0].name, report_baseline_name(r), NULL};
    size_t count = picture_segment_count(r, kind), at = 0;
    bool of_rows = kind == SEGMENT_OF_ROWS;
    enum metric_kind m = !of_rows ? r->metric : r->data.regression ? METRIC_RMSE : METRIC_AUC;
    for (size_t i = 0; i < r->segment_count; i++)
        if (r->segments[i].judged && r->segments[i].kind == kind && at < count) {
            include_value(&b, r->segments[i].model);
            include_value(&b, r->segments[i].baseline);
            at++;
        }
    report_put_metric(&label, r, m);
    buf_put_text(&label, of_rows ? " of the rows of each segment" : " of each segment's requests");
    svg_start(&s, out, of_rows ? "seg-rows" : "seg-req", text_of(&label),
              "Worst first, with 95 % intervals; the numbers are in the table below.",
              (double)count * ROW_HEIGHT + 82);
    s.left = NAME_WIDTH;
    b = with_margin(b);
    svg_range(&s, b.low, b.high, 0, 1);
    svg_x_axis(&s, text_of(&label));
    svg_legend(&s, classes, words);
    double all = r->results[0].values[m].value;
    if (isfinite(all))
        svg_line(&s, svg_x(&s, all), s.top, svg_x(&s, all), s.bottom, "all");
    at = 0;
    for (size_t i = 0; i < r->segment_count && at < count; i++)
        if (r->segments[i].judged && r->segments[i].kind == kind)
            segment_row(&s, &r->segments[i], at++);
    svg_end(&s);
    out->failed |= label.failed;
    buf_free(&label);
}

void picture_requests(struct buf *out, const struct report *r)
{
    segments_of(out, r, SEGMENT_OF_REQUESTS);
}

void picture_rows(struct buf *out, const struct report *r)
{
    segments_of(out, r, SEGMENT_OF_ROWS);
}

/* ---- Trials ---- */

void picture_trials(struct buf *out, const struct report *r)
{
    struct svg s;
    struct bounds b = {INFINITY, -INFINITY};
    size_t count = r->data.trial_count, from = count > TRIALS_DRAWN ? count - TRIALS_DRAWN : 0;
    const char *classes[] = {"model", "faint"};
    const char *words[] = {"run to its end", "stopped early", NULL};
    for (size_t i = from; i < count; i++)
        if (!r->data.trials[i].stopped)
            include(&b, r->data.trials[i].score);
    for (size_t i = from; i < count && !isfinite(b.low); i++)
        include(&b, r->data.trials[i].score);
    b = with_margin(b);
    svg_start(&s, out, "trials", "Score of each trial of the search",
              "On the validation part, in the order in which they were tried. What was stopped far "
              "below lies at the edge.",
              240);
    svg_range(&s, (double)from + 0.5, (double)count + 0.5, b.low, b.high);
    svg_y_axis(&s, "");
    svg_x_axis(&s, "trial");
    svg_legend(&s, classes, words);
    for (size_t i = from; i < count; i++) {
        const struct report_trial *t = &r->data.trials[i];
        double score = fmin(fmax(t->score, s.y_low), s.y_high);
        if (isfinite(t->score))
            svg_dot(&s, svg_x(&s, (double)i + 1), svg_y(&s, score), 3,
                    t->stopped ? "faint" : "model");
    }
    svg_end(&s);
}

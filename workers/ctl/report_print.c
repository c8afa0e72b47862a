#include "report_print.h"

#include "grid.h"

#include "report/report_words.h"

#include <math.h>

enum {
    WIDE = 116,
    SEGMENTS_PRINTED = 20,
    COLUMNS_PRINTED = 10,
    BAR_MOST = 20,
    SEGMENT_NAME = 21,
    SHORT_NAME = 12,
    LONG_NAME = 34
};

struct printer {
    const struct report *r;
    int width;
    bool colour;
    struct buf *out;
};

static const char *const BOLD = "\x1b[1m", *const GREEN = "\x1b[32m", *const RED = "\x1b[31m",
                         *const YELLOW = "\x1b[33m", *const PLAIN = "\x1b[0m";

static void print_heading(struct printer *p, const char *text)
{
    buf_printf(p->out, "\n%s%s%s\n", p->colour ? BOLD : "", text, p->colour ? PLAIN : "");
}

/* ---- Sentences ---- */

static size_t width_of_word(struct str word)
{
    size_t n = 0;
    for (size_t i = 0; i < word.len; i++)
        n += ((uint8_t)word.data[i] & 0xc0) != 0x80;
    return n;
}

/* Words one after the other, on lines of the width, `indent` from the left from the second one on.
 */
static void put_words(struct printer *p, struct str text, size_t at, size_t indent)
{
    for (size_t i = 0; i < text.len;) {
        size_t end = i;
        while (end < text.len && text.data[end] != ' ')
            end++;
        struct str word = {text.data + i, end - i};
        size_t width = width_of_word(word);
        if (at > indent && at + 1 + width > (size_t)p->width) {
            buf_printf(p->out, "\n%*s", (int)indent, "");
            at = indent;
        } else if (at > indent) {
            buf_put_u8(p->out, ' ');
            at++;
        }
        buf_put_str(p->out, word);
        at += width;
        i = end + 1;
    }
    buf_put_u8(p->out, '\n');
}

static void print_sentence(struct printer *p, const char *what,
                           void (*sentence)(struct buf *out, const struct report *r))
{
    struct buf text = {0};
    size_t indent = 16;
    sentence(&text, p->r);
    buf_printf(p->out, "%-16s", what);
    put_words(p, buf_str(&text), indent, indent);
    p->out->failed |= text.failed;
    buf_free(&text);
}

static void put_verdict(struct printer *p)
{
    static const char *const *const colours[] = {[VERDICT_BETTER] = &GREEN,
                                                 [VERDICT_OPEN] = &YELLOW,
                                                 [VERDICT_WORSE] = &RED,
                                                 [VERDICT_ALONE] = &YELLOW};
    struct buf text = {0};
    report_put_headline(&text, p->r);
    if (p->colour)
        buf_printf(p->out, "%s%s", BOLD, *colours[report_verdict(p->r)]);
    put_words(p, buf_str(&text), 0, 0);
    if (p->colour)
        buf_put_text(p->out, PLAIN);
    p->out->failed |= text.failed;
    buf_free(&text);
    print_sentence(p, "How sure", report_put_certainty);
    print_sentence(p, "For whom", report_put_worst);
    print_sentence(p, "What it brings", report_put_effect);
    print_sentence(p, "What to do", report_put_advice);
}

/* ---- Cells ---- */

static void put_cell(struct grid *g, struct buf *text)
{
    buf_put_u8(text, 0);
    grid_put(g, "%s", buf_ok(text) ? (const char *)text->data : "");
    g->cells.failed |= text->failed;
    buf_free(text);
}

static void cell_of(struct grid *g, struct metric_value v, bool with_interval)
{
    struct buf text = {0};
    if (with_interval)
        report_put_value(&text, v);
    else
        report_put_number(&text, v.value);
    put_cell(g, &text);
}

static void difference_cell(struct grid *g, struct metric_value v)
{
    struct buf text = {0};
    report_put_difference(&text, v);
    put_cell(g, &text);
}

static void name_cell(struct grid *g, struct str name, size_t most)
{
    struct buf text = {0};
    report_put_name(&text, name, most);
    put_cell(g, &text);
}

static void count_cell(struct grid *g, uint64_t n)
{
    struct buf text = {0};
    report_put_count(&text, n);
    put_cell(g, &text);
}

static void metric_cell(struct grid *g, const struct report *r, enum metric_kind m)
{
    struct buf text = {0};
    report_put_metric(&text, r, m);
    put_cell(g, &text);
}

/* Headings of a grid with names in them, where commas part headings. */
static void append_heading(struct buf *out, const char *name)
{
    struct buf text = {0};
    report_put_name(&text, str_of(name), SHORT_NAME);
    for (size_t i = 0; i < text.len; i++)
        text.data[i] = text.data[i] == ',' ? ';' : text.data[i];
    buf_put_text(out, ",>");
    buf_put_str(out, buf_str(&text));
    out->failed |= text.failed;
    buf_free(&text);
}

/* ---- Metrics ---- */

static bool is_told(const struct report *r, enum metric_kind m)
{
    return !isnan(r->results[0].values[m].value) ||
           (r->baseline && !isnan(r->results[r->baseline].values[m].value));
}

static bool others_know(const struct report *r, enum metric_kind m)
{
    bool known = !isnan(r->random.values[m].value);
    for (size_t i = 1; i < r->data.scorer_count; i++)
        known |= i != r->baseline && !isnan(r->results[i].values[m].value);
    return known;
}

/* The model and the baseline with intervals, then all the others. */
static void put_against(struct printer *p)
{
    const struct report *r = p->r;
    struct grid g;
    grid_start(&g, r->baseline ? "METRIC,>MODEL,>BASELINE,>ADVANTAGE" : "METRIC,>MODEL");
    for (const enum metric_kind *m = report_metrics_shown(r); *m != METRICS; m++) {
        if (!is_told(r, *m))
            continue;
        metric_cell(&g, r, *m);
        cell_of(&g, r->results[0].values[*m], true);
        if (!r->baseline)
            continue;
        cell_of(&g, r->results[r->baseline].values[*m], p->width >= WIDE);
        difference_cell(&g, report_gain_of(&r->results[r->baseline].against[*m], *m));
    }
    grid_end(&g, p->out);
}

static bool is_other(const struct report *r, size_t scorer)
{
    return scorer && scorer != r->baseline;
}

static void put_others(struct printer *p)
{
    const struct report *r = p->r;
    struct grid g;
    struct buf headings = {0};
    buf_put_text(&headings, "METRIC");
    for (size_t i = 0; i < r->data.scorer_count; i++)
        if (is_other(r, i))
            append_heading(&headings, r->data.scorers[i].name);
    append_heading(&headings, "random");
    buf_put_u8(&headings, 0);
    p->out->failed |= headings.failed;
    if (buf_ok(&headings)) {
        buf_put_u8(p->out, '\n');
        grid_start(&g, (const char *)headings.data);
        for (const enum metric_kind *m = report_metrics_shown(r); *m != METRICS; m++) {
            if (!others_know(r, *m))
                continue;
            metric_cell(&g, r, *m);
            for (size_t i = 0; i < r->data.scorer_count; i++)
                if (is_other(r, i))
                    cell_of(&g, r->results[i].values[*m], p->width >= WIDE);
            cell_of(&g, r->random.values[*m], p->width >= WIDE);
        }
        grid_end(&g, p->out);
    }
    buf_free(&headings);
}

static void put_metrics(struct printer *p)
{
    const struct report *r = p->r;
    struct buf text = {0};
    print_heading(p, "Beside what was there before");
    put_against(p);
    put_others(p);
    if (r->baseline)
        buf_printf(&text, "The baseline is %s; the advantage is the model's, above 0 is better. ",
                   report_baseline_name(r));
    report_put_method(&text, r);
    put_words(p, buf_str(&text), 0, 0);
    p->out->failed |= text.failed;
    buf_free(&text);
}

/* ---- Segments ---- */

static void print_segment(struct printer *p, struct grid *g, const struct report_segment *s)
{
    struct buf advantage = {0};
    name_cell(g, str_of(report_segment_short(s)), p->width >= WIDE ? 2 * LONG_NAME : SEGMENT_NAME);
    count_cell(g, s->kind == SEGMENT_OF_ROWS ? s->rows : s->requests);
    cell_of(g, s->model, p->width >= WIDE);
    if (p->r->baseline)
        cell_of(g, s->baseline, p->width >= WIDE);
    if (!s->judged)
        buf_put_text(&advantage, "too few to judge");
    else if (p->r->baseline)
        report_put_difference(&advantage, s->gain);
    buf_put_text(&advantage, s->below_baseline ? " *" : s->below_all ? " -" : "  ");
    put_cell(g, &advantage);
}

static size_t put_kind(struct printer *p, enum report_segment_kind kind)
{
    const struct report *r = p->r;
    struct grid g;
    struct buf headings = {0};
    size_t printed = 0, shown[2] = {0, 0};
    enum metric_kind m = METRICS;
    for (size_t i = 0; i < r->segment_count && m == METRICS; i++)
        if (r->segments[i].kind == kind)
            m = r->segments[i].metric;
    if (m == METRICS)
        return 0;
    buf_printf(&headings, "SEGMENT,>%s,>", kind == SEGMENT_OF_ROWS ? "ROWS" : "REQUESTS");
    report_put_metric(&headings, r, m);
    buf_put_text(&headings, r->baseline ? ",>BASELINE,>ADVANTAGE" : ",>");
    buf_put_u8(&headings, 0);
    p->out->failed |= headings.failed;
    if (buf_ok(&headings)) {
        grid_start(&g, (const char *)headings.data);
        for (size_t i = 0; i < r->segment_count && printed < SEGMENTS_PRINTED; i++) {
            if (r->segments[i].kind != kind || !report_segment_first(&r->segments[i], shown))
                continue;
            print_segment(p, &g, &r->segments[i]);
            printed++;
        }
        grid_end(&g, p->out);
    }
    buf_free(&headings);
    return printed;
}

static void put_segments(struct printer *p)
{
    const struct report *r = p->r;
    struct buf text = {0};
    print_heading(p, "For whom: cold ones, and the worst");
    size_t printed = put_kind(p, SEGMENT_OF_REQUESTS);
    buf_put_u8(p->out, '\n');
    printed += put_kind(p, SEGMENT_OF_ROWS);
    buf_printf(&text,
               "*: credibly worse than the baseline; -: credibly below the whole (5 %% for all "
               "together, Holm). These are %zu of %zu segments; %zu more were too small to judge.",
               printed, r->segment_count, r->segments_too_small);
    put_words(p, buf_str(&text), 0, 0);
    p->out->failed |= text.failed;
    buf_free(&text);
}

/* ---- Effect, columns ---- */

static void print_brought(struct grid *g, const struct report_brought *x, const char *what)
{
    static const char *const methods[REPORT_ESTIMATES] = {"IPS", "SNIPS", "doubly robust"};
    for (size_t i = 0; i < REPORT_ESTIMATES; i++) {
        if (isnan(x[i].model.value))
            continue;
        grid_put(g, "%s", what);
        grid_put(g, "%s", methods[i]);
        cell_of(g, x[i].model, true);
        cell_of(g, x[i].baseline, false);
        difference_cell(g, x[i].difference);
    }
}

static void put_effect(struct printer *p)
{
    const struct report_effect *x = &p->r->effect;
    struct grid g;
    if (!x->known)
        return;
    print_heading(p, "Per 1,000 requests");
    grid_start(&g, "WHAT,ESTIMATE,>MODEL,>BASELINE,>DIFFERENCE");
    if (x->has_clicks)
        print_brought(&g, x->clicks, "clicks");
    if (x->has_value)
        print_brought(&g, x->value, "value");
    grid_end(&g, p->out);
}

static void put_columns(struct printer *p)
{
    const struct report *r = p->r;
    struct grid g;
    if (!r->column_count)
        return;
    print_heading(p, "What it looks at");
    grid_start(&g, "COLUMN,>SHARE,");
    for (size_t i = 0; i < r->column_count && i < COLUMNS_PRINTED; i++) {
        struct buf share = {0}, bar = {0};
        name_cell(&g, report_column_name(r, r->columns[i].column), LONG_NAME);
        report_put_percent(&share, r->columns[i].share);
        put_cell(&g, &share);
        double most = r->columns[0].share > 0 ? r->columns[0].share : 1;
        for (long n = lround(BAR_MOST * r->columns[i].share / most); n > 0; n--)
            buf_put_text(&bar, "#");
        put_cell(&g, &bar);
    }
    grid_end(&g, p->out);
}

void model_report_print(const struct report *r, int width, bool colour, struct buf *out)
{
    struct printer p = {.r = r, .width = width < 40 ? 40 : width, .colour = colour, .out = out};
    put_verdict(&p);
    put_metrics(&p);
    put_segments(&p);
    put_effect(&p);
    put_columns(&p);
}

/* For whom a model is worse: what is said of segments. */
#include "report/report_words.h"

#include <math.h>

enum { SEGMENT_NAME_MOST = 48, NAMED_SEGMENTS = 3, SEGMENTS_FIRST = 5 };

static void put_segment(struct buf *out, const struct report *r, const struct report_segment *s,
                        bool with_baseline)
{
    report_put_name(out, str_of(s->name), SEGMENT_NAME_MOST);
    buf_put_text(out, " (");
    report_put_metric(out, r, s->metric);
    buf_put_u8(out, ' ');
    report_put_value(out, s->model);
    if (with_baseline) {
        buf_printf(out, ", %s ", report_baseline_name(r));
        report_put_number(out, s->baseline.value);
    }
    buf_put_u8(out, ')');
}

static size_t count_judged(const struct report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->segment_count; i++)
        n += r->segments[i].judged;
    return n;
}

size_t report_count_below(const struct report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->segment_count; i++)
        n += r->segments[i].below_baseline;
    return n;
}

static void put_below_baseline(struct buf *out, const struct report *r)
{
    size_t count = report_count_below(r), named = 0;
    const char *baseline = report_baseline_name(r);
    if (!baseline)
        return;
    if (!count) {
        buf_printf(out,
                   "In none of the %zu segments with enough rows is it credibly worse than "
                   "%s. ",
                   count_judged(r), baseline);
        return;
    }
    buf_printf(out, "Credibly worse than %s for ", baseline);
    for (size_t i = 0; i < r->segment_count && named < NAMED_SEGMENTS; i++) {
        if (!r->segments[i].below_baseline)
            continue;
        buf_put_text(out, named++ ? ", " : "");
        put_segment(out, r, &r->segments[i], true);
    }
    if (count > named)
        buf_printf(out, ", and %zu more", count - named);
    buf_put_text(out, ". ");
}

/* The worst of those that whole requests make, else of those of rows. */
static const struct report_segment *worst_of(const struct report *r)
{
    const struct report_segment *worst = NULL;
    for (size_t i = 0; i < r->segment_count; i++) {
        const struct report_segment *s = &r->segments[i];
        if (!s->judged || isnan(s->model.value) || (worst && worst->kind != s->kind))
            continue;
        int sign = metric_sign(s->metric);
        if (!worst || sign * s->model.value < sign * worst->model.value)
            worst = s;
    }
    return worst;
}

const char *report_segment_short(const struct report_segment *s)
{
    static const char prefix[] = "proposition.";
    size_t length = strlen(prefix);
    return strncmp(s->name, prefix, length) == 0 ? s->name + length : s->name;
}

bool report_segment_first(const struct report_segment *s, size_t shown[2])
{
    bool first = s->cold || s->below_baseline || shown[s->kind] < SEGMENTS_FIRST;
    shown[s->kind] += first && !s->cold;
    return first;
}

void report_put_worst(struct buf *out, const struct report *r)
{
    const struct report_segment *worst = worst_of(r);
    if (!worst) {
        buf_printf(out,
                   "No segment has enough rows to be judged (%d labelled rows and %d positives).",
                   REPORT_SEGMENT_ROWS, REPORT_SEGMENT_POSITIVES);
        return;
    }
    put_below_baseline(out, r);
    if (worst->below_baseline && report_count_below(r) == 1) {
        buf_put_text(out, "That is also where it does worst of all; over all requests it has ");
        report_put_number(out, r->results[0].values[worst->metric].value);
        buf_put_u8(out, '.');
        return;
    }
    buf_put_text(out, "It does worst for ");
    put_segment(out, r, worst, false);
    buf_put_text(out, " where all have ");
    report_put_number(out, r->results[0].values[worst->metric].value);
    buf_put_text(out, worst->below_all ? ", which is credibly below."
                                       : ", which can be chance among so many segments.");
}

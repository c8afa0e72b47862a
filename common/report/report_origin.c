/* Which data, parameters and seeds a model was made of. */
#include "report/report_page.h"
#include "report/report_svg.h"
#include "report/report_words.h"

#include <jansson.h>

enum { COUNTS_LISTED = 80, COUNTS_DEPTH = 6 };

/* The year 9999: a time beyond it is no bound that anybody gave. */
static const int64_t BOUND_MS = 253402300800000;

static void fact_begin(struct buf *out, const char *name)
{
    buf_printf(out, "<tr><th scope=\"row\">%s</th><td class=\"long\">", name);
}

static void fact_end(struct buf *out)
{
    buf_put_text(out, "</td></tr>\n");
}

static void fact_text(struct buf *out, const char *name, struct str text)
{
    struct buf shown = {0};
    fact_begin(out, name);
    report_put_name(&shown, text, 400);
    html_put(out, buf_str(&shown), false);
    fact_end(out);
    out->failed |= shown.failed;
    buf_free(&shown);
}

static void fact_range(struct buf *out, const char *name, int64_t from_ms, int64_t to_ms)
{
    fact_begin(out, name);
    report_put_time(out, from_ms);
    buf_put_text(out, " to ");
    report_put_time(out, to_ms);
    buf_put_text(out, " UTC");
    fact_end(out);
}

/* From when to when, of requests that are there where a bound was not given. */
static void fact_requests(struct buf *out, const struct report_data *d)
{
    const int64_t *times = d->rows->timestamps_ms;
    int64_t from = d->info->from_ms, to = d->info->to_ms;
    if (from < -BOUND_MS && d->rows->request_count)
        from = times[0];
    if (to > BOUND_MS && d->rows->request_count)
        to = times[d->rows->request_count - 1];
    fact_range(out, "requests from", from, to);
}

/* Requests of the set from..., so many, when they were asked. */
static void fact_part(struct buf *out, const struct report *r, const char *name, size_t first,
                      size_t count)
{
    const struct set_rows *rows = r->data.rows;
    fact_begin(out, name);
    report_put_count(out, count);
    buf_put_text(out, " requests");
    if (count && first + count <= rows->request_count) {
        buf_put_text(out, ", ");
        report_put_count(out, rows->first[first + count] - rows->first[first]);
        buf_put_text(out, " rows, ");
        report_put_time(out, rows->timestamps_ms[first]);
        buf_put_text(out, " to ");
        report_put_time(out, rows->timestamps_ms[first + count - 1]);
    }
    fact_end(out);
}

static void fact_count(struct buf *out, const char *name, uint64_t n)
{
    fact_begin(out, name);
    report_put_count(out, n);
    fact_end(out);
}

static void fact_span(struct buf *out, const char *name, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "days"}, {3600000, "hours"}, {60000, "minutes"}, {1000, "seconds"}};
    size_t i = 0;
    while (i < 3 && ms < units[i].ms)
        i++;
    fact_begin(out, name);
    buf_printf(out, "%.4g %s", (double)ms / (double)units[i].ms, units[i].name);
    fact_end(out);
}

/* ---- JSON objects as rows: {"events": {"late": 3}} is events, late: 3 ---- */

struct listing {
    struct buf *out;
    struct buf path;
    size_t left;
};

static void list_value(struct listing *l, const json_t *value)
{
    struct buf text = {0};
    if (!l->left)
        return;
    l->left--;
    if (json_is_string(value))
        report_put_name(&text, str_of(json_string_value(value)), 200);
    else if (json_is_integer(value) && json_integer_value(value) >= 0)
        report_put_count(&text, (uint64_t)json_integer_value(value));
    else if (json_is_number(value))
        buf_printf(&text, "%.6g", json_number_value(value));
    else
        buf_put_text(&text, json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "–");
    buf_put_text(l->out, "<tr>");
    page_cell_name(l->out, buf_str(&l->path));
    buf_put_text(l->out, "<td class=\"n\">");
    html_put(l->out, buf_str(&text), false);
    fact_end(l->out);
    l->out->failed |= text.failed;
    buf_free(&text);
}

static void list_json(struct listing *l, json_t *value, int depth)
{
    size_t length = l->path.len, i;
    const char *key;
    json_t *item;
    if (!json_is_object(value) && !json_is_array(value)) {
        list_value(l, value);
        return;
    }
    if (depth == COUNTS_DEPTH)
        return;
    json_object_foreach(value, key, item)
    {
        buf_put_text(&l->path, length ? ", " : "");
        buf_put_text(&l->path, key);
        list_json(l, item, depth + 1);
        l->path.len = length;
    }
    json_array_foreach(value, i, item)
    {
        buf_printf(&l->path, length ? ", %zu" : "%zu", i + 1);
        list_json(l, item, depth + 1);
        l->path.len = length;
    }
}

static void table_of_json(struct buf *out, const char *title, struct str text)
{
    json_t *value = text.len ? json_loadb(text.data, text.len, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    struct listing l = {.out = out, .left = COUNTS_LISTED};
    if (json_is_object(value) && json_object_size(value)) {
        buf_printf(out, "<div><h3>%s</h3>\n", title);
        page_table_begin(out, title, "");
        list_json(&l, value, 0);
        page_table_end(out);
        if (!l.left)
            buf_put_text(out, "<p class=\"soft\">There are more.</p>\n");
        buf_put_text(out, "</div>\n");
    }
    out->failed |= l.path.failed;
    buf_free(&l.path);
    json_decref(value);
}

void page_origin(struct buf *out, const struct report *r)
{
    const struct report_data *d = &r->data;
    page_table_begin(out, "What it was made of", "");
    fact_text(out, "objective", str_of(d->objective));
    fact_requests(out, d);
    fact_part(out, r, "train", 0, d->train_requests);
    fact_part(out, r, "validation", d->train_requests, d->valid_requests);
    fact_part(out, r, "test", d->test_first, d->test_requests);
    fact_text(out, "labels", d->info->labels);
    fact_span(out, "label window", d->info->label_window_ms);
    fact_count(out, "positives of the test part", r->part.positives);
    fact_count(out, "columns", d->info->columns.count);
    fact_text(out, "calibration",
              str_of(d->calibration ? calibration_name(d->calibration->kind) : "none"));
    buf_printf(out, "<tr><th scope=\"row\">seed</th><td>%llu", (unsigned long long)d->seed);
    fact_end(out);
    fact_text(out, "made by Flotilla", str_of(d->version_text ? d->version_text : ""));
    page_table_end(out);
    buf_put_text(out, "<div class=\"pair\">\n");
    table_of_json(out, "What was read, used, and not used", d->info->counts);
    table_of_json(out, "Parameters", d->parameters);
    buf_put_text(out, "</div>\n");
}

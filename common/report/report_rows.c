/* What the registry keeps of a report: a row a number. */
#include "report/report_parts.h"

#include <math.h>
#include <stdio.h>

size_t model_report_row_count(const struct report *r)
{
    return r->row_count;
}

const struct report_row *model_report_rows(const struct report *r)
{
    return r->rows;
}

static bool is_at_k(enum metric_kind m)
{
    return m == METRIC_NDCG || m == METRIC_PRECISION_AT_K || m == METRIC_RECALL_AT_K;
}

static bool is_by_request(enum metric_kind m)
{
    return is_at_k(m) || m == METRIC_MAP || m == METRIC_MRR;
}

/* As the report has it: with its k, which metric_name() may say as "_at_k". */
static const char *name_of(struct report *r, enum metric_kind m)
{
    char text[64];
    const char *name = metric_name(m), *at = strstr(name, "_at_k");
    if (!is_at_k(m))
        return name;
    snprintf(text, sizeof text, "%.*s@%d", (int)(at ? (size_t)(at - name) : strlen(name)), name,
             r->k);
    return arena_copy(&r->arena, str_of(text)).data;
}

/* Where rows are counted first, names may be NULL: memory that is not there shows in the second
 * round. */
struct collector {
    struct report *r;
    struct report_row *rows; /* NULL: only count */
    size_t count;
    const char *names[METRICS];
    const char *difference;
};

static void add(struct collector *c, const char *scorer, const char *segment, const char *metric,
                struct metric_value v, uint64_t rows)
{
    if (isnan(v.value))
        return;
    if (c->rows)
        c->rows[c->count] = (struct report_row){.scorer = scorer,
                                                .segment = segment,
                                                .metric = metric,
                                                .value = v.value,
                                                .low = v.low,
                                                .high = v.high,
                                                .rows = rows};
    c->count++;
}

static void add_results(struct collector *c, const char *scorer, const struct metric_results *x)
{
    for (enum metric_kind m = 0; m < METRICS; m++)
        add(c, scorer, "", c->names[m], x->values[m], is_by_request(m) ? x->requests : x->rows);
    struct metric_value threshold = {x->threshold, NAN, NAN};
    add(c, scorer, "", "threshold", threshold, x->rows);
}

/* A gain is above 0 where the model is better; a difference is model minus other. */
static struct metric_value difference_of(struct metric_value gain, enum metric_kind m)
{
    if (metric_sign(m) < 0)
        gain = (struct metric_value){-gain.value, -gain.high, -gain.low};
    return gain;
}

static void add_differences(struct collector *c)
{
    const struct report *r = c->r;
    const struct metric_results *x = &r->results[r->baseline];
    for (enum metric_kind m = 0; r->baseline && m < METRICS; m++) {
        struct metric_value a = x->against[m];
        add(c, c->difference, "", c->names[m], (struct metric_value){-a.value, -a.high, -a.low},
            is_by_request(m) ? x->requests : x->rows);
    }
}

static void add_segments(struct collector *c)
{
    const struct report *r = c->r;
    for (size_t i = 0; i < r->segment_count; i++) {
        const struct report_segment *s = &r->segments[i];
        uint64_t n = s->kind == SEGMENT_OF_REQUESTS ? s->requests : s->rows;
        if (!s->judged)
            continue;
        add(c, r->data.scorers[0].name, s->name, c->names[s->metric], s->model, n);
        if (!r->baseline)
            continue;
        add(c, r->data.scorers[r->baseline].name, s->name, c->names[s->metric], s->baseline, n);
        add(c, c->difference, s->name, c->names[s->metric], difference_of(s->gain, s->metric), n);
    }
}

static void add_brought(struct collector *c, const char *what, const struct report_brought *x)
{
    const struct report *r = c->r;
    add(c, r->data.scorers[0].name, "", what, x->model, r->effect.used);
    if (r->baseline) {
        add(c, r->data.scorers[r->baseline].name, "", what, x->baseline, r->effect.used);
        add(c, c->difference, "", what, x->difference, r->effect.used);
    }
}

static void add_effect(struct collector *c)
{
    static const char *const clicks[REPORT_ESTIMATES] = {
        "clicks_per_1000_ips", "clicks_per_1000_snips", "clicks_per_1000_dr"};
    static const char *const value[REPORT_ESTIMATES] = {
        "value_per_1000_ips", "value_per_1000_snips", "value_per_1000_dr"};
    const struct report_effect *x = &c->r->effect;
    for (size_t i = 0; x->known && i < REPORT_ESTIMATES; i++) {
        if (x->has_clicks)
            add_brought(c, clicks[i], &x->clicks[i]);
        if (x->has_value)
            add_brought(c, value[i], &x->value[i]);
    }
}

static void add_all(struct collector *c)
{
    const struct report *r = c->r;
    for (size_t i = 0; i < r->data.scorer_count; i++)
        add_results(c, r->data.scorers[i].name, &r->results[i]);
    add_results(c, "random", &r->random);
    add_differences(c);
    add_segments(c);
    add_effect(c);
}

int report_rows_make(struct report *r, struct err *e)
{
    struct collector c = {.r = r};
    char text[256];
    snprintf(text, sizeof text, "%s - %s", r->data.scorers[0].name,
             r->data.scorers[r->baseline].name);
    c.difference = arena_copy(&r->arena, str_of(text)).data;
    bool failed = !c.difference;
    for (enum metric_kind m = 0; m < METRICS; m++) {
        c.names[m] = name_of(r, m);
        failed |= !c.names[m];
    }
    if (failed)
        return err_nomem(e);
    add_all(&c);
    c.rows = report_alloc(r, c.count, sizeof *c.rows);
    if (!c.rows)
        return err_nomem(e);
    c.count = 0;
    add_all(&c);
    r->rows = c.rows;
    r->row_count = c.count;
    return 0;
}

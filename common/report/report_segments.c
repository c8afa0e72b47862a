/*
 * By segment: how good the model is for each value of an attribute that has enough rows.
 *
 * An attribute of the request (its context, its user, its placement) makes a segment of whole
 * requests, which the report's metric judges. An attribute of the proposition makes a segment of
 * rows: it is judged by how well scores tell positives from negatives among those (AUC), since a
 * list of the segment's rows alone was never shown to anybody.
 *
 * A segment is credibly worse than the whole test part, or than the baseline, if a one-sided test
 * (Student's, by its bootstrap standard error) says so after Holm's correction (1979) for all
 * segments that are judged. The whole includes the segment, which makes the test a little
 * conservative.
 */
#include "report/report_parts.h"

#include "base/table.h"
#include "report/report_attributes.h"

#include <math.h>
#include <stdlib.h>

enum { COLD_SEGMENTS = 3, SEGMENT_REPLICATES = 200 };

/* What is counted of a value of an attribute. */
struct value {
    uint32_t attribute, id;
    bool of_rows;
    uint64_t rows, positives;
    uint8_t slot; /* among the judged ones of its attribute, from 1; 0: it is none */
};

struct segments {
    struct report *r;
    struct attributes *attributes;
    struct value *values; /* by id */
    size_t values_cap;
    uint32_t *placements; /* by request: the value of its placement */
    uint8_t *slots;       /* by request or row: which segment of the attribute at hand it is in */
};

/* ---- Counting ---- */

static int count_row(struct segments *s, struct attribute_pair pair, bool of_rows, float label,
                     struct err *e)
{
    if (pair.value >= s->values_cap) {
        size_t cap = (size_t)pair.value * 2 + 256;
        struct value *values = realloc(s->values, cap * sizeof *values);
        if (!values)
            return err_nomem(e);
        memset(values + s->values_cap, 0, (cap - s->values_cap) * sizeof *values);
        s->values = values;
        s->values_cap = cap;
    }
    struct value *v = &s->values[pair.value];
    v->attribute = pair.attribute;
    v->id = pair.value;
    v->of_rows = of_rows;
    v->rows++;
    v->positives += label > 0;
    return 0;
}

static int count_rows(struct segments *s, uint32_t text, bool of_rows, const float *labels,
                      uint64_t count, struct err *e)
{
    const struct attribute_pair *pairs;
    size_t pair_count;
    int rc = attributes_read(s->attributes, text, &pairs, &pair_count, e);
    for (uint64_t row = 0; !rc && row < count; row++)
        for (size_t i = 0; !rc && !isnan(labels[row]) && i < pair_count; i++)
            rc = count_row(s, pairs[i], of_rows, labels[row], e);
    return rc;
}

static int count_request(struct segments *s, size_t request, struct err *e)
{
    const struct set_rows *all = s->r->data.rows;
    const struct report_part *p = &s->r->part;
    size_t of_set = s->r->data.test_first + request;
    uint64_t from = p->first[request], to = p->first[request + 1];
    struct attribute_pair placement = {TABLE_NONE, TABLE_NONE};
    struct str name = all->texts[all->placements[of_set]];
    int rc = name.len ? attributes_put(s->attributes, "placement", name, &placement, e) : 0;
    s->placements[request] = placement.value;
    for (uint64_t row = from; !rc && placement.value != TABLE_NONE && row < to; row++)
        if (!isnan(p->labels[row]))
            rc = count_row(s, placement, false, p->labels[row], e);
    if (!rc)
        rc = count_rows(s, all->segments[of_set], false, p->labels + from, to - from, e);
    for (uint64_t row = from; !rc && row < to; row++)
        rc = count_rows(s, all->proposition_segments[p->base + row], true, p->labels + row, 1, e);
    return rc;
}

/* ---- Choosing ---- */

static int more_rows_first(const void *a, const void *b)
{
    const struct value *x = *(struct value *const *)a, *y = *(struct value *const *)b;
    if (x->rows != y->rows)
        return x->rows < y->rows ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* A value that all rows have is no segment. */
static bool is_segment(const struct report *r, const struct value *v)
{
    return v->rows >= REPORT_SEGMENT_ROWS && v->rows < r->part.labelled &&
           (r->data.regression || v->positives >= REPORT_SEGMENT_POSITIVES);
}

/* Marks and keeps attributes of too many values. */
static int find_many_valued(struct segments *s, bool many[ATTRIBUTES_MOST], struct err *e)
{
    struct report *r = s->r;
    uint32_t values[ATTRIBUTES_MOST] = {0};
    size_t count = attributes_count(s->attributes);
    for (size_t i = 0; i < s->values_cap; i++)
        if (s->values[i].rows)
            values[s->values[i].attribute]++;
    r->many_valued.items = report_alloc(r, count, sizeof *r->many_valued.items);
    for (uint32_t i = 0; r->many_valued.items && i < count; i++) {
        many[i] = values[i] > REPORT_VALUES;
        if (!many[i])
            continue;
        struct str name = arena_copy(&r->arena, attributes_name(s->attributes, i));
        r->many_valued.items[r->many_valued.count++] = name;
        if (!name.data)
            return err_nomem(e);
    }
    return r->many_valued.items ? 0 : err_nomem(e);
}

/* Those that have enough rows, the largest first; returns how many. */
static size_t sort_values(struct segments *s, const bool many[ATTRIBUTES_MOST],
                          struct value **order)
{
    struct report *r = s->r;
    size_t enough = 0;
    for (size_t i = 0; i < s->values_cap; i++) {
        struct value *v = &s->values[i];
        if (!v->rows || v->rows == r->part.labelled || many[v->attribute])
            continue;
        if (is_segment(r, v))
            order[enough++] = v;
        else
            r->segments_too_small++;
    }
    qsort(order, enough, sizeof *order, more_rows_first);
    return enough;
}

static int add_segment(struct segments *s, struct report_segment *out, const struct value *v,
                       struct err *e)
{
    *out = (struct report_segment){
        .name = arena_copy(&s->r->arena, attributes_value(s->attributes, v->id)).data,
        .kind = v->of_rows ? SEGMENT_OF_ROWS : SEGMENT_OF_REQUESTS,
        .rows = v->rows,
        .positives = v->positives,
        .judged = true,
        .attribute = v->attribute,
        .slot = v->slot};
    return out->name ? 0 : err_nomem(e);
}

/* The largest become segments, behind the cold ones. */
static int choose(struct segments *s, struct err *e)
{
    struct report *r = s->r;
    bool many[ATTRIBUTES_MOST] = {false};
    uint8_t next[ATTRIBUTES_MOST] = {0};
    struct value **order = malloc((s->values_cap + 1) * sizeof *order);
    int rc = order ? find_many_valued(s, many, e) : err_nomem(e);
    size_t enough = rc ? 0 : sort_values(s, many, order), most = REPORT_SEGMENTS - COLD_SEGMENTS;
    size_t taken = enough < most ? enough : most;
    r->segments_beyond = enough - taken;
    r->segments = report_alloc(r, COLD_SEGMENTS + taken, sizeof *r->segments);
    r->segment_count = COLD_SEGMENTS + taken;
    if (!rc && !r->segments)
        rc = err_nomem(e);
    for (size_t i = 0; !rc && i < taken; i++) {
        order[i]->slot = ++next[order[i]->attribute];
        rc = add_segment(s, &r->segments[COLD_SEGMENTS + i], order[i], e);
    }
    free(order);
    return rc;
}

/* ---- Which units are in a segment of the attribute at hand ---- */

/* Values of texts without labelled rows were never counted. */
static uint8_t slot_of_value(const struct segments *s, uint32_t value, uint32_t attribute)
{
    bool counted = value < s->values_cap && s->values[value].rows > 0;
    return counted && s->values[value].attribute == attribute ? s->values[value].slot : 0;
}

static uint8_t slot_of(const struct segments *s, const struct attribute_pair *pairs, size_t count,
                       uint32_t attribute)
{
    for (size_t i = 0; i < count; i++)
        if (pairs[i].attribute == attribute)
            return slot_of_value(s, pairs[i].value, attribute);
    return 0;
}

static int fill_slots(struct segments *s, uint32_t attribute, bool of_rows, struct err *e)
{
    const struct set_rows *all = s->r->data.rows;
    const struct report_part *p = &s->r->part;
    const uint32_t *texts =
        of_rows ? all->proposition_segments + p->base : all->segments + s->r->data.test_first;
    uint64_t units = of_rows ? p->row_count : p->request_count;
    int rc = 0;
    for (uint64_t i = 0; !rc && i < units; i++) {
        const struct attribute_pair *pairs;
        size_t count;
        uint32_t placement = of_rows ? TABLE_NONE : s->placements[i];
        rc = attributes_read(s->attributes, texts[i], &pairs, &count, e);
        if (!rc)
            s->slots[i] = slot_of(s, pairs, count, attribute);
        if (!rc && !s->slots[i])
            s->slots[i] = slot_of_value(s, placement, attribute);
    }
    return rc;
}

static int judge_attribute(struct segments *s, uint32_t attribute, struct err *e)
{
    struct report *r = s->r;
    bool filled = false;
    int rc = 0;
    for (size_t i = COLD_SEGMENTS; !rc && i < r->segment_count; i++) {
        struct report_segment *x = &r->segments[i];
        if (x->attribute != attribute)
            continue;
        if (!filled)
            rc = fill_slots(s, attribute, x->kind == SEGMENT_OF_ROWS, e);
        filled = true;
        if (!rc)
            rc = report_segment_judge(r, x, s->slots, SEGMENT_REPLICATES, e);
    }
    return rc;
}

/* ---- Cold ones ---- */

static int judge_cold(struct segments *s, struct report_segment *x, const char *name,
                      const uint32_t *seen, uint32_t below, enum report_segment_kind kind,
                      struct err *e)
{
    const struct report_part *p = &s->r->part;
    uint64_t units = kind == SEGMENT_OF_ROWS ? p->row_count : p->request_count;
    *x = (struct report_segment){.name = name, .kind = kind, .cold = true, .slot = 1};
    for (uint64_t i = 0; i < units; i++) {
        uint64_t from = kind == SEGMENT_OF_ROWS ? i : p->first[i];
        uint64_t to = kind == SEGMENT_OF_ROWS ? i + 1 : p->first[i + 1];
        s->slots[i] = seen[i] < below;
        for (uint64_t row = from; s->slots[i] && row < to; row++) {
            x->rows += isnan(p->labels[row]) ? 0 : 1;
            x->positives += p->labels[row] > 0;
        }
    }
    x->judged = x->rows >= REPORT_SEGMENT_ROWS &&
                (s->r->data.regression || x->positives >= REPORT_SEGMENT_POSITIVES);
    return report_segment_judge(s->r, x, s->slots, SEGMENT_REPLICATES, e);
}

static int judge_all_cold(struct segments *s, struct err *e)
{
    struct report *r = s->r;
    const uint32_t *users = r->data.rows->user_seen + r->data.test_first;
    const uint32_t *propositions = r->data.rows->proposition_seen + r->part.base;
    int rc = judge_cold(s, &r->segments[0], "user=unseen", users, 1, SEGMENT_OF_REQUESTS, e);
    if (!rc)
        rc = judge_cold(s, &r->segments[1], "user=cold", users, REPORT_COLD_EVENTS,
                        SEGMENT_OF_REQUESTS, e);
    if (!rc)
        rc = judge_cold(s, &r->segments[2], "proposition=cold", propositions,
                        REPORT_COLD_PROPOSITION, SEGMENT_OF_ROWS, e);
    return rc;
}

/* ---- All of them ---- */

static int make(struct segments *s, struct err *e)
{
    struct report *r = s->r;
    int rc = 0;
    for (size_t i = 0; !rc && i < r->part.request_count; i++)
        rc = count_request(s, i, e);
    if (!rc)
        rc = choose(s, e);
    if (!rc)
        rc = judge_all_cold(s, e);
    for (uint32_t i = 0; !rc && i < attributes_count(s->attributes); i++)
        rc = judge_attribute(s, i, e);
    if (!rc)
        rc = report_segments_compare(r, e);
    return rc;
}

int report_segments_make(struct report *r, struct err *e)
{
    const struct set_rows *all = r->data.rows;
    struct segments s = {.r = r,
                         .placements = malloc((r->part.request_count + 1) * sizeof(uint32_t)),
                         .slots = malloc(r->part.row_count + r->part.request_count + 1)};
    int rc = s.placements && s.slots ? 0 : err_nomem(e);
    if (!rc)
        rc = attributes_new(&s.attributes, all->texts, all->text_count, e);
    if (!rc)
        rc = make(&s, e);
    attributes_free(s.attributes);
    free(s.placements);
    free(s.slots);
    free(s.values);
    return rc ? err_wrap(e, "segments") : 0;
}

#include "backfill/comparison.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* It hangs on attributes, as they were known when each event was processed. */
static bool has_attribute(const struct feature_set *set, const struct feature *f)
{
    const struct scope *s = &set->scopes[f->scope];
    bool found =
        f->kind == FEATURE_DISTINCT && f->dimension.field && f->dimension.side != SIDE_CONTEXT;
    for (size_t i = 0; i < s->dimension_count; i++)
        found |= s->dimensions[i].field && s->dimensions[i].side != SIDE_CONTEXT;
    return found;
}

static enum comparison_class class_of(const struct feature_set *set, const struct feature *f)
{
    switch (f->kind) {
    case FEATURE_POSITION:
        return COMPARED_NEVER;
    case FEATURE_STANDING:
        return class_of(set, set->outputs[f->standing_of].feature);
    case FEATURE_ATTRIBUTE:
    case FEATURE_AGE:
    case FEATURE_MATCH:
        return f->dimension.side == SIDE_CONTEXT ? COMPARED_EXACT : COMPARED_SHARED;
    case FEATURE_TIME:
        return COMPARED_EXACT;
    case FEATURE_OVERLAP:
    case FEATURE_GAP: /* they read the candidate's attributes */
        return COMPARED_SHARED;
    default:
        return set->scopes[f->scope].has_user && f->total < 0 && !has_attribute(set, f)
                   ? COMPARED_EXACT
                   : COMPARED_SHARED;
    }
}

static bool is_keyed(const struct feature_set *set, const struct feature *f)
{
    if (f->kind == FEATURE_STANDING)
        return is_keyed(set, set->outputs[f->standing_of].feature);
    return f->scope >= 0 && set->scopes[f->scope].dimension_count > 1;
}

static int64_t span_of(const struct feature_set *set, const struct feature *f)
{
    int64_t span_ms = 0;
    if (f->kind == FEATURE_STANDING)
        return span_of(set, set->outputs[f->standing_of].feature);
    if (f->kind == FEATURE_RECENCY || f->kind == FEATURE_DECAY)
        return INT64_MAX;
    if (f->kind == FEATURE_OVERLAP)
        return f->within_ms;
    for (size_t i = 0; i < f->window_count; i++)
        span_ms = f->windows[i].ms > span_ms ? f->windows[i].ms : span_ms;
    return span_ms;
}

int comparison_init(struct comparison *c, const struct feature_set *set, struct err *e)
{
    *c = (struct comparison){.set = set};
    c->columns = calloc(set->output_count + 1, sizeof *c->columns);
    c->places = calloc(set->output_count + 1, sizeof *c->places);
    if (!c->columns || !c->places)
        return err_nomem(e);
    for (size_t i = 0; i < set->output_count; i++) {
        const struct feature *f = set->outputs[i].feature;
        c->columns[i].class = class_of(set, f);
        c->columns[i].span_ms = span_of(set, f);
        c->columns[i].since_ms = INT64_MIN;
        c->columns[i].is_keyed = is_keyed(set, f);
    }
    return 0;
}

void comparison_free(struct comparison *c)
{
    free(c->columns);
    free(c->places);
    buf_free(&c->known);
    *c = (struct comparison){0};
}

/* ------------------------------------------------------------ the log's columns */

/* The same columns as those of the record before. */
static bool are_known(const struct comparison *c, const struct score_log *logged)
{
    struct cursor known = cursor_of(c->known.data, c->known.len);
    if (!c->known.len || !str_equal(cursor_sized(&known), logged->fingerprints))
        return false;
    for (size_t i = 0; i < logged->features.count; i++)
        if (!str_equal(cursor_sized(&known), logged->features.items[i]))
            return false;
    return cursor_left(&known) == 0 && !known.bad;
}

static int32_t find_column(const struct score_log *logged, const struct output *o)
{
    for (size_t i = 0; i < logged->features.count; i++)
        if (str_is(logged->features.items[i], o->name) &&
            memcmp(logged->fingerprints.data + i * FINGERPRINT_BYTES, o->feature->fingerprint,
                   FINGERPRINT_BYTES) == 0)
            return (int32_t)i;
    return -1;
}

static int find_columns(struct comparison *c, const struct score_log *logged, struct err *e)
{
    if (are_known(c, logged))
        return 0;
    buf_reset(&c->known);
    buf_put_sized(&c->known, logged->fingerprints);
    for (size_t i = 0; i < logged->features.count; i++)
        buf_put_sized(&c->known, logged->features.items[i]);
    for (size_t o = 0; o < c->set->output_count; o++)
        c->places[o] =
            c->columns[o].class == COMPARED_NEVER ? -1 : find_column(logged, &c->set->outputs[o]);
    return buf_ok(&c->known) ? 0 : err_nomem(e);
}

static bool fits(const struct score_log *l)
{
    size_t columns = l->features.count;
    return columns && l->fingerprints.len == columns * FINGERPRINT_BYTES &&
           l->vectors.len / sizeof(float) / columns == l->candidates.count &&
           l->vectors.len == l->candidates.count * columns * sizeof(float);
}

/* ------------------------------------------------------------ values */

/* -0 is 0: which of them a minimum is hangs on the order in which it is worked out. */
static bool is_same(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* Where an example of this column goes; -1: there are enough. Examples of defects push out those of
 * lags, and none has more than three of a column. */
static int example_place(const struct comparison *c, size_t column)
{
    bool exact = c->columns[column].class == COMPARED_EXACT;
    size_t of_column = 0, shared = COMPARISON_EXAMPLES;
    for (size_t i = 0; i < c->example_count; i++) {
        of_column += c->examples[i].column == column;
        if (c->columns[c->examples[i].column].class == COMPARED_SHARED)
            shared = i;
    }
    if (of_column >= 3)
        return -1;
    if (c->example_count < COMPARISON_EXAMPLES)
        return (int)c->example_count;
    return exact && shared < COMPARISON_EXAMPLES ? (int)shared : -1;
}

static void add_example(struct comparison *c, size_t column, const struct score_log *logged,
                        size_t row, float was, float is)
{
    int place = example_place(c, column);
    if (place < 0)
        return;
    struct compared_example *x = &c->examples[place];
    *x = (struct compared_example){.column = column, .logged = was, .replayed = is};
    snprintf(x->request, sizeof x->request, "%.*s", STR_ARG(logged->request_id));
    snprintf(x->proposition, sizeof x->proposition, "%.*s", STR_ARG(logged->candidates.items[row]));
    if ((size_t)place == c->example_count)
        c->example_count++;
}

static void note_columns(struct comparison *c, int64_t time_ms)
{
    for (size_t i = 0; i < c->set->output_count; i++) {
        struct compared_column *column = &c->columns[i];
        bool is_there = c->places[i] >= 0;
        if (is_there && !column->was_there && column->was_absent)
            column->since_ms = time_ms;
        column->was_there |= is_there;
        column->was_absent |= !is_there;
    }
}

/* Whether the log has this column for so short a time that it does not know all of its past. */
static bool is_new(const struct compared_column *c, int64_t time_ms)
{
    int64_t whole_ms;
    return c->since_ms != INT64_MIN &&
           (__builtin_add_overflow(c->since_ms, c->span_ms, &whole_ms) || time_ms <= whole_ms);
}

static void take_column(struct comparison *c, size_t column, const struct score_log *logged,
                        bool came_late, bool out_of_order, float *vectors)
{
    struct compared_column *count = &c->columns[column];
    size_t rows = logged->candidates.count, columns = logged->features.count;
    if (c->places[column] < 0) {
        count->missing += rows;
        return;
    }
    came_late |= is_new(count, logged->timestamp) || (out_of_order && count->is_keyed);
    for (size_t row = 0; row < rows; row++) {
        float was, *is = &vectors[row * c->set->output_count + column];
        size_t at = row * columns + (size_t)c->places[column];
        memcpy(&was, logged->vectors.data + at * sizeof was, sizeof was);
        count->values++;
        if (!is_same(was, *is)) {
            count->late += came_late;
            count->different += !came_late;
            if (!came_late)
                add_example(c, column, logged, row, was, *is);
        }
        *is = was;
    }
}

int comparison_take(struct comparison *c, const struct score_log *logged, bool came_late,
                    bool out_of_order, float *vectors, bool *usable, struct err *e)
{
    *usable = fits(logged);
    if (!*usable) {
        c->unusable++;
        return 0;
    }
    int rc = find_columns(c, logged, e);
    *usable = false;
    if (!rc)
        note_columns(c, logged->timestamp);
    for (size_t i = 0; i < c->set->output_count; i++)
        *usable |= c->places[i] >= 0;
    if (rc || !*usable)
        return rc;
    c->requests++;
    for (size_t i = 0; i < c->set->output_count; i++)
        take_column(c, i, logged, came_late, out_of_order, vectors);
    return 0;
}

int comparison_note(struct comparison *c, const struct score_log *logged, struct err *e)
{
    int rc = fits(logged) ? find_columns(c, logged, e) : 0;
    if (!rc && fits(logged))
        note_columns(c, logged->timestamp);
    return rc;
}

/* ------------------------------------------------------------ results */

static uint64_t count_different(const struct comparison *c, enum comparison_class class)
{
    uint64_t n = 0;
    for (size_t i = 0; i < c->set->output_count; i++)
        n += c->columns[i].class == class ? c->columns[i].different : 0;
    return n;
}

bool comparison_is_whole(const struct comparison *c)
{
    for (size_t i = 0; i < c->set->output_count; i++)
        if (c->places[i] < 0 && c->columns[i].class != COMPARED_NEVER)
            return false;
    return true;
}

uint64_t comparison_defects(const struct comparison *c)
{
    return count_different(c, COMPARED_EXACT);
}

uint64_t comparison_lags(const struct comparison *c)
{
    return count_different(c, COMPARED_SHARED);
}

static void write_column(const struct comparison *c, size_t i, struct buf *out)
{
    const struct compared_column *column = &c->columns[i];
    buf_put_text(out, "{\"name\":");
    json_put_text(out, str_of(c->set->outputs[i].name));
    buf_printf(out,
               ",\"may_lag\":%s,\"values\":%llu,\"different\":%llu,\"event_came_late\":%llu,"
               "\"not_logged\":%llu}",
               column->class == COMPARED_SHARED ? "true" : "false",
               (unsigned long long)column->values, (unsigned long long)column->different,
               (unsigned long long)column->late, (unsigned long long)column->missing);
}

static void write_example(const struct comparison *c, const struct compared_example *x,
                          struct buf *out)
{
    buf_put_text(out, "{\"request\":");
    json_put_text(out, str_of(x->request));
    buf_put_text(out, ",\"proposition\":");
    json_put_text(out, str_of(x->proposition));
    buf_put_text(out, ",\"column\":");
    json_put_text(out, str_of(c->set->outputs[x->column].name));
    buf_put_text(out, ",\"logged\":");
    json_put_number(out, (double)x->logged);
    buf_put_text(out, ",\"replayed\":");
    json_put_number(out, (double)x->replayed);
    buf_put_u8(out, '}');
}

void comparison_write(const struct comparison *c, struct buf *out)
{
    buf_printf(out, "{\"requests\":%llu,\"unusable\":%llu,\"columns\":[",
               (unsigned long long)c->requests, (unsigned long long)c->unusable);
    for (size_t i = 0, n = 0; i < c->set->output_count; i++) {
        if (c->columns[i].class == COMPARED_NEVER)
            continue;
        if (n++)
            buf_put_u8(out, ',');
        write_column(c, i, out);
    }
    buf_put_text(out, "],\"examples\":[");
    for (size_t i = 0; i < c->example_count; i++) {
        if (i)
            buf_put_u8(out, ',');
        write_example(c, &c->examples[i], out);
    }
    buf_put_text(out, "]}");
}

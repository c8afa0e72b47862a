/* flotilla features vector: vectors and values of files, without any server, in the oracle's forms.
 */
#include "ctl.h"
#include "log_files.h"

#include "backfill/intake_line.h"
#include "backfill/intake_repeats.h"
#include "base/json.h"
#include "feature/replay.h"

#include <math.h>
#include <stdlib.h>

/* A record as it was read; texts live in the arena of the whole run. */
struct item {
    enum entry_kind kind;
    int64_t order_ms; /* for separate files: event's time or request's timestamp */
    int64_t kafka_ms; /* of an event */
    bool is_repeat;
    union {
        struct entity entity;
        struct event event;
        struct rank_request request;
    };
};

struct run {
    const struct ctl *ctl;
    struct feature_set *set;
    struct replay *replay;
    struct arena arena;
    struct item *items;
    size_t count, cap;
    struct table *shown; /* training: request id to its impression's place in items */
    struct buf out;
    double *values;
    double *positions;
    size_t values_cap;
};

/* ------------------------------------------------------------ reading */

static int add_item(struct run *r, const struct intake_record *record, struct err *e)
{
    const struct entry *n = &record->entry;
    if (r->count == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 1024;
        struct item *items = realloc(r->items, cap * sizeof *items);
        if (!items)
            return err_nomem(e);
        r->items = items;
        r->cap = cap;
    }
    struct item *i = &r->items[r->count++];
    *i = (struct item){.kind = n->kind, .kafka_ms = record->kafka_ms};
    if (n->kind == ENTRY_EVENT)
        i->event = n->event;
    else if (n->kind == ENTRY_REQUEST)
        i->request = n->request;
    else
        i->entity = n->entity;
    return 0;
}

static int add_line(void *arg, enum entry_kind kind, struct str line, const struct lines *l,
                    struct err *e)
{
    struct run *r = arg;
    struct intake_record record;
    /* What is read borrows from the text. */
    line = arena_copy(&r->arena, line);
    int rc = line.data ? intake_line_read(&record, kind, line, r->ctl->codec, &r->arena, e)
                       : err_nomem(e);
    if (rc)
        return err_wrap(e, "%s:%lld", l->name, (long long)l->number);
    return record.entry.kind == ENTRY_SCORED ? 0 : add_item(r, &record, e);
}

/* ------------------------------------------------------------ separate files: requests and events
 * in order of time */

/* Repeats are found in order of arrival, which the order of time would hide; accepted events get
 * ids of their own. */
static int find_repeats(struct run *r, struct err *e)
{
    struct repeats *repeats = NULL;
    int rc = repeats_new(&repeats, e);
    for (size_t k = 0; k < r->count && !rc; k++) {
        struct item *i = &r->items[k];
        if (i->kind != ENTRY_EVENT)
            continue;
        rc = repeats_check(repeats, 0, i->event.user_id, i->event.event_id, &i->is_repeat, e);
        if (rc || i->is_repeat)
            continue;
        char text[24];
        i->event.event_id =
            arena_copy(&r->arena, str_bytes(text, (size_t)snprintf(text, sizeof text, "%zu", k)));
        if (!i->event.event_id.data)
            rc = err_nomem(e);
    }
    repeats_free(repeats);
    return rc;
}

static int by_time(const void *a, const void *b)
{
    const struct item *x = *(const struct item *const *)a, *y = *(const struct item *const *)b;
    bool x_timed = x->kind > ENTRY_PROPOSITION, y_timed = y->kind > ENTRY_PROPOSITION;
    if (x_timed != y_timed)
        return x_timed - y_timed; /* attributes first */
    if (x_timed && x->order_ms != y->order_ms)
        return (x->order_ms > y->order_ms) - (x->order_ms < y->order_ms);
    if (x_timed && x->kind != y->kind)
        return (x->kind == ENTRY_EVENT) - (y->kind == ENTRY_EVENT); /* requests first */
    return (x > y) - (x < y);
}

static int sort_by_time(struct run *r, struct err *e)
{
    int rc = find_repeats(r, e);
    struct item **order = rc ? NULL : malloc((r->count + 1) * sizeof *order);
    struct item *sorted = rc ? NULL : malloc((r->count + 1) * sizeof *sorted);
    if (!rc && (!order || !sorted))
        rc = err_nomem(e);
    if (!rc) {
        for (size_t i = 0; i < r->count; i++) {
            r->items[i].order_ms = r->items[i].kind == ENTRY_EVENT ? r->items[i].event.timestamp
                                   : r->items[i].kind == ENTRY_REQUEST
                                       ? r->items[i].request.timestamp
                                       : 0;
            order[i] = &r->items[i];
        }
        qsort(order, r->count, sizeof *order, by_time);
        for (size_t i = 0; i < r->count; i++)
            sorted[i] = *order[i];
        free(r->items);
        r->items = sorted;
        sorted = NULL;
    }
    free(sorted);
    free(order);
    return rc;
}

/* ------------------------------------------------------------ training: places in the first
 * impression of a request */

static int find_shown(struct run *r, struct err *e)
{
    if (!(r->shown = table_new()))
        return err_nomem(e);
    for (size_t i = 0; i < r->count; i++) {
        const struct event *event = &r->items[i].event;
        if (r->items[i].kind != ENTRY_EVENT || !str_is(event->event, "impression") ||
            !event->request_id.data || r->items[i].is_repeat ||
            table_find(r->shown, event->request_id) != TABLE_NONE)
            continue;
        uint32_t id = table_insert(r->shown, event->request_id);
        if (id == TABLE_NONE)
            return err_nomem(e);
        table_set_tag(table_get(r->shown, id), (int64_t)i);
    }
    return 0;
}

static void place(struct run *r, const struct rank_request *q)
{
    uint32_t id = table_find(r->shown, q->request_id);
    const struct str_list *list =
        id == TABLE_NONE ? NULL : &r->items[table_tag(table_get(r->shown, id))].event.propositions;
    for (size_t i = 0; i < q->candidates.count; i++) {
        r->positions[i] = NAN;
        for (size_t k = list ? list->count : 0; k > 0; k--)
            if (str_equal(list->items[k - 1], q->candidates.items[i]))
                r->positions[i] = (double)(k - 1);
    }
}

/* ------------------------------------------------------------ printing */

static int print_vectors(struct run *r, const struct rank_request *q, struct err *e)
{
    for (size_t c = 0; c < q->candidates.count; c++) {
        buf_put_text(&r->out, "{\"request_id\":");
        json_put_text(&r->out, q->request_id);
        buf_put_text(&r->out, ",\"proposition_id\":");
        json_put_text(&r->out, q->candidates.items[c]);
        buf_put_text(&r->out, ",\"vector\":{");
        for (size_t o = 0; o < r->set->output_count; o++) {
            if (o)
                buf_put_u8(&r->out, ',');
            json_put_text(&r->out, str_of(r->set->outputs[o].name));
            buf_put_u8(&r->out, ':');
            json_put_number(&r->out, r->values[c * r->set->output_count + o]);
        }
        buf_put_text(&r->out, "}}\n");
    }
    return r->out.len > 65536 ? ctl_print(&r->out, e) : 0;
}

static int print_key(void *arg, const struct feature_values *values, struct err *e)
{
    struct run *r = arg;
    value_print_json(&r->out, codec_schema(r->ctl->codec, &feature_values_type), values);
    buf_put_u8(&r->out, '\n');
    return r->out.len > 65536 ? ctl_print(&r->out, e) : 0;
}

/* ------------------------------------------------------------ the run */

static int answer(struct run *r, const struct rank_request *q, struct err *e)
{
    size_t n = q->candidates.count;
    if (n > r->values_cap) {
        double *values = realloc(r->values, n * (r->set->output_count + 1) * sizeof *values);
        double *positions = values ? realloc(r->positions, n * sizeof *positions) : NULL;
        r->values = values ? values : r->values;
        r->positions = positions ? positions : r->positions;
        if (!values || !positions)
            return err_nomem(e);
        r->values_cap = n;
    }
    if (r->shown)
        place(r, q);
    int rc = replay_request(r->replay, q, r->shown ? r->positions : NULL, r->values, e);
    return rc || ctl_option(r->ctl, "values") ? rc : print_vectors(r, q, e);
}

static int replay_all(struct run *r, struct err *e)
{
    struct progress p;
    int rc = 0;
    progress_start(&p, "records");
    for (size_t k = 0; k < r->count && !rc && !ctl_stopping(); k++) {
        struct item *i = &r->items[k];
        bool accepted;
        if (i->kind == ENTRY_REQUEST)
            rc = answer(r, &i->request, e);
        else if (i->kind != ENTRY_EVENT)
            rc = replay_entity(r->replay, i->kind == ENTRY_USER ? SIDE_USER : SIDE_PROPOSITION,
                               &i->entity, e);
        else if (!i->is_repeat)
            rc = replay_event(r->replay, &i->event, i->kafka_ms, &accepted, e);
        progress_show(&p, (int64_t)k + 1, (int64_t)k + 1, (int64_t)r->count);
    }
    progress_end(&p);
    if (!rc && ctl_option(r->ctl, "values"))
        rc = replay_each_key(r->replay, print_key, r, e);
    return rc ? rc : ctl_print(&r->out, e);
}

static int read_all(struct run *r, struct err *e)
{
    int rc = log_files_read(r->ctl, add_line, r, e);
    if (!rc && ctl_option(r->ctl, "requests"))
        rc = sort_by_time(r, e);
    return !rc && ctl_option(r->ctl, "training") ? find_shown(r, e) : rc;
}

static enum ctl_status vector(const struct ctl *c, struct err *e)
{
    struct run r = {.ctl = c};
    const char *file = ctl_option(c, "features");
    int rc = feature_set_load(&r.set, file ? file : conf_text(c->conf, "features.file"), e);
    struct replay_opts opts = {.set = r.set,
                               .max_clock_skew_ms = conf_int(c->conf, "max_clock_skew_ms"),
                               .max_keys_per_user =
                                   (uint32_t)conf_int(c->conf, "max_keys_per_user")};
    if (!rc)
        rc = replay_new(&r.replay, &opts, e);
    if (!rc)
        rc = read_all(&r, e);
    if (!rc)
        rc = replay_all(&r, e);
    replay_free(r.replay);
    feature_set_free(r.set);
    table_free(r.shown);
    arena_free(&r.arena);
    buf_free(&r.out);
    free(r.items);
    free(r.values);
    free(r.positions);
    return rc == 0 ? CTL_OK : rc == ERR_INVALID ? CTL_USAGE : CTL_FAILED;
}

const struct command features_vector_command = {
    .name = "features vector",
    .arguments = "",
    .purpose = "vectors of requests, computed from files with the library that the workers use",
    .example = "flotilla features vector --features features.yaml --stream stream.jsonl",
    .options = {{"features", "FILE", "definitions (default: the setting features.file)"},
                LOG_FILES_OPTIONS,
                {"values", NULL,
                 "print what the topic features has of each key in the end instead"},
                {"training", NULL, "position as shown, not as at serving"}},
    .run = vector,
};

#include "feature/replay.h"

#include <stdlib.h>

enum { MOST_WAITING = 65536 }; /* contributions, and keys */

struct replay {
    struct replay_opts opts;
    struct entities *users, *propositions;
    struct apply *apply;
    struct vectors *vectors;
    struct table *user_records; /* user id to record */
    struct shared_cells *shared;
    struct deltas *deltas; /* what events added to shared scopes since one was last read */
    struct buf after;
    struct arena arena;
};

void replay_free(struct replay *r)
{
    if (!r)
        return;
    entities_free(r->users);
    entities_free(r->propositions);
    apply_free(r->apply);
    vectors_free(r->vectors);
    table_free(r->user_records);
    shared_cells_free(r->shared);
    deltas_free(r->deltas);
    buf_free(&r->after);
    arena_free(&r->arena);
    free(r);
}

int replay_new(struct replay **out, const struct replay_opts *opts, struct err *e)
{
    struct replay *r = calloc(1, sizeof *r);
    if (!r)
        return err_nomem(e);
    r->opts = *opts;
    r->user_records = table_new();
    int rc = r->user_records ? shared_cells_new(&r->shared, opts->set, e) : err_nomem(e);
    if (!rc)
        rc = deltas_new(&r->deltas, opts->set, e);
    if (!rc)
        rc = entities_new(&r->users, opts->set, SIDE_USER, e);
    if (!rc)
        rc = entities_new(&r->propositions, opts->set, SIDE_PROPOSITION, e);
    if (!rc)
        rc = apply_new(&r->apply, opts->set, r->users, r->propositions, opts->max_keys_per_user,
                       false, e);
    if (!rc)
        rc = vectors_new(&r->vectors, opts->set, e);
    if (rc)
        replay_free(r);
    else
        *out = r;
    return rc;
}

int replay_entity(struct replay *r, enum side side, const struct entity *record, struct err *e)
{
    return entities_put(side == SIDE_USER ? r->users : r->propositions, record, e);
}

void replay_remove(struct replay *r, enum side side, struct str id)
{
    entities_remove(side == SIDE_USER ? r->users : r->propositions, id);
}

static int merge_delta(void *arg, struct str key, struct str cell, struct err *e)
{
    struct replay *r = arg;
    return shared_cells_merge(r->shared, key, cell, e);
}

/* Combined first: events that nobody reads between cost less together. */
static int merge_deltas(struct replay *r, struct err *e)
{
    int rc = deltas_count(r->deltas) ? deltas_each(r->deltas, merge_delta, r, e) : 0;
    deltas_clear(r->deltas);
    return rc;
}

int replay_event(struct replay *r, const struct event *event, int64_t kafka_ms, bool *accepted,
                 struct err *e)
{
    int64_t time_ms;
    const char *reason;
    enum applied outcome;
    *accepted = false;
    struct err why = {0};
    if (apply_check(event, kafka_ms, r->opts.max_clock_skew_ms, &time_ms, &reason, &why))
        return strcmp(reason, "future_timestamp") == 0 ? 0 : err_set(e, why.code, "%s", why.msg);
    uint32_t id = table_insert(r->user_records, event->user_id);
    if (id == TABLE_NONE)
        return err_nomem(e);
    int rc = apply_event(r->apply, event, time_ms, table_value(table_get(r->user_records, id)),
                         &r->after, r->deltas, &outcome, e);
    if (rc || outcome != APPLY_DONE)
        return rc;
    *accepted = true;
    if (!table_set(r->user_records, id, buf_str(&r->after)))
        return err_nomem(e);
    size_t waiting = deltas_contributions(r->deltas) + deltas_count(r->deltas);
    return waiting < MOST_WAITING ? 0 : merge_deltas(r, e);
}

static struct str value_of(const struct table *t, struct str key)
{
    uint32_t id = table_find(t, key);
    return id == TABLE_NONE ? (struct str){"", 0} : table_value(table_get(t, id));
}

static struct str view_user(void *arg, struct str user_id)
{
    struct replay *r = arg;
    return value_of(r->user_records, user_id);
}

static struct state_view view_of(struct replay *r)
{
    return (struct state_view){view_user, r, r->shared, r->users, r->propositions};
}

int replay_request(struct replay *r, const struct rank_request *request, const double *positions,
                   double *out, struct err *e)
{
    struct state_view view = view_of(r);
    int rc = merge_deltas(r, e);
    return rc ? rc : vectors_read(r->vectors, &view, request, positions, out, e);
}

/* All keys, on the way to `each`. */
struct walk {
    struct replay *r;
    int (*each)(void *arg, const struct feature_values *values, struct err *e);
    void *arg;
    struct str user_id; /* data NULL: a shared key */
    size_t scope;
};

static int walk_cell(struct walk *w, struct str key, struct str cell, struct err *e)
{
    const struct scope *scope = &w->r->opts.set->scopes[w->scope];
    struct feature_values v = {.scope = str_of(scope->text)};
    if (!scope->is_published || scope->is_total)
        return 0;
    arena_reset(&w->r->arena);
    int rc = key_parts(&v.key, scope, key, w->user_id, &w->r->arena, e);
    if (!rc)
        rc = key_values(&v.values, &v.as_of, w->r->opts.set, w->scope, cell, w->r->shared,
                        &w->r->arena, e);
    return rc ? rc : w->each(w->arg, &v, e);
}

static int walk_key(void *arg, const struct user_key_view *k, struct err *e)
{
    return *k->flags & KEY_IS_GONE ? 0 : walk_cell(arg, k->key, k->cell, e);
}

static int walk_section(void *arg, size_t scope, struct str section, struct err *e)
{
    struct walk *w = arg;
    w->scope = scope;
    return user_section_each(section, walk_key, w, e);
}

int replay_each_key(struct replay *r,
                    int (*each)(void *arg, const struct feature_values *values, struct err *e),
                    void *arg, struct err *e)
{
    struct walk w = {.r = r, .each = each, .arg = arg};
    int rc = merge_deltas(r, e);
    for (uint32_t id = table_first(r->user_records); id != TABLE_NONE && !rc;
         id = table_next(r->user_records, id)) {
        const struct table_entry *t = table_get(r->user_records, id);
        w.user_id = table_key(t);
        rc = user_record_each(r->opts.set, table_value(t), walk_section, &w, e);
    }
    w.user_id = (struct str){0};
    const struct table *shared = shared_cells_table(r->shared);
    for (uint32_t id = table_first(shared); id != TABLE_NONE && !rc; id = table_next(shared, id)) {
        const struct table_entry *t = table_get(shared, id);
        struct str key;
        if (shared_key_parse(r->opts.set, table_key(t), &w.scope, &key))
            rc = walk_cell(&w, key, table_value(t), e);
    }
    return rc;
}

size_t replay_user_bytes(const struct replay *r, size_t *users)
{
    *users = table_count(r->user_records);
    return table_bytes(r->user_records);
}

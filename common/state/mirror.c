#include "state/mirror.h"

#include "feature/shared_cells.h"
#include "state/checkpoint.h"
#include "state/log_record.h"
#include "state/skipped.h"

#include <stdlib.h>

struct mirror {
    struct mirror_opts opts;
    struct wire wire;
    struct entities *users, *propositions;
    struct shared_cells *shared;
    struct apply *apply;
    struct arena arena; /* of the record at hand */
    struct buf after;
    struct buf promised; /* int64_t a partition of state.shared: keys that its newest mark counts */
    int64_t passed_over; /* records of state.shared that the definitions have nothing of */
};

/* The tag of an entry is the newest offset that the user's record includes. */
struct mirror_users {
    struct mirror *mirror;
    struct table *table;
    struct skipped skipped;
    int64_t low_water;
    int64_t promised; /* keys that the newest mark counts; -1: nothing is known */
};

int mirror_new(struct mirror **out, const struct mirror_opts *opts, struct err *e)
{
    struct mirror *m = calloc(1, sizeof *m);
    if (!m)
        return err_nomem(e);
    m->opts = *opts;
    int rc = wire_init(&m->wire, opts->set, e);
    if (!rc)
        rc = entities_new(&m->users, opts->set, SIDE_USER, e);
    if (!rc)
        rc = entities_new(&m->propositions, opts->set, SIDE_PROPOSITION, e);
    if (!rc)
        rc = shared_cells_new(&m->shared, opts->set, e);
    if (!rc)
        rc = apply_new(&m->apply, opts->set, m->users, m->propositions, opts->max_keys_per_user,
                       false, e);
    if (rc)
        mirror_free(m);
    else
        *out = m;
    return rc;
}

void mirror_free(struct mirror *m)
{
    if (!m)
        return;
    wire_free(&m->wire);
    entities_free(m->users);
    entities_free(m->propositions);
    shared_cells_free(m->shared);
    apply_free(m->apply);
    arena_free(&m->arena);
    buf_free(&m->after);
    buf_free(&m->promised);
    free(m);
}

/* ------------------------------------------------------------ tables */

static int tell(struct mirror *m, struct str id, const struct entity *record, struct err *e)
{
    return m->opts.on_proposition ? m->opts.on_proposition(m->opts.arg, id, record, e) : 0;
}

int mirror_entity(struct mirror *m, enum side side, const struct input *in, struct err *e)
{
    struct entities *table = side == SIDE_USER ? m->users : m->propositions;
    struct entity record;
    const char *reason;
    struct err why = {0};
    if (!in->key.data)
        return 0;
    if (!in->value.data) {
        entities_remove(table, in->key);
        return side == SIDE_PROPOSITION ? tell(m, in->key, NULL, e) : 0;
    }
    arena_reset(&m->arena);
    int rc = log_record_entity(&record, &reason, m->opts.codec, in, &m->arena, &why);
    if (rc)
        return log_record_is_well(rc) ? err_set(e, rc, "%s", why.msg) : 0;
    rc = entities_put(table, &record, e);
    return rc || side == SIDE_USER ? rc : tell(m, in->key, &record, e);
}

static int put_shared(struct mirror *m, struct str shared, struct str cell, struct err *e)
{
    size_t scope;
    struct str key;
    int rc = shared_cells_put(m->shared, shared, cell, e);
    if (!rc && m->opts.on_shared && shared_key_parse(m->opts.set, shared, &scope, &key))
        m->opts.on_shared(m->opts.arg, scope, key);
    return rc;
}

static int promise(struct mirror *m, int partition, int64_t keys, struct err *e)
{
    static const int64_t none = 0;
    size_t at = (size_t)partition * sizeof none;
    while (m->promised.len <= at && !m->promised.failed)
        buf_put(&m->promised, &none, sizeof none);
    if (!buf_ok(&m->promised))
        return err_nomem(e);
    keys = keys < 0 ? 0 : keys;
    memcpy(m->promised.data + at, &keys, sizeof keys);
    return 0;
}

int64_t mirror_shared_missing(const struct mirror *m)
{
    int64_t missing = -m->passed_over, keys;
    for (size_t at = 0; at < m->promised.len; at += sizeof keys) {
        memcpy(&keys, m->promised.data + at, sizeof keys);
        missing += keys;
    }
    missing -= (int64_t)shared_cells_count(m->shared);
    return missing > 0 ? missing : 0;
}

int mirror_shared(struct mirror *m, const struct input *in, struct err *e)
{
    struct checkpoint c;
    arena_reset(&m->arena);
    int rc = checkpoint_read(&c, CHECKPOINT_SHARED, &m->wire, m->opts.codec, in, &m->arena, e);
    if (rc || c.is_mark)
        return rc ? rc : promise(m, in->partition, c.keys, e);
    m->passed_over += c.is_nothing;
    return c.is_nothing ? 0 : put_shared(m, c.key, c.state, e);
}

int mirror_total(struct mirror *m, const struct input *in, struct err *e)
{
    struct str key, cell;
    arena_reset(&m->arena);
    int rc = checkpoint_total(&key, &cell, &m->wire, m->opts.codec, in, &m->arena, e);
    return rc || !cell.data ? rc : put_shared(m, key, cell, e);
}

/* ------------------------------------------------------------ users */

int mirror_users_new(struct mirror_users **out, struct mirror *m, struct err *e)
{
    struct mirror_users *u = calloc(1, sizeof *u);
    if (!u || !(u->table = table_new())) {
        free(u);
        return err_nomem(e);
    }
    u->mirror = m;
    u->low_water = u->promised = -1;
    *out = u;
    return 0;
}

void mirror_users_free(struct mirror_users *u)
{
    if (!u)
        return;
    table_free(u->table);
    skipped_free(&u->skipped);
    free(u);
}

static int put_user(struct mirror_users *u, struct str id, struct str record, int64_t offset,
                    struct err *e)
{
    uint32_t place = table_insert(u->table, id);
    if (place == TABLE_NONE || !table_set(u->table, place, record))
        return err_nomem(e);
    table_set_tag(table_get(u->table, place), offset);
    return 0;
}

int mirror_checkpoint(struct mirror_users *u, const struct input *in, struct err *e)
{
    struct mirror *m = u->mirror;
    struct checkpoint c;
    arena_reset(&m->arena);
    int rc = checkpoint_read(&c, CHECKPOINT_USERS, &m->wire, m->opts.codec, in, &m->arena, e);
    if (rc)
        return rc;
    if (c.is_mark) {
        u->low_water = c.offset;
        u->promised = c.keys;
        return skipped_read(&u->skipped, c.state, e);
    }
    return put_user(u, c.key, c.state, c.offset, e);
}

int64_t mirror_low_water(const struct mirror_users *u)
{
    return (int64_t)table_count(u->table) < u->promised ? 0 : u->low_water;
}

int mirror_event(struct mirror_users *u, const struct input *in, struct err *e)
{
    struct mirror *m = u->mirror;
    struct event event;
    int64_t time_ms;
    const char *reason;
    struct err why = {0};
    enum applied outcome;
    if (skipped_has(&u->skipped, in->offset))
        return 0;
    arena_reset(&m->arena);
    int rc = log_record_event(&event, &time_ms, &reason, m->opts.codec, in,
                              m->opts.max_clock_skew_ms, &m->arena, &why);
    if (rc)
        return log_record_is_well(rc) ? err_set(e, rc, "%s", why.msg) : 0;
    uint32_t id = table_find(u->table, event.user_id);
    const struct table_entry *known = id == TABLE_NONE ? NULL : table_get(u->table, id);
    if (known && in->offset <= table_tag(known))
        return 0;
    struct str before = known ? table_value(known) : str_of("");
    rc = apply_event(m->apply, &event, time_ms, before, &m->after, NULL, &outcome, &why);
    if (rc == ERR_TOO_LARGE)
        return 0;
    if (rc)
        return err_set(e, rc, "%s", why.msg);
    return outcome == APPLY_REPEATED
               ? 0
               : put_user(u, event.user_id, buf_str(&m->after), in->offset, e);
}

size_t mirror_user_count(const struct mirror_users *u)
{
    return table_count(u->table);
}

size_t mirror_user_bytes(const struct mirror_users *u)
{
    return table_bytes(u->table);
}

static struct str user_record(void *arg, struct str user_id)
{
    const struct mirror_users *u = arg;
    uint32_t id = table_find(u->table, user_id);
    return id == TABLE_NONE ? str_of("") : table_value(table_get(u->table, id));
}

static struct str no_record(void *arg, struct str user_id)
{
    (void)arg, (void)user_id;
    return str_of("");
}

struct state_view mirror_shared_view(const struct mirror *m)
{
    return (struct state_view){
        .user = no_record,
        .shared = m->shared,
        .users = m->users,
        .propositions = m->propositions,
    };
}

struct state_view mirror_view(const struct mirror_users *u)
{
    struct state_view view = mirror_shared_view(u->mirror);
    view.user = user_record;
    view.arg = (void *)(uintptr_t)u;
    return view;
}

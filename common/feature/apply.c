#include "feature/apply.h"

#include <math.h>
#include <stdlib.h>

struct apply {
    const struct feature_set *set;
    const struct entities *users;
    const struct entities *propositions;
    uint32_t max_keys;
    struct arena arena; /* situations and keys of one event */
    struct user_keys keys;
    struct buf single; /* the cell of one contribution */
    struct buf total;  /* the same for the scope's total */
    struct buf section, key, merged;
};

int apply_new(struct apply **out, const struct feature_set *set, const struct entities *users,
              const struct entities *propositions, uint32_t max_keys_per_user, bool tells_dropped,
              struct err *e)
{
    struct apply *p = calloc(1, sizeof *p);
    if (!p)
        return err_nomem(e);
    *p = (struct apply){
        .set = set, .users = users, .propositions = propositions, .max_keys = max_keys_per_user};
    p->keys.tells = tells_dropped;
    *out = p;
    return 0;
}

void apply_free(struct apply *p)
{
    if (!p)
        return;
    arena_free(&p->arena);
    user_keys_free(&p->keys);
    buf_free(&p->single);
    buf_free(&p->total);
    buf_free(&p->section);
    buf_free(&p->key);
    buf_free(&p->merged);
    free(p);
}

/* Ids are parts of keys, and keys of records: their length has a bound. */
static int check_ids(const struct event *event, const char **reason, struct err *e)
{
    size_t longest = event->user_id.len;
    for (size_t i = 0; i < event->propositions.count; i++)
        if (event->propositions.items[i].len > longest)
            longest = event->propositions.items[i].len;
    if (longest <= MAX_KEY_BYTES)
        return 0;
    *reason = "too_large";
    return err_set(e, ERR_SCHEMA, "an id has %zu bytes, at most %d are accepted", longest,
                   MAX_KEY_BYTES);
}

int apply_check(const struct event *event, int64_t kafka_ms, int64_t max_clock_skew_ms,
                int64_t *time_ms, const char **reason, struct err *e)
{
    *reason = "invalid_value";
    if (event->user_id.len == 0)
        return err_set(e, ERR_SCHEMA, "user_id is empty: name the user");
    if (event->value.given && !isfinite(event->value.value))
        return err_set(e, ERR_SCHEMA, "value is not a finite number");
    if (event->timestamp > CONTRIBUTION_MAX_MS || event->timestamp < -CONTRIBUTION_MAX_MS)
        return err_set(e, ERR_SCHEMA, "timestamp %lld is no time in milliseconds since 1970",
                       (long long)event->timestamp);
    bool recorded = kafka_ms != APPLY_NO_TIME;
    if (recorded && event->timestamp - max_clock_skew_ms > kafka_ms) {
        *reason = "future_timestamp";
        return err_set(
            e, ERR_SCHEMA,
            "timestamp %lld is %lld ms ahead of the Kafka record's %lld, at most %lld are "
            "accepted: set the producer's clock right",
            (long long)event->timestamp,
            (long long)((uint64_t)event->timestamp - (uint64_t)kafka_ms), (long long)kafka_ms,
            (long long)max_clock_skew_ms);
    }
    *time_ms = recorded && kafka_ms < event->timestamp ? kafka_ms : event->timestamp;
    if (*time_ms < -CONTRIBUTION_MAX_MS)
        return err_set(e, ERR_SCHEMA, "the Kafka record's timestamp %lld is no time",
                       (long long)kafka_ms);
    return check_ids(event, reason, e);
}

void shared_key(struct buf *out, size_t scope, struct str key)
{
    buf_put_varint(out, scope);
    buf_put_str(out, key);
}

bool shared_key_parse(const struct feature_set *set, struct str shared, size_t *scope,
                      struct str *key)
{
    struct cursor c = cursor_of(shared.data, shared.len);
    *scope = (size_t)cursor_varint(&c);
    *key = str_bytes(c.at, cursor_left(&c));
    return !c.bad && *scope < set->scope_count && !set->scopes[*scope].has_user;
}

int table_merge_cell(struct table *t, const struct scope *scope, struct str key, struct str cell,
                     struct buf *scratch, uint32_t *id, struct err *e)
{
    *id = table_insert(t, key);
    if (*id == TABLE_NONE)
        return err_nomem(e);
    buf_reset(scratch);
    cell_merge(scratch, scope, table_value(table_get(t, *id)), cell);
    return buf_ok(scratch) && table_set(t, *id, buf_str(scratch)) ? 0 : err_nomem(e);
}

/* ------------------------------------------------------------ one event */

/* The event at hand. */
struct step {
    struct apply *p;
    const struct event *event;
    int64_t time_ms;
    int id; /* of the event's name */
    struct situation *situations;
    size_t count; /* at least one: without propositions, one situation that has none */
    struct table *deltas;
    struct err *e;
};

static int make_situations(struct step *s)
{
    const struct event *event = s->event;
    size_t n = event->propositions.count;
    const struct known *user = entities_find(s->p->users, event->user_id);
    s->count = n ? n : 1;
    s->situations = arena_alloc(&s->p->arena, s->count * sizeof *s->situations);
    if (!s->situations)
        return err_nomem(s->e);
    for (size_t i = 0; i < s->count; i++) {
        struct situation *x = &s->situations[i];
        *x =
            (struct situation){.user_id = event->user_id, .user = user, .context = &event->context};
        if (n) {
            x->proposition_id = event->propositions.items[i];
            x->proposition = entities_find(s->p->propositions, x->proposition_id);
        }
    }
    return 0;
}

/* Contributions to a scope: one for each situation where it has a proposition, else one with all of
 * them. */
static size_t contributions(const struct step *s, const struct scope *scope)
{
    return scope->has_proposition ? s->count : 1;
}

static struct contribution contribution(const struct step *s, const struct scope *scope, size_t i)
{
    return (struct contribution){.event = s->id,
                                 .time = s->time_ms,
                                 .value = s->event->value,
                                 .situations = &s->situations[i],
                                 .count = scope->has_proposition ? 1 : s->count};
}

/* An event may not take memory and time without bound: lists of a hostile entity multiply. */
static int check_size(struct step *s)
{
    size_t keys = 0;
    for (size_t i = 0; i < s->p->set->scope_count; i++) {
        const struct scope *scope = &s->p->set->scopes[i];
        if (!scope->events[s->id] || scope->is_total)
            continue;
        for (size_t k = 0; k < contributions(s, scope); k++)
            keys += situation_key_count(&s->situations[k], scope);
        if (keys > MAX_KEYS)
            return err_set(
                s->e, ERR_TOO_LARGE,
                "the event contributes to more than %d keys, or to one of more than %d bytes",
                MAX_KEYS, MAX_KEY_BYTES);
    }
    return 0;
}

/* The totals of a scope see every contribution once for each key that it went to. */
static int add_total(struct step *s, const struct scope *scope, size_t times)
{
    struct apply *p = s->p;
    for (size_t i = 0; i < times && p->total.len; i++) {
        uint32_t id;
        buf_reset(&p->key);
        shared_key(&p->key, (size_t)scope->total, str_of(""));
        if (!buf_ok(&p->key))
            return err_nomem(s->e);
        int rc = table_merge_cell(s->deltas, &p->set->scopes[scope->total], buf_str(&p->key),
                                  buf_str(&p->total), &p->merged, &id, s->e);
        if (rc)
            return rc;
    }
    return 0;
}

/* The cells of contribution i: the scope's own in p->single, its totals' in p->total (empty:
 * nothing to them). */
static int make_single(struct step *s, const struct scope *scope, size_t i)
{
    struct apply *p = s->p;
    struct contribution c = contribution(s, scope, i);
    buf_reset(&p->single);
    buf_reset(&p->total);
    cell_of(&p->single, scope, &c, &p->arena);
    if (scope->total >= 0 && s->deltas && p->set->scopes[scope->total].events[s->id] &&
        !cell_of(&p->total, &p->set->scopes[scope->total], &c, &p->arena))
        buf_reset(&p->total);
    return buf_ok(&p->single) && buf_ok(&p->total) ? 0 : err_nomem(s->e);
}

static int apply_shared(struct step *s, size_t number)
{
    struct apply *p = s->p;
    const struct scope *scope = &p->set->scopes[number];
    int rc = 0;
    for (size_t i = 0; i < contributions(s, scope) && !rc; i++) {
        struct str_list keys = {0};
        rc = situation_keys(&keys, &s->situations[i], scope, false, &p->arena, s->e);
        if (!rc && keys.count)
            rc = make_single(s, scope, i);
        for (size_t k = 0; k < keys.count && !rc; k++) {
            uint32_t id;
            buf_reset(&p->key);
            shared_key(&p->key, number, keys.items[k]);
            rc = !buf_ok(&p->key) ? err_nomem(s->e)
                                  : table_merge_cell(s->deltas, scope, buf_str(&p->key),
                                                     buf_str(&p->single), &p->merged, &id, s->e);
        }
        if (!rc && keys.count)
            rc = add_total(s, scope, keys.count);
    }
    return rc;
}

/* Merges the contribution at hand into the cell of a key. */
static int touch(struct step *s, const struct scope *scope, struct str key)
{
    struct apply *p = s->p;
    uint32_t i = user_keys_touch(&p->keys, key, p->max_keys);
    if (i == USER_KEY_NONE)
        return err_nomem(s->e);
    struct user_key *k = &p->keys.keys[i];
    buf_reset(&p->merged);
    cell_merge(&p->merged, scope, k->cell, buf_str(&p->single));
    struct str kept = arena_copy(&p->arena, buf_str(&p->merged));
    if (!buf_ok(&p->merged) || !kept.data)
        return err_nomem(s->e);
    k->cell = kept;
    k->flags |= KEY_IS_DUE;
    return 0;
}

static int apply_user_scope(struct step *s, const struct scope *scope, struct str section,
                            struct buf *after)
{
    struct apply *p = s->p;
    int rc = user_keys_open(&p->keys, section, s->e);
    for (size_t i = 0; i < contributions(s, scope) && !rc; i++) {
        struct str_list keys = {0};
        rc = situation_keys(&keys, &s->situations[i], scope, true, &p->arena, s->e);
        if (!rc && keys.count)
            rc = make_single(s, scope, i);
        for (size_t k = 0; k < keys.count && !rc; k++)
            rc = touch(s, scope, keys.items[k]);
        if (!rc && keys.count && s->deltas)
            rc = add_total(s, scope, keys.count);
    }
    if (rc)
        return rc;
    buf_reset(&p->section);
    user_keys_close(&p->keys, &p->section);
    buf_put_sized(after, buf_str(&p->section));
    return buf_ok(&p->section) ? 0 : err_nomem(s->e);
}

static int apply_user(struct step *s, const struct user_record *before, struct buf *after)
{
    const struct feature_set *set = s->p->set;
    struct cursor c = cursor_of(before->scopes, before->scopes_bytes);
    int rc = 0;
    user_record_put_ids(after, before, s->event->event_id);
    for (size_t i = 0; i < set->scope_count && !rc; i++) {
        const struct scope *scope = &set->scopes[i];
        if (!scope->has_user)
            continue;
        struct str section = before->scopes ? cursor_sized(&c) : (struct str){"", 0};
        if (c.bad)
            rc = err_set(s->e, ERR_CORRUPT, "the state of user %.*s is damaged",
                         STR_ARG(s->event->user_id));
        else if (s->id >= 0 && scope->events[s->id])
            rc = apply_user_scope(s, scope, section, after);
        else
            buf_put_sized(after, section);
    }
    return rc ? rc : buf_ok(after) ? 0 : err_nomem(s->e);
}

int apply_event(struct apply *p, const struct event *event, int64_t time_ms, struct str before,
                struct buf *after, struct table *deltas, enum applied *outcome, struct err *e)
{
    struct step s = {.p = p, .event = event, .time_ms = time_ms, .deltas = deltas, .e = e};
    struct user_record record;
    int rc = user_record_open(&record, before, e);
    *outcome = APPLY_REPEATED;
    if (rc || user_record_has_id(&record, event->event_id))
        return rc;
    *outcome = APPLY_DONE;
    s.id = feature_set_event(p->set, event->event);
    buf_reset(after);
    arena_reset(&p->arena);
    if (s.id >= 0 && ((rc = make_situations(&s)) || (rc = check_size(&s))))
        return rc;
    rc = apply_user(&s, &record, after);
    for (size_t i = 0; i < p->set->scope_count && !rc && s.id >= 0 && deltas; i++) {
        const struct scope *scope = &p->set->scopes[i];
        if (!scope->has_user && !scope->is_total && scope->events[s.id])
            rc = apply_shared(&s, i);
    }
    return rc;
}

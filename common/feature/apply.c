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

/* ------------------------------------------------------------ one event */

/* The event at hand. */
struct step {
    struct apply *p;
    const struct event *event;
    int64_t time_ms;
    int id; /* of the event's name */
    struct situation *situations;
    size_t count; /* at least one: without propositions, one situation that has none */
    struct deltas *deltas;
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

/* The totals of a scope see every contribution once for each key that it went to. They are made of
 * rates alone: a contribution is something to them if its event is. */
static int add_total(struct step *s, const struct scope *scope, const struct contribution *c,
                     size_t times)
{
    struct apply *p = s->p;
    int rc = 0;
    if (scope->total < 0 || !p->set->scopes[scope->total].events[s->id])
        return 0;
    buf_reset(&p->key);
    shared_key(&p->key, (size_t)scope->total, str_of(""));
    if (!buf_ok(&p->key))
        return err_nomem(s->e);
    for (size_t i = 0; i < times && !rc; i++)
        rc = deltas_put(s->deltas, buf_str(&p->key), c, s->e);
    return rc;
}

/* The cell of a contribution, in p->single. */
static int make_single(struct step *s, const struct scope *scope, const struct contribution *c)
{
    struct apply *p = s->p;
    buf_reset(&p->single);
    cell_of(&p->single, scope, c, &p->arena);
    return buf_ok(&p->single) ? 0 : err_nomem(s->e);
}

static int apply_shared(struct step *s, size_t number)
{
    struct apply *p = s->p;
    const struct scope *scope = &p->set->scopes[number];
    struct str_list *values = arena_alloc(&p->arena, scope->dimension_count * sizeof *values + 1);
    int rc = values ? 0 : err_nomem(s->e);
    for (size_t i = 0; !rc && i < contributions(s, scope); i++) {
        struct contribution c = contribution(s, scope, i);
        size_t keys = situation_product(values, &s->situations[i], scope);
        if (keys && !scope->is_of_instances)
            rc = make_single(s, scope, &c);
        for (size_t k = 0; k < keys && !rc; k++) {
            buf_reset(&p->key);
            shared_key(&p->key, number, str_of(""));
            situation_put_key(&p->key, scope, values, k, false);
            struct str key = buf_str(&p->key);
            if (!buf_ok(&p->key))
                rc = err_nomem(s->e);
            else if (scope->is_of_instances)
                rc = deltas_put(s->deltas, key, &c, s->e);
            else
                rc = deltas_merge(s->deltas, scope, key, buf_str(&p->single), s->e);
        }
        if (!rc && keys)
            rc = add_total(s, scope, &c, keys);
    }
    return rc;
}

/* Merges the contribution at hand into a cell; what is made of it is in the arena. */
static int merge_single(struct step *s, const struct scope *scope, struct str *cell)
{
    struct apply *p = s->p;
    buf_reset(&p->merged);
    cell_merge(&p->merged, scope, *cell, buf_str(&p->single));
    struct str kept = arena_copy(&p->arena, buf_str(&p->merged));
    if (!buf_ok(&p->merged) || !kept.data)
        return err_nomem(s->e);
    *cell = kept;
    return 0;
}

static int touch(struct step *s, const struct scope *scope, struct str key)
{
    struct apply *p = s->p;
    uint32_t i = user_keys_touch(&p->keys, key, p->max_keys);
    if (i == USER_KEY_NONE)
        return err_nomem(s->e);
    struct user_key *k = &p->keys.keys[i];
    k->flags |= KEY_IS_DUE;
    return merge_single(s, scope, &k->cell);
}

/* The scope of the user alone has one key, which every event goes to: nothing has to be opened. */
static int apply_alone(struct step *s, const struct scope *scope, struct str cell,
                       struct buf *after)
{
    struct apply *p = s->p;
    struct contribution c = contribution(s, scope, 0);
    int rc = make_single(s, scope, &c);
    if (rc)
        return rc;
    buf_reset(&p->merged);
    cell_merge(&p->merged, scope, cell, buf_str(&p->single));
    user_section_put_alone(after, buf_str(&p->merged));
    if (!buf_ok(&p->merged))
        return err_nomem(s->e);
    return s->deltas ? add_total(s, scope, &c, 1) : 0;
}

/* Most events that name one proposition change a few keys of many. *done: it was so. */
static int apply_few(struct step *s, const struct scope *scope, struct str section,
                     struct buf *after, bool *done)
{
    struct apply *p = s->p;
    struct user_change changes[USER_FEW_KEYS];
    struct contribution c = contribution(s, scope, 0);
    struct str_list keys = {0};
    *done = contributions(s, scope) == 1 &&
            situation_key_count(&s->situations[0], scope) <= USER_FEW_KEYS;
    int rc = *done ? situation_keys(&keys, &s->situations[0], scope, true, &p->arena, s->e) : 0;
    for (size_t i = 0; i < keys.count; i++)
        changes[i].key = keys.items[i];
    if (rc || !*done || !(*done = user_section_find_few(section, changes, keys.count, p->max_keys)))
        return rc;
    if (!keys.count) {
        buf_put_sized(after, section);
        return 0;
    }
    rc = make_single(s, scope, &c);
    for (size_t i = 0; i < keys.count && !rc; i++)
        rc = merge_single(s, scope, &changes[i].cell);
    buf_reset(&p->section);
    user_section_put_few(&p->section, section, changes, rc ? 0 : keys.count);
    buf_put_sized(after, buf_str(&p->section));
    if (!rc && !buf_ok(&p->section))
        rc = err_nomem(s->e);
    return rc || !s->deltas ? rc : add_total(s, scope, &c, keys.count);
}

static int apply_user_scope(struct step *s, const struct scope *scope, struct str section,
                            struct buf *after)
{
    struct apply *p = s->p;
    struct str cell;
    bool done;
    if (scope->dimension_count == 1 && !scope->dimensions[0].field &&
        user_section_alone(section, &cell))
        return apply_alone(s, scope, cell, after);
    int rc = apply_few(s, scope, section, after, &done);
    if (rc || done)
        return rc;
    rc = user_keys_open(&p->keys, section, s->e);
    for (size_t i = 0; i < contributions(s, scope) && !rc; i++) {
        struct contribution c = contribution(s, scope, i);
        struct str_list keys = {0};
        rc = situation_keys(&keys, &s->situations[i], scope, true, &p->arena, s->e);
        if (!rc && keys.count)
            rc = make_single(s, scope, &c);
        for (size_t k = 0; k < keys.count && !rc; k++)
            rc = touch(s, scope, keys.items[k]);
        if (!rc && keys.count && s->deltas)
            rc = add_total(s, scope, &c, keys.count);
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
                struct buf *after, struct deltas *deltas, enum applied *outcome, struct err *e)
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

/*
 * What Kafka holds for the worker `features`, without Kafka: two logs, four compacted topics, and
 * transactions that write to all of them at once. And workers that live in it.
 *
 * Include after fixture.h. One partition each.
 */
#pragma once

#include "features/features.h"
#include "stream/dead_letter.h"
#include "support/codec.h"

struct logged {
    struct buf key, value;
    int64_t timestamp_ms;
};

struct topic_log {
    struct logged *items;
    size_t count, cap;
};

struct world {
    const struct feature_set *set;
    uint32_t most_keys;
    struct topic_log events, deltas, dead;
    struct table *users, *shared, *totals; /* last record of each key */
    struct table *values;                  /* scope, 0, parts: last record */
    int64_t events_committed, deltas_committed;
    size_t published, emptied; /* records of `features`; those without values */
    struct attribute attributes[8];
    struct entity propositions[8];
    size_t proposition_count;
};

enum { WORLD_PUBLISH_MS = 1000, WORLD_CHECKPOINT_MS = 3000 };

static const char T_EVENTS[] = "events", T_DELTAS[] = "feature.deltas",
                  T_TOTALS[] = "feature.totals", T_USER[] = "state.user",
                  T_SHARED[] = "state.shared", T_VALUES[] = "features", T_DEAD[] = "dead-letters";

static inline void log_append(struct topic_log *l, struct str key, struct str value,
                              int64_t time_ms)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->items = realloc(l->items, l->cap * sizeof *l->items);
        assert_non_null(l->items);
    }
    struct logged *x = &l->items[l->count++];
    *x = (struct logged){.timestamp_ms = time_ms};
    buf_put_str(&x->key, key);
    buf_put_str(&x->value, value);
}

static inline void log_free(struct topic_log *l)
{
    for (size_t i = 0; i < l->count; i++) {
        buf_free(&l->items[i].key);
        buf_free(&l->items[i].value);
    }
    free(l->items);
    *l = (struct topic_log){0};
}

static inline void table_put(struct table *t, struct str key, struct str value)
{
    uint32_t id = table_insert(t, key);
    assert_int_not_equal(id, TABLE_NONE);
    assert_true(table_set(t, id, value));
}

static inline void world_open(struct world *w, const struct feature_set *set, uint32_t most_keys)
{
    *w = (struct world){.set = set, .most_keys = most_keys};
    w->users = table_new();
    w->shared = table_new();
    w->totals = table_new();
    w->values = table_new();
}

static inline void world_close(struct world *w)
{
    log_free(&w->events);
    log_free(&w->deltas);
    log_free(&w->dead);
    table_free(w->users);
    table_free(w->shared);
    table_free(w->totals);
    table_free(w->values);
}

static inline void world_event(struct world *w, const struct event *event, int64_t kafka_ms)
{
    struct buf value = {0};
    record_encode(&value, &event_type, event);
    log_append(&w->events, event->user_id, buf_str(&value), kafka_ms);
    buf_free(&value);
}

/* ---------------------------------------------------------- a worker: events or deltas */

struct member {
    struct world *world;
    struct metrics *metrics;
    struct features *f;
    struct shard *shard;
    struct outbox outbox;
    enum shard_kind kind;
    int64_t position;
};

static inline struct topic_log *member_log(const struct member *m)
{
    return m->kind == SHARD_USERS ? &m->world->events : &m->world->deltas;
}

static inline int64_t *member_committed(const struct member *m)
{
    return m->kind == SHARD_USERS ? &m->world->events_committed : &m->world->deltas_committed;
}

static inline struct input log_input(const char *topic, const struct logged *x, int64_t offset)
{
    return (struct input){.topic = topic,
                          .offset = offset,
                          .timestamp_ms = x->timestamp_ms,
                          .key = buf_str(&x->key),
                          .value = buf_str(&x->value)};
}

static inline void member_tables(struct member *m)
{
    struct world *w = m->world;
    struct err e = {0};
    for (size_t i = 0; i < w->proposition_count; i++) {
        struct buf value = {0};
        record_encode(&value, &entity_type, &w->propositions[i]);
        struct input in = {"propositions",  0,   (int64_t)i, 0, w->propositions[i].id,
                           buf_str(&value), NULL};
        if (features_entity(m->f, SIDE_PROPOSITION, &in, &e))
            fail_msg("%s", e.msg);
        buf_free(&value);
    }
    for (uint32_t id = table_first(w->totals); id != TABLE_NONE; id = table_next(w->totals, id)) {
        struct table_entry *t = table_get(w->totals, id);
        struct input in = {T_TOTALS, 0, 0, 0, table_key(t), table_value(t), NULL};
        assert_int_equal(features_total(m->f, &in, &e), 0);
    }
}

/* How many deltas wait for the end of the epoch. They are gone then. */
static inline size_t member_take_deltas(struct member *m)
{
    struct outbox out = {0};
    struct err e = {0};
    assert_int_equal(features_collect_deltas(m->f, &out, &e), 0);
    size_t count = outbox_count(&out);
    outbox_free(&out);
    return count;
}

/* Checkpoints, then the log from the low-water mark to what was committed, of which nothing is
 * written. */
static inline void member_restore(struct member *m, int64_t now_ms)
{
    struct table *state = m->kind == SHARD_USERS ? m->world->users : m->world->shared;
    const char *topic = m->kind == SHARD_USERS ? T_USER : T_SHARED;
    struct err e = {0};
    int64_t low_water = 0;
    for (uint32_t id = table_first(state); id != TABLE_NONE; id = table_next(state, id)) {
        struct table_entry *t = table_get(state, id);
        struct input in = {topic, 0, 0, 0, table_key(t), table_value(t), NULL};
        if (features_restore(m->f, m->shard, &in, now_ms, &low_water, &e))
            fail_msg("%s", e.msg);
    }
    for (m->position = low_water; m->position < *member_committed(m); m->position++) {
        struct input in = log_input("log", &member_log(m)->items[m->position], m->position);
        int rc = m->kind == SHARD_USERS ? features_event(m->f, m->shard, &in, NULL, now_ms, &e)
                                        : features_delta(m->f, m->shard, &in, NULL, now_ms, &e);
        if (rc)
            fail_msg("%s", e.msg);
    }
    assert_int_equal(member_take_deltas(m), 0); /* what was told is not told again */
}

static inline void member_start(struct member *m, struct world *w, enum shard_kind kind,
                                int64_t now_ms)
{
    struct err e = {0};
    *m = (struct member){.world = w, .kind = kind};
    struct shard_opts shard = {kind, 0, WORLD_PUBLISH_MS, WORLD_CHECKPOINT_MS};
    assert_int_equal(metrics_new(&m->metrics, &e), 0);
    struct features_opts opts = {.set = w->set,
                                 .max_clock_skew_ms = 300000,
                                 .max_keys_per_user = w->most_keys,
                                 .deltas = T_DELTAS,
                                 .totals = T_TOTALS,
                                 .state_user = T_USER,
                                 .state_shared = T_SHARED,
                                 .values = T_VALUES,
                                 .dead_letters = T_DEAD,
                                 .delta_partitions = 1,
                                 .metrics = m->metrics,
                                 .codec = test_codec()};
    assert_int_equal(features_new(&m->f, &opts, &e), 0);
    assert_int_equal(shard_new(&m->shard, &shard, &e), 0);
    member_tables(m);
    member_restore(m, now_ms);
}

/* As by kill -9: what was not committed is gone. */
static inline void member_kill(struct member *m)
{
    features_free(m->f);
    shard_free(m->shard);
    metrics_free(m->metrics);
    outbox_free(&m->outbox);
}

/* Handles the next record of its log. False: there is none. */
static inline bool member_handle(struct member *m, int64_t now_ms)
{
    struct err e = {0};
    if (m->position >= (int64_t)member_log(m)->count)
        return false;
    struct input in = log_input(m->kind == SHARD_USERS ? T_EVENTS : T_DELTAS,
                                &member_log(m)->items[m->position], m->position);
    int rc = m->kind == SHARD_USERS ? features_event(m->f, m->shard, &in, &m->outbox, now_ms, &e)
                                    : features_delta(m->f, m->shard, &in, &m->outbox, now_ms, &e);
    if (rc)
        fail_msg("%s", e.msg);
    m->position++;
    return true;
}

static inline void world_values(struct world *w, struct str value)
{
    struct arena arena = {0};
    struct feature_values v;
    struct buf key = {0};
    struct err e = {0};
    if (record_decode(&v, &feature_values_type, value, &arena, &e))
        fail_msg("%s", e.msg);
    buf_put_str(&key, v.scope);
    for (size_t i = 0; i < v.key.count; i++) {
        buf_put_u8(&key, 0x1f);
        buf_put_str(&key, v.key.items[i]);
    }
    table_put(w->values, buf_str(&key), value);
    w->published++;
    w->emptied += v.values.count == 0;
    buf_free(&key);
    arena_free(&arena);
}

/* One record of a transaction goes where it belongs. */
static inline void world_take(struct world *w, const char *topic, struct str key, struct str value)
{
    if (topic == T_DELTAS)
        log_append(&w->deltas, key, value, 0);
    else if (topic == T_DEAD)
        log_append(&w->dead, key, value, 0);
    else if (topic == T_VALUES)
        world_values(w, value);
    else
        table_put(topic == T_USER     ? w->users
                  : topic == T_SHARED ? w->shared
                                      : w->totals,
                  key, value);
}

/* One epoch: everything that is due, marks and the offset, or nothing. told: the other member, who
 * reads the totals too. */
static inline void member_commit(struct member *m, struct member *told, int64_t now_ms)
{
    struct err e = {0};
    bool more;
    assert_int_equal(features_collect_deltas(m->f, &m->outbox, &e), 0);
    do
        assert_int_equal(features_collect(m->f, m->shard, &m->outbox, 2, now_ms, &more, &e), 0);
    while (more);
    features_collect_mark(m->f, m->shard, shard_low_water(m->shard, m->position), &m->outbox);
    assert_true(outbox_ok(&m->outbox));
    for (size_t i = 0; i < outbox_count(&m->outbox); i++) {
        const struct outbox_record *r = outbox_record(&m->outbox, i);
        const uint8_t *bytes = m->outbox.bytes.data;
        struct str key = str_bytes(bytes + r->key_at, r->key_len),
                   value = str_bytes(bytes + r->value_at, r->value_len);
        world_take(m->world, r->topic, key, value);
        struct input in = {r->topic, 0, 0, 0, key, value, NULL};
        if (r->topic == T_TOTALS) {
            assert_int_equal(features_total(m->f, &in, &e), 0);
            assert_int_equal(features_total(told->f, &in, &e), 0);
        }
    }
    outbox_reset(&m->outbox);
    *member_committed(m) = m->position;
}

/* Until both logs are read and nothing is due any more. */
static inline void world_drain(struct member *events, struct member *deltas, int64_t now_ms)
{
    for (int round = 0; round < 3; round++, now_ms += 10 * WORLD_CHECKPOINT_MS) {
        while (member_handle(events, now_ms))
            ;
        member_commit(events, deltas, now_ms);
        while (member_handle(deltas, now_ms))
            ;
        member_commit(deltas, events, now_ms);
    }
}

/* ---------------------------------------------------------- streams */

/* Events as they come in the worst case: late, ahead, repeated, without value or propositions. */
static inline void world_random_events(struct world *w, struct random *r, size_t count, int users,
                                       int propositions)
{
    for (size_t i = 0; i < count; i++) {
        static const char *const names[] = {"click", "view", "view", "scroll"};
        static const char *const devices[] = {"tv", "mobile"};
        char id[24], user[24], p[3][24];
        struct str list[3];
        struct text_entry device = {str_of("device"), str_of(devices[random_below(r, 2)])};
        int64_t kafka_ms = INT64_C(1700000000000) + (int64_t)i * 2000;
        snprintf(id, sizeof id, "e%d",
                 (int)(random_below(r, 6) ? (int64_t)i : random_below(r, 40)));
        snprintf(user, sizeof user, "u%d", (int)random_below(r, users));
        for (size_t k = 0; k < 3; k++) {
            snprintf(p[k], sizeof p[k], "p%d", (int)random_below(r, propositions));
            list[k] = str_of(p[k]);
        }
        int64_t off_ms = random_below(r, 4) == 0   ? -random_below(r, 400000)
                         : random_below(r, 5) == 0 ? random_below(r, 400000)
                                                   : 0;
        struct event event = {.event_id = str_of(id),
                              .event = str_of(names[random_below(r, 4)]),
                              .user_id = str_of(user),
                              .timestamp = kafka_ms + off_ms,
                              .propositions = list_of(list, (size_t)random_below(r, 4)),
                              .value = {random_below(r, 2), random_unit(r) * 100},
                              .context = {&device, (size_t)random_below(r, 2)}};
        world_event(w, &event, kafka_ms);
    }
}

/* ---------------------------------------------------------- comparison with a replay */

struct comparison {
    struct world *world;
    size_t keys;
};

static inline int compare_key(void *arg, const struct feature_values *expected, struct err *e)
{
    struct comparison *c = arg;
    struct arena arena = {0};
    struct feature_values got;
    struct buf key = {0};
    buf_put_str(&key, expected->scope);
    for (size_t i = 0; i < expected->key.count; i++) {
        buf_put_u8(&key, 0x1f);
        buf_put_str(&key, expected->key.items[i]);
    }
    uint32_t id = table_find(c->world->values, buf_str(&key));
    if (id == TABLE_NONE)
        fail_msg("%.*s was not published", STR_ARG(buf_str(&key)));
    assert_int_equal(record_decode(&got, &feature_values_type,
                                   table_value(table_get(c->world->values, id)), &arena, e),
                     0);
    if (got.as_of != expected->as_of || got.values.count != expected->values.count)
        fail_msg("%.*s: as_of %lld, not %lld, with %zu values, not %zu", STR_ARG(buf_str(&key)),
                 (long long)got.as_of, (long long)expected->as_of, got.values.count,
                 expected->values.count);
    for (size_t i = 0; i < got.values.count; i++) {
        assert_true(str_equal(got.values.items[i].name, expected->values.items[i].name));
        assert_value(got.values.items[i].value, expected->values.items[i].value);
    }
    c->keys++;
    buf_free(&key);
    arena_free(&arena);
    return 0;
}

/* Every key that a replay of the events has was published with the replay's values, and every other
 * one without any. */
static inline void values_are_the_replays(struct world *w)
{
    struct replay *r = replay_of(w->set, w->most_keys);
    struct comparison c = {.world = w};
    struct err e = {0};
    struct arena arena = {0};
    for (size_t i = 0; i < w->proposition_count; i++)
        assert_int_equal(replay_entity(r, SIDE_PROPOSITION, &w->propositions[i], &e), 0);
    for (size_t i = 0; i < w->events.count; i++) {
        struct event event;
        bool accepted;
        arena_reset(&arena);
        assert_int_equal(
            record_decode(&event, &event_type, buf_str(&w->events.items[i].value), &arena, &e), 0);
        if (replay_event(r, &event, w->events.items[i].timestamp_ms, &accepted, &e))
            fail_msg("%s", e.msg);
    }
    if (replay_each_key(r, compare_key, &c, &e))
        fail_msg("%s", e.msg);
    size_t with_values = 0;
    for (uint32_t id = table_first(w->values); id != TABLE_NONE; id = table_next(w->values, id)) {
        struct feature_values v;
        arena_reset(&arena);
        assert_int_equal(record_decode(&v, &feature_values_type,
                                       table_value(table_get(w->values, id)), &arena, &e),
                         0);
        with_values += v.values.count > 0;
    }
    assert_int_equal(with_values, c.keys);
    arena_free(&arena);
    replay_free(r);
}

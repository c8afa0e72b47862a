#include "features/features.h"

#include "base/log.h"
#include "state/checkpoint.h"
#include "unit.h"

#include "support/fixture.h"
#include "support/world.h"

static const char *const SET =
    "features:\n"
    "  - {name: own, scope: user*proposition, count: {event: click, windows: [1h]}}\n"
    "  - {name: ctr, scope: proposition, rate: {of: click, per: view, windows: [1h], weight: 1, "
    "prior: global}}\n"
    "  - {name: mine, scope: user, rate: {of: click, per: view, windows: [1h], weight: 1, prior: "
    "global}}\n"
    "  - {name: tags, scope: proposition.tags*proposition.more, recency: {event: click}}\n";

struct fixture {
    struct feature_set *set;
    struct world world;
    struct member events, deltas;
};

static void start(struct fixture *x, uint32_t most_keys)
{
    x->set = definitions(SET);
    world_open(&x->world, x->set, most_keys);
    member_start(&x->events, &x->world, SHARD_USERS, 0);
    member_start(&x->deltas, &x->world, SHARD_SHARED, 0);
}

static void stop(struct fixture *x)
{
    member_kill(&x->events);
    member_kill(&x->deltas);
    world_close(&x->world);
    feature_set_free(x->set);
}

/* Handles one record that cannot be used, and reads its dead letter. */
static void buried(struct member *m, struct input in, const char *reason, const char *detail)
{
    struct err e = {0};
    struct arena arena = {0};
    struct dead_letter d;
    outbox_reset(&m->outbox);
    size_t keys = shard_keys(m->shard);
    int rc = m->kind == SHARD_USERS ? features_event(m->f, m->shard, &in, &m->outbox, 5, &e)
                                    : features_delta(m->f, m->shard, &in, &m->outbox, 5, &e);
    if (rc)
        fail_msg("%s", e.msg);
    assert_int_equal(outbox_count(&m->outbox), 1);
    const struct outbox_record *r = outbox_record(&m->outbox, 0);
    assert_ptr_equal(r->topic, T_DEAD);
    assert_true(str_equal(str_bytes(m->outbox.bytes.data + r->key_at, r->key_len), in.key));
    assert_int_equal(record_decode(&d, &dead_letter_type,
                                   str_bytes(m->outbox.bytes.data + r->value_at, r->value_len),
                                   &arena, &e),
                     0);
    if (!str_is(d.reason, reason))
        fail_msg("reason %.*s (%.*s), not %s", STR_ARG(d.reason), STR_ARG(d.detail), reason);
    char text[1024];
    snprintf(text, sizeof text, "%.*s", STR_ARG(d.detail));
    assert_contains(text, detail);
    assert_true(str_is(d.topic, in.topic) && str_is(d.worker, "features"));
    assert_int_equal(d.offset, in.offset);
    assert_true(str_equal(d.value, in.value));
    assert_int_equal(member_take_deltas(m), 0);
    if (strcmp(reason, "too_large") != 0)
        assert_int_equal(shard_keys(m->shard), keys);
    /* In a replay it was reported before. */
    outbox_reset(&m->outbox);
    rc = m->kind == SHARD_USERS ? features_event(m->f, m->shard, &in, NULL, 5, &e)
                                : features_delta(m->f, m->shard, &in, NULL, 5, &e);
    assert_int_equal(rc, 0);
    arena_free(&arena);
}

static struct input json(const char *key, const char *value, int64_t kafka_ms)
{
    return (struct input){"events", 0, 41, kafka_ms, str_of(key), str_of(value), NULL};
}

static void events_that_cannot_be_used_are_dead_letters_with_their_reason(void **state)
{
    (void)state;
    struct fixture x;
    start(&x, 256);
    struct member *m = &x.events;
    const char *good = "{\"event_id\":\"i\",\"event\":\"click\",\"user_id\":\"u\",\"timestamp\":9}";
    buried(m, json(NULL, good, 9), "missing_key", "no key");
    buried(m, json("u", NULL, 9), "invalid_value", "no value");
    buried(m, json("v", good, 9), "invalid_value", "the key is \"v\", the user_id is \"u\"");
    buried(m, json("u", "", 9), "undecodable", "");
    buried(m, json("u", "nonsense", 9), "undecodable", "");
    buried(m, json("u", "{\"event_id\":", 9), "undecodable", "");
    buried(m, json("u", "{\"event_id\":\"i\",\"event\":\"click\",\"user_id\":\"u\"}", 9),
           "schema_mismatch", "timestamp");
    buried(m,
           json("u",
                "\xc3\x01"
                "12345678abc",
                9),
           "unknown_schema", "");
    buried(m,
           json("", "{\"event_id\":\"i\",\"event\":\"click\",\"user_id\":\"\",\"timestamp\":9}", 9),
           "invalid_value", "user_id is empty");
    buried(m,
           json("u",
                "{\"event_id\":\"i\",\"event\":\"click\",\"user_id\":\"u\",\"timestamp\":300010}",
                9),
           "future_timestamp", "300001 ms ahead");
    buried(m,
           json("u",
                "{\"event_id\":\"i\",\"event\":\"click\",\"user_id\":\"u\",\"timestamp\":"
                "99999999999999999}",
                -1),
           "invalid_value", "is no time");
    struct str place;
    struct event event = event_of(&place, "i", "click", "u", 9, "p");
    struct buf avro = {0};
    event.value = (struct optional_double){true, NAN};
    record_encode(&avro, &event_type, &event);
    buried(m, (struct input){"events", 0, 41, 9, str_of("u"), buf_str(&avro), NULL},
           "invalid_value", "finite");
    avro.len -= 2;
    buried(m, (struct input){"events", 0, 41, 9, str_of("u"), buf_str(&avro), NULL}, "undecodable",
           "");
    buf_free(&avro);
    stop(&x);
}

/* A mark lists what was passed over; with the marks gone, a replay has only the log. */
static void a_replay_of_the_whole_log_passes_over_what_nobody_can_decode(void **state)
{
    (void)state;
    struct fixture x;
    struct err e = {0};
    start(&x, 256);
    struct member *m = &x.events;
    struct input in = json("u",
                           "\xc3\x01"
                           "12345678abc",
                           9);
    assert_int_equal(features_event(m->f, m->shard, &in, NULL, 5, &e), ERR_UNAVAILABLE);
    shard_replay_all(m->shard);
    e = (struct err){0};
    assert_int_equal(features_event(m->f, m->shard, &in, NULL, 5, &e), 0);
    assert_true(skipped_has(shard_skipped(m->shard), in.offset));
    assert_int_equal(shard_keys(m->shard), 0);
    stop(&x);
}

static void an_event_with_too_many_keys_is_a_dead_letter(void **state)
{
    (void)state;
    enum { MANY = 1001 };
    static struct str items[MANY];
    static char texts[MANY][8];
    struct fixture x;
    struct str place;
    struct buf value = {0}, avro = {0};
    struct err e = {0};
    start(&x, 256);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(texts[i], sizeof texts[i], "%zu", i);
        items[i] = str_of(texts[i]);
    }
    struct attribute lists[] = {list_attribute("tags", items, MANY),
                                list_attribute("more", items, MANY)};
    struct entity p = {.id = str_of("p"), .timestamp = 1, .active = true, .attributes = {lists, 2}};
    record_encode(&value, &entity_type, &p);
    struct input in = {"propositions", 0, 0, 0, str_of("p"), buf_str(&value), NULL};
    assert_int_equal(features_entity(x.events.f, SIDE_PROPOSITION, &in, &e), 0);
    struct event event = event_of(&place, "i", "click", "u", 9, "p");
    record_encode(&avro, &event_type, &event);
    buried(&x.events, (struct input){"events", 0, 41, 9, str_of("u"), buf_str(&avro), NULL},
           "too_large", "more than 1000000 keys");
    buf_free(&value);
    buf_free(&avro);
    stop(&x);
}

/* A record of a state topic, altered. */
static void refused(struct fixture *x, struct member *m, struct str key, struct str value)
{
    struct err e = {0};
    int64_t low_water = -1;
    struct shard *s = NULL;
    struct shard_opts opts = {m->kind, 0, 1, 1};
    struct input in = {m->kind == SHARD_USERS ? T_USER : T_SHARED, 0, 17, 0, key, value, NULL};
    (void)x;
    assert_int_equal(shard_new(&s, &opts, &e), 0);
    int rc = features_restore(m->f, s, &in, 0, &low_water, &e);
    if (rc != ERR_CORRUPT)
        fail_msg("code %d for \"%.*s\"", rc, STR_ARG(key));
    assert_contains(e.msg, in.topic);
    assert_contains(e.msg, "offset 17");
    assert_contains(e.msg, "delete it");
    shard_free(s);
}

static void state_record(struct buf *out, struct str fingerprints, struct str state)
{
    struct feature_state s = {.offset = 3, .fingerprints = fingerprints, .state = state};
    buf_reset(out);
    record_encode(out, &feature_state_type, &s);
}

static void foreign_bytes_in_state_topics_are_refused(void **state)
{
    (void)state;
    struct fixture x;
    struct buf record = {0}, layout = {0};
    start(&x, 256);
    struct str none = {NULL, 0};
    state_record(&record, str_of(""), str_of(""));
    struct str mark = buf_str(&record);
    for (int kind = 0; kind < 2; kind++) {
        struct member *m = kind ? &x.deltas : &x.events;
        refused(&x, m, none, mark);
        refused(&x, m, str_of("u"), none);
        refused(&x, m, str_of("u"), str_of("hello"));
        refused(&x, m, str_of("u"), str_of("{\"a\":1}"));
        refused(&x, m, str_of(CHECKPOINT_MARK), str_of("hello"));
        refused(&x, m, str_of("u"), str_bytes(mark.data, mark.len - 1));
    }
    refused(&x, &x.deltas, str_of("no zero in it"), mark);
    refused(&x, &x.deltas, str_bytes("proposition\0\x05p", 14), mark); /* a key cut short */
    cell_fingerprints(&layout, &x.set->scopes[feature_set_scope(x.set, str_of("proposition"))]);
    struct str key = str_bytes("proposition\0\x01p", 14);
    state_record(&record, buf_str(&layout), str_of("damaged"));
    refused(&x, &x.deltas, key, buf_str(&record));
    buf_free(&record);
    buf_free(&layout);
    stop(&x);
}

/* Found now, and not at the user's next event, when nobody can say any more what it was. */
static void a_users_record_that_is_none_is_refused_when_it_is_restored(void **state)
{
    (void)state;
    struct fixture x;
    struct buf record = {0}, layout = {0};
    start(&x, 256);
    user_record_fingerprints(&layout, x.set);
    static const char *const bad[] = {"damaged", "\xff",
                                      "\x01"
                                      "abcdef",
                                      "\x01"
                                      "abcdef\x01\x05\x01\x01"};
    for (size_t i = 0; i < 4; i++) {
        state_record(&record, buf_str(&layout), str_of(bad[i]));
        refused(&x, &x.events, str_of("u"), buf_str(&record));
    }
    buf_free(&record);
    buf_free(&layout);
    stop(&x);
}

static void deltas_that_cannot_be_used_are_dead_letters_and_unknown_scopes_are_not(void **state)
{
    (void)state;
    struct fixture x;
    struct buf layout = {0}, record = {0};
    struct err e = {0};
    start(&x, 256);
    struct member *m = &x.deltas;
    struct str key = str_bytes("proposition\0\x01p", 14), none = {NULL, 0};
    cell_fingerprints(&layout, &x.set->scopes[feature_set_scope(x.set, str_of("proposition"))]);
    struct feature_delta delta = {buf_str(&layout), str_of("damaged")};
    record_encode(&record, &feature_delta_type, &delta);
    struct input in = {T_DELTAS, 0, 5, 0, key, buf_str(&record), NULL};
    buried(m, in, "undecodable", "the cell of scope proposition is damaged");
    in.key = str_of("no zero");
    buried(m, in, "undecodable", "the key is no scope");
    in.key = none;
    buried(m, in, "missing_key", "no key");
    in.key = key;
    in.value = none;
    buried(m, in, "invalid_value", "no value");
    in.value = str_of("x");
    buried(m, in, "undecodable", "");
    in.value = buf_str(&record);
    in.key = str_bytes("proposition.old\0\x01p", 18);
    assert_int_equal(features_delta(m->f, m->shard, &in, &m->outbox, 5, &e), 0);
    assert_int_equal(outbox_count(&m->outbox), 0);
    buf_free(&layout);
    buf_free(&record);
    stop(&x);
}

static void entities_that_cannot_be_used_change_nothing_and_are_reported_once(void **state)
{
    (void)state;
    struct fixture x;
    struct err e = {0};
    start(&x, 256);
    static const struct {
        const char *key, *value, *reason;
    } cases[] = {
        {NULL, "{\"id\":\"p\",\"timestamp\":1}", "missing_key"},
        {"q", "{\"id\":\"p\",\"timestamp\":1}", "invalid_value"},
        {"p", "{\"id\":\"p\"}", "schema_mismatch"},
        {"p", "{", "undecodable"},
    };
    for (size_t i = 0; i < 4; i++) {
        struct input in = {"propositions",         0,   1, 0, str_of(cases[i].key),
                           str_of(cases[i].value), NULL};
        struct arena a = {0};
        struct dead_letter d;
        struct outbox *o = &x.events.outbox;
        outbox_reset(o);
        assert_int_equal(features_entity(x.events.f, SIDE_PROPOSITION, &in, &e), 0);
        assert_int_equal(features_entity_check(x.events.f, &in, o, &e), 0);
        assert_int_equal(outbox_count(o), 1);
        const struct outbox_record *r = outbox_record(o, 0);
        assert_int_equal(record_decode(&d, &dead_letter_type,
                                       str_bytes(o->bytes.data + r->value_at, r->value_len), &a,
                                       &e),
                         0);
        assert_true(str_is(d.reason, cases[i].reason));
        arena_free(&a);
    }
    outbox_reset(&x.events.outbox);
    struct input tombstone = {"propositions", 0, 1, 0, str_of("p"), {NULL, 0}, NULL};
    assert_int_equal(features_entity_check(x.events.f, &tombstone, &x.events.outbox, &e), 0);
    assert_int_equal(outbox_count(&x.events.outbox), 0);
    stop(&x);
}

int main(void)
{
    log_init("test", "test", LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_that_cannot_be_used_are_dead_letters_with_their_reason),
        cmocka_unit_test(a_replay_of_the_whole_log_passes_over_what_nobody_can_decode),
        cmocka_unit_test(an_event_with_too_many_keys_is_a_dead_letter),
        cmocka_unit_test(foreign_bytes_in_state_topics_are_refused),
        cmocka_unit_test(a_users_record_that_is_none_is_refused_when_it_is_restored),
        cmocka_unit_test(deltas_that_cannot_be_used_are_dead_letters_and_unknown_scopes_are_not),
        cmocka_unit_test(entities_that_cannot_be_used_change_nothing_and_are_reported_once),
    };
    return RUN(tests);
}

#include "features/features.h"

#include "base/log.h"
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

static void happens(struct fixture *x, const char *id, const char *name, const char *user,
                    const char *proposition)
{
    struct str place;
    struct event event = event_of(&place, id, name, user, 1000, proposition);
    world_event(&x->world, &event, 1000);
}

static struct feature_values values_of(struct world *w, const char *key, struct arena *a)
{
    struct feature_values v;
    struct err e = {0};
    uint32_t id = table_find(w->values, str_of(key));
    if (id == TABLE_NONE)
        fail_msg("%s was not published", key);
    assert_int_equal(
        record_decode(&v, &feature_values_type, table_value(table_get(w->values, id)), a, &e), 0);
    return v;
}

static void a_dropped_key_is_published_without_values_once(void **state)
{
    (void)state;
    struct fixture x;
    struct arena a = {0};
    start(&x, 2);
    happens(&x, "1", "click", "u", "p");
    happens(&x, "2", "click", "u", "q");
    world_drain(&x.events, &x.deltas, 0);
    assert_int_equal(values_of(&x.world, "user*proposition\x1fu\x1fp", &a).values.count, 1);
    happens(&x, "3", "click", "u", "r");
    world_drain(&x.events, &x.deltas, 1000000);
    struct feature_values gone = values_of(&x.world, "user*proposition\x1fu\x1fp", &a);
    assert_int_equal(gone.values.count, 0);
    assert_int_equal(gone.as_of, 1000);
    assert_true(str_is(gone.key.items[0], "u") && str_is(gone.key.items[1], "p"));
    assert_int_equal(x.world.emptied, 1);
    happens(&x, "4", "scroll", "u", "r");
    happens(&x, "5", "click", "u", "r");
    world_drain(&x.events, &x.deltas, 2000000);
    assert_int_equal(x.world.emptied, 1);
    happens(&x, "6", "click", "u", "p"); /* back, from zero; q goes */
    world_drain(&x.events, &x.deltas, 3000000);
    assert_true(values_of(&x.world, "user*proposition\x1fu\x1fp", &a).values.items[0].value == 1);
    assert_int_equal(values_of(&x.world, "user*proposition\x1fu\x1fq", &a).values.count, 0);
    happens(&x, "7", "click", "u",
            "q"); /* r goes and comes back before that was published: p goes */
    happens(&x, "8", "click", "u", "r");
    world_drain(&x.events, &x.deltas, 4000000);
    assert_true(values_of(&x.world, "user*proposition\x1fu\x1fr", &a).values.items[0].value == 1);
    assert_int_equal(values_of(&x.world, "user*proposition\x1fu\x1fp", &a).values.count, 0);
    arena_free(&a);
    stop(&x);
}

/* Views of p and q, a click on p, told: N = 1 / 2. Then a view of r, published with that N or with
 * its own 1 / 3, as the total comes: (0 + N) / (1 + 1). And the user's own, where N is 1 / 2 or 1 /
 * 3 too: (1 + N) / (3 + 1). */
static void totals_are_told_and_read_as_global_priors(void **state)
{
    (void)state;
    struct fixture x;
    struct arena a = {0};
    start(&x, 256);
    happens(&x, "1", "view", "u", "p");
    happens(&x, "2", "view", "u", "q");
    happens(&x, "3", "click", "u", "p");
    world_drain(&x.events, &x.deltas, 0);
    assert_int_equal(table_count(x.world.totals), 2);
    assert_int_not_equal(table_find(x.world.totals, str_of("total(proposition)")), TABLE_NONE);
    assert_int_not_equal(table_find(x.world.totals, str_of("total(user)")), TABLE_NONE);
    happens(&x, "4", "view", "u", "r");
    world_drain(&x.events, &x.deltas, 1000000);
    double shared = values_of(&x.world, "proposition\x1fr", &a).values.items[0].value;
    double own = values_of(&x.world, "user\x1fu", &a).values.items[0].value;
    assert_true(fabs(shared - 1.0 / 4) < 1e-12 || fabs(shared - 1.0 / 6) < 1e-12);
    assert_true(fabs(own - 1.5 / 4) < 1e-12 || fabs(own - 4.0 / 3 / 4) < 1e-12);
    /* A worker that comes later reads what was told. */
    struct member again;
    member_start(&again, &x.world, SHARD_USERS, 2000000);
    member_kill(&x.events);
    x.events = again;
    happens(&x, "5", "scroll", "u", "r");
    happens(&x, "6", "view", "v", "r"); /* a user without a click: (0 + 1 / 3) / (1 + 1) */
    world_drain(&x.events, &x.deltas, 3000000);
    assert_value(values_of(&x.world, "user\x1fv", &a).values.items[0].value, 1.0 / 6);
    arena_free(&a);
    stop(&x);
}

static void changed_definitions_keep_what_is_defined_as_before(void **state)
{
    (void)state;
    struct fixture x;
    struct arena a = {0};
    struct member events, deltas;
    start(&x, 256);
    happens(&x, "1", "view", "u", "p");
    happens(&x, "2", "click", "u", "p");
    world_drain(&x.events, &x.deltas, 0);
    struct feature_set *changed = definitions(
        "features:\n"
        "  - {name: largest, scope: proposition, max: {event: click, windows: [1h]}}\n"
        "  - {name: renamed, scope: user*proposition, count: {event: click, windows: [60m]}}\n"
        "  - {name: new, scope: user*proposition, count: {event: view, windows: [1h]}}\n"
        "  - {name: fresh, scope: global, count: {event: click, windows: [1h]}}\n");
    x.world.set = changed;
    member_start(&events, &x.world, SHARD_USERS, 100);
    member_start(&deltas, &x.world, SHARD_SHARED, 100);
    assert_int_equal(events.position, 2);
    happens(&x, "2", "click", "u", "p"); /* a repeat still */
    happens(&x, "3", "click", "u", "p");
    world_drain(&events, &deltas, 1000000);
    struct feature_values own = values_of(&x.world, "user*proposition\x1fu\x1fp", &a);
    assert_int_equal(own.values.count, 2);
    assert_true(str_is(own.values.items[0].name, "renamed_1h") ||
                str_is(own.values.items[0].name, "renamed_60m"));
    assert_true(own.values.items[0].value == 2);
    assert_true(own.values.items[1].value == 0); /* starts from zero */
    assert_true(values_of(&x.world, "global", &a).values.items[0].value == 1);
    member_kill(&events);
    member_kill(&deltas);
    arena_free(&a);
    stop(&x);
    feature_set_free(changed);
}

/* An event, its epoch and its restoring, with the n-th allocation failing: an error, or all of it.
 */
static void without_memory_an_epoch_fails_or_is_whole(void **state)
{
    (void)state;
    size_t expected = 0;
    for (int n = 0;; n++) {
        struct fixture x;
        struct err e = {0};
        bool more = false;
        start(&x, 256);
        happens(&x, "1", "click", "u", "p");
        struct input in = log_input(T_EVENTS, &x.world.events.items[0], 0);
        struct outbox *o = &x.events.outbox;
        if (n)
            fail_alloc_at(n);
        int rc = features_event(x.events.f, x.events.shard, &in, o, 0, &e);
        if (!rc)
            rc = features_collect_deltas(x.events.f, o, &e);
        if (!rc)
            rc = features_collect(x.events.f, x.events.shard, o, 100, 0, &more, &e);
        if (!rc)
            features_collect_mark(x.events.f, x.events.shard, 0, o);
        if (!rc && !outbox_ok(o))
            rc = ERR_NOMEM;
        bool failed = fail_alloc_end();
        /* A key may be published a turn later, but must be. */
        if (!rc)
            rc = features_collect(x.events.f, x.events.shard, o, 100, 0, &more, &e);
        if (n == 0)
            expected = outbox_count(o);
        if (rc)
            assert_int_equal(rc, ERR_NOMEM);
        else if (outbox_count(o) != expected)
            fail_msg("allocation %d failed in silence: %zu records, not %zu", n, outbox_count(o),
                     expected);
        stop(&x);
        if (n && !failed)
            break;
    }
    assert_true(expected >= 5); /* deltas of p and two totals, values of two keys, mark */
}

/* A total that is no such thing is not taken in. */
static void totals_that_cannot_be_read_are_left_alone(void **state)
{
    (void)state;
    struct fixture x;
    struct buf record = {0}, layout = {0};
    struct err e = {0};
    struct arena a = {0};
    start(&x, 256);
    int scope = feature_set_scope(x.set, str_of("total(user)"));
    cell_fingerprints(&layout, &x.set->scopes[scope]);
    struct feature_state s = {.fingerprints = buf_str(&layout), .state = str_of("damaged")};
    record_encode(&record, &feature_state_type, &s);
    struct str none = {NULL, 0};
    const struct input bad[] = {
        {T_TOTALS, 0, 0, 0, str_of("total(user)"), buf_str(&record), NULL},
        {T_TOTALS, 0, 0, 0, str_of("total(user)"), str_of("x"), NULL},
        {T_TOTALS, 0, 0, 0, str_of("total(user)"), none, NULL},
        {T_TOTALS, 0, 0, 0, str_of("user"), buf_str(&record), NULL},
        {T_TOTALS, 0, 0, 0, str_of("total(old)"), buf_str(&record), NULL},
        {T_TOTALS, 0, 0, 0, none, buf_str(&record), NULL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(features_total(x.events.f, &bad[i], &e), 0);
    happens(&x, "1", "view", "u", "p");
    world_drain(&x.events, &x.deltas, 0);
    assert_value(values_of(&x.world, "user\x1fu", &a).values.items[0].value, 0);
    arena_free(&a);
    buf_free(&record);
    buf_free(&layout);
    stop(&x);
}

int main(void)
{
    log_init("test", "test", LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dropped_key_is_published_without_values_once),
        cmocka_unit_test(totals_are_told_and_read_as_global_priors),
        cmocka_unit_test(changed_definitions_keep_what_is_defined_as_before),
        cmocka_unit_test(without_memory_an_epoch_fails_or_is_whole),
        cmocka_unit_test(totals_that_cannot_be_read_are_left_alone),
    };
    return RUN(tests);
}

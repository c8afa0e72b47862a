#include "base/log.h"
#include "features/features.h"
#include "unit.h"

#include "support/fixture.h"
#include "support/world.h"

/* Every kind that is published, in user's and shared scopes. (No `prior: global`: what it was at
 * publication depends on when that was.) */
static const char *const SET =
    "features:\n"
    "  - {name: clicks, scope: user, count: {event: click, windows: [5m, 1h]}}\n"
    "  - {name: taste, scope: user, overlap: {event: click, attribute: tags, last: 4, within: "
    "1h}}\n"
    "  - {name: since, scope: user, recency: {event: view}}\n"
    "  - {name: own, scope: user*proposition, sum: {event: click, windows: [10m]}}\n"
    "  - {name: liked, scope: user*proposition.tags, rate: {of: click, per: view, windows: [1h], "
    "weight: 3, prior: 0.1}}\n"
    "  - {name: mean, scope: proposition, mean: {event: click, windows: [5m, 1h]}}\n"
    "  - {name: least, scope: proposition, min: {event: click, windows: [1h]}}\n"
    "  - {name: heat, scope: proposition.tags, decay: {event: view, half_life: 1m}}\n"
    "  - {name: fans, scope: proposition, distinct: {event: click, of: user, window: 1h}}\n"
    "  - {name: screen, scope: context.device*proposition.tags, max: {event: click, windows: "
    "[1h]}}\n"
    "  - {name: all, scope: global, count: {event: view, windows: [30s]}}\n";

static struct str tags[3];

static void add_propositions(struct world *w)
{
    static const char *const names[] = {"p0", "p1", "p2", "p3", "p4"};
    tags[0] = str_of("a");
    tags[1] = str_of("b");
    tags[2] = str_of("c");
    for (size_t i = 0; i < 5; i++) /* p5 is unknown, p3 has no tag */
        w->propositions[i] =
            entity_of(&w->attributes[i], names[i], 1,
                      list_attribute("tags", tags + i % 3, (i + 1) % 4 ? 1 + (i == 0) : 0));
    w->proposition_count = 5;
}

static int64_t clock_of(int turn)
{
    return 1000 + (int64_t)turn * 400;
}

/* One turn: a record of either log, and every few turns the end of an epoch. */
static void turn(struct member *events, struct member *deltas, int number)
{
    int64_t now_ms = clock_of(number);
    if (number % 3)
        member_handle(events, now_ms);
    member_handle(deltas, now_ms);
    if (number % 4 == 1)
        member_commit(events, deltas, now_ms);
    if (number % 5 == 2)
        member_commit(deltas, events, now_ms);
}

static void values_of_random_streams_are_the_replays(void **state)
{
    (void)state;
    struct feature_set *set = definitions(SET);
    for (uint64_t seed = 0; seed < 25; seed++) {
        struct world w;
        struct member events, deltas;
        struct random random = {100 + seed};
        world_open(&w, set, seed % 2 ? 256 : 3);
        add_propositions(&w);
        world_random_events(&w, &random, 300, 1 + (int)seed % 4, 6);
        member_start(&events, &w, SHARD_USERS, 0);
        member_start(&deltas, &w, SHARD_SHARED, 0);
        for (int i = 0; i < 600; i++)
            turn(&events, &deltas, i);
        world_drain(&events, &deltas, clock_of(700));
        values_are_the_replays(&w);
        if (seed % 2 == 0)
            assert_true(w.emptied > 0);
        member_kill(&events);
        member_kill(&deltas);
        world_close(&w);
    }
    feature_set_free(set);
}

enum { EVENTS = 45, TURNS = 110 };

/* Killed after any turn, in the middle of an epoch or at its end, one or both; restored; then to
 * the end. No value is missing and none is counted twice. */
static void a_crash_at_any_turn_changes_no_value(void **state)
{
    (void)state;
    struct feature_set *set = definitions(SET);
    for (int who = 1; who <= 3; who++)
        for (int crash = 0; crash < TURNS; crash++) {
            struct world w;
            struct member events, deltas;
            struct random random = {7};
            world_open(&w, set, who == 3 ? 3 : 256);
            add_propositions(&w);
            world_random_events(&w, &random, EVENTS, 2, 6);
            member_start(&events, &w, SHARD_USERS, 0);
            member_start(&deltas, &w, SHARD_SHARED, 0);
            for (int i = 0; i < TURNS; i++) {
                turn(&events, &deltas, i);
                if (i == crash && who & 1) {
                    member_kill(&events);
                    member_start(&events, &w, SHARD_USERS, clock_of(i));
                }
                if (i == crash && who & 2) {
                    member_kill(&deltas);
                    member_start(&deltas, &w, SHARD_SHARED, clock_of(i));
                }
            }
            world_drain(&events, &deltas, clock_of(TURNS));
            values_are_the_replays(&w);
            member_kill(&events);
            member_kill(&deltas);
            world_close(&w);
        }
    feature_set_free(set);
}

/* Publishes everything, to nobody, so that no key is due. */
static void settle(struct member *m, int64_t now_ms)
{
    bool more;
    struct err e = {0};
    for (int i = 0; i < 2; i++, now_ms += 10 * WORLD_PUBLISH_MS)
        do
            assert_int_equal(features_collect(m->f, m->shard, &m->outbox, 1000, now_ms, &more, &e),
                             0);
        while (more);
    outbox_reset(&m->outbox);
}

static size_t same_state(const struct member *a, const struct member *b, struct topic_log *events)
{
    size_t keys = 0;
    assert_int_equal(shard_keys(a->shard), shard_keys(b->shard));
    for (uint32_t id = 0; id < shard_keys(a->shard); id++) {
        struct str name = shard_name(a->shard, id), value = shard_value(a->shard, id);
        uint32_t other = shard_find(b->shard, name);
        assert_int_not_equal(other, TABLE_NONE);
        assert_true(str_equal(value, shard_value(b->shard, other)));
        for (int64_t offset = 0; offset < (int64_t)events->count; offset++)
            assert_int_equal(shard_includes(a->shard, id, offset),
                             shard_includes(b->shard, other, offset));
        keys++;
    }
    return keys;
}

/* At the end of every epoch: what was restored from checkpoints and the log is what is in memory.
 */
static void restored_state_is_byte_for_byte_what_it_was(void **state)
{
    (void)state;
    struct feature_set *set = definitions(SET);
    size_t keys = 0;
    for (int stop = 1; stop < TURNS; stop++) {
        struct world w;
        struct member events, deltas, again;
        struct random random = {8};
        world_open(&w, set, 256);
        add_propositions(&w);
        world_random_events(&w, &random, EVENTS, 2, 6);
        member_start(&events, &w, SHARD_USERS, 0);
        member_start(&deltas, &w, SHARD_SHARED, 0);
        for (int i = 0; i <= stop; i++)
            turn(&events, &deltas, i);
        bool users = stop % 4 == 1, shared = stop % 5 == 2;
        if (users || shared) {
            struct member *live = users ? &events : &deltas;
            member_start(&again, &w, live->kind, clock_of(stop));
            assert_int_equal(again.position, live->position);
            settle(live, clock_of(TURNS));
            settle(&again, clock_of(TURNS));
            keys += same_state(live, &again, member_log(live));
            member_kill(&again);
        }
        member_kill(&events);
        member_kill(&deltas);
        world_close(&w);
    }
    assert_true(keys > 100);
    feature_set_free(set);
}

/* A replay tells nobody anything: neither deltas nor dead letters. */
static void a_replay_writes_nothing(void **state)
{
    (void)state;
    struct feature_set *set = definitions(SET);
    struct world w;
    struct member events, deltas, again;
    struct random random = {9};
    world_open(&w, set, 3);
    add_propositions(&w);
    world_random_events(&w, &random, 100, 2, 6);
    member_start(&events, &w, SHARD_USERS, 0);
    member_start(&deltas, &w, SHARD_SHARED, 0);
    while (member_handle(&events, 5))
        ;
    member_commit(&events, &deltas, 5);
    size_t dead = w.dead.count;
    assert_true(dead > 0 && w.deltas.count > 0);
    member_start(&again, &w, SHARD_USERS, 6); /* no checkpoint yet: all of the log is replayed */
    assert_int_equal(again.position, 100);
    assert_int_equal(member_take_deltas(&again), 0);
    assert_int_equal(outbox_count(&again.outbox), 0);
    assert_true(shard_keys(again.shard) > 0);
    assert_int_equal(w.dead.count, dead);
    member_kill(&events);
    member_kill(&deltas);
    member_kill(&again);
    world_close(&w);
    feature_set_free(set);
}

int main(void)
{
    log_init("test", "test", LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_random_streams_are_the_replays),
        cmocka_unit_test(a_crash_at_any_turn_changes_no_value),
        cmocka_unit_test(restored_state_is_byte_for_byte_what_it_was),
        cmocka_unit_test(a_replay_writes_nothing),
    };
    return RUN(tests);
}

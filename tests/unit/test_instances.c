/* Cells of several contributions at once, held against those of each, merged one by one. */
#include "feature/aggregate.h"
#include "feature/cell.h"
#include "unit.h"

#include "support/cells.h"

/* Kinds whose parts are the same bytes in any order; events are click, view and buy. */
static const char *const EXACT =
    "features:\n"
    "  - {name: clicks, scope: proposition, count: {event: click, windows: [5m, 1h, 7s]}}\n"
    "  - {name: views, scope: proposition, count: {event: view, windows: [30d, 31d]}}\n"
    "  - {name: ctr, scope: proposition, rate: {of: click, per: view, windows: [5m, 7s], weight: "
    "1, prior: global}}\n"
    "  - {name: least, scope: proposition, min: {event: buy, windows: [5m, 1h]}}\n"
    "  - {name: most, scope: proposition, max: {event: buy, windows: [7s, 1d]}}\n"
    "  - {name: since, scope: proposition, recency: {event: view}}\n"
    "  - {name: bought, scope: proposition, recency: {event: buy}}\n"
    "  - {name: own, scope: proposition, rate: {of: buy, per: buy, windows: [1h], weight: 1, "
    "prior: 0}}\n";
static const char *const SUMS =
    "features:\n"
    "  - {name: clicks, scope: proposition, count: {event: click, windows: [5m]}}\n"
    "  - {name: spend, scope: proposition, sum: {event: buy, windows: [5m, 1h, 7s]}}\n"
    "  - {name: basket, scope: proposition, mean: {event: buy, windows: [7s, 1d]}}\n"
    "  - {name: heat, scope: proposition, decay: {event: click, half_life: 30s}}\n"
    "  - {name: glow, scope: proposition, decay: {event: view, half_life: 7d}}\n"
    "  - {name: worth, scope: proposition, sum: {event: view, windows: [1h]}}\n"
    "  - {name: most, scope: proposition, max: {event: buy, windows: [5m]}}\n";

enum { MOST = 40 };

/* Contributions about one time: close together or so far apart that buckets fall out, at the edges
 * of buckets, at equal times, below zero. A value that is not given is none at all. */
struct given {
    size_t count;
    struct contribution items[MOST];
};

static void give(struct given *g, struct random *r, int events)
{
    static const struct situation nobody = {0};
    static const int64_t centres_ms[] = {0, -1000000, 1700000000000, CONTRIBUTION_MAX_MS / 2,
                                         -CONTRIBUTION_MAX_MS / 2};
    static const int64_t spreads_ms[] = {1, 500, 8000, 200000, 400000, 5000000, 4000000000};
    static const int64_t edges_ms[] = {5000, 60000, 117, 1440000};
    int64_t centre_ms = centres_ms[random_below(r, 5)], spread_ms = spreads_ms[random_below(r, 7)];
    g->count = 1 + (size_t)random_below(r, random_below(r, 2) ? MOST : 4);
    for (size_t i = 0; i < g->count; i++) {
        int64_t time_ms = centre_ms + random_below(r, 2 * spread_ms) - spread_ms;
        int64_t edge_ms = edges_ms[random_below(r, 4)];
        if (random_below(r, 3) == 0)
            time_ms = time_ms / edge_ms * edge_ms - random_below(r, 2);
        if (i && random_below(r, 6) == 0)
            time_ms = g->items[random_below(r, (int64_t)i)].time;
        bool has_value = random_below(r, 4) != 0;
        g->items[i] =
            (struct contribution){.event = (int)random_below(r, events),
                                  .time = time_ms,
                                  .value = {has_value, has_value ? random_unit(r) - 0.5 : NAN},
                                  .situations = &nobody,
                                  .count = 1};
    }
}

static void shuffle(struct given *g, struct random *r)
{
    for (size_t i = g->count; i > 1; i--) {
        size_t k = (size_t)random_below(r, (int64_t)i);
        struct contribution c = g->items[k];
        g->items[k] = g->items[i - 1];
        g->items[i - 1] = c;
    }
}

static struct instance instance_of(const struct contribution *c)
{
    return (struct instance){c->time, c->value.value, (int16_t)c->event, c->value.given};
}

static void cell_at_once(struct buf *out, const struct scope *scope, const struct given *g)
{
    /* As many as there are: the sanitizer sees one too far. */
    struct instance *items = malloc(g->count * sizeof *items);
    assert_non_null(items);
    for (size_t i = 0; i < g->count; i++)
        items[i] = instance_of(&g->items[i]);
    cell_of_instances(out, scope, items, g->count);
    assert_true(buf_ok(out));
    free(items);
}

static void cell_one_by_one(struct buf *out, const struct scope *scope, const struct given *g)
{
    for (size_t i = 0; i < g->count; i++)
        add_cell_of(out, scope, &g->items[i]);
}

static void counts_rates_least_most_and_recency_are_the_same_bytes(void **state)
{
    (void)state;
    struct feature_set *set = definitions(EXACT);
    const struct scope *scope = &set->scopes[0];
    struct random random = {41};
    struct given g;
    assert_true(scope->is_of_instances);
    for (int round = 0; round < 4000; round++) {
        struct buf got = {0}, expected = {0};
        give(&g, &random, 3);
        cell_at_once(&got, scope, &g);
        shuffle(&g, &random);
        cell_one_by_one(&expected, scope, &g);
        assert_bytes(&got, expected.data, expected.len);
        buf_free(&got);
        buf_free(&expected);
    }
    feature_set_free(set);
}

static void sums_means_and_decay_are_the_same_to_1e_12(void **state)
{
    (void)state;
    struct feature_set *set = definitions(SUMS);
    const struct scope *scope = &set->scopes[0];
    struct random random = {42};
    struct given g;
    assert_true(scope->is_of_instances);
    for (int round = 0; round < 800; round++) {
        struct buf got = {0}, expected = {0};
        give(&g, &random, 3);
        cell_at_once(&got, scope, &g);
        shuffle(&g, &random);
        cell_one_by_one(&expected, scope, &g);
        assert_cells_near(scope, buf_str(&got), buf_str(&expected));
        buf_free(&got);
        buf_free(&expected);
    }
    feature_set_free(set);
}

static void totals_are_the_same_bytes(void **state)
{
    (void)state;
    struct feature_set *set = definitions(EXACT);
    const struct scope *scope = &set->scopes[set->scopes[0].total];
    struct random random = {43};
    struct given g;
    assert_true(scope->is_total && scope->is_of_instances);
    for (int round = 0; round < 1000; round++) {
        struct buf got = {0}, expected = {0};
        give(&g, &random, 2); /* buy is nothing to the totals */
        cell_at_once(&got, scope, &g);
        shuffle(&g, &random);
        cell_one_by_one(&expected, scope, &g);
        assert_bytes(&got, expected.data, expected.len);
        buf_free(&got);
        buf_free(&expected);
    }
    feature_set_free(set);
}

/* An event that is nothing to any aggregate still is when the key was last touched. */
static void contributions_that_are_nothing_leave_no_part_but_their_time(void **state)
{
    (void)state;
    struct feature_set *set = definitions(SUMS);
    const struct scope *scope = &set->scopes[0];
    struct buf cell = {0};
    int16_t view = (int16_t)feature_set_event(set, str_of("view"));
    int16_t buy = (int16_t)feature_set_event(set, str_of("buy"));
    const struct instance items[] = {
        {90, NAN, buy, false}, {70, NAN, view, false}, {50, 4, buy, true}};
    cell_of_instances(&cell, scope, items, 1);
    assert_int_equal(cell_newest_ms(buf_str(&cell)), 90);
    for (size_t s = 0; s < scope->slot_count; s++)
        assert_int_equal(cell_part(buf_str(&cell), s).seen, false);
    buf_reset(&cell);
    cell_of_instances(&cell, scope, items, 3);
    assert_int_equal(cell_newest_ms(buf_str(&cell)), 90);
    assert_int_equal(cell_part(buf_str(&cell), 4).newest_ms, 70); /* glow */
    assert_int_equal(cell_part(buf_str(&cell), 1).newest_ms, 50); /* spend */
    assert_value(part_value(cell_part(buf_str(&cell), 1), scope->slots[1], 0, 90), 4);
    buf_free(&cell);
    feature_set_free(set);
}

static void the_newest_instance_is_the_newest_of_which_there_is_a_part(void **state)
{
    (void)state;
    struct feature_set *sets[] = {definitions(EXACT), definitions(SUMS)};
    struct random random = {44};
    struct given g;
    struct instance items[MOST];
    struct arena arena = {0};
    for (int round = 0; round < 1000; round++) {
        const struct scope *scope = &sets[round % 2]->scopes[0];
        give(&g, &random, 3);
        for (size_t s = 0; s < scope->slot_count; s++) {
            struct buf body = {0};
            int64_t expected = INT64_MIN, newest_ms = INT64_MIN;
            for (size_t i = 0; i < g.count; i++) {
                items[i] = instance_of(&g.items[i]);
                if (aggregate_of(&body, scope->slots[s], &g.items[i], &arena) &&
                    g.items[i].time > expected)
                    expected = g.items[i].time;
            }
            assert_int_equal(aggregate_newest_instance(scope->slots[s], items, g.count, &newest_ms),
                             expected != INT64_MIN);
            assert_int_equal(newest_ms, expected);
            buf_free(&body);
        }
    }
    arena_free(&arena);
    feature_set_free(sets[0]);
    feature_set_free(sets[1]);
}

/* A bucket of a 5m window has 5 s: 64 of them are the newest and what is 63 buckets older. */
static void buckets_that_are_64_older_are_forgotten(void **state)
{
    (void)state;
    struct feature_set *set = definition("scope: proposition, count: {event: a, windows: [5m]}");
    const struct scope *scope = &set->scopes[0];
    const struct instance items[] = {
        {4999, 0, 0, false}, {322000, 0, 0, false}, {-1, 0, 0, false}, {5000, 0, 0, false}};
    struct buf cell = {0};
    struct ring r = {0};
    cell_of_instances(&cell, scope, items, 4);
    struct str body = cell_part(buf_str(&cell), 0).body;
    struct cursor c = cursor_of(body.data, body.len);
    ring_decode(&r, &c, FEATURE_COUNT);
    assert_int_equal(r.count, 2);
    assert_int_equal(r.ages[1], 63);
    assert_int_equal(r.buckets[1].n, 1);
    buf_free(&cell);
    feature_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_rates_least_most_and_recency_are_the_same_bytes),
        cmocka_unit_test(sums_means_and_decay_are_the_same_to_1e_12),
        cmocka_unit_test(totals_are_the_same_bytes),
        cmocka_unit_test(contributions_that_are_nothing_leave_no_part_but_their_time),
        cmocka_unit_test(the_newest_instance_is_the_newest_of_which_there_is_a_part),
        cmocka_unit_test(buckets_that_are_64_older_are_forgotten),
    };
    return RUN(tests);
}

#include "feature/cell.h"
#include "unit.h"

#include "support/fixture.h"

/* Every kind that lives in the user's record; event 0 is click, 1 view. */
static const char *const USER_SET =
    "features:\n"
    "  - {name: clicks, scope: user, count: {event: click, windows: [5m, 1h]}}\n"
    "  - {name: ctr, scope: user, rate: {of: click, per: view, windows: [1h], weight: 1, prior: "
    "0.5}}\n"
    "  - {name: spend, scope: user, sum: {event: click, windows: [5m]}}\n"
    "  - {name: since, scope: user, recency: {event: view}}\n"
    "  - {name: heat, scope: user, decay: {event: click, half_life: 1m}}\n"
    "  - {name: variety, scope: user, distinct: {event: view, of: proposition, window: 5m}}\n"
    "  - {name: taste, scope: user, overlap: {event: click, attribute: tags, last: 5, within: "
    "10m}}\n";

/* What the cell of the first scope becomes when an event is added. */
static void add(struct buf *cell, const struct scope *scope, int event, int64_t time_ms,
                struct optional_double value, const char *proposition)
{
    struct situation s = {.user_id = str_of("u"), .proposition_id = str_of(proposition)};
    struct contribution c = {event, time_ms, value, &s, 1};
    struct buf single = {0}, merged = {0};
    struct arena arena = {0};
    assert_true(cell_of(&single, scope, &c, &arena));
    cell_merge(&merged, scope, buf_str(cell), buf_str(&single));
    assert_true(buf_ok(&merged));
    buf_free(cell);
    buf_free(&single);
    arena_free(&arena);
    *cell = merged;
}

static void add_any(struct buf *cell, const struct scope *scope, struct random *r)
{
    static const char *const names[] = {"p", "q", "r", "s", NULL};
    add(cell, scope, (int)random_below(r, 2), random_below(r, 900000) - 300000,
        (struct optional_double){random_below(r, 2), (double)random_below(r, 100)},
        names[random_below(r, 5)]);
}

/* Every value of two cells is the same at many times. */
static void same_cells(const struct scope *scope, struct str a, struct str b)
{
    assert_int_equal(a.len == 0, b.len == 0);
    if (a.len)
        assert_int_equal(cell_newest_ms(a), cell_newest_ms(b));
    for (size_t s = 0; s < scope->slot_count; s++) {
        const struct feature *f = scope->slots[s];
        for (int64_t as_of_ms = -400000; as_of_ms < 1000000; as_of_ms += 37777)
            for (size_t w = 0; w < f->window_count + !f->window_count; w++)
                if (f->kind != FEATURE_OVERLAP)
                    assert_value(part_value(cell_part(b, s), f, w, as_of_ms),
                                 part_value(cell_part(a, s), f, w, as_of_ms));
    }
}

static void cells_merge_in_any_grouping_and_zero_is_neutral(void **state)
{
    (void)state;
    struct feature_set *set = definitions(USER_SET);
    const struct scope *scope = &set->scopes[0];
    struct random random = {11};
    for (int round = 0; round < 60; round++) {
        struct buf parts[3] = {0}, ab = {0}, bc = {0}, left = {0}, right = {0}, turned = {0},
                   zero = {0};
        for (int i = (int)random_below(&random, 30); i > 0; i--)
            add_any(&parts[random_below(&random, 3)], scope, &random);
        struct str a = buf_str(&parts[0]), b = buf_str(&parts[1]), c = buf_str(&parts[2]);
        cell_merge(&ab, scope, a, b);
        cell_merge(&left, scope, buf_str(&ab), c);
        cell_merge(&bc, scope, b, c);
        cell_merge(&right, scope, a, buf_str(&bc));
        cell_merge(&turned, scope, c, buf_str(&ab));
        cell_merge(&zero, scope, str_of(""), buf_str(&left));
        same_cells(scope, buf_str(&left), buf_str(&right));
        same_cells(scope, buf_str(&left), buf_str(&turned));
        assert_true(str_equal(buf_str(&zero), buf_str(&left)));
        assert_true(left.len == 0 || cell_is_sound(scope, buf_str(&left)));
        struct buf *all[] = {&parts[0], &parts[1], &parts[2], &ab,  &bc,
                             &left,     &right,    &turned,   &zero};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            buf_free(all[i]);
    }
    feature_set_free(set);
}

struct ids {
    char text[64];
};

static void note(void *arg, struct str id)
{
    struct ids *ids = arg;
    size_t used = strlen(ids->text), room = sizeof ids->text - 1 - used;
    strncat(ids->text, id.data, id.len < room ? id.len : room);
}

static void propositions_of_equal_times_stay_in_order_of_arrival(void **state)
{
    (void)state;
    struct feature_set *set = definitions(USER_SET);
    const struct scope *scope = &set->scopes[0];
    struct buf a = {0}, b = {0}, both = {0};
    static const struct {
        int64_t time_ms;
        const char *id;
    } first[] = {{5, "c"}, {5, "d"}, {1, "a"}}, second[] = {{5, "e"}, {1, "b"}, {9, "f"}};
    for (size_t i = 0; i < 3; i++)
        add(&a, scope, 0, first[i].time_ms, (struct optional_double){0}, first[i].id);
    for (size_t i = 0; i < 3; i++)
        add(&b, scope, 0, second[i].time_ms, (struct optional_double){0}, second[i].id);
    cell_merge(&both, scope, buf_str(&a), buf_str(&b));
    struct ids ids = {""};
    aggregate_each_past(scope->slots[6], cell_part(buf_str(&both), 6), 9, note, &ids);
    assert_string_equal(ids.text, "bcdef"); /* the last 5 of a b c d e f */
    ids.text[0] = 0;                        /* within 10 minutes of the newest, 9 ms */
    aggregate_each_past(scope->slots[6], cell_part(buf_str(&both), 6), 600005, note, &ids);
    assert_string_equal(ids.text, "cdef");
    buf_free(&a);
    buf_free(&b);
    buf_free(&both);
    feature_set_free(set);
}

/* 1 byte of time, then for each of 7 slots its length; the rest by aggregate.h's description. */
static void a_cell_costs_what_it_holds(void **state)
{
    (void)state;
    struct feature_set *set = definitions(USER_SET);
    struct buf cell = {0};
    add(&cell, &set->scopes[0], 1, 0, (struct optional_double){0}, NULL);
    /* View without proposition: rate 1 + 1, recency 1, nothing else. */
    assert_int_equal(cell.len, 1 + 7 + 2 + 1);
    add(&cell, &set->scopes[0], 0, 0, (struct optional_double){0}, NULL);
    /* Click without value: count 1 + 2, rate 1 + 3 (one of each), decay 1 + 8. */
    assert_int_equal(cell.len, 1 + 7 + 3 + 4 + 1 + 9);
    buf_free(&cell);
    feature_set_free(set);
}

static void fingerprints_that_are_equal_keep_their_part_and_others_start_from_nothing(void **state)
{
    (void)state;
    struct feature_set *old = definitions(USER_SET);
    struct feature_set *new = definitions(
        "features:\n"
        "  - {name: heat2, scope: user, decay: {event: click, half_life: 60s}}\n" /* as before */
        "  - {name: spend, scope: user, sum: {event: click, windows: [6m]}}\n"    /* changed */
        "  - {name: clicks, scope: user, count: {event: click, windows: [300s, 60m]}}\n");
    struct feature_set *none = definition("scope: user, min: {event: click, windows: [1d]}");
    struct buf cell = {0}, layout = {0}, converted = {0}, nothing = {0};
    for (int64_t t = 0; t < 5; t++)
        add(&cell, &old->scopes[0], 0, t * 60000, (struct optional_double){true, 2}, "p");
    cell_fingerprints(&layout, &old->scopes[0]);
    assert_int_equal(layout.len, 7 * FINGERPRINT_BYTES);
    assert_true(cell_convert(&converted, &new->scopes[0], buf_str(&layout), buf_str(&cell)));
    assert_true(cell_is_sound(&new->scopes[0], buf_str(&converted)));
    struct str c = buf_str(&converted);
    const struct feature *heat = &new->features[0], *spend = &new->features[1],
                         *clicks = &new->features[2];
    assert_int_equal(cell_newest_ms(c), 240000);
    /* 1 + 1/2 + 1/4 + 1/8 + 1/16 */
    assert_value(part_value(cell_part(c, 0), heat, 0, 240000), 1.9375);
    assert_value(part_value(cell_part(c, 1), spend, 0, 240000), 0);
    assert_false(cell_part(c, 1).seen);
    assert_value(part_value(cell_part(c, 2), clicks, 0, 240000), 5);
    assert_false(cell_convert(&nothing, &none->scopes[0], buf_str(&layout), buf_str(&cell)));
    /* A layout that is not the cell's. */
    assert_false(
        cell_convert(&nothing, &new->scopes[0], str_bytes(layout.data, 8), buf_str(&cell)));
    assert_false(
        cell_convert(&nothing, &new->scopes[0], str_bytes(layout.data, 55), buf_str(&cell)));
    assert_false(cell_convert(&nothing, &new->scopes[0], buf_str(&layout),
                              str_bytes(cell.data, cell.len - 1)));
    buf_free(&cell);
    buf_free(&layout);
    buf_free(&converted);
    buf_free(&nothing);
    feature_set_free(old);
    feature_set_free(new);
    feature_set_free(none);
}

static void a_cell_that_was_cut_or_has_more_is_not_sound(void **state)
{
    (void)state;
    struct feature_set *set = definitions(USER_SET);
    struct random random = {12};
    struct buf cell = {0};
    for (int i = 0; i < 20; i++)
        add_any(&cell, &set->scopes[0], &random);
    for (size_t n = 0; n < cell.len; n++)
        assert_false(cell_is_sound(&set->scopes[0], str_bytes(cell.data, n)));
    assert_true(cell_is_sound(&set->scopes[0], buf_str(&cell)));
    buf_put_u8(&cell, 0);
    assert_false(cell_is_sound(&set->scopes[0], buf_str(&cell)));
    buf_free(&cell);
    feature_set_free(set);
}

/* A copy of its own for each, so that the sanitizer sees a byte too far. */
static struct str copy_of(struct str s, uint8_t **memory)
{
    *memory = malloc(s.len + !s.len);
    memcpy(*memory, s.data, s.len);
    return str_bytes(*memory, s.len);
}

static void read_all(const struct scope *scope, struct str cell, struct random *r)
{
    struct ids ids = {""};
    for (size_t s = 0; s < scope->slot_count; s++) {
        const struct feature *f = scope->slots[s];
        struct part p = cell_part(cell, s);
        if (f->kind == FEATURE_OVERLAP)
            aggregate_each_past(f, p, random_below(r, 1000000), note, &ids);
        else
            (void)part_value(p, f, 0, random_below(r, 1000000) - 100000);
        ids.text[0] = 0;
    }
}

static void note_nothing(void *arg, struct str id)
{
    *(size_t *)arg += id.len;
}

static void damaged_cells_are_read_and_merged_within_their_bounds(void **state)
{
    (void)state;
    struct feature_set *set = definitions(USER_SET);
    const struct scope *scope = &set->scopes[0];
    struct random random = {13};
    struct buf good = {0};
    for (int i = 0; i < 40; i++)
        add_any(&good, scope, &random);
    for (int round = 0; round < 30000; round++) {
        uint8_t *memory;
        size_t n =
            random_below(&random, 3) ? good.len : (size_t)random_below(&random, (int64_t)good.len);
        struct str bad = copy_of(str_bytes(good.data, n ? n : 1), &memory);
        for (int64_t i = random_below(&random, 5); i > 0; i--)
            memory[random_below(&random, (int64_t)bad.len)] = (uint8_t)random_next(&random);
        struct buf merged = {0};
        size_t bytes = 0;
        cell_merge(&merged, scope, bad, buf_str(&good));
        cell_merge(&merged, scope, buf_str(&good), bad);
        read_all(scope, bad, &random);
        read_all(scope, buf_str(&merged), &random);
        aggregate_each_past(scope->slots[6], cell_part(bad, 6), 0, note_nothing, &bytes);
        (void)cell_is_sound(scope, bad);
        (void)cell_newest_ms(bad);
        buf_free(&merged);
        free(memory);
    }
    buf_free(&good);
    feature_set_free(set);
}

/* Times at the ends of 64 bits are no times, but anybody can write them into a delta. */
static void times_that_are_none_do_no_harm(void **state)
{
    (void)state;
    struct feature_set *set = definitions(USER_SET);
    const struct scope *scope = &set->scopes[0];
    struct random random = {14};
    struct buf good = {0};
    static const int64_t times_ms[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX, INT64_MAX - 1};
    for (int event = 0; event < 2; event++) /* so that every slot is as new as the cell */
        add(&good, scope, event, 1000, (struct optional_double){true, 1}, "p");
    for (size_t i = 0; i < 4; i++) {
        struct buf bad = {0}, merged = {0}, single = {0};
        buf_put_zigzag(&bad, times_ms[i]);
        struct cursor c = cursor_of(good.data, good.len);
        cursor_zigzag(&c);
        buf_put(&bad, c.at, cursor_left(&c));
        assert_false(cell_is_sound(scope, buf_str(&bad)));
        add(&single, scope, (int)i % 2, 1000, (struct optional_double){0}, NULL);
        cell_merge(&merged, scope, buf_str(&bad), buf_str(&good));
        read_all(scope, buf_str(&merged), &random);
        buf_reset(&merged);
        cell_merge(&merged, scope, buf_str(&single), buf_str(&bad));
        read_all(scope, buf_str(&merged), &random);
        read_all(scope, buf_str(&bad), &random);
        buf_free(&bad);
        buf_free(&merged);
        buf_free(&single);
    }
    buf_free(&good);
    feature_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_merge_in_any_grouping_and_zero_is_neutral),
        cmocka_unit_test(propositions_of_equal_times_stay_in_order_of_arrival),
        cmocka_unit_test(a_cell_costs_what_it_holds),
        cmocka_unit_test(fingerprints_that_are_equal_keep_their_part_and_others_start_from_nothing),
        cmocka_unit_test(a_cell_that_was_cut_or_has_more_is_not_sound),
        cmocka_unit_test(damaged_cells_are_read_and_merged_within_their_bounds),
        cmocka_unit_test(times_that_are_none_do_no_harm),
    };
    return RUN(tests);
}

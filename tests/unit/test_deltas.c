#include "feature/deltas.h"
#include "unit.h"

#include "support/gifts.h"

static void what_is_told_is_what_merging_one_by_one_makes(void **state)
{
    (void)state;
    struct random random = {51};
    struct gift g;
    for (int round = 0; round < 30; round++) {
        struct fixture x;
        start(&x);
        assert_tells_what_is_expected(&x); /* nothing */
        for (int64_t i = random_below(&random, 400); i > 0; i--) {
            any_gift(&g, &x, &random);
            give(&x, &g);
        }
        assert_tells_what_is_expected(&x);
        stop(&x);
    }
}

static void keys_and_contributions_are_counted(void **state)
{
    (void)state;
    struct fixture x;
    struct gift put = {.name = "a", .proposition = "p", .time_ms = 5};
    start(&x);
    for (size_t i = 1; i <= 3; i++) {
        give(&x, &put);
        assert_int_equal(deltas_count(x.deltas), 1);
        assert_int_equal(deltas_contributions(x.deltas), i);
    }
    strcpy(put.name, "b");
    give(&x, &put);
    assert_int_equal(deltas_count(x.deltas), 2);
    assert_int_equal(deltas_contributions(x.deltas), 4);
    put.scope = PUT_SCOPES; /* merged: a key, but nothing that is put down */
    give(&x, &put);
    give(&x, &put);
    assert_int_equal(deltas_count(x.deltas), 3);
    assert_int_equal(deltas_contributions(x.deltas), 4);
    assert_tells_what_is_expected(&x);
    stop(&x);
}

static void the_order_of_arrival_does_not_matter(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    struct random random = {52};
    for (int round = 0; round < 15; round++) {
        struct fixture x;
        struct gift *gifts = malloc(COUNT * sizeof *gifts);
        struct err e = {0};
        assert_non_null(gifts);
        start(&x);
        for (size_t i = 0; i < COUNT; i++) {
            any_gift(&gifts[i], &x, &random);
            give_expected(&x, &gifts[i]);
        }
        for (size_t i = COUNT; i > 0; i--) {
            size_t k = (size_t)random_below(&random, (int64_t)i);
            assert_int_equal(give_deltas(&x, &gifts[k], &e), 0);
            gifts[k] = gifts[i - 1];
        }
        assert_tells_what_is_expected(&x);
        free(gifts);
        stop(&x);
    }
}

static void telling_changes_nothing_so_it_can_be_told_again_and_go_on(void **state)
{
    (void)state;
    struct fixture x;
    struct random random = {53};
    struct gift g;
    start(&x);
    for (int i = 0; i < 300; i++) {
        any_gift(&g, &x, &random);
        give(&x, &g);
        if (i % 50 == 0)
            assert_tells_what_is_expected(&x);
    }
    assert_tells_what_is_expected(&x);
    stop(&x);
}

static void who_refuses_a_key_ends_the_telling_and_nothing_is_lost(void **state)
{
    (void)state;
    struct fixture x;
    struct random random = {54};
    struct gift g;
    start(&x);
    for (int i = 0; i < 100; i++) {
        any_gift(&g, &x, &random);
        give(&x, &g);
    }
    for (size_t n = 1; n <= deltas_count(x.deltas); n++) {
        struct told t = {.fails_at = n};
        struct err e = {0};
        assert_int_equal(tell(&x, &t, &e), ERR_IO);
        assert_string_equal(e.msg, "refused");
        assert_int_equal(table_count(t.cells), n - 1);
        table_free(t.cells);
    }
    assert_tells_what_is_expected(&x);
    stop(&x);
}

static void what_was_cleared_starts_from_nothing(void **state)
{
    (void)state;
    struct fixture x;
    struct random random = {55};
    struct gift g;
    start(&x);
    for (int round = 0; round < 20; round++) {
        deltas_clear(x.deltas);
        table_clear(x.expected);
        x.contributions = 0;
        assert_tells_what_is_expected(&x);
        for (int64_t i = random_below(&random, 200); i > 0; i--) {
            any_gift(&g, &x, &random);
            give(&x, &g);
        }
        if (random_below(&random, 2)) /* or it is cleared without having been told */
            assert_tells_what_is_expected(&x);
    }
    stop(&x);
}

/* ------------------------------------------------------------ memory */

/* A contribution that fails leaves what was there before, and can be given again. */
static void without_memory_a_contribution_leaves_what_was_there(void **state)
{
    (void)state;
    struct random random = {56};
    struct gift g;
    for (int n = 1;; n++) {
        struct fixture x;
        size_t failures = 0;
        start(&x);
        for (int i = 0; i < 400; i++) {
            any_gift(&g, &x, &random);
            struct err e = {0};
            fail_alloc_at(n);
            int rc = give_deltas(&x, &g, &e);
            bool failed = fail_alloc_end();
            assert_int_equal(rc, failed ? ERR_NOMEM : 0);
            if (failed && failures++ % 20 == 0)
                assert_tells_what_is_expected(&x);
            if (failed)
                assert_int_equal(deltas_count(x.deltas), table_count(x.expected));
            if (failed)
                assert_int_equal(give_deltas(&x, &g, &e), 0);
            give_expected(&x, &g);
        }
        assert_tells_what_is_expected(&x);
        stop(&x);
        if (!failures)
            break;
    }
}

static int count_key(void *arg, struct str key, struct str cell, struct err *e)
{
    (void)key;
    (void)e;
    *(size_t *)arg += cell.len > 0;
    return 0;
}

static void without_memory_telling_fails_and_can_be_done_again(void **state)
{
    (void)state;
    struct random random = {57};
    struct gift g;
    for (int n = 1;; n++) {
        struct fixture x;
        struct err e = {0};
        start(&x);
        for (int i = 0; i < 150; i++) {
            any_gift(&g, &x, &random);
            give(&x, &g);
        }
        size_t told = 0;
        fail_alloc_at(n);
        int rc = deltas_each(x.deltas, count_key, &told, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        assert_true(failed ? told < deltas_count(x.deltas) : told == deltas_count(x.deltas));
        assert_tells_what_is_expected(&x);
        stop(&x);
        if (!failed)
            break;
    }
}

static void without_memory_there_are_none(void **state)
{
    (void)state;
    struct feature_set *set = definitions(SET);
    for (int n = 1;; n++) {
        struct deltas *d = NULL;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = deltas_new(&d, set, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        deltas_free(d);
        if (!failed)
            break;
    }
    feature_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told_is_what_merging_one_by_one_makes),
        cmocka_unit_test(keys_and_contributions_are_counted),
        cmocka_unit_test(the_order_of_arrival_does_not_matter),
        cmocka_unit_test(telling_changes_nothing_so_it_can_be_told_again_and_go_on),
        cmocka_unit_test(who_refuses_a_key_ends_the_telling_and_nothing_is_lost),
        cmocka_unit_test(what_was_cleared_starts_from_nothing),
        cmocka_unit_test(without_memory_a_contribution_leaves_what_was_there),
        cmocka_unit_test(without_memory_telling_fails_and_can_be_done_again),
        cmocka_unit_test(without_memory_there_are_none),
    };
    return RUN(tests);
}

/* Deltas of many keys, of long ones, and of keys with many contributions. */
#include "feature/deltas.h"
#include "unit.h"

#include "support/gifts.h"

/* A key that is too long for a slot, and one that is not: both may begin as others do. */
static void keys_of_any_length_are_told_apart(void **state)
{
    (void)state;
    struct fixture x;
    struct contribution c = {.time = 5};
    struct err e = {0};
    start(&x);
    for (int again = 0; again < 2; again++)
        for (size_t len = 0; len < 80; len++)
            for (char last = 'a'; last < 'd'; last++) {
                struct buf key = {0};
                char name[80];
                memset(name, 'x', sizeof name);
                name[len] = last;
                shared_key(&key, 0, (struct str){name, len + 1});
                assert_true(buf_ok(&key));
                assert_int_equal(deltas_put(x.deltas, buf_str(&key), &c, &e), 0);
                uint32_t id = table_insert(x.expected, buf_str(&key));
                buf_free(&key);
                assert_int_not_equal(id, TABLE_NONE);
            }
    assert_int_equal(deltas_count(x.deltas), 240);
    struct told t = {0};
    assert_int_equal(tell(&x, &t, &e), 0);
    for (uint32_t i = table_first(x.expected); i != TABLE_NONE; i = table_next(x.expected, i)) {
        uint32_t id = table_find(t.cells, table_key(table_get(x.expected, i)));
        assert_int_not_equal(id, TABLE_NONE);
        struct str cell = table_value(table_get(t.cells, id));
        assert_value(part_value(cell_part(cell, 0), x.set->scopes[0].slots[0], 0, 5), 2);
    }
    table_free(t.cells);
    stop(&x);
}

/* Key n is given n % 3 + 1 contributions. */
static int check_many(void *arg, struct str key, struct str cell, struct err *e)
{
    struct fixture *x = arg;
    const struct scope *scope = &x->set->scopes[0];
    size_t number;
    struct str name;
    char text[16];
    (void)e;
    assert_true(shared_key_parse(x->set, key, &number, &name));
    snprintf(text, sizeof text, "%.*s", STR_ARG(name));
    assert_value(part_value(cell_part(cell, 0), scope->slots[0], 0, 2), atoi(text) % 3 + 1);
    x->contributions++;
    return 0;
}

static void a_hundred_thousand_keys_are_told_once_each(void **state)
{
    (void)state;
    enum { KEYS = 100000 };
    struct fixture x;
    struct gift g = {.proposition = "p"};
    struct err e = {0};
    start(&x);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3 * KEYS; i++) {
            snprintf(g.name, sizeof g.name, "%d", i % KEYS);
            g.time_ms = i / KEYS;
            if (i % KEYS % 3 >= i / KEYS)
                assert_int_equal(give_deltas(&x, &g, &e), 0);
        }
        assert_int_equal(deltas_count(x.deltas), KEYS);
        assert_int_equal(deltas_contributions(x.deltas), 199999); /* 33,333 times 6, and 1 */
        x.contributions = 0;
        assert_int_equal(deltas_each(x.deltas, check_many, &x, &e), 0);
        assert_int_equal(x.contributions, KEYS);
        deltas_clear(x.deltas); /* what follows finds the memory of many keys */
        assert_int_equal(deltas_count(x.deltas), 0);
        g.name[0] = 0;
        assert_int_equal(give_deltas(&x, &g, &e), 0);
        assert_int_equal(deltas_count(x.deltas), 1);
        deltas_clear(x.deltas);
    }
    stop(&x);
}

/* One a millisecond from 0 on, by hand: 5,000 of them in each bucket of 5 s, all in one hour, and
 * the decay is a geometric sum. */
static void one_key_with_many(size_t count)
{
    struct fixture x;
    struct random random = {58};
    struct gift clicks = {.name = "p", .event = 0, .value = {true, 0.25}, .proposition = "p"};
    struct gift views = {.scope = 2, .event = 1, .proposition = "p"};
    struct err e = {0};
    int64_t *times_ms = malloc(count * sizeof *times_ms);
    assert_non_null(times_ms);
    start(&x);
    assert_ptr_equal(x.set->scopes[2].slots[0]->name, x.set->features[3].name); /* heat */
    for (size_t i = 0; i < count; i++) {
        size_t k = (size_t)random_below(&random, (int64_t)i + 1);
        times_ms[i] = times_ms[k];
        times_ms[k] = (int64_t)i;
    }
    for (size_t i = 0; i < count; i++) {
        clicks.time_ms = views.time_ms = times_ms[i];
        clicks.scope = i % 2;
        assert_int_equal(give_deltas(&x, &clicks, &e), 0);
        clicks.scope = (i + 1) % 2;
        assert_int_equal(give_deltas(&x, &clicks, &e), 0);
        assert_int_equal(give_deltas(&x, &views, &e), 0);
    }
    assert_int_equal(deltas_count(x.deltas), 3);
    assert_int_equal(deltas_contributions(x.deltas), 3 * count);
    struct told t = {0};
    assert_int_equal(tell(&x, &t, &e), 0);
    double half_life_ms = 3600000,
           sum = expm1(-(double)count * M_LN2 / half_life_ms) / expm1(-M_LN2 / half_life_ms);
    for (uint32_t i = table_first(t.cells); i != TABLE_NONE; i = table_next(t.cells, i)) {
        struct str cell = table_value(table_get(t.cells, i));
        size_t scope;
        struct str key;
        assert_true(shared_key_parse(x.set, table_key(table_get(t.cells, i)), &scope, &key));
        const struct feature *f = x.set->scopes[scope].slots[0];
        struct part p = cell_part(cell, 0);
        int64_t last_ms = (int64_t)count - 1;
        if (scope == 0) {
            assert_value(part_value(p, f, 1, last_ms), (double)count);
            /* 60 buckets up to the newest, which is full. */
            assert_value(part_value(p, f, 0, last_ms), (double)(count < 300000 ? count : 300000));
        } else if (scope == 1) {
            assert_value(part_value(p, f, 0, last_ms),
                         0.25 * (double)(count < 300000 ? count : 300000));
        } else {
            assert_near(part_value(p, f, 0, last_ms), sum);
        }
    }
    table_free(t.cells);
    deltas_clear(x.deltas);
    x.contributions = 0;
    for (int i = 0; i < 3; i++)
        give(&x, &clicks);
    assert_tells_what_is_expected(&x);
    free(times_ms);
    stop(&x);
}

static void one_key_may_have_200000_contributions(void **state)
{
    (void)state;
    one_key_with_many(200000);
}

/* More than are kept in memory once they are gone. */
static void more_than_a_million_contributions_are_cleared_as_others_are(void **state)
{
    (void)state;
    one_key_with_many(400000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_any_length_are_told_apart),
        cmocka_unit_test(a_hundred_thousand_keys_are_told_once_each),
        cmocka_unit_test(one_key_may_have_200000_contributions),
        cmocka_unit_test(more_than_a_million_contributions_are_cleared_as_others_are),
    };
    return RUN(tests);
}

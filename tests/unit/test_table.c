#include "base/table.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

static struct str key_of(char text[32], unsigned n)
{
    snprintf(text, 32, "key-%u", n);
    return str_of(text);
}

/* There is memory in these tests. */
static uint32_t insert(struct table *t, struct str key)
{
    uint32_t id = table_insert(t, key);
    assert_int_not_equal(id, TABLE_NONE);
    return id;
}

static void a_key_keeps_its_number_whatever_its_value_becomes(void **state)
{
    (void)state;
    struct table *t = table_new();
    uint32_t id = insert(t, str_of("a"));
    char value[5000];
    memset(value, 'v', sizeof value);
    assert_int_equal(table_insert(t, str_of("a")), id);
    for (size_t n = 0; n <= sizeof value; n += 1000) {
        assert_true(table_set(t, id, str_bytes(value, n)));
        assert_int_equal(table_find(t, str_of("a")), id);
        assert_true(str_equal(table_value(table_get(t, id)), str_bytes(value, n)));
        assert_true(str_is(table_key(table_get(t, id)), "a"));
    }
    assert_int_equal(table_count(t), 1);
    table_free(t);
}

static void an_empty_key_is_a_key(void **state)
{
    (void)state;
    struct table *t = table_new();
    assert_int_equal(table_find(t, str_of("")), TABLE_NONE);
    uint32_t id = insert(t, str_of(""));
    assert_int_equal(table_find(t, str_of("")), id);
    assert_int_equal(table_find(t, str_bytes("\0", 1)), TABLE_NONE);
    table_free(t);
}

/* The same changes to the table and to a plain array, 200,000 times. */
static void it_does_what_an_array_of_all_keys_does(void **state)
{
    (void)state;
    enum { KEYS = 2000, STEPS = 200000 };
    static unsigned value[KEYS];
    struct table *t = table_new();
    size_t count = 0;
    char text[32];
    srand(1);
    for (int step = 0; step < STEPS; step++) {
        unsigned n = (unsigned)rand() % KEYS, v = (unsigned)rand() % 1000 + 1;
        uint32_t id = table_find(t, key_of(text, n));
        assert_int_equal(id != TABLE_NONE, value[n] != 0);
        if (value[n] && v % 3 == 0) {
            table_remove(t, id);
            value[n] = 0;
            count--;
            continue;
        }
        count += !value[n];
        id = insert(t, str_of(text));
        assert_true(table_set(t, id, str_bytes(&v, sizeof v)));
        value[n] = v;
        assert_int_equal(table_count(t), count);
    }
    for (unsigned n = 0; n < KEYS; n++) {
        uint32_t id = table_find(t, key_of(text, n));
        assert_int_equal(id != TABLE_NONE, value[n] != 0);
        if (value[n])
            assert_memory_equal(table_value(table_get(t, id)).data, &value[n], sizeof value[n]);
    }
    table_free(t);
}

static void the_walk_meets_each_key_once_also_while_it_removes(void **state)
{
    (void)state;
    struct table *t = table_new();
    char text[32];
    for (unsigned n = 0; n < 100; n++)
        table_set_tag(table_get(t, insert(t, key_of(text, n))), n);
    int64_t sum = 0;
    for (uint32_t id = table_first(t); id != TABLE_NONE; id = table_next(t, id)) {
        sum += table_tag(table_get(t, id));
        if (table_tag(table_get(t, id)) % 2)
            table_remove(t, id);
    }
    assert_int_equal(sum, 4950); /* 0 + 1 + ... + 99 */
    assert_int_equal(table_count(t), 50);
    sum = 0;
    for (uint32_t id = table_first(t); id != TABLE_NONE; id = table_next(t, id))
        sum += table_tag(table_get(t, id));
    assert_int_equal(sum, 2450); /* 0 + 2 + ... + 98 */
    table_free(t);
}

static void a_new_key_has_no_tag_flags_or_value_also_in_a_number_used_before(void **state)
{
    (void)state;
    struct table *t = table_new();
    uint32_t id = insert(t, str_of("old"));
    table_set_tag(table_get(t, id), 5);
    table_flag(table_get(t, id), 6, true);
    table_set(t, id, str_of("value"));
    table_remove(t, id);
    uint32_t again = insert(t, str_of("new"));
    assert_int_equal(again, id);
    assert_int_equal(table_tag(table_get(t, again)), 0);
    assert_false(table_has(table_get(t, again), 0xff));
    assert_int_equal(table_value(table_get(t, again)).len, 0);
    table_free(t);
}

static void a_cleared_table_is_empty_and_usable(void **state)
{
    (void)state;
    struct table *t = table_new();
    char text[32];
    for (unsigned n = 0; n < 100; n++)
        table_insert(t, key_of(text, n));
    table_remove(t, 50);
    table_clear(t);
    assert_int_equal(table_count(t), 0);
    assert_int_equal(table_first(t), TABLE_NONE);
    assert_int_equal(table_find(t, str_of("key-1")), TABLE_NONE);
    assert_int_equal(table_find(t, str_of("key-1")), TABLE_NONE);
    assert_int_not_equal(table_insert(t, str_of("key-1")), TABLE_NONE);
    assert_int_equal(table_count(t), 1);
    table_free(t);
}

static void its_bytes_grow_and_shrink_with_what_it_holds(void **state)
{
    (void)state;
    struct table *t = table_new();
    static char large[100000];
    size_t empty = table_bytes(t);
    uint32_t id = insert(t, str_of("a"));
    table_set(t, id, str_bytes(large, sizeof large));
    assert_true(table_bytes(t) >= empty + sizeof large);
    table_set(t, id, str_of("small"));
    assert_true(table_bytes(t) < empty + 1000);
    table_free(t);
}

static void without_memory_nothing_is_changed(void **state)
{
    (void)state;
    int n = 1;
    for (;; n++) {
        struct table *t = table_new();
        assert_int_not_equal(table_insert(t, str_of("kept")), TABLE_NONE);
        bool failed = false;
        char text[32];
        fail_alloc_at(n);
        for (unsigned i = 0; i < 40 && !failed; i++) {
            uint32_t id = table_insert(t, key_of(text, i));
            failed = id == TABLE_NONE ||
                     !table_set(t, id, str_of("0123456789012345678901234567890123456789"));
            if (id == TABLE_NONE)
                assert_int_equal(table_find(t, str_of(text)), TABLE_NONE);
            else if (failed)
                assert_int_equal(table_value(table_get(t, id)).len, 0);
        }
        assert_int_equal(fail_alloc_end(), failed);
        assert_int_not_equal(table_find(t, str_of("kept")), TABLE_NONE);
        assert_int_not_equal(table_insert(t, str_of("more")), TABLE_NONE);
        table_free(t);
        if (!failed)
            break;
    }
    assert_true(n > 80);
    fail_alloc_at(1);
    assert_null(table_new());
    fail_alloc_end();
}

/* Keys that are there, that are not, and that have gone, at every number of entries. */
static void what_is_fetched_ahead_is_left_as_it_is(void **state)
{
    (void)state;
    enum { KEYS = 3000 };
    struct table *t = table_new();
    char text[32];
    for (unsigned n = 0; n < KEYS; n++) {
        for (int step = 0; step < TABLE_FETCHES; step++)
            for (unsigned k = n > 3 ? n - 3 : 0; k < n + 3; k++)
                table_fetch(t, key_of(text, k), step);
        uint32_t id = insert(t, key_of(text, n));
        assert_true(table_set(t, id, key_of(text, n)));
        if (n % 3 == 2)
            table_remove(t, table_find(t, key_of(text, n / 3)));
        size_t bytes = table_bytes(t);
        for (int step = 0; step < TABLE_FETCHES; step++)
            table_fetch(t, key_of(text, n / 2), step);
        assert_int_equal(table_bytes(t), bytes);
        assert_int_equal(table_count(t), n + 1 - (n + 1) / 3);
    }
    for (unsigned n = 0; n < KEYS; n++) {
        uint32_t id = table_find(t, key_of(text, n));
        assert_int_equal(id == TABLE_NONE, n < KEYS / 3);
        if (id != TABLE_NONE)
            assert_true(str_equal(table_value(table_get(t, id)), key_of(text, n)));
    }
    table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_keeps_its_number_whatever_its_value_becomes),
        cmocka_unit_test(an_empty_key_is_a_key),
        cmocka_unit_test(it_does_what_an_array_of_all_keys_does),
        cmocka_unit_test(the_walk_meets_each_key_once_also_while_it_removes),
        cmocka_unit_test(a_new_key_has_no_tag_flags_or_value_also_in_a_number_used_before),
        cmocka_unit_test(a_cleared_table_is_empty_and_usable),
        cmocka_unit_test(what_is_fetched_ahead_is_left_as_it_is),
        cmocka_unit_test(its_bytes_grow_and_shrink_with_what_it_holds),
        cmocka_unit_test(without_memory_nothing_is_changed),
    };
    return RUN(tests);
}

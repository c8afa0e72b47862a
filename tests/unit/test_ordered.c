#include "ranker/ordered.h"
#include "unit.h"

#include "support/fixture.h"

enum { ITEMS = 5000 };

/* Items of equal keys are in the order of their numbers, backwards. */
static int backwards(void *arg, uint32_t a, uint32_t b)
{
    ++*(size_t *)arg;
    return a < b ? 1 : -1;
}

/* What is in the set, kept the slow way: key by item. */
struct model {
    struct ordered *set;
    double keys[ITEMS];
    bool is_in[ITEMS];
    size_t count, compared;
};

static const struct model *sorted_by;

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    double kx = sorted_by->keys[x], ky = sorted_by->keys[y];
    return kx != ky ? (kx < ky ? 1 : -1) : (x < y ? 1 : -1);
}

static void assert_same(const struct model *m)
{
    static uint32_t expected[ITEMS];
    const struct ordered_entry *entry;
    size_t n = 0, i = 0;
    for (uint32_t item = 0; item < ITEMS; item++)
        if (m->is_in[item])
            expected[n++] = item;
    sorted_by = m;
    qsort(expected, n, sizeof *expected, compare);
    assert_int_equal(ordered_count(m->set), n);
    for (struct ordered_place p = ordered_first(); (entry = ordered_at(m->set, p));
         ordered_step(m->set, &p), i++) {
        assert_true(i < n);
        assert_int_equal(entry->item, expected[i]);
        assert_true(entry->key == m->keys[entry->item]);
    }
    assert_int_equal(i, n);
}

static void put(struct model *m, uint32_t item, double key)
{
    m->keys[item] = key;
    m->is_in[item] = true;
    assert_true(ordered_insert(m->set, key, item));
}

static void take(struct model *m, uint32_t item)
{
    m->is_in[item] = false;
    assert_true(ordered_remove(m->set, m->keys[item], item));
}

static void it_is_in_order_after_any_changes(void **state)
{
    (void)state;
    static struct model m;
    struct random random = {1};
    m = (struct model){0};
    m.set = ordered_new(backwards, &m.compared);
    for (int n = 0; n < 200000; n++) {
        uint32_t item = (uint32_t)random_below(&random, ITEMS);
        /* Grows, shrinks to nothing, grows again; many keys are equal. */
        bool is_growing = n % 100000 < 50000;
        if (m.is_in[item] && (!is_growing || random_below(&random, 3) == 0))
            take(&m, item);
        else if (!m.is_in[item] && is_growing)
            put(&m, item, (double)random_below(&random, 40) - 20);
        if (n % 5000 == 0)
            assert_same(&m);
    }
    for (uint32_t item = 0; item < ITEMS; item++)
        if (m.is_in[item])
            take(&m, item);
    assert_same(&m);
    assert_true(ordered_bytes(m.set) < 20000);
    ordered_free(m.set);
}

static void growing_at_either_end_and_with_equal_keys_keeps_the_order(void **state)
{
    (void)state;
    static struct model m;
    for (int way = 0; way < 3; way++) {
        m = (struct model){0};
        m.set = ordered_new(backwards, &m.compared);
        for (uint32_t item = 0; item < ITEMS; item++)
            put(&m, item, way == 0 ? item : way == 1 ? -(double)item : 7);
        assert_same(&m);
        assert_true(ordered_bytes(m.set) < ITEMS * sizeof(struct ordered_entry) * 5 / 2);
        ordered_free(m.set);
    }
}

static void what_is_thinned_out_gives_its_memory_back(void **state)
{
    (void)state;
    static struct model m;
    struct random random = {9};
    m = (struct model){0};
    m.set = ordered_new(backwards, &m.compared);
    for (uint32_t item = 0; item < ITEMS; item++)
        put(&m, item, random_unit(&random));
    for (uint32_t item = 0; item < ITEMS; item++)
        if (item % 10)
            take(&m, item);
    assert_same(&m);
    assert_true(ordered_bytes(m.set) < ITEMS / 10 * sizeof(struct ordered_entry) * 4);
    ordered_free(m.set);
}

static void what_is_not_there_is_not_removed(void **state)
{
    (void)state;
    size_t compared = 0;
    struct ordered *o = ordered_new(backwards, &compared);
    assert_non_null(o);
    assert_false(ordered_remove(o, 1, 1));
    assert_true(ordered_insert(o, 1, 1));
    assert_false(ordered_remove(o, 2, 1));
    assert_false(ordered_remove(o, 1, 2));
    assert_false(ordered_remove(o, 0, 1));
    assert_int_equal(ordered_count(o), 1);
    assert_true(ordered_remove(o, 1, 1));
    assert_int_equal(ordered_count(o), 0);
    assert_null(ordered_at(o, ordered_first()));
    ordered_free(o);
}

/* A change in a set of 2^n compares keys about n times, and looks at each of a few blocks only. */
static void a_change_compares_with_few(void **state)
{
    (void)state;
    static struct model m;
    struct random random = {5};
    m = (struct model){0};
    m.set = ordered_new(backwards, &m.compared);
    for (uint32_t item = 0; item < ITEMS; item++)
        put(&m, item, 0);
    m.compared = 0;
    for (int n = 0; n < 1000; n++) {
        uint32_t item = (uint32_t)random_below(&random, ITEMS);
        take(&m, item);
        put(&m, item, 0);
    }
    assert_true(m.compared < 2000 * 16); /* log2(5000) is 12.3 */
    ordered_free(m.set);
}

static int only_known_items(void *arg, uint32_t a, uint32_t b)
{
    (void)arg;
    assert_true(a < ITEMS && b < ITEMS);
    return a < b ? -1 : 1;
}

/* What the allocator gives may hold what a set before left there. */
static void memory_that_was_used_before_is_not_read(void **state)
{
    (void)state;
    struct ordered *o = ordered_new(only_known_items, NULL);
    assert_non_null(o);
    for (uint32_t item = 0; item < ITEMS; item++)
        assert_true(ordered_insert(o, item, ITEMS + item));
    ordered_free(o);
    for (uint32_t item = 0; item < 50; item++) {
        o = ordered_new(only_known_items, NULL);
        for (uint32_t key = 0; key < 5; key++)
            assert_true(ordered_insert(o, item * 100 + key, item * 10 + key));
        ordered_free(o);
    }
}

static void memory_that_is_short_changes_nothing(void **state)
{
    (void)state;
    static struct model m;
    for (int n = 1;; n++) {
        m = (struct model){0};
        fail_alloc_at(n);
        m.set = ordered_new(backwards, &m.compared);
        for (uint32_t item = 0; item < 2000 && m.set; item++)
            if ((m.is_in[item] = ordered_insert(m.set, item, item)))
                m.keys[item] = item;
        bool failed = fail_alloc_end();
        if (m.set)
            assert_same(&m);
        ordered_free(m.set);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_in_order_after_any_changes),
        cmocka_unit_test(growing_at_either_end_and_with_equal_keys_keeps_the_order),
        cmocka_unit_test(what_is_thinned_out_gives_its_memory_back),
        cmocka_unit_test(what_is_not_there_is_not_removed),
        cmocka_unit_test(a_change_compares_with_few),
        cmocka_unit_test(memory_that_was_used_before_is_not_read),
        cmocka_unit_test(memory_that_is_short_changes_nothing),
    };
    return RUN(tests);
}

/* A few keys of a user's section that are changed without opening it, held against opening it. */
#include "base/prng.h"
#include "feature/user_record.h"
#include "unit.h"

enum { KEYS = 20, MOST = 12, ROUNDS = 20000 };

static const char *const names[KEYS] = {
    "",   "a",  "b",   "ab",  "ba",  "abc",  "drama", "comedy", "action", "a longer key than those",
    "k1", "k2", "k10", "k11", "k12", "k100", "k101",  "k102",   "k103",   "k104"};

/* Different keys with a cell for each, in the order of touching. */
struct touches {
    struct user_change changes[USER_FEW_KEYS];
    size_t count;
    char cells[USER_FEW_KEYS][200];
};

static void choose_touches(struct touches *t, struct prng *r)
{
    *t = (struct touches){.count = 1 + prng_below(r, USER_FEW_KEYS)};
    for (size_t i = 0; i < t->count; i++) {
        bool is_taken = true;
        while (is_taken) {
            t->changes[i].key = str_of(names[prng_below(r, KEYS)]);
            is_taken = false;
            for (size_t k = 0; k < i; k++)
                is_taken |= str_equal(t->changes[k].key, t->changes[i].key);
        }
        memset(t->cells[i], (int)('a' + prng_below(r, 26)), sizeof t->cells[i]);
        t->cells[i][0] = 0; /* a time, which every cell begins with */
    }
}

static struct str cell_of_touch(const struct touches *t, size_t i)
{
    return str_bytes(t->cells[i], 1 + (size_t)t->cells[i][1] % 7 * 30);
}

static void put_by_opening(struct buf *out, struct str section, const struct touches *t, bool tells)
{
    struct user_keys keys = {.tells = tells};
    struct err e = {0};
    assert_int_equal(user_keys_open(&keys, section, &e), 0);
    for (size_t i = 0; i < t->count; i++) {
        uint32_t k = user_keys_touch(&keys, t->changes[i].key, MOST);
        assert_int_not_equal(k, USER_KEY_NONE);
        keys.keys[k].cell = cell_of_touch(t, i);
        keys.keys[k].flags |= KEY_IS_DUE;
    }
    user_keys_close(&keys, out);
    assert_true(buf_ok(out));
    user_keys_free(&keys);
}

/* The cell that a section has of a key; data NULL: it does not hold it. */
struct wanted {
    struct str key, cell;
    size_t held;
};

static int look(void *arg, const struct user_key_view *k, struct err *e)
{
    struct wanted *w = arg;
    (void)e;
    if (*k->flags & KEY_IS_GONE)
        return 0;
    w->held++;
    if (str_equal(k->key, w->key))
        w->cell = k->cell;
    return 0;
}

static int publish(void *arg, const struct user_key_view *k, struct err *e)
{
    (void)e;
    if (prng_below(arg, 2))
        *(uint8_t *)(uintptr_t)k->flags &= (uint8_t)~KEY_IS_DUE;
    return 0;
}

/* Cells found are those that stand there; the bytes written are those of opening it. */
static void check_found(struct str section, struct touches *t, struct str expected)
{
    struct buf got = {0};
    struct err e = {0};
    for (size_t i = 0; i < t->count; i++) {
        struct wanted w = {.key = t->changes[i].key};
        assert_int_equal(user_section_each(section, look, &w, &e), 0);
        assert_int_equal(t->changes[i].cell.len, w.cell.len);
        assert_memory_equal(t->changes[i].cell.data, w.cell.data ? w.cell.data : "", w.cell.len);
        t->changes[i].cell = cell_of_touch(t, i);
    }
    user_section_put_few(&got, section, t->changes, t->count);
    assert_bytes(&got, expected.data, expected.len);
    buf_free(&got);
}

static void a_few_keys_are_found_and_put_as_by_opening_the_section(void **state)
{
    (void)state;
    struct prng r;
    struct buf section = {0};
    size_t found = 0, refused = 0;
    prng_seed(&r, 20261121);
    for (size_t round = 0; round < ROUNDS; round++) {
        struct touches t;
        struct buf opened = {0};
        struct err e = {0};
        if (prng_below(&r, 50) == 0)
            buf_reset(&section);
        assert_int_equal(user_section_each(buf_str(&section), publish, &r, &e), 0);
        choose_touches(&t, &r);
        put_by_opening(&opened, buf_str(&section), &t, prng_below(&r, 2));
        if (user_section_find_few(buf_str(&section), t.changes, t.count, MOST)) {
            found++;
            check_found(buf_str(&section), &t, buf_str(&opened));
        } else {
            refused++;
        }
        buf_free(&section);
        section = opened;
    }
    /* Both ways were gone, many times. */
    assert_in_range(found, ROUNDS / 10, ROUNDS);
    assert_in_range(refused, ROUNDS / 10, ROUNDS);
    buf_free(&section);
}

static void a_section_is_left_to_be_opened(struct str section, const char *first,
                                           const char *second, uint32_t most)
{
    struct user_change changes[2] = {{.key = str_of(first)}, {.key = str_of(second)}};
    assert_false(user_section_find_few(section, changes, 2, most));
}

static void what_drops_a_key_or_is_named_twice_or_damaged_has_to_be_opened(void **state)
{
    (void)state;
    static const uint8_t one[] = {1, 1 << 2, 'k', 1, 10};
    struct str section = str_bytes(one, sizeof one);
    struct user_change changes[2] = {{.key = str_of("k")}, {.key = str_of("m")}};
    assert_true(user_section_find_few(section, changes, 2, 2));
    a_section_is_left_to_be_opened(section, "k", "m", 1);
    a_section_is_left_to_be_opened(section, "m", "n", 2);
    a_section_is_left_to_be_opened(section, "k", "k", 9);
    a_section_is_left_to_be_opened(str_bytes(one, sizeof one - 1), "k", "m", 9);
    a_section_is_left_to_be_opened(str_bytes("\1\4k\1\12\0", 6), "k", "m", 9);
    a_section_is_left_to_be_opened(str_bytes("\1\6k\1\12", 5), "k", "m", 9); /* gone, and told */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_keys_are_found_and_put_as_by_opening_the_section),
        cmocka_unit_test(what_drops_a_key_or_is_named_twice_or_damaged_has_to_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "feature/user_record.h"
#include "unit.h"

#include "support/fixture.h"

static const char *const SET = "scope: user*proposition, count: {event: click, windows: [1h]}";

/* A cell whose newest contribution is at a time, and nothing else is in it. */
static struct str cell_at(struct buf *b, int64_t time_ms)
{
    buf_reset(b);
    buf_put_zigzag(b, time_ms);
    buf_put_u8(b, 0);
    return buf_str(b);
}

static struct str key_number(char text[16], int n)
{
    snprintf(text, 16, "k%d", n);
    return str_of(text);
}

/* A section, opened anew for each contribution, as the worker does. */
struct section {
    struct buf bytes;
    struct user_keys keys;
};

static void section_free(struct section *s)
{
    buf_free(&s->bytes);
    user_keys_free(&s->keys);
}

static void open_section(struct section *s)
{
    struct err e = {0};
    assert_int_equal(user_keys_open(&s->keys, buf_str(&s->bytes), &e), 0);
}

static void touch(struct section *s, int n, int64_t time_ms, uint32_t most)
{
    char text[16];
    struct buf cell = {0}, after = {0};
    open_section(s);
    uint32_t i = user_keys_touch(&s->keys, key_number(text, n), most);
    assert_int_not_equal(i, USER_KEY_NONE);
    s->keys.keys[i].cell = cell_at(&cell, time_ms);
    s->keys.keys[i].flags |= KEY_IS_DUE;
    user_keys_close(&s->keys, &after);
    assert_true(buf_ok(&after));
    buf_free(&s->bytes);
    s->bytes = after;
    buf_free(&cell);
}

/* Keys and flags in the order of the section: k1 due, (k2) gone and due, ... */
static int print_key(void *arg, const struct user_key_view *k, struct err *e)
{
    struct buf *out = arg;
    (void)e;
    bool gone = *k->flags & KEY_IS_GONE;
    buf_printf(out, "%s%s%.*s%s%s", out->len ? " " : "", gone ? "(" : "", STR_ARG(k->key),
               gone ? ")" : "", *k->flags & KEY_IS_DUE ? "!" : "");
    return 0;
}

static void section_is(const struct section *s, const char *expected)
{
    struct buf out = {0};
    struct err e = {0};
    assert_int_equal(user_section_each(buf_str(&s->bytes), print_key, &out, &e), 0);
    assert_buf_is(&out, expected);
    buf_free(&out);
}

static int publish_key(void *arg, const struct user_key_view *k, struct err *e)
{
    (void)arg;
    (void)e;
    *(uint8_t *)(uintptr_t)k->flags &= (uint8_t)~KEY_IS_DUE;
    return 0;
}

static void publish(struct section *s)
{
    struct err e = {0};
    assert_int_equal(user_section_each(buf_str(&s->bytes), publish_key, NULL, &e), 0);
}

static void the_last_64_event_ids_are_remembered(void **state)
{
    (void)state;
    struct buf record = {0}, next = {0};
    char text[16];
    for (int n = 0; n < 200; n++) {
        struct user_record r;
        struct err e = {0};
        assert_int_equal(user_record_open(&r, buf_str(&record), &e), 0);
        for (int back = 0; back < n; back++)
            assert_int_equal(user_record_has_id(&r, key_number(text, back)), n - back <= 64);
        assert_false(user_record_has_id(&r, key_number(text, n)));
        buf_reset(&next);
        user_record_put_ids(&next, &r, key_number(text, n));
        assert_int_equal(next.len, 1 + 6 * (size_t)(n < 64 ? n + 1 : 64));
        struct buf swap = record;
        record = next;
        next = swap;
    }
    buf_free(&record);
    buf_free(&next);
}

static void the_key_contributed_to_least_recently_goes_by_arrival(void **state)
{
    (void)state;
    struct section s = {0};
    touch(&s, 1, 100, 3);
    touch(&s, 2, 90, 3);
    touch(&s, 3, 80, 3);
    touch(&s, 1, 5, 3); /* oldest by time, newest by arrival */
    section_is(&s, "k2! k3! k1!");
    touch(&s, 4, 1, 3);
    section_is(&s, "k3! k1! k4!");
    touch(&s, 5, 1, 3);
    section_is(&s, "k1! k4! k5!");
    touch(&s, 1, 1, 3);
    touch(&s, 6, 1, 3);
    section_is(&s, "k5! k1! k6!");
    section_free(&s);
}

static void keys_256_are_held_and_the_257th_drops_one(void **state)
{
    (void)state;
    struct section s = {0};
    char text[16];
    for (int n = 0; n < 256; n++)
        touch(&s, n, n, 256);
    open_section(&s);
    assert_int_equal(s.keys.held, 256);
    for (int n = 0; n < 256; n++)
        assert_int_not_equal(user_keys_find(&s.keys, key_number(text, n)), USER_KEY_NONE);
    touch(&s, 0, 0, 256);
    touch(&s, 256, 0, 256);
    open_section(&s);
    assert_int_equal(s.keys.held, 256);
    for (int n = 0; n <= 256; n++)
        assert_int_equal(user_keys_find(&s.keys, key_number(text, n)) == USER_KEY_NONE, n == 1);
    section_free(&s);
}

/* The same by a list that is searched from its beginning, with several contributions an opening. */
static void keys_are_dropped_as_from_a_plain_list(void **state)
{
    (void)state;
    struct random random = {21};
    for (int round = 0; round < 40; round++) {
        struct section s = {0};
        uint32_t most = 1 + (uint32_t)random_below(&random, 40);
        int plain[64], count = 0, range = 2 + (int)random_below(&random, 80);
        static char texts[200][16];
        for (int opening = 0; opening < 10; opening++) {
            struct buf after = {0};
            open_section(&s);
            for (int i = 0; i < 20; i++) {
                int n = (int)random_below(&random, range), at = 0;
                assert_int_not_equal(user_keys_touch(&s.keys, key_number(texts[n], n), most),
                                     USER_KEY_NONE);
                while (at < count && plain[at] != n)
                    at++;
                if (at == count && count == (int)most)
                    at = 0;
                else if (at == count)
                    at = count++;
                for (; at + 1 < count; at++)
                    plain[at] = plain[at + 1];
                plain[count - 1] = n;
            }
            user_keys_close(&s.keys, &after);
            buf_free(&s.bytes);
            s.bytes = after;
            struct buf expected = {0};
            for (int i = 0; i < count; i++)
                buf_printf(&expected, "%sk%d", i ? " " : "", plain[i]);
            buf_put_u8(&expected, 0);
            section_is(&s, (const char *)expected.data);
            buf_free(&expected);
        }
        section_free(&s);
    }
}

static void a_dropped_key_is_kept_until_that_is_published_and_forgotten_then(void **state)
{
    (void)state;
    struct section s = {.keys.tells = true};
    touch(&s, 1, 70, 2);
    touch(&s, 2, 80, 2);
    publish(&s);
    section_is(&s, "k1 k2");
    touch(&s, 3, 90, 2);
    section_is(&s, "(k1)! k2 k3!");
    touch(&s, 3, 91, 2); /* opened and closed: still to be told */
    section_is(&s, "(k1)! k2 k3!");
    publish(&s);
    section_is(&s, "(k1) k2 k3");
    touch(&s, 3, 92, 2);
    section_is(&s, "k2 k3!");
    section_free(&s);
}

static int newest_of_gone(void *arg, const struct user_key_view *k, struct err *e)
{
    (void)e;
    if (*k->flags & KEY_IS_GONE)
        *(int64_t *)arg = cell_newest_ms(k->cell);
    return 0;
}

static void a_dropped_key_keeps_the_time_of_its_newest_contribution(void **state)
{
    (void)state;
    struct section s = {.keys.tells = true};
    struct err e = {0};
    int64_t newest_ms = 0;
    touch(&s, 1, -123456789, 1);
    touch(&s, 2, 5, 1);
    assert_int_equal(user_section_each(buf_str(&s.bytes), newest_of_gone, &newest_ms, &e), 0);
    assert_int_equal(newest_ms, -123456789);
    section_free(&s);
}

/* It is told as gone and, behind that, as what it became: who reads both in order is right. */
static void a_key_that_comes_back_before_publication_stands_behind_its_end(void **state)
{
    (void)state;
    struct section s = {.keys.tells = true};
    touch(&s, 1, 10, 1);
    touch(&s, 2, 20, 1);
    touch(&s, 1, 30, 1);
    section_is(&s, "(k1)! (k2)! k1!");
    open_section(&s);
    assert_int_equal(s.keys.held, 1);
    assert_int_equal(s.keys.keys[user_keys_find(&s.keys, str_of("k1"))].flags, KEY_IS_DUE);
    assert_int_equal(user_keys_find(&s.keys, str_of("k2")), USER_KEY_NONE);
    publish(&s);
    touch(&s, 1, 40, 1);
    section_is(&s, "k1!");
    section_free(&s);
}

static void nobody_is_told_where_that_was_not_asked_for(void **state)
{
    (void)state;
    struct section s = {0};
    touch(&s, 1, 10, 1);
    touch(&s, 2, 20, 1);
    section_is(&s, "k2!");
    section_free(&s);
}

static void the_empty_key_is_a_key(void **state)
{
    (void)state;
    struct section s = {0};
    struct buf after = {0};
    open_section(&s);
    uint32_t i = user_keys_touch(&s.keys, str_of(""), 5);
    s.keys.keys[i].cell = str_of("x");
    user_keys_close(&s.keys, &after);
    s.bytes = after;
    open_section(&s);
    assert_int_equal(user_keys_find(&s.keys, str_of("")), 0);
    section_free(&s);
}

static int count_sections(void *arg, size_t scope, struct str section, struct err *e)
{
    (void)scope;
    (void)section;
    (void)e;
    ++*(int *)arg;
    return 0;
}

/* A record with two keys and ids, as apply.c writes it. */
static void make_record(struct buf *out, struct section *s)
{
    struct user_record none;
    struct err e = {0};
    touch(s, 1, 10, 9);
    touch(s, 2, 20, 9);
    assert_int_equal(user_record_open(&none, str_of(""), &e), 0);
    user_record_put_ids(out, &none, str_of("id"));
    buf_put_sized(out, buf_str(&s->bytes));
}

static void damaged_records_are_refused_or_read_within_their_bounds(void **state)
{
    (void)state;
    struct feature_set *set = definition(SET);
    struct section s = {0};
    struct buf record = {0}, out = {0}, layout = {0};
    struct random random = {22};
    make_record(&record, &s);
    user_record_fingerprints(&layout, set);
    for (int round = 0; round < 30000; round++) {
        size_t n = round < (int)record.len ? (size_t)round : record.len;
        uint8_t *bytes = malloc(n + !n);
        struct err e = {0};
        int sections = 0;
        memcpy(bytes, record.data, n);
        for (int64_t i = round < (int)record.len ? 0 : random_below(&random, 4); i > 0; i--)
            bytes[random_below(&random, (int64_t)n)] = (uint8_t)random_next(&random);
        int rc = user_record_each(set, str_bytes(bytes, n), count_sections, &sections, &e);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        if (n > 0 && n < record.len)
            assert_int_equal(rc, ERR_CORRUPT);
        if (rc)
            assert_contains(e.msg, "damaged");
        buf_reset(&out);
        rc = user_record_convert(&out, set, buf_str(&layout), str_bytes(bytes, n), &e);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        size_t cut = (size_t)random_below(&random, (int64_t)s.bytes.len);
        rc = user_keys_open(&s.keys, str_bytes(s.bytes.data, cut), &e);
        assert_int_equal(rc, cut ? ERR_CORRUPT : 0);
        free(bytes);
    }
    buf_free(&record);
    buf_free(&out);
    buf_free(&layout);
    section_free(&s);
    feature_set_free(set);
}

static void a_section_with_bytes_behind_its_keys_is_refused(void **state)
{
    (void)state;
    struct section s = {0};
    struct err e = {0};
    touch(&s, 1, 1, 5);
    buf_put_u8(&s.bytes, 0);
    assert_int_equal(user_keys_open(&s.keys, buf_str(&s.bytes), &e), ERR_CORRUPT);
    assert_contains(e.msg, "damaged");
    section_free(&s);
}

static void without_memory_opening_and_touching_fail_and_leak_nothing(void **state)
{
    (void)state;
    struct section s = {0};
    char texts[40][16];
    for (int n = 0; n < 40; n++)
        touch(&s, n, n, 256);
    for (int n = 1;; n++) {
        struct user_keys keys = {.tells = true};
        struct err e = {0};
        bool ok = true;
        fail_alloc_at(n);
        int rc = user_keys_open(&keys, buf_str(&s.bytes), &e);
        for (int i = 0; rc == 0 && ok && i < 40; i++)
            ok = user_keys_touch(&keys, key_number(texts[i], 100 + i), 45) != USER_KEY_NONE;
        bool failed = fail_alloc_end();
        user_keys_free(&keys);
        if (!failed) {
            assert_true(rc == 0 && ok && n > 3);
            break;
        }
        assert_true(rc == ERR_NOMEM || !ok);
    }
    section_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_64_event_ids_are_remembered),
        cmocka_unit_test(the_key_contributed_to_least_recently_goes_by_arrival),
        cmocka_unit_test(keys_256_are_held_and_the_257th_drops_one),
        cmocka_unit_test(keys_are_dropped_as_from_a_plain_list),
        cmocka_unit_test(a_dropped_key_is_kept_until_that_is_published_and_forgotten_then),
        cmocka_unit_test(a_dropped_key_keeps_the_time_of_its_newest_contribution),
        cmocka_unit_test(a_key_that_comes_back_before_publication_stands_behind_its_end),
        cmocka_unit_test(nobody_is_told_where_that_was_not_asked_for),
        cmocka_unit_test(the_empty_key_is_a_key),
        cmocka_unit_test(damaged_records_are_refused_or_read_within_their_bounds),
        cmocka_unit_test(a_section_with_bytes_behind_its_keys_is_refused),
        cmocka_unit_test(without_memory_opening_and_touching_fail_and_leak_nothing),
    };
    return RUN(tests);
}

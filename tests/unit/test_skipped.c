#include "unit.h"

#include "state/skipped.h"

static struct skipped with(const int64_t *offsets, size_t count)
{
    struct skipped s = {0};
    for (size_t i = 0; i < count; i++)
        assert_int_equal(skipped_add(&s, offsets[i], NULL), 0);
    return s;
}

static void offsets_are_there_and_their_neighbours_are_not(void **state)
{
    (void)state;
    static const int64_t offsets[] = {0, 5, 6, 7, 9, 1000000000000};
    struct skipped s = with(offsets, 6);
    assert_int_equal(s.count, 4);
    for (int64_t i = -1; i < 12; i++)
        assert_int_equal(skipped_has(&s, i), i == 0 || (i >= 5 && i <= 7) || i == 9);
    assert_true(skipped_has(&s, 1000000000000));
    assert_false(skipped_has(&s, 1000000000001));
    skipped_free(&s);
}

static void the_same_offset_again_changes_nothing(void **state)
{
    (void)state;
    static const int64_t offsets[] = {5, 6, 6, 5};
    struct skipped s = with(offsets, 4);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.runs[0].count, 2);
    skipped_free(&s);
}

static void what_is_before_an_offset_is_forgotten(void **state)
{
    (void)state;
    static const int64_t offsets[] = {1, 5, 6, 9};
    struct skipped s = with(offsets, 4);
    skipped_forget(&s, 6);
    assert_false(skipped_has(&s, 1));
    assert_true(skipped_has(&s, 6) && skipped_has(&s, 9));
    skipped_forget(&s, 10);
    assert_int_equal(s.count, 0);
    skipped_free(&s);
}

static void they_come_back_from_bytes_in_place_of_others(void **state)
{
    (void)state;
    static const int64_t offsets[] = {3, 4, 900, 1LL << 40}, others[] = {17};
    struct skipped s = with(offsets, 4), t = with(others, 1);
    struct buf b = {0};
    assert_true(s.is_new);
    skipped_write(&s, &b);
    assert_false(s.is_new);
    static const uint8_t first_runs[] = {3, 2, 0xff, 6, 1}; /* 900 is 895 behind 5 */
    assert_memory_equal(b.data, first_runs, sizeof first_runs);
    assert_int_equal(skipped_read(&t, buf_str(&b), NULL), 0);
    assert_false(skipped_has(&t, 17));
    for (size_t i = 0; i < 4; i++)
        assert_true(skipped_has(&t, offsets[i]));
    assert_int_equal(skipped_add(&t, (1LL << 40) + 1, NULL), 0);
    assert_int_equal(t.count, 3);
    assert_int_equal(skipped_read(&t, str_of(""), NULL), 0);
    assert_int_equal(t.count, 0);
    skipped_free(&s);
    skipped_free(&t);
    buf_free(&b);
}

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    static const uint8_t cut[] = {3}, none[] = {3, 0},
                         far[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1};
    struct skipped s = {0};
    struct err e = {0};
    assert_int_equal(skipped_read(&s, str_bytes(cut, sizeof cut), &e), ERR_CORRUPT);
    assert_int_equal(skipped_read(&s, str_bytes(none, sizeof none), &e), ERR_CORRUPT);
    assert_int_equal(skipped_read(&s, str_bytes(far, sizeof far), &e), ERR_CORRUPT);
    assert_contains(e.msg, "damaged");
    skipped_free(&s);
}

static void too_many_have_to_wait_until_some_are_forgotten(void **state)
{
    (void)state;
    struct skipped s = {0};
    struct err e = {0};
    int64_t offset = 0;
    for (; s.count < SKIPPED_MAX_RUNS; offset += 2)
        assert_int_equal(skipped_add(&s, offset, &e), 0);
    assert_int_equal(skipped_add(&s, offset, &e), ERR_UNAVAILABLE);
    assert_contains(e.msg, "checkpoint");
    skipped_forget(&s, 2);
    assert_int_equal(skipped_add(&s, offset, &e), 0);
    skipped_free(&s);
}

static void without_memory_adding_says_so(void **state)
{
    (void)state;
    struct skipped s = {0};
    fail_alloc_at(1);
    assert_int_equal(skipped_add(&s, 1, NULL), ERR_NOMEM);
    assert_true(fail_alloc_end());
    skipped_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_are_there_and_their_neighbours_are_not),
        cmocka_unit_test(the_same_offset_again_changes_nothing),
        cmocka_unit_test(what_is_before_an_offset_is_forgotten),
        cmocka_unit_test(they_come_back_from_bytes_in_place_of_others),
        cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(too_many_have_to_wait_until_some_are_forgotten),
        cmocka_unit_test(without_memory_adding_says_so),
    };
    return RUN(tests);
}

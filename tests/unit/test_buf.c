#include "base/buf.h"
#include "unit.h"

#include <math.h>

#define BYTES(...)                                                                                 \
    (const uint8_t[]){__VA_ARGS__}, sizeof(uint8_t[])                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* Base 128, low bits first: 300 = 2 * 128 + 44. */
static void varints_are_written_low_bits_first(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_varint(&b, 0);
    buf_put_varint(&b, 127);
    buf_put_varint(&b, 300);
    buf_put_varint(&b, UINT64_MAX);
    assert_bytes(&b,
                 BYTES(0, 0x7f, 0xac, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1));
    buf_free(&b);
}

/* As in Avro's specification: 0, -1, 1, -2, 2 are 0, 1, 2, 3, 4; -64 is 7f and 64 is 80 01. */
static void signed_varints_are_zigzag_as_in_avro(void **state)
{
    (void)state;
    struct buf b = {0};
    const int64_t numbers[] = {0, -1, 1, -2, 2, -64, 64, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        buf_put_zigzag(&b, numbers[i]);
    assert_bytes(&b, BYTES(0, 1, 2, 3, 4, 0x7f, 0x80, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                           0xff, 0xff, 1));
    struct cursor c = cursor_of(b.data, b.len);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_true(cursor_zigzag(&c) == numbers[i]);
    assert_false(c.bad);
    assert_int_equal(cursor_left(&c), 0);
    buf_free(&b);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_u8(&b, 200);
    buf_put_u64(&b, 0x1122334455667788);
    buf_put_double(&b, -0.1);
    buf_put_sized(&b, str_of("text"));
    buf_put_sized(&b, str_of(""));
    struct cursor c = cursor_of(b.data, b.len);
    assert_int_equal(cursor_u8(&c), 200);
    assert_true(cursor_u64(&c) == 0x1122334455667788);
    assert_true(cursor_double(&c) == -0.1);
    assert_true(str_is(cursor_sized(&c), "text"));
    assert_int_equal(cursor_sized(&c).len, 0);
    assert_false(c.bad);
    buf_free(&b);
}

static void a_cursor_that_runs_out_turns_bad_and_reads_zeros(void **state)
{
    (void)state;
    struct cursor c = cursor_of("abc", 3);
    assert_true(cursor_u64(&c) == 0);
    assert_true(c.bad);
    assert_int_equal(cursor_u8(&c), 0); /* though there are bytes left */
    assert_true(cursor_double(&c) == 0);
    assert_int_equal(cursor_sized(&c).len, 0);
}

static void a_varint_over_64_bits_is_bad(void **state)
{
    (void)state;
    const uint8_t eleven[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80, 1};
    const uint8_t over[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};
    const uint8_t cut[] = {0x80, 0x80};
    struct cursor a = cursor_of(eleven, sizeof eleven), b = cursor_of(over, sizeof over),
                  c = cursor_of(cut, sizeof cut);
    cursor_varint(&a);
    cursor_varint(&b);
    cursor_varint(&c);
    assert_true(a.bad && b.bad && c.bad);
}

static void a_length_past_the_end_is_bad(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 'x'};
    struct cursor c = cursor_of(bytes, sizeof bytes);
    assert_int_equal(cursor_sized(&c).len, 0);
    assert_true(c.bad);
}

static void splicing_moves_what_is_behind(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_text(&b, "0123456789");
    buf_splice(&b, 2, 3, "abcdef", 6);
    assert_buf_is(&b, "01abcdef56789");
    buf_splice(&b, 0, 8, NULL, 0);
    assert_buf_is(&b, "56789");
    buf_splice(&b, 5, 0, "!", 1);
    assert_buf_is(&b, "56789!");
    buf_free(&b);
}

static void printf_appends_without_a_zero(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_printf(&b, "%d-%s", 7, "x");
    buf_printf(&b, "%0100d", 1);
    assert_int_equal(b.len, 103);
    assert_memory_equal(b.data, "7-x000", 6);
    buf_free(&b);
}

static void a_failed_allocation_is_remembered_until_the_reset(void **state)
{
    (void)state;
    struct buf b = {0};
    fail_alloc_at(1);
    buf_put_text(&b, "lost");
    assert_true(fail_alloc_end());
    buf_put_text(&b, "as is this, though there is memory again");
    buf_printf(&b, "%d", 1);
    buf_splice(&b, 0, 0, "x", 1);
    assert_false(buf_ok(&b));
    assert_int_equal(b.len, 0);
    buf_reset(&b);
    buf_put_text(&b, "here");
    assert_buf_is(&b, "here");
    buf_free(&b);
}

static void a_size_that_cannot_be_fails_instead_of_wrapping(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_u8(&b, 1);
    assert_false(buf_reserve(&b, SIZE_MAX));
    assert_false(buf_ok(&b));
    assert_int_equal(b.len, 1);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_are_written_low_bits_first),
        cmocka_unit_test(signed_varints_are_zigzag_as_in_avro),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(a_cursor_that_runs_out_turns_bad_and_reads_zeros),
        cmocka_unit_test(a_varint_over_64_bits_is_bad),
        cmocka_unit_test(a_length_past_the_end_is_bad),
        cmocka_unit_test(splicing_moves_what_is_behind),
        cmocka_unit_test(printf_appends_without_a_zero),
        cmocka_unit_test(a_failed_allocation_is_remembered_until_the_reset),
        cmocka_unit_test(a_size_that_cannot_be_fails_instead_of_wrapping),
    };
    return RUN(tests);
}

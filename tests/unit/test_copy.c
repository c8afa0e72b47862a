/* Expected bytes are written by hand from the section "Binary Format" of PostgreSQL's documentation
 * of COPY, and from its receive functions (array_recv, jsonb_recv, timestamptz_recv). */
#include "db/copy.h"
#include "unit.h"

#include <math.h>

#define BYTES(...)                                                                                 \
    (const uint8_t[]){__VA_ARGS__}, sizeof(uint8_t[])                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void a_file_without_rows_is_signature_flags_extension_and_trailer(void **state)
{
    (void)state;
    struct buf b = {0};
    copy_begin(&b);
    copy_end(&b);
    assert_bytes(&b, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\377\377", 21);
    buf_free(&b);
}

static void numbers_are_big_endian_behind_their_length(void **state)
{
    (void)state;
    struct buf b = {0};
    copy_row(&b, 4);
    copy_int4(&b, -2);
    copy_int8(&b, 0x0102030405060708);
    copy_float8(&b, 1.5); /* 0x3ff8000000000000 */
    copy_null(&b);
    assert_bytes(&b, BYTES(0, 4, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6,
                           7, 8, 0, 0, 0, 8, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff));
    buf_free(&b);
}

static void a_text_is_its_bytes(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_int_equal(copy_text(&b, str_of("a\xc3\xa4"), NULL), 0);
    assert_int_equal(copy_text(&b, str_of(""), NULL), 0);
    copy_bytea(&b, str_bytes("\0\xff", 2));
    assert_bytes(&b, BYTES(0, 0, 0, 3, 'a', 0xc3, 0xa4, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0xff));
    buf_free(&b);
}

static void a_text_with_nul_is_refused_with_its_place(void **state)
{
    (void)state;
    struct buf b = {0};
    struct err e = {0};
    assert_int_equal(copy_text(&b, str_bytes("ab\0c", 4), &e), ERR_SCHEMA);
    assert_contains(e.msg, "U+0000 at byte 2");
    assert_int_equal(b.len, 0);
}

static void a_text_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    struct buf b = {0};
    struct err e = {0};
    assert_int_equal(copy_text(&b, str_bytes("abc\xff", 4), &e), ERR_SCHEMA);
    assert_contains(e.msg, "not UTF-8 at byte 3");
}

static void a_clean_text_has_replacements_for_what_cannot_be_held(void **state)
{
    (void)state;
    struct buf b = {0};
    copy_clean_text(&b, str_bytes("a\0b\xc3", 4));
    assert_bytes(&b, BYTES(0, 0, 0, 8, 'a', 0xef, 0xbf, 0xbd, 'b', 0xef, 0xbf, 0xbd));
    buf_free(&b);
}

static void an_array_has_dimensions_flags_type_bounds_and_elements(void **state)
{
    (void)state;
    struct buf b = {0};
    struct str items[] = {str_of("x"), str_of("")};
    struct str_list list = {items, 2};
    assert_int_equal(copy_texts(&b, &list, NULL), 0);
    assert_bytes(&b, BYTES(0, 0, 0, 29, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1,
                           0, 0, 0, 1, 'x', 0, 0, 0, 0));
    buf_free(&b);
}

static void an_empty_array_has_no_dimension(void **state)
{
    (void)state;
    struct buf b = {0};
    struct str_list list = {NULL, 0};
    assert_int_equal(copy_texts(&b, &list, NULL), 0);
    assert_bytes(&b, BYTES(0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25));
    buf_free(&b);
}

static void an_array_with_a_nul_is_refused(void **state)
{
    (void)state;
    struct buf b = {0};
    struct str items[] = {str_of("x"), str_bytes("\0", 1)};
    struct str_list list = {items, 2};
    assert_int_equal(copy_texts(&b, &list, NULL), ERR_SCHEMA);
    buf_free(&b);
}

static void numbers_of_a_jsonb_are_canonical_and_missing_ones_null(void **state)
{
    (void)state;
    struct buf b = {0};
    struct double_entry items[] = {
        {str_of("a\"b"), 0.1}, {str_of("n"), NAN}, {str_of("i"), -INFINITY}, {str_of("z"), -0.0}};
    struct double_map map = {items, 4};
    static const char text[] = "\1{\"a\\\"b\":0.1,\"n\":null,\"i\":null,\"z\":0}";
    assert_int_equal(copy_jsonb_doubles(&b, &map, NULL), 0);
    assert_int_equal(b.len, 4 + sizeof text - 1);
    assert_memory_equal(b.data, "\0\0\0", 3);
    assert_int_equal(b.data[3], sizeof text - 1);
    assert_memory_equal(b.data + 4, text, sizeof text - 1);
    buf_free(&b);
}

static void a_jsonb_name_with_nul_is_refused(void **state)
{
    (void)state;
    struct buf b = {0};
    struct err e = {0};
    struct double_entry items[] = {{str_bytes("a\0", 2), 1}};
    struct double_map map = {items, 1};
    assert_int_equal(copy_jsonb_doubles(&b, &map, &e), ERR_SCHEMA);
    assert_contains(e.msg, "U+0000 at byte 1");
    buf_free(&b);
}

static void times_count_microseconds_from_2000(void **state)
{
    (void)state;
    struct buf b = {0};
    /* 2000-01-01 is day 10957 of 1970: 10957 * 86400 s. One millisecond later is 1000 microseconds.
     */
    assert_int_equal(copy_timestamptz(&b, INT64_C(10957) * 86400 * 1000 + 1, NULL), 0);
    assert_bytes(&b, BYTES(0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0x03, 0xe8));
    buf_free(&b);
}

static void times_are_taken_up_to_both_ends_of_the_range_and_no_further(void **state)
{
    (void)state;
    struct buf b = {0};
    struct err e = {0};
    /* 4714-11-24 BC is Julian day 0, 2000-01-01 is 2451545 and 1970-01-01 is 2440588; 294277-01-01
     * is 109203528. */
    int64_t day = 86400 * INT64_C(1000), first = -2440588 * day, end = (109203528 - 2440588) * day;
    assert_int_equal(copy_timestamptz(&b, first, &e), 0);
    assert_int_equal(copy_timestamptz(&b, end - 1, &e), 0);
    assert_int_equal(copy_timestamptz(&b, first - 1, &e), ERR_SCHEMA);
    assert_int_equal(copy_timestamptz(&b, end, &e), ERR_SCHEMA);
    assert_int_equal(copy_timestamptz(&b, INT64_MIN, &e), ERR_SCHEMA);
    assert_int_equal(copy_timestamptz(&b, INT64_MAX, &e), ERR_SCHEMA);
    assert_contains(e.msg, "9223372036854775807 ms is outside");
    buf_free(&b);
}

static void without_memory_the_buffer_says_so(void **state)
{
    (void)state;
    struct str items[] = {str_of("x")};
    struct str_list list = {items, 1};
    struct buf b = {0};
    fail_alloc_at(1);
    assert_int_equal(copy_texts(&b, &list, NULL), 0);
    assert_true(fail_alloc_end());
    assert_false(buf_ok(&b));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_without_rows_is_signature_flags_extension_and_trailer),
        cmocka_unit_test(numbers_are_big_endian_behind_their_length),
        cmocka_unit_test(a_text_is_its_bytes),
        cmocka_unit_test(a_text_with_nul_is_refused_with_its_place),
        cmocka_unit_test(a_text_that_is_not_utf8_is_refused),
        cmocka_unit_test(a_clean_text_has_replacements_for_what_cannot_be_held),
        cmocka_unit_test(an_array_has_dimensions_flags_type_bounds_and_elements),
        cmocka_unit_test(an_empty_array_has_no_dimension),
        cmocka_unit_test(an_array_with_a_nul_is_refused),
        cmocka_unit_test(numbers_of_a_jsonb_are_canonical_and_missing_ones_null),
        cmocka_unit_test(a_jsonb_name_with_nul_is_refused),
        cmocka_unit_test(times_count_microseconds_from_2000),
        cmocka_unit_test(times_are_taken_up_to_both_ends_of_the_range_and_no_further),
        cmocka_unit_test(without_memory_the_buffer_says_so),
    };
    return RUN(tests);
}

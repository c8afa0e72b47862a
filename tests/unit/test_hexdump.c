#include "ctl/hexdump.h"
#include "unit.h"

#include <stdlib.h>

static void the_marked_bytes_stand_between_arrows(void **state)
{
    (void)state;
    struct hexdump h = {0};
    struct buf b = {0};
    hexdump_mark(&h, "field a, byte 1: bad; byte 15 as well, and byte 16");
    hexdump_print(&b, &h, str_of("ABCDEFGHIJKLMNOPQR"));
    assert_buf_is(&b,
                  "00000000  41>42<43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f>50< |ABCDEFGHIJKLMNOP|\n"
                  "00000010 >51<52                                            |QR|\n");
    buf_free(&b);
}

static void bytes_that_are_no_characters_are_dots(void **state)
{
    (void)state;
    struct hexdump h = {0};
    struct buf b = {0};
    hexdump_print(&b, &h, str_bytes("\0~\x7f\xff", 4));
    assert_buf_is(&b, "00000000  00 7e 7f ff                                      |.~..|\n");
    buf_free(&b);
}

static void a_mark_behind_the_last_byte_is_said(void **state)
{
    (void)state;
    struct hexdump h = {0};
    struct buf b = {0};
    hexdump_mark(&h, "byte 2: the value ends");
    hexdump_print(&b, &h, str_of("AB"));
    assert_buf_is(&b, "00000000  41 42                                            |AB|\n"
                      "byte 2 is behind the last of these 2 bytes\n");
    buf_reset(&b);
    hexdump_print(&b, &(struct hexdump){0}, str_of(""));
    assert_buf_is(&b, "");
    buf_free(&b);
}

static void long_runs_are_left_out_but_not_around_a_mark(void **state)
{
    (void)state;
    struct hexdump h = {0};
    struct buf b = {0};
    char bytes[10000];
    memset(bytes, 'x', sizeof bytes);
    hexdump_mark(&h, "byte 5000: bad");
    hexdump_print(&b, &h, str_bytes(bytes, sizeof bytes));
    buf_put_u8(&b, 0);
    const char *text = (const char *)b.data;
    /* From 1024 to the first line that is at most 256 before 5000, which is that of 4752; and from
     * the line behind 5256 to the end. */
    assert_contains(text, "000003f0  78");
    assert_contains(text, "|\n... 3728 bytes\n00001290  78");
    assert_contains(text, "00001380  78 78 78 78 78 78 78 78>78<78");
    assert_contains(text, "00001480  78");
    assert_contains(text, "|\n... 4736 bytes\n");
    buf_reset(&b);
    h.all = true;
    hexdump_print(&b, &h, str_bytes(bytes, sizeof bytes));
    /* An offset, sixteen bytes of three places, sixteen characters, and what stands between. */
    assert_int_equal(b.len, 625 * (9 + 16 * 3 + 3 + 16 + 2));
    buf_free(&b);
}

static void a_text_without_a_number_marks_nothing(void **state)
{
    (void)state;
    struct hexdump h = {0};
    hexdump_mark(&h, "a byte is wrong, at byte x, byte ");
    assert_int_equal(h.mark_count, 0);
    hexdump_mark(&h, "byte 1 byte 2 byte 3 byte 4 byte 5 byte 6 byte 7 byte 8 byte 9");
    assert_int_equal(h.mark_count, HEXDUMP_MARKS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_marked_bytes_stand_between_arrows),
        cmocka_unit_test(bytes_that_are_no_characters_are_dots),
        cmocka_unit_test(a_mark_behind_the_last_byte_is_said),
        cmocka_unit_test(long_runs_are_left_out_but_not_around_a_mark),
        cmocka_unit_test(a_text_without_a_number_marks_nothing),
    };
    return RUN(tests);
}

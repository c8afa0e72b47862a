#include "unit.h"

#include "ctl/grid.h"

static void columns_are_as_wide_as_what_stands_in_them(void **state)
{
    (void)state;
    struct grid g;
    struct buf b = {0};
    grid_start(&g, "NAME,>N,X");
    grid_put(&g, "a");
    grid_put(&g, "%d", 1000);
    grid_put(&g, "x");
    grid_put(&g, "längere");
    grid_put(&g, "%d", 7);
    grid_put(&g, "two\nlines");
    grid_end(&g, &b);
    assert_buf_is(&b, "NAME        N  X\n"
                      "a        1000  x\n"
                      "längere     7  two lines\n");
    buf_free(&b);
}

static void an_empty_last_cell_leaves_no_spaces_behind(void **state)
{
    (void)state;
    struct grid g;
    struct buf b = {0};
    grid_start(&g, "A,B");
    grid_put(&g, "1");
    grid_put(&g, "%s", "");
    grid_end(&g, &b);
    assert_buf_is(&b, "A  B\n1\n");
    buf_free(&b);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct grid g;
        struct buf b = {0};
        fail_alloc_at(n);
        grid_start(&g, "A,B");
        grid_put(&g, "1");
        grid_put(&g, "2");
        grid_end(&g, &b);
        bool failed = fail_alloc_end();
        assert_int_equal(buf_ok(&b), !failed);
        buf_free(&b);
        if (!failed)
            break;
    }
}

static void counts_have_commas(void **state)
{
    (void)state;
    char text[HUMAN_BYTES];
    assert_string_equal(human_count(text, 0), "0");
    assert_string_equal(human_count(text, 999), "999");
    assert_string_equal(human_count(text, 1000), "1,000");
    assert_string_equal(human_count(text, -123456), "-123,456");
    assert_string_equal(human_count(text, INT64_MAX), "9,223,372,036,854,775,807");
}

static void spans_have_the_unit_that_fits(void **state)
{
    (void)state;
    char text[HUMAN_BYTES];
    assert_string_equal(human_ms(text, 0), "0 ms");
    assert_string_equal(human_ms(text, 999), "999 ms");
    assert_string_equal(human_ms(text, 12345), "12.3 s");
    assert_string_equal(human_ms(text, 120000), "2 min");
    assert_string_equal(human_ms(text, 7200000), "2 h");
    assert_string_equal(human_ms(text, 172800000), "2 d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_what_stands_in_them),
        cmocka_unit_test(an_empty_last_cell_leaves_no_spaces_behind),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(counts_have_commas),
        cmocka_unit_test(spans_have_the_unit_that_fits),
    };
    return RUN(tests);
}

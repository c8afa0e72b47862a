#include "unit.h"

#include "report/report_svg.h"
#include "report/report_words.h"

#include <math.h>

static void assert_number(double v, const char *text)
{
    struct buf b = {0};
    report_put_number(&b, v);
    assert_buf_is(&b, text);
    buf_free(&b);
}

static void numbers_have_four_digits_at_most(void **state)
{
    (void)state;
    assert_number(0.61534, "0.6153");
    assert_number(0.02136, "0.0214");
    assert_number(0.0004, "0.0004");
    assert_number(0.00001234, "0.000012");
    assert_number(0, "0");
    assert_number(-0.0, "0");
    assert_number(1, "1.000");
    assert_number(12.3456, "12.35");
    assert_number(999.96, "1000.0");
    assert_number(12345.6, "12,346");
    assert_number(-1234567, "-1,234,567");
    assert_number(1e20, "1e+20");
    assert_number(1e-12, "0");
    assert_number(NAN, "–");
    assert_number(INFINITY, "–");
}

static void an_interval_has_as_many_places_as_its_value(void **state)
{
    (void)state;
    struct buf b = {0};
    report_put_value(&b, (struct metric_value){0.61534, 0.6, 0.63001});
    assert_buf_is(&b, "0.6153 [0.6000, 0.6300]");
    buf_reset(&b);
    report_put_value(&b, (struct metric_value){944.2, 883.4, 1005.1});
    assert_buf_is(&b, "944 [883, 1,005]");
    buf_reset(&b);
    report_put_difference(&b, (struct metric_value){0.02, -0.00001, 0.04});
    assert_buf_is(&b, "+0.0200 [+0.0000, +0.0400]");
    buf_reset(&b);
    report_put_value(&b, (struct metric_value){0.5, NAN, NAN});
    assert_buf_is(&b, "0.5000");
    buf_free(&b);
}

static void a_long_name_keeps_both_of_its_ends(void **state)
{
    (void)state;
    struct buf b = {0};
    report_put_name(&b, str_of("proposition.brand=brand 10"), 20);
    assert_buf_is(&b, "propos…rand=brand 10");
    buf_reset(&b);
    report_put_name(&b, str_of("short"), 5);
    assert_buf_is(&b, "short");
    buf_free(&b);
}

static void bytes_that_are_no_text_become_text(void **state)
{
    (void)state;
    struct buf b = {0};
    report_put_name(&b,
                    str_bytes("a\xff\x1b[1mb\xc2\x85"
                              "c\n",
                              11),
                    40);
    assert_buf_is(&b, "a\xef\xbf\xbd [1mb c ");
    buf_free(&b);
}

static void what_html_would_take_for_its_own_is_written_as_it_is(void **state)
{
    (void)state;
    struct buf b = {0};
    html_put(&b, str_of("<b a=\"x\">&amp;`code`"), false);
    assert_buf_is(&b, "&lt;b a=&quot;x&quot;&gt;&amp;amp;`code`");
    buf_reset(&b);
    html_put(&b, str_of("say `a < b` and `c"), true);
    assert_buf_is(&b, "say <code>a &lt; b</code> and <code>c</code>");
    buf_free(&b);
}

static void times_are_of_utc(void **state)
{
    (void)state;
    struct buf b = {0};
    report_put_time(&b, 1760000000000);
    buf_put_u8(&b, ' ');
    report_put_time(&b, -1);
    assert_buf_is(&b, "2025-10-09 08:53 1969-12-31 23:59");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_four_digits_at_most),
        cmocka_unit_test(an_interval_has_as_many_places_as_its_value),
        cmocka_unit_test(a_long_name_keeps_both_of_its_ends),
        cmocka_unit_test(bytes_that_are_no_text_become_text),
        cmocka_unit_test(what_html_would_take_for_its_own_is_written_as_it_is),
        cmocka_unit_test(times_are_of_utc),
    };
    return RUN(tests);
}

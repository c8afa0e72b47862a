#include "base/number.h"
#include "unit.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(double number, const char *expected)
{
    char text[NUMBER_TEXT_BYTES];
    size_t n = number_text(text, number);
    assert_string_equal(text, expected);
    assert_int_equal(n, strlen(expected));
}

/* The same pairs as in tests/oracle/test_oracle.py, and those of appendix B of RFC 8785. */
static void numbers_are_written_as_in_rfc_8785(void **state)
{
    (void)state;
    static const struct {
        double number;
        const char *text;
    } of_oracle[] = {
        {1995, "1995"},
        {0.1, "0.1"},
        {-0.0, "0"},
        {-2.50, "-2.5"},
        {2e15, "2000000000000000"},
        {1e20, "100000000000000000000"},
        {1e21, "1e+21"},
        {1.5e-7, "1.5e-7"},
        {1e-6, "0.000001"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e-7, "1e-7"},
        {5e-324, "5e-324"},
        {1e23, "1e+23"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {999999999999999900000.0, "999999999999999900000"},
        {9007199254740993.0, "9007199254740992"},
        {1e100, "1e+100"},
        {333333333.33333329, "333333333.3333333"},
    };
    for (size_t i = 0; i < sizeof of_oracle / sizeof *of_oracle; i++)
        check(of_oracle[i].number, of_oracle[i].text);
}

static double of_bits(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static void the_samples_of_rfc_8785_appendix_b_come_out(void **state)
{
    (void)state;
    static const struct {
        uint64_t bits;
        const char *text;
    } samples[] = {
        {0x0000000000000000, "0"},
        {0x8000000000000000, "0"},
        {0x0000000000000001, "5e-324"},
        {0x8000000000000001, "-5e-324"},
        {0x7fefffffffffffff, "1.7976931348623157e+308"},
        {0xffefffffffffffff, "-1.7976931348623157e+308"},
        {0x4340000000000000, "9007199254740992"},
        {0xc340000000000000, "-9007199254740992"},
        {0x4430000000000000, "295147905179352830000"},
        {0x44b52d02c7e14af5, "9.999999999999997e+22"},
        {0x44b52d02c7e14af6, "1e+23"},
        {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
        {0x444b1ae4d6e2ef4e, "999999999999999700000"},
        {0x444b1ae4d6e2ef4f, "999999999999999900000"},
        {0x444b1ae4d6e2ef50, "1e+21"},
        {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
        {0x3eb0c6f7a0b5ed8d, "0.000001"},
        {0x41b3de4355555553, "333333333.3333332"},
        {0x41b3de4355555554, "333333333.33333325"},
        {0x41b3de4355555555, "333333333.3333333"},
        {0x41b3de4355555556, "333333333.3333334"},
        {0x41b3de4355555557, "333333333.33333343"},
        {0xbecbf647612f3696, "-0.0000033333333333333333"},
        {0x43143ff3c1cb0959, "1424953923781206.2"},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        check(of_bits(samples[i].bits), samples[i].text);
}

static void what_is_no_number_is_null(void **state)
{
    (void)state;
    check(NAN, "null");
    check(INFINITY, "null");
    check(-INFINITY, "null");
}

static void every_power_of_two_and_its_neighbours_read_back(void **state)
{
    (void)state;
    for (int exponent = -1074; exponent < 1024; exponent++) {
        double middle = ldexp(1, exponent),
               near[] = {nextafter(middle, 0), middle, nextafter(middle, INFINITY)};
        for (int i = 0; i < 3; i++) {
            char text[NUMBER_TEXT_BYTES];
            if (!isfinite(near[i]))
                continue;
            number_text(text, near[i]);
            assert_true(strtod(text, NULL) == near[i]);
        }
    }
}

/* Significant digits, without zeros at either end. */
static int digits_of(const char *text)
{
    int n = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && n == 0))
            continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        n++;
    }
    return n - zeros;
}

/* The fewest digits are found by trying. */
static void check_fewest(double number)
{
    char text[NUMBER_TEXT_BYTES], tried[40];
    size_t n = number_text(text, number);
    assert_int_equal(n, strlen(text));
    assert_true(strtod(text, NULL) == number);
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(tried, sizeof tried, "%.*e", precision - 1, number);
        if (strtod(tried, NULL) == number)
            break;
    }
    assert_int_equal(digits_of(text), digits_of(tried));
}

static void short_decimals_and_their_neighbours_have_the_fewest_digits(void **state)
{
    (void)state;
    static const double parts[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        for (uint64_t n = 1; n < UINT64_C(4000000000000000); n = n * 3 + 7) {
            double number = (double)n / parts[i];
            check_fewest(number);
            check_fewest(-number);
            check_fewest(nextafter(number, 0));
            check_fewest(nextafter(number, INFINITY));
        }
    }
    check_fewest(999999999.999999);
    check_fewest(1e9 - 1e-6);
    check_fewest(5e-7);
}

static void texts_of_numbers_are_parsed_and_others_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {"",   " 1",    "1 ",  "0x10", "inf", "nan",
                                          "1e", "1e999", "--1", "1,5",  "."};
    double number = 0;
    assert_true(number_parse(&number, "2.50") && number == 2.5);
    assert_true(number_parse(&number, "1e1") && number == 10);
    assert_true(number_parse(&number, "-0") && number == 0 && signbit(number));
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_false(number_parse(&number, refused[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_as_in_rfc_8785),
        cmocka_unit_test(the_samples_of_rfc_8785_appendix_b_come_out),
        cmocka_unit_test(what_is_no_number_is_null),
        cmocka_unit_test(every_power_of_two_and_its_neighbours_read_back),
        cmocka_unit_test(short_decimals_and_their_neighbours_have_the_fewest_digits),
        cmocka_unit_test(texts_of_numbers_are_parsed_and_others_refused),
    };
    return RUN(tests);
}

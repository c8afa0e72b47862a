#include "feature/instant.h"
#include "unit.h"

#include <stdlib.h>

/* 2024-01-02T00:00Z is 1,704,153,600 s; the forms are those of tests/oracle/test_oracle.py. */
static const int64_t MIDNIGHT_US = 1704153600000000;

static void is(const char *text, int64_t us)
{
    int64_t got = 0;
    if (!instant_parse_us(&got, str_of(text)))
        fail_msg("\"%s\" is refused", text);
    if (got != us)
        fail_msg("\"%s\" is %lld, not %lld", text, (long long)got, (long long)us);
}

static void refused(const char *text)
{
    int64_t got = 0;
    if (instant_parse_us(&got, str_of(text)))
        fail_msg("\"%s\" is taken for %lld", text, (long long)got);
}

static void every_allowed_form_is_read(void **state)
{
    (void)state;
    is("2024-01-02", MIDNIGHT_US);
    is("2024-01-02T00:00", MIDNIGHT_US);
    is("2024-01-02 00:00Z", MIDNIGHT_US);
    is("2024-01-02T01:30+01:30", MIDNIGHT_US);
    is("2024-01-01T20:15-03:45", MIDNIGHT_US);
    is("2024-01-02T00:00:01.5", MIDNIGHT_US + 1500000);
    is("2024-01-02T00:00:00.000250", MIDNIGHT_US + 250);
    is("2024-01-02T00:00:00.000001Z", MIDNIGHT_US + 1);
    is("2024-01-02Z", MIDNIGHT_US);
    is("2024-01-02+00:00", MIDNIGHT_US);
    is("2024-01-02-01:00", MIDNIGHT_US + 3600000000);
    is("2024-01-02T23:59:59", MIDNIGHT_US + 86399000000);
    is("2024-01-02T00:00-23:59", MIDNIGHT_US + 86340000000);
    is("2024-01-02 00:00:00.123456-00:01", MIDNIGHT_US + 60123456);
}

static void everything_else_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"2024-01-02T00:00+0100",
                                      "2024-01-02T00:00+01",
                                      "2024-01-02T00:00:00.",
                                      "2024-01-02T00:00:00.1234567",
                                      "2024-01-02T24:00",
                                      "2024-01-02T00:60",
                                      "2024-01-02T00:00:60",
                                      "2024-01-02T00:00+24:00",
                                      "2024-01-02T00:00+01:60",
                                      "2024-01-02T00",
                                      "2024-01-02t00:00",
                                      "2024-01-02T00:00z",
                                      "2024-1-2",
                                      "20240102",
                                      " 2024-01-02",
                                      "2024-01-02\n",
                                      "2024-01-02 ",
                                      "2024-01-02T",
                                      "2023-02-29",
                                      "2024-02-30",
                                      "2024-04-31",
                                      "2024-00-01",
                                      "2024-13-01",
                                      "2024-01-00",
                                      "2024-01-32",
                                      "0000-01-01",
                                      "1900-02-29",
                                      "1704153600000",
                                      "",
                                      "-024-01-02",
                                      "+2024-01-02",
                                      "2024-01-02T00:00,5",
                                      "2024-01-02ZZ",
                                      "2024-01-02T00:00Z+01:00",
                                      "2024-01-02T00:00 Z",
                                      "2024-01-02T00:00:00.5.5",
                                      "2024-01-02T00:00.5",
                                      "12024-01-02",
                                      "2024/01/02",
                                      "soon",
                                      "\xd9\xa2\xd9\xa0\xd9\xa2\xd9\xa4-01-02" /* Arabic digits */};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i]);
    int64_t us;
    assert_false(instant_parse_us(&us, (struct str){NULL, 0}));
    assert_false(instant_parse_us(&us, str_bytes("2024-01-02\0", 11)));
}

/* A text that ends anywhere is read up to there: the sanitizer sees more. */
static void no_text_is_read_past_its_end(void **state)
{
    (void)state;
    static const char whole[] = "2024-01-02T03:04:05.678901+01:30";
    for (size_t n = 0; n < sizeof whole; n++) {
        int64_t us;
        char *copy = malloc(n + !n);
        memcpy(copy, whole, n);
        instant_parse_us(&us, str_bytes(copy, n));
        free(copy);
    }
}

static void leap_years_and_the_ends_of_the_calendar_are_right(void **state)
{
    (void)state;
    is("1970-01-01", 0);
    is("1969-12-31", -86400000000);
    is("1969-12-31T23:59:59.999999", -1);
    is("2000-02-29", 951782400000000);    /* Python: calendar.timegm((2000, 2, 29, 0, 0, 0)) */
    is("2024-02-29", 1709164800000000);   /* 2024-03-01 is 1,709,251,200 s */
    is("0001-01-01", -62135596800000000); /* 719,162 days before 1970 */
    is("9999-12-31T23:59:59.999999", 253402300799999999);
}

static void days_and_dates_are_inverse_over_800_years(void **state)
{
    (void)state;
    int64_t year;
    int month, day, length = 0, before_month = 0;
    for (int64_t days = instant_days(1600, 1, 1); days < instant_days(2400, 1, 1); days++) {
        instant_date(days, &year, &month, &day);
        assert_int_equal(instant_days(year, month, day), days);
        if (day == 1 && before_month)
            assert_true(length >= 28 && length <= 31 && month == before_month % 12 + 1);
        length = day;
        before_month = month;
    }
    assert_int_equal(instant_days(1970, 1, 1), 0);
    assert_int_equal(instant_days(2400, 1, 1) - instant_days(1600, 1, 1), 2 * 146097);
    instant_date(-1, &year, &month, &day);
    assert_true(year == 1969 && month == 12 && day == 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allowed_form_is_read),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(no_text_is_read_past_its_end),
        cmocka_unit_test(leap_years_and_the_ends_of_the_calendar_are_right),
        cmocka_unit_test(days_and_dates_are_inverse_over_800_years),
    };
    return RUN(tests);
}

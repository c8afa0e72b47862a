#include "base/duration.h"
#include "unit.h"

static int64_t parsed(const char *text)
{
    int64_t ms = -1;
    return duration_parse(&ms, text) ? ms : -1;
}

static void a_duration_is_a_number_and_its_unit(void **state)
{
    (void)state;
    assert_int_equal(parsed("30s"), 30000);
    assert_int_equal(parsed("5m"), 300000);
    assert_int_equal(parsed("1h"), 3600000);
    assert_int_equal(parsed("7d"), 604800000);
    assert_int_equal(parsed("36500d"), INT64_C(3153600000000));
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",    "5",   "m",  "0s",     "-1s",         "1.5h",
                                        "5 m", "5ms", "1w", "36501d", "9999999999s", "5M"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(parsed(wrong[i]), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_is_a_number_and_its_unit),
        cmocka_unit_test(anything_else_is_refused),
    };
    return RUN(tests);
}

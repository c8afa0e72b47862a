#include "ctl/simulate_tally.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>

static struct tally *fresh(void)
{
    struct tally *t = calloc(1, sizeof *t);
    assert_non_null(t);
    return t;
}

static void answer(struct tally *t, const char *model, int64_t version, const char *variant,
                   const char *degraded, int64_t latency_us)
{
    struct ranking r = {.model = str_of(model),
                        .version = version,
                        .variant = str_of(variant),
                        .degraded = str_of(degraded)};
    tally_answer(t, &r, latency_us);
}

static void assert_within_one_per_cent(double got, double expected)
{
    if (!(fabs(got - expected) <= 0.01 * expected))
        fail_msg("%g is not within 1 %% of %g", got, expected);
}

/* Of the latencies 1 to 1000 ms, half are at most 500 and 99 of a hundred at most 990. */
static void latencies_are_told_by_the_share_that_they_do_not_exceed(void **state)
{
    (void)state;
    struct tally *t = fresh();
    for (int ms = 1000; ms >= 1; ms--)
        answer(t, "rules", 0, "rules", NULL, ms * INT64_C(1000));
    assert_within_one_per_cent(tally_latency_ms(t, 0.5), 500);
    assert_within_one_per_cent(tally_latency_ms(t, 0.99), 990);
    assert_within_one_per_cent(tally_latency_ms(t, 1), 1000);
    assert_within_one_per_cent(tally_latency_ms(t, 0.001), 1);
    free(t);
}

static void latencies_beyond_all_sense_are_counted_too(void **state)
{
    (void)state;
    struct tally *t = fresh();
    answer(t, "rules", 0, "rules", NULL, INT64_MAX);
    answer(t, "rules", 0, "rules", NULL, 0);
    answer(t, "rules", 0, "rules", NULL, -5);
    assert_int_equal(t->answers, 3);
    assert_true(tally_latency_ms(t, 1) > 150e3);
    assert_true(tally_latency_ms(t, 0.5) < 0.01);
    free(t);
}

static void without_an_answer_there_is_no_latency(void **state)
{
    (void)state;
    struct tally *t = fresh();
    struct buf b = {0};
    tally_request(t);
    assert_true(isnan(tally_latency_ms(t, 0.5)));
    tally_print(t, 2, &b);
    assert_buf_is(&b, "requests    0/s, answers 0/s\n"
                      "ranked by   nobody: no answers came\n");
    buf_free(&b);
    free(t);
}

/* 100 requests in 4 s are 25 a second; 40 answers 10, of which 30, 8 and 2 are 75, 20 and 5 %. */
static void lines_say_how_many_how_fast_by_what_and_why_less(void **state)
{
    (void)state;
    struct tally *t = fresh();
    struct buf b = {0};
    for (int i = 0; i < 100; i++)
        tally_request(t);
    for (int i = 0; i < 30; i++)
        answer(t, "home", 3, "champion", NULL, 2000);
    for (int i = 0; i < 8; i++)
        answer(t, "home", 4, "bold", NULL, 2000);
    for (int i = 0; i < 2; i++)
        answer(t, "rules", 0, "rules", "overload", 80000);
    tally_print(t, 4, &b);
    assert_buf_is(&b, "requests    25/s, answers 10/s, latency median 2.0 ms, p99 79.9 ms\n"
                      "ranked by   home v3 75 %, home v4 (bold) 20 %, rules 5.0 %; degraded: "
                      "overload 5.0 %\n");
    buf_free(&b);
    free(t);
}

static void names_past_the_last_place_are_the_others(void **state)
{
    (void)state;
    struct tally *t = fresh();
    struct buf b = {0};
    for (int version = 1; version <= 20; version++)
        answer(t, "home", version, "champion", NULL, 1000);
    assert_int_equal(t->rankers.count, TALLY_NAMES);
    tally_print(t, 1, &b);
    buf_put_u8(&b, 0);
    assert_contains((const char *)b.data, "home v7 5.0 %, others 65 %; none degraded\n");
    buf_free(&b);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latencies_are_told_by_the_share_that_they_do_not_exceed),
        cmocka_unit_test(latencies_beyond_all_sense_are_counted_too),
        cmocka_unit_test(without_an_answer_there_is_no_latency),
        cmocka_unit_test(lines_say_how_many_how_fast_by_what_and_why_less),
        cmocka_unit_test(names_past_the_last_place_are_the_others),
    };
    return RUN(tests);
}

#include "unit.h"

#include "training/split.h"

#include <math.h>

enum { MOST = 200 };

/* Requests of two rows, and their labels. */
struct requests {
    size_t count;
    int64_t times[MOST];
    float labels[2 * MOST];
    uint64_t first[MOST + 1];
    struct set_rows rows;
};

static void add(struct requests *r, int64_t time, float a, float b)
{
    size_t i = r->count++;
    r->times[i] = time;
    r->labels[2 * i] = a;
    r->labels[2 * i + 1] = b;
    for (size_t k = 0; k <= r->count; k++)
        r->first[k] = 2 * k;
    r->rows = (struct set_rows){.request_count = r->count,
                                .row_count = 2 * r->count,
                                .first = r->first,
                                .timestamps_ms = r->times,
                                .labels = r->labels};
}

static const struct split_opts usual = {0.2, 0.125, SPLIT_BY_SHARE, false};

/* 100 requests, all with a click: the last 20 are test, an eighth of the 80 before is validation.
 */
static void shares_are_of_requests_in_the_order_of_time(void **state)
{
    struct requests r = {0};
    struct split s;
    struct err e;
    (void)state;
    for (int i = 0; i < 100; i++)
        add(&r, 1000 + i, 1, 0);
    assert_int_equal(split_make(&s, &r.rows, &usual, &e), 0);
    assert_int_equal(s.parts[SPLIT_TRAIN].count, 70);
    assert_int_equal(s.parts[SPLIT_VALIDATION].first, 70);
    assert_int_equal(s.parts[SPLIT_VALIDATION].count, 10);
    assert_int_equal(s.parts[SPLIT_TEST].first, 80);
    assert_int_equal(s.parts[SPLIT_TEST].count, 20);
    assert_int_equal(s.parts[SPLIT_TEST].from_ms, 1080);
    assert_int_equal(s.parts[SPLIT_TEST].to_ms, 1099);
    assert_int_equal(s.parts[SPLIT_TRAIN].labelled, 140);
    assert_int_equal(s.parts[SPLIT_TRAIN].positives, 70);
}

/* The first 100 requests have no click, the last 100 have one: all cuts are among those. */
static void requests_without_a_positive_row_do_not_count_for_shares(void **state)
{
    struct requests r = {0};
    struct split s;
    struct err e;
    (void)state;
    for (int i = 0; i < 200; i++)
        add(&r, i, i >= 100 ? 1 : 0, NAN);
    assert_int_equal(split_make(&s, &r.rows, &usual, &e), 0);
    assert_int_equal(s.parts[SPLIT_TRAIN].count, 170);
    assert_int_equal(s.parts[SPLIT_TRAIN].telling, 70);
    assert_int_equal(s.parts[SPLIT_TEST].first, 180);
    /* Of a regression every label says something. */
    struct split_opts regression = {0.2, 0.125, SPLIT_BY_SHARE, true};
    assert_int_equal(split_make(&s, &r.rows, &regression, &e), 0);
    assert_int_equal(s.parts[SPLIT_TEST].first, 160);
}

/* Ten requests a second: 20 % of 95 is 19, and the nearest second begins 15 from the end. */
static void requests_of_one_time_stay_together(void **state)
{
    struct requests r = {0};
    struct split s;
    struct err e;
    (void)state;
    for (int i = 0; i < 95; i++)
        add(&r, i / 10 * 1000, 1, 0);
    assert_int_equal(split_make(&s, &r.rows, &usual, &e), 0);
    assert_int_equal(s.parts[SPLIT_TEST].first, 80);
    assert_int_equal(s.parts[SPLIT_VALIDATION].first, 70);
    for (int p = SPLIT_VALIDATION; p < SPLIT_PARTS; p++)
        assert_true(r.times[s.parts[p].first] > r.times[s.parts[p].first - 1]);
}

static void the_test_part_may_begin_at_a_time(void **state)
{
    struct requests r = {0};
    struct split s;
    struct split_opts opts = {0.2, 0.125, 1050, false};
    struct err e;
    (void)state;
    for (int i = 0; i < 100; i++)
        add(&r, 1000 + i, 1, 0);
    assert_int_equal(split_make(&s, &r.rows, &opts, &e), 0);
    assert_int_equal(s.parts[SPLIT_TEST].first, 50);
    assert_int_equal(s.parts[SPLIT_VALIDATION].first, 44);
}

static void refused(const struct requests *r, const struct split_opts *opts, const char *why)
{
    struct split s;
    struct err e;
    assert_int_equal(split_make(&s, &r->rows, opts, &e), ERR_INVALID);
    assert_contains(e.msg, why);
}

static void an_empty_part_is_an_error_that_says_which_and_why(void **state)
{
    struct requests none = {0}, one = {0}, same = {0}, silent = {0}, early = {0}, disorder = {0};
    struct split_opts late = {0.2, 0.125, 5000, false}, wrong = {1, 0.125, SPLIT_BY_SHARE, false};
    (void)state;
    refused(&none, &usual, "the set has no request");
    add(&one, 1, 1, 0);
    refused(&one, &usual, "cut by time, the train part has 0 requests");
    for (int i = 0; i < 50; i++) {
        add(&same, 7, 1, 0);
        add(&silent, i, 0, NAN);
        add(&early, i, 1, 0);
    }
    refused(&same, &usual, "cut by time");
    refused(&silent, &usual, "of 50 requests none has a row with a label above 0");
    refused(&early, &late, "the test part has 0 requests");
    refused(&early, &wrong, "share of the test part");
    add(&disorder, 5, 1, 0);
    add(&disorder, 4, 1, 0);
    refused(&disorder, &usual, "request 1 of the set is older");
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
    struct requests r = {0};
    struct split s;
    struct err e;
    (void)state;
    for (int i = 0; i < 100; i++)
        add(&r, 1000 + i, 1, 0);
    fail_alloc_at(1);
    assert_int_equal(split_make(&s, &r.rows, &usual, &e), ERR_NOMEM);
    assert_true(fail_alloc_end());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_of_requests_in_the_order_of_time),
        cmocka_unit_test(requests_without_a_positive_row_do_not_count_for_shares),
        cmocka_unit_test(requests_of_one_time_stay_together),
        cmocka_unit_test(the_test_part_may_begin_at_a_time),
        cmocka_unit_test(an_empty_part_is_an_error_that_says_which_and_why),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
    };
    return RUN(tests);
}

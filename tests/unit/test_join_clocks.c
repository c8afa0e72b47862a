/* What times decide: impressions before their request or long behind it, windows, the log's end. */
#include "unit.h"

#include "support/joins.h"

/* ------------------------------------------------------------ early and late impressions */

static void an_impression_later_than_the_window_is_not_the_requests(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask(&s, "r", 0, "a");
    ask(&s, "q", 0, "a");
    happen(&s, "impression", "r", 100, "a");
    happen(&s, "impression", "q", 101, "a");
    end(&s);
    assert_next(&s, "a@0");
    assert_next(&s, "a");
    assert_next(&s, "a@0 impression");
    join_free(s.join);
}

/* Read at the request's time, a vector would know the impression, and the click that is its label.
 */
static void an_impression_before_its_request_keeps_the_labels(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    happen(&s, "impression", "r", 0, "b,a");
    happen(&s, "click", NULL, 3, "b");
    ask(&s, "r", 5, "a,b,c");
    ask(&s, "r", 6, "a");
    happen(&s, "click", "r", 100, "a");
    happen(&s, "convert", NULL, 101, "a");
    end(&s);
    assert_next(&s, "b@0=1 a@1=1 impression");
    assert_true(join_first(s.join)->is_early);
    assert_false(join_first(s.join)->is_shown);
    assert_next(&s, "a@1 b@0 c");
    assert_next(&s, "nothing");
    assert_int_equal(join_counts(s.join).early_impressions, 1);
    assert_int_equal(join_counts(s.join).repeated_requests, 1);
    join_free(s.join);
}

static void a_request_behind_its_impression_without_candidates_has_those_shown(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    happen(&s, "impression", "r", 0, "b,a");
    ask(&s, "r", 5, "");
    end(&s);
    assert_next(&s, "b@0 a@1 impression");
    assert_next(&s, "b@0 a@1");
    join_free(s.join);
}

/* What was scored was read before anything was shown, whatever the clocks say. */
static void what_was_logged_takes_over_from_an_impression_before_it(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    happen(&s, "impression", "r", 0, "b,a");
    happen(&s, "click", NULL, 3, "b");
    ask(&s, "r", 5, "");
    log_scored(&s, "r", 5, "a,b,c");
    happen(&s, "click", NULL, 100, "a");
    happen(&s, "click", "r", 101, "a");
    end(&s);
    assert_true(join_first(s.join)->is_early);
    assert_next(&s, "a@1=1 b@0=1 c");
    assert_next(&s, "nothing");
    join_free(s.join);
}

/* ------------------------------------------------------------ windows */

static void labels_count_from_the_impression_to_the_end_of_its_window(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask(&s, "r", 0, "a,b,c,d");
    happen(&s, "click", "r", 9, "a");
    happen(&s, "click", "r", 10, "b");
    happen(&s, "impression", "r", 10, "a,b,c,d");
    happen(&s, "click", "r", 110, "c");
    happen(&s, "click", "r", 111, "d");
    end(&s);
    assert_next(&s, "a@0 b@1=1 c@2=1 d@3");
    assert_int_equal(join_counts(s.join).lost_labels, 2);
    join_free(s.join);
}

static void requests_come_out_in_their_order_when_their_windows_are_over(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask(&s, "r", 0, "a");
    ask(&s, "q", 1, "b");
    happen(&s, "impression", "r", 50, "a");
    happen(&s, "other", NULL, 102, "");
    assert_next(&s, "nothing"); /* r is open until 150, and q waits behind it */
    happen(&s, "other", NULL, 150, "");
    assert_next(&s, "nothing");
    happen(&s, "other", NULL, 151, "");
    assert_next(&s, "a@0");
    assert_next(&s, "b");
    assert_int_equal(join_open(s.join), 0);
    join_free(s.join);
}

static void what_the_log_ends_before_is_incomplete(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 150);
    ask(&s, "r", 0, "a");
    ask(&s, "q", 49, "b");
    happen(&s, "impression", "r", 50, "a");
    happen(&s, "click", "r", 150, "a");
    ask(&s, "late", 5000, "c"); /* requests say nothing of how far events go */
    end(&s);
    assert_next(&s, "a@0=1 incomplete");
    assert_next(&s, "b");
    assert_next(&s, "c incomplete");
    join_free(s.join);
}

static void times_at_the_end_of_all_time_do_not_overflow(void **state)
{
    (void)state;
    struct story s;
    begin(&s, INT64_MAX);
    ask(&s, "r", INT64_MAX - 5, "a");
    happen(&s, "impression", "r", INT64_MAX - 1, "a");
    happen(&s, "click", "r", INT64_MAX, "a");
    end(&s);
    assert_next(&s, "a@0=1 incomplete");
    join_free(s.join);
}

/* ------------------------------------------------------------ close behind a ranking */

/* Of two logged rankings: until 10 behind each what the user does is close; others' is not. */
static void what_the_user_does_soon_behind_a_logged_ranking_is_close(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    log_scored(&s, "r", 0, "a");
    log_scored(&s, "q", 5, "a");
    event_of_user(&s, "other", "v", NULL, 6, "");
    happen(&s, "other", NULL, 12, "");
    end(&s);
    assert_false(join_first(s.join)->is_close);
    join_take(s.join);
    assert_true(join_first(s.join)->is_close);
    join_take(s.join);
    log_scored(&s, "p", 20, "a");
    happen(&s, "impression", "p", 21, "a");
    assert_false(join_first(s.join)->is_close); /* it cannot have been before what it followed */
    happen(&s, "other", NULL, 30, "");
    assert_true(join_first(s.join)->is_close);
    join_free(s.join);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_impression_later_than_the_window_is_not_the_requests),
        cmocka_unit_test(an_impression_before_its_request_keeps_the_labels),
        cmocka_unit_test(a_request_behind_its_impression_without_candidates_has_those_shown),
        cmocka_unit_test(what_was_logged_takes_over_from_an_impression_before_it),
        cmocka_unit_test(labels_count_from_the_impression_to_the_end_of_its_window),
        cmocka_unit_test(requests_come_out_in_their_order_when_their_windows_are_over),
        cmocka_unit_test(what_the_log_ends_before_is_incomplete),
        cmocka_unit_test(times_at_the_end_of_all_time_do_not_overflow),
        cmocka_unit_test(what_the_user_does_soon_behind_a_logged_ranking_is_close),
    };
    return RUN(tests);
}

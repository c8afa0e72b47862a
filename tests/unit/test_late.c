#include "ranker/late.h"
#include "unit.h"

#include "base/prng.h"
#include "support/fixture.h"

enum { EVENTS = 3000 };

static bool put(struct late *l, int64_t offset, int64_t timestamp_ms)
{
    struct input in = {.offset = offset, .timestamp_ms = timestamp_ms, .key = str_of("u")};
    return late_put(l, &in);
}

/* Offsets of all events that are due, as text. */
static const char *due(struct late *l, int64_t until_ms)
{
    static char text[200];
    size_t n = 0;
    struct input in;
    text[0] = 0;
    for (; late_next(l, until_ms, &in); late_taken(l))
        n += (size_t)snprintf(text + n, sizeof text - n, "%lld ", (long long)in.offset);
    return text;
}

static void events_are_due_at_their_time_in_the_order_of_the_log(void **state)
{
    (void)state;
    struct late l = {0};
    put(&l, 1, 10);
    put(&l, 2, 20);
    put(&l, 3, 20);
    put(&l, 4, 30);
    assert_string_equal(due(&l, 9), "");
    assert_string_equal(due(&l, 20), "1 2 3 ");
    assert_false(late_is_empty(&l));
    assert_string_equal(due(&l, 29), "");
    assert_string_equal(due(&l, 30), "4 ");
    assert_true(late_is_empty(&l));
    late_free(&l);
}

static void one_that_lies_in_the_future_holds_up_nothing_behind_it(void **state)
{
    (void)state;
    struct late l = {0};
    put(&l, 1, 1000000);
    assert_string_equal(due(&l, 10), "");
    put(&l, 2, 10);
    put(&l, 3, 500);
    assert_string_equal(due(&l, 10), "1 2 ");
    put(&l, 4, -1);
    assert_string_equal(due(&l, INT64_MIN), "3 4 ");
    late_free(&l);
}

static void keys_and_values_come_back_and_missing_ones_stay_missing(void **state)
{
    (void)state;
    struct late l = {0};
    struct input in = {.offset = 5, .timestamp_ms = -1, .value = str_of("value")}, out;
    assert_true(late_put(&l, &in));
    in = (struct input){.offset = 6, .timestamp_ms = 7, .key = str_of("")};
    assert_true(late_put(&l, &in));
    assert_true(late_next(&l, 0, &out));
    assert_int_equal(out.offset, 5);
    assert_int_equal(out.timestamp_ms, -1);
    assert_null(out.key.data);
    assert_true(str_is(out.value, "value"));
    late_taken(&l);
    assert_true(late_next(&l, 7, &out));
    assert_non_null(out.key.data);
    assert_int_equal(out.key.len, 0);
    assert_null(out.value.data);
    late_free(&l);
}

/* Against the definition: event i is due when an event from i on is not later than the time. */
static void what_is_due_is_what_the_definition_says_and_memory_is_given_up(void **state)
{
    (void)state;
    struct prng p;
    prng_seed(&p, 7);
    static int64_t times[EVENTS];
    struct late l = {0};
    size_t taken = 0, most = 0;
    for (size_t i = 0; i < EVENTS; i++) {
        struct input in = {.offset = (int64_t)i, .key = str_of("somebody with a long name")};
        times[i] = in.timestamp_ms = (int64_t)(i + prng_below(&p, 40));
        assert_true(late_put(&l, &in));
        int64_t until = (int64_t)i;
        size_t last = taken;
        for (size_t k = taken; k <= i; k++)
            last = times[k] <= until ? k + 1 : last;
        for (; late_next(&l, until, &in); late_taken(&l))
            assert_int_equal(in.offset, taken++);
        assert_int_equal(taken, last);
        most = l.bytes.len > most ? l.bytes.len : most;
    }
    assert_in_range(most, 1, 2 * 64 * 1024 + 8192);
    late_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_due_at_their_time_in_the_order_of_the_log),
        cmocka_unit_test(one_that_lies_in_the_future_holds_up_nothing_behind_it),
        cmocka_unit_test(keys_and_values_come_back_and_missing_ones_stay_missing),
        cmocka_unit_test(what_is_due_is_what_the_definition_says_and_memory_is_given_up),
    };
    return RUN(tests);
}

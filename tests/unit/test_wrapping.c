#include "unit.h"

#include "ctl/wrapping.h"

static void assert_plain(const char *line)
{
    struct wrapping w;
    if (wrapping_open(&w, str_of(line)))
        fail_msg("taken for a line that says what it holds: %s", line);
}

static void assert_wrapped(const char *line, const char *kind, const char *record, int64_t ms)
{
    struct wrapping w;
    assert_true(wrapping_open(&w, str_of(line)));
    assert_true(str_is(w.kind, kind));
    assert_true(str_is(w.record, record));
    assert_int_equal(w.timestamp_ms, ms);
}

static void a_record_in_its_kind_is_unwrapped(void **state)
{
    (void)state;
    assert_wrapped("{\"event\":{\"a\":1}}", "event", "{\"a\":1}", 0);
    assert_wrapped(" { \"user\" : {} } ", "user", "{}", 0);
    assert_wrapped("{\"proposition\":{}}", "proposition", "{}", 0);
    assert_wrapped("{\"request\":{}}", "request", "{}", 0);
}

static void the_kafka_timestamp_may_stand_on_either_side(void **state)
{
    (void)state;
    assert_wrapped("{\"event\":{},\"kafka_timestamp\":1700000000123}", "event", "{}",
                   1700000000123);
    assert_wrapped("{\"kafka_timestamp\": 5, \"event\": {}}", "event", "{}", 5);
}

static void braces_and_quotes_in_texts_close_nothing(void **state)
{
    (void)state;
    assert_wrapped("{\"event\":{\"a\":\"}\\\"{\\\\\",\"b\":{\"c\":{}}},\"kafka_timestamp\":7}",
                   "event", "{\"a\":\"}\\\"{\\\\\",\"b\":{\"c\":{}}}", 7);
}

static void an_event_whose_name_is_a_text_is_the_record_itself(void **state)
{
    (void)state;
    assert_plain("{\"event\":\"click\",\"user_id\":\"u\"}");
    assert_plain("{\"event_id\":\"1\",\"event\":\"click\"}");
}

static void anything_beside_makes_it_a_plain_record(void **state)
{
    (void)state;
    assert_plain("{\"event\":{},\"more\":1}");
    assert_plain("{\"event\":{},\"event\":{}}");
    assert_plain("{\"event\":{},\"user\":{}}");
    assert_plain("{\"kafka_timestamp\":5}");
    assert_plain("{\"event\":{},\"kafka_timestamp\":0}");
    assert_plain("{\"event\":{},\"kafka_timestamp\":-5}");
    assert_plain("{\"event\":{},\"kafka_timestamp\":1.5}");
    assert_plain("{\"event\":{},\"kafka_timestamp\":99999999999999999999}");
    assert_plain("{\"event\":{}} x");
}

static void a_line_cut_anywhere_is_no_wrapping(void **state)
{
    (void)state;
    const char whole[] = "{\"event\":{\"a\":\"\\\"\"},\"kafka_timestamp\":7}";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct wrapping w;
        assert_false(wrapping_open(&w, str_bytes(whole, n)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_in_its_kind_is_unwrapped),
        cmocka_unit_test(the_kafka_timestamp_may_stand_on_either_side),
        cmocka_unit_test(braces_and_quotes_in_texts_close_nothing),
        cmocka_unit_test(an_event_whose_name_is_a_text_is_the_record_itself),
        cmocka_unit_test(anything_beside_makes_it_a_plain_record),
        cmocka_unit_test(a_line_cut_anywhere_is_no_wrapping),
    };
    return RUN(tests);
}

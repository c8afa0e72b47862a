#include "ctl/letters.h"
#include "unit.h"

#include <stdlib.h>

/* A command line with these filters. */
struct asked {
    struct ctl ctl;
    struct conf *conf;
    struct given_option given[64];
};

static void ask(struct asked *a, const char *const *filters)
{
    *a = (struct asked){0};
    assert_int_equal(conf_new(&a->conf, NULL), 0);
    assert_int_equal(conf_set(a->conf, "kafka.prefix=our.", NULL), 0);
    a->ctl =
        (struct ctl){.conf = a->conf, .command = &dead_letters_list_command, .given = a->given};
    int option = command_option(a->ctl.command, "filter");
    for (; *filters; filters++)
        a->given[a->ctl.given_count++] = (struct given_option){option, *filters};
}

static void every_condition_is_sql_with_its_values_apart(void **state)
{
    (void)state;
    struct asked a;
    struct letter_filter f;
    struct err e = {0};
    ask(&a, (const char *const[]){"topic=events", "reason=it's", "offset=3..9", "detail~a=b",
                                  "since=2h", "until=1970-01-01T00:00:01Z", "state=none", NULL});
    assert_int_equal(letter_filter_read(&f, &a.ctl, 7200001, &e), 0);
    assert_string_equal((const char *)f.sql.data,
                        " AND d.topic = $1 AND d.reason = $2 AND d.\"offset\" >= $3::bigint"
                        " AND d.\"offset\" <= $4::bigint AND position($5 in d.detail) > 0"
                        " AND d.recorded_at >= timestamptz '1970-01-01 00:00:00Z' + $6::interval"
                        " AND d.recorded_at < timestamptz '1970-01-01 00:00:00Z' + $7::interval"
                        " AND coalesce(r.state, 'none') = $8");
    static const char *const values[] = {
        "our.events", "it's", "3", "9", "a=b", "1000 microseconds", "1000000 microseconds", "none"};
    assert_int_equal(f.count, 8);
    for (int i = 0; i < f.count; i++)
        assert_string_equal(f.values[i], values[i]);
    assert_string_equal((const char *)f.text.data,
                        "topic=events reason=it's offset=3..9 detail~a=b since=2h "
                        "until=1970-01-01T00:00:01Z state=none");
    letter_filter_free(&f);
    conf_free(a.conf);
}

static void too_many_conditions_are_refused(void **state)
{
    (void)state;
    const char *filters[LETTER_VALUES + 2];
    struct asked a;
    struct letter_filter f;
    struct err e = {0};
    for (int i = 0; i <= LETTER_VALUES; i++)
        filters[i] = "worker=w";
    filters[LETTER_VALUES + 1] = NULL;
    ask(&a, filters);
    assert_int_equal(letter_filter_read(&f, &a.ctl, 0, &e), ERR_INVALID);
    assert_contains(e.msg, "too many");
    letter_filter_free(&f);
    conf_free(a.conf);
}

static void places_are_read_and_printed(void **state)
{
    (void)state;
    struct asked a;
    struct letter_place p;
    char text[LETTER_PLACE_BYTES];
    ask(&a, (const char *const[]){NULL});
    assert_int_equal(letter_place_parse(&p, a.conf, "events/3/9223372036854775807", NULL), 0);
    assert_string_equal(letter_place_print(text, &p), "our.events/3/9223372036854775807");
    assert_int_equal(letter_place_parse(&p, a.conf, "theirs/0/0", NULL), 0);
    assert_string_equal(p.topic, "theirs");
    static const char *const bad[] = {
        "",          "events",      "events/1",    "/1/1",        "events//1",
        "events/1/", "events/-1/1", "events/1/ 1", "events/1/1x", "events/1/9223372036854775808"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (letter_place_parse(&p, a.conf, bad[i], NULL) != ERR_INVALID)
            fail_msg("%s", bad[i]);
    conf_free(a.conf);
}

static void without_memory_a_filter_says_so(void **state)
{
    (void)state;
    struct asked a;
    ask(&a, (const char *const[]){"topic=events", "offset=3..9", NULL});
    for (int n = 1;; n++) {
        struct letter_filter f;
        fail_alloc_at(n);
        int rc = letter_filter_read(&f, &a.ctl, 0, NULL);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        letter_filter_free(&f);
        if (!failed)
            break;
    }
    conf_free(a.conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_condition_is_sql_with_its_values_apart),
        cmocka_unit_test(too_many_conditions_are_refused),
        cmocka_unit_test(places_are_read_and_printed),
        cmocka_unit_test(without_memory_a_filter_says_so),
    };
    return RUN(tests);
}

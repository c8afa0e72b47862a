#include "unit.h"

#include "recorder/sinks.h"
#include "stream/rights.h"
#include "stream/topics.h"

#include <stdio.h>

static bool has(const char *program, enum right_on on, const char *name, const char *operation)
{
    for (const struct right *r = rights; r->program; r++)
        if (strcmp(r->program, program) == 0 && r->on == on && strcmp(r->name, name) == 0 &&
            strcmp(r->operation, operation) == 0)
            return true;
    return false;
}

/* Applications' topics, and those of `flotilla models`. */
static bool is_written_by_the_operator(const struct topic *t)
{
    return t->record || strcmp(t->name, "models") == 0 || strcmp(t->name, "model.artifacts") == 0;
}

static void no_right_is_listed_twice(void **state)
{
    (void)state;
    for (const struct right *a = rights; a->program; a++)
        for (const struct right *b = a + 1; b->program; b++)
            assert_false(a->on == b->on && strcmp(a->program, b->program) == 0 &&
                         strcmp(a->name, b->name) == 0 && strcmp(a->operation, b->operation) == 0);
}

static void every_topic_that_the_recorder_copies_may_be_read_by_it(void **state)
{
    (void)state;
    for (size_t i = 0; sinks[i]; i++)
        assert_true(has("recorder", RIGHT_ON_TOPIC, sinks[i]->topic, "Read"));
}

static void the_operator_makes_checks_and_reads_every_topic(void **state)
{
    (void)state;
    for (size_t i = 0; topics[i]; i++) {
        assert_true(has("flotilla", RIGHT_ON_TOPIC, topics[i]->name, "Create"));
        assert_true(has("flotilla", RIGHT_ON_TOPIC, topics[i]->name, "DescribeConfigs"));
        assert_true(has("flotilla", RIGHT_ON_TOPIC, topics[i]->name, "Read"));
        assert_int_equal(has("flotilla", RIGHT_ON_TOPIC, topics[i]->name, "Write"),
                         is_written_by_the_operator(topics[i]));
    }
}

static void what_workers_write_has_one_writer_but_for_dead_letters(void **state)
{
    (void)state;
    for (size_t i = 0; topics[i]; i++) {
        const char *name = topics[i]->name;
        int writers = 0;
        for (const struct right *r = rights; r->program; r++)
            writers += r->on == RIGHT_ON_TOPIC && strcmp(r->name, name) == 0 &&
                       strcmp(r->operation, "Write") == 0;
        assert_int_equal(writers, strcmp(name, "dead-letters") == 0 ? 2 : 1);
    }
}

static void names_have_the_prefix_and_those_of_the_settings(void **state)
{
    (void)state;
    struct conf *c = NULL;
    char name[64];
    struct right events = {"features", RIGHT_ON_TOPIC, "events", "Read", ""},
                 group = {"features", RIGHT_ON_GROUP, "features", "Read", ""},
                 ids = {"features", RIGHT_ON_TRANSACTIONS, "features-", "Write", ""};
    assert_int_equal(conf_new(&c, NULL), 0);
    assert_int_equal(conf_set(c, "kafka.prefix=blue.", NULL), 0);
    assert_int_equal(conf_set(c, "topics.events=clicks", NULL), 0);
    right_name(name, sizeof name, &events, c);
    assert_string_equal(name, "blue.clicks");
    right_name(name, sizeof name, &group, c);
    assert_string_equal(name, "blue.features");
    right_name(name, sizeof name, &ids, c);
    assert_string_equal(name, "blue.features-");
    assert_true(right_is_prefix(&ids));
    assert_false(right_is_prefix(&group));
    assert_true(right_has_program("recorder"));
    assert_false(right_has_program("shop"));
    conf_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_right_is_listed_twice),
        cmocka_unit_test(every_topic_that_the_recorder_copies_may_be_read_by_it),
        cmocka_unit_test(the_operator_makes_checks_and_reads_every_topic),
        cmocka_unit_test(what_workers_write_has_one_writer_but_for_dead_letters),
        cmocka_unit_test(names_have_the_prefix_and_those_of_the_settings),
    };
    return RUN(tests);
}

#include "unit.h"

#include "support/codec.h"

#include "ctl/topic_check.h"
#include "stream/topics.h"

#include <stdio.h>
#include <stdlib.h>

/* Problems and remedies of a check, one after the other. */
struct found {
    char text[2048];
};

static void note(void *arg, const char *problem, const char *remedy)
{
    struct found *f = arg;
    size_t n = strlen(f->text);
    snprintf(f->text + n, sizeof f->text - n, "%s -> %s\n", problem, remedy);
}

static struct conf *new_conf(const char *setting)
{
    struct conf *c = NULL;
    assert_int_equal(conf_new(&c, NULL), 0);
    if (setting)
        assert_int_equal(conf_set(c, setting, NULL), 0);
    return c;
}

/* All topics as `topics create` makes them. */
static void all_fine(struct topics_facts *f, const struct conf *c)
{
    topics_facts_init(f, c);
    for (size_t i = 0; i < f->count; i++) {
        struct topic_facts *t = &f->list[i];
        const char *largest = topic_config(t->topic, "max.message.bytes");
        t->exists = true;
        t->partitions = topics_wanted_partitions(f, i, c);
        t->max_message_bytes = largest ? atoll(largest) : 1048588;
        snprintf(t->cleanup_policy, sizeof t->cleanup_policy, "%s",
                 topic_config(t->topic, "cleanup.policy"));
    }
}

static size_t place_of(const char *name)
{
    size_t i = 0;
    while (strcmp(topics[i]->name, name) != 0)
        i++;
    return i;
}

static void a_topic_is_found_by_its_name_and_by_the_one_it_has_in_kafka(void **state)
{
    (void)state;
    struct conf *c = new_conf("kafka.prefix=shop.");
    assert_string_equal(topics_find(c, "state.user")->name, "state.user");
    assert_ptr_equal(topics_find(c, "shop.state.user"), topics_find(c, "state.user"));
    assert_null(topics_find(c, "state"));
    conf_free(c);
}

static void every_topic_says_how_it_is_cleaned_and_that_times_are_the_producers(void **state)
{
    (void)state;
    for (size_t i = 0; topics[i]; i++) {
        assert_non_null(topic_config(topics[i], "cleanup.policy"));
        assert_string_equal(topic_config(topics[i], "message.timestamp.type"), "CreateTime");
    }
    assert_null(topic_config(topics[0], "no.such.setting"));
}

static void events_are_kept_for_ever_and_state_is_compacted(void **state)
{
    (void)state;
    assert_string_equal(topic_config(topics[place_of("events")], "retention.ms"), "-1");
    assert_string_equal(topic_config(topics[place_of("state.user")], "cleanup.policy"), "compact");
    assert_string_equal(topic_config(topics[place_of("state.shared")], "max.message.bytes"),
                        "16777216");
}

static void keys_are_the_fields_that_the_schemas_name(void **state)
{
    (void)state;
    for (size_t i = 0; topics[i]; i++) {
        const struct schema_node *n = codec_schema(test_codec(), topics[i]->type);
        bool there = !topics[i]->key;
        for (size_t k = 0; k < n->field_count && !there; k++)
            there = str_is(n->fields[k].name, topics[i]->key) &&
                    n->fields[k].offset == topics[i]->key_offset &&
                    n->fields[k].type->type == SCHEMA_STRING;
        assert_true(there);
    }
    assert_string_equal(topics[place_of("events")]->key, "user_id");
    assert_string_equal(topics[place_of("users")]->key, "id");
}

static void what_create_makes_passes_the_check(void **state)
{
    (void)state;
    struct conf *c = new_conf("kafka.partitions=12");
    struct topics_facts f;
    struct found found = {0};
    all_fine(&f, c);
    for (size_t i = 0; i < f.count; i++)
        assert_int_equal(topics_check(&f, i, c, note, &found), 0);
    assert_int_equal(f.list[place_of("events")].partitions, 12);
    assert_int_equal(f.list[place_of("feature.totals")].partitions, 1);
    conf_free(c);
}

static void a_missing_topic_is_one_problem(void **state)
{
    (void)state;
    struct conf *c = new_conf(NULL);
    struct topics_facts f;
    struct found found = {0};
    topics_facts_init(&f, c);
    assert_int_equal(topics_check(&f, 0, c, note, &found), 1);
    assert_string_equal(found.text, "is not there -> run `flotilla topics create`\n");
    conf_free(c);
}

static void state_follows_its_log_whatever_the_setting_says(void **state)
{
    (void)state;
    struct conf *c = new_conf(NULL);
    struct topics_facts f;
    size_t user = place_of("state.user");
    topics_facts_init(&f, c);
    assert_int_equal(topics_wanted_partitions(&f, user, c), 4);
    f.list[place_of("events")].exists = true;
    f.list[place_of("events")].partitions = 9;
    assert_int_equal(topics_wanted_partitions(&f, user, c), 9);
    conf_free(c);
}

static void state_with_another_number_than_its_log_is_wrong(void **state)
{
    (void)state;
    struct conf *c = new_conf(NULL);
    struct topics_facts f;
    struct found found = {0};
    size_t user = place_of("state.user");
    all_fine(&f, c);
    f.list[user].partitions = 3;
    assert_int_equal(topics_check(&f, user, c, note, &found), 1);
    assert_contains(found.text, "3 partitions, but events has 4");
    assert_contains(found.text, "stop all features workers");
    conf_free(c);
}

static void another_cleanup_policy_is_wrong_and_a_larger_limit_is_not(void **state)
{
    (void)state;
    struct conf *c = new_conf("kafka.prefix=a.");
    struct topics_facts f;
    struct found found = {0};
    size_t user = place_of("state.user");
    all_fine(&f, c);
    snprintf(f.list[user].cleanup_policy, sizeof f.list[user].cleanup_policy, "compact,delete");
    f.list[user].max_message_bytes = 16777217;
    assert_int_equal(topics_check(&f, user, c, note, &found), 1);
    assert_contains(found.text, "cleanup.policy is compact,delete, needed is compact");
    assert_contains(found.text, "--entity-name a.state.user --add-config cleanup.policy=compact");
    f.list[user].max_message_bytes = 16777215;
    assert_int_equal(topics_check(&f, user, c, note, &found), 2);
    conf_free(c);
}

static void
a_limit_below_a_batch_is_wrong_where_workers_write_and_not_where_applications_do(void **state)
{
    (void)state;
    struct conf *c = new_conf("kafka.prefix=a.");
    struct topics_facts f;
    struct found found = {0};
    size_t values = place_of("features"), events = place_of("events");
    all_fine(&f, c);
    f.list[values].max_message_bytes = f.list[events].max_message_bytes = 1048587;
    assert_int_equal(topics_check(&f, values, c, note, &found), 1);
    assert_contains(found.text, "max.message.bytes is 1048587, needed is 1048588");
    assert_int_equal(topics_check(&f, events, c, note, &found), 0);
    conf_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_is_found_by_its_name_and_by_the_one_it_has_in_kafka),
        cmocka_unit_test(every_topic_says_how_it_is_cleaned_and_that_times_are_the_producers),
        cmocka_unit_test(events_are_kept_for_ever_and_state_is_compacted),
        cmocka_unit_test(keys_are_the_fields_that_the_schemas_name),
        cmocka_unit_test(what_create_makes_passes_the_check),
        cmocka_unit_test(a_missing_topic_is_one_problem),
        cmocka_unit_test(state_follows_its_log_whatever_the_setting_says),
        cmocka_unit_test(state_with_another_number_than_its_log_is_wrong),
        cmocka_unit_test(another_cleanup_policy_is_wrong_and_a_larger_limit_is_not),
        cmocka_unit_test(
            a_limit_below_a_batch_is_wrong_where_workers_write_and_not_where_applications_do),
    };
    return RUN(tests);
}

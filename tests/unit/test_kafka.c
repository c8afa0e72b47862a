#include "stream/dead_letter.h"
#include "stream/kafka.h"
#include "unit.h"

#include <limits.h>
#include <stdlib.h>

/* The values of Kafka's own UtilsTest.testMurmur2, as it has them (signed). */
static void murmur2_is_that_of_kafkas_own_test(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int32_t hash;
    } samples[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        int32_t positive = samples[i].hash & 0x7fffffff;
        assert_int_equal(kafka_partition_of(str_of(samples[i].key), INT_MAX), positive % INT_MAX);
        assert_int_equal(kafka_partition_of(str_of(samples[i].key), 7), positive % 7);
    }
    assert_int_equal(kafka_partition_of(str_of("anything"), 1), 0);
}

/* librdkafka's own partitioner is the oracle for keys of every length and byte. */
static void partitions_are_those_of_librdkafkas_murmur2(void **state)
{
    (void)state;
    char key[64];
    srand(1);
    for (int i = 0; i < 10000; i++) {
        size_t n = (size_t)rand() % sizeof key;
        for (size_t k = 0; k < n; k++)
            key[k] = (char)rand();
        int partitions = rand() % 1000 + 1;
        assert_int_equal(kafka_partition_of(str_bytes(key, n), partitions),
                         rd_kafka_msg_partitioner_murmur2(NULL, key, n, partitions, NULL, NULL));
    }
}

static void a_setting_that_librdkafka_refuses_is_named(void **state)
{
    (void)state;
    struct conf *c = NULL;
    struct err e = {0};
    rd_kafka_conf_t *k = NULL;
    assert_int_equal(conf_new(&c, &e), 0);
    assert_int_equal(conf_set(c, "kafka.no.such.thing=1", &e), 0);
    assert_int_equal(kafka_conf_new(&k, c, KAFKA_CONSUMER, &e), ERR_INVALID);
    assert_contains(e.msg, "kafka.no.such.thing: No such configuration property");
    conf_free(c);
}

static void assert_setting(const rd_kafka_conf_t *k, const char *name, const char *expected)
{
    char value[64];
    size_t n = sizeof value;
    assert_int_equal(rd_kafka_conf_get(k, name, value, &n), RD_KAFKA_CONF_OK);
    assert_string_equal(value, expected);
}

static void roles_have_their_settings_and_users_have_the_last_word(void **state)
{
    (void)state;
    struct conf *c = NULL;
    rd_kafka_conf_t *k = NULL;
    assert_int_equal(conf_new(&c, NULL), 0);
    assert_int_equal(conf_set(c, "kafka.session.timeout.ms=20000", NULL), 0);
    assert_int_equal(kafka_conf_new(&k, c, KAFKA_CONSUMER, NULL), 0);
    assert_setting(k, "isolation.level", "read_committed");
    assert_setting(k, "enable.auto.commit", "false");
    assert_setting(k, "session.timeout.ms", "20000");
    rd_kafka_conf_destroy(k);
    assert_int_equal(kafka_conf_new(&k, c, KAFKA_TRANSACTIONAL, NULL), 0);
    assert_setting(k, "enable.idempotence", "true");
    assert_setting(k, "partitioner", "murmur2_random");
    assert_setting(k, "transaction.timeout.ms", "10000");
    rd_kafka_conf_destroy(k);
    conf_free(c);
}

static void errors_are_sorted_by_what_can_be_done(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(kafka_err(&e, RD_KAFKA_RESP_ERR__TRANSPORT, "read"), ERR_UNAVAILABLE);
    assert_int_equal(kafka_err(&e, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, "commit"), ERR_FENCED);
    assert_int_equal(kafka_err(&e, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "read the topic"),
                     ERR_FATAL);
    assert_string_equal(e.msg, "cannot read the topic: Kafka: Broker: Topic authorization failed "
                               "(TOPIC_AUTHORIZATION_FAILED)");
}

static void every_decoding_error_has_a_reason(void **state)
{
    (void)state;
    assert_string_equal(dead_letter_reason(ERR_CORRUPT), "undecodable");
    assert_string_equal(dead_letter_reason(ERR_NOT_FOUND), "unknown_schema");
    assert_string_equal(dead_letter_reason(ERR_SCHEMA), "schema_mismatch");
    assert_string_equal(dead_letter_reason(ERR_TOO_LARGE), "too_large");
}

static void a_dead_letter_holds_the_record_and_where_it_was(void **state)
{
    (void)state;
    struct input in = {
        .topic = "events", .partition = 3, .offset = 42, .timestamp_ms = 7, .value = {"\0\xff", 2}};
    struct buf b = {0};
    struct arena a = {0};
    struct dead_letter d;
    dead_letter_encode(&b, &in, "features", DEAD_MISSING_KEY, "no key, but \xff");
    assert_int_equal(record_decode(&d, &dead_letter_type, buf_str(&b), &a, NULL), 0);
    assert_true(str_is(d.topic, "events") && str_is(d.worker, "features") &&
                str_is(d.reason, "missing_key"));
    assert_true(str_is(d.detail, "no key, but \xef\xbf\xbd"));
    assert_int_equal(d.partition, 3);
    assert_int_equal(d.offset, 42);
    assert_int_equal(d.timestamp, 7);
    assert_true(str_equal(d.value, str_bytes("\0\xff", 2)));
    arena_free(&a);
    buf_free(&b);
}

static void a_large_value_is_cut_and_the_detail_says_so(void **state)
{
    (void)state;
    size_t size = 600000;
    char *value = calloc(1, size);
    struct input in = {.topic = "events", .value = {value, size}};
    struct buf b = {0};
    struct arena a = {0};
    struct dead_letter d;
    dead_letter_encode(&b, &in, "features", DEAD_TOO_LARGE, "too large");
    assert_int_equal(record_decode(&d, &dead_letter_type, buf_str(&b), &a, NULL), 0);
    assert_int_equal(d.value.len, 524288);
    assert_true(str_is(d.detail, "too large (the first 524288 of 600000 bytes are kept)"));
    arena_free(&a);
    buf_free(&b);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(murmur2_is_that_of_kafkas_own_test),
        cmocka_unit_test(partitions_are_those_of_librdkafkas_murmur2),
        cmocka_unit_test(a_setting_that_librdkafka_refuses_is_named),
        cmocka_unit_test(roles_have_their_settings_and_users_have_the_last_word),
        cmocka_unit_test(errors_are_sorted_by_what_can_be_done),
        cmocka_unit_test(every_decoding_error_has_a_reason),
        cmocka_unit_test(a_dead_letter_holds_the_record_and_where_it_was),
        cmocka_unit_test(a_large_value_is_cut_and_the_detail_says_so),
    };
    return RUN(tests);
}

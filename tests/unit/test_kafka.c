#include "stream/dead_letter.h"
#include "stream/kafka.h"
#include "support/codec.h"
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

static void only_a_gatherer_waits_for_more_records_and_half_an_epoch_at_most(void **state)
{
    (void)state;
    struct conf *c = NULL;
    rd_kafka_conf_t *k = NULL;
    assert_int_equal(conf_new(&c, NULL), 0);
    assert_int_equal(kafka_conf_new(&k, c, KAFKA_CONSUMER, NULL), 0);
    assert_setting(k, "fetch.min.bytes", "1");
    rd_kafka_conf_destroy(k);
    assert_int_equal(kafka_conf_new(&k, c, KAFKA_GATHERER, NULL), 0);
    assert_setting(k, "isolation.level", "read_committed");
    assert_setting(k, "fetch.min.bytes", "65536");
    assert_setting(k, "fetch.wait.max.ms", "50");
    rd_kafka_conf_destroy(k);
    assert_int_equal(conf_set(c, "commit_interval_ms=1", NULL), 0);
    assert_int_equal(kafka_conf_new(&k, c, KAFKA_GATHERER, NULL), 0);
    assert_setting(k, "fetch.wait.max.ms", "0");
    rd_kafka_conf_destroy(k);
    assert_int_equal(conf_set(c, "commit_interval_ms=60000", NULL), 0);
    assert_int_equal(conf_set(c, "kafka.fetch.min.bytes=7", NULL), 0);
    assert_int_equal(kafka_conf_new(&k, c, KAFKA_GATHERER, NULL), 0);
    assert_setting(k, "fetch.min.bytes", "7");
    assert_setting(k, "fetch.wait.max.ms", "100");
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
                               "(TOPIC_AUTHORIZATION_FAILED): give its login the rights that "
                               "`flotilla topics acls` lists");
}

static void every_decoding_error_has_a_reason(void **state)
{
    (void)state;
    assert_string_equal(dead_letter_reason(ERR_CORRUPT), "undecodable");
    assert_string_equal(dead_letter_reason(ERR_NOT_FOUND), "unknown_schema");
    assert_string_equal(dead_letter_reason(ERR_SCHEMA), "schema_mismatch");
    assert_string_equal(dead_letter_reason(ERR_TOO_LARGE), "too_large");
}

/* A message as librdkafka hands it out, with headers, without a server: one that a producer could
 * not get rid of. */
struct returned {
    rd_kafka_t *producer;
    rd_kafka_event_t *event;
    const rd_kafka_message_t *message;
};

static struct returned returned_with(rd_kafka_headers_t *headers)
{
    char why[256];
    rd_kafka_conf_t *k = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(k, "log_level", "0", why, sizeof why), 0);
    rd_kafka_conf_set_events(k, RD_KAFKA_EVENT_DR);
    struct returned r = {.producer = rd_kafka_new(RD_KAFKA_PRODUCER, k, why, sizeof why)};
    assert_non_null(r.producer);
    assert_int_equal(rd_kafka_producev(r.producer, RD_KAFKA_V_TOPIC("events"),
                                       RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
                     0);
    assert_int_equal(rd_kafka_purge(r.producer, RD_KAFKA_PURGE_F_QUEUE), 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(r.producer);
    while ((r.event = rd_kafka_queue_poll(queue, 10000)) &&
           rd_kafka_event_type(r.event) != RD_KAFKA_EVENT_DR)
        rd_kafka_event_destroy(r.event);
    rd_kafka_queue_destroy(queue);
    r.message = rd_kafka_event_message_next(r.event);
    assert_non_null(r.message);
    return r;
}

static void returned_free(struct returned *r)
{
    rd_kafka_event_destroy(r->event);
    rd_kafka_destroy(r->producer);
}

static void a_dead_letter_holds_the_record_and_where_it_was(void **state)
{
    (void)state;
    struct input in = {
        .topic = "events", .partition = 3, .offset = 42, .timestamp_ms = 7, .value = {"\0\xff", 2}};
    struct outbox o = {0};
    struct arena a = {0};
    struct dead_letter d;
    dead_letter_put(&o, test_codec(), "dead-letters", &in, "features", DEAD_MISSING_KEY,
                    "no key, but \xff");
    assert_true(outbox_ok(&o));
    assert_int_equal(outbox_count(&o), 1);
    const struct outbox_record *r = outbox_record(&o, 0);
    assert_string_equal(r->topic, "dead-letters");
    assert_false(r->has_key);
    assert_int_equal(r->headers_len, 0);
    struct str value = str_bytes(o.bytes.data + r->value_at, r->value_len);
    assert_int_equal(record_decode(&d, &dead_letter_type, value, &a, NULL), 0);
    assert_true(str_is(d.topic, "events") && str_is(d.worker, "features") &&
                str_is(d.reason, "missing_key"));
    assert_true(str_is(d.detail, "no key, but \xef\xbf\xbd"));
    assert_int_equal(d.partition, 3);
    assert_int_equal(d.offset, 42);
    assert_int_equal(d.timestamp, 7);
    assert_true(str_equal(d.value, str_bytes("\0\xff", 2)));
    arena_free(&a);
    outbox_free(&o);
}

static void a_dead_letter_has_the_key_and_the_headers_of_its_record(void **state)
{
    (void)state;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(2);
    rd_kafka_header_add(headers, "trace", -1, "a\0b", 3);
    rd_kafka_header_add(headers, "none", -1, NULL, 0);
    struct returned returned = returned_with(headers);
    struct input in = {.topic = "events", .key = {"", 0}, .message = returned.message};
    struct outbox o = {0};
    dead_letter_put(&o, test_codec(), "dead-letters", &in, "features", DEAD_MISSING_KEY, "no user");
    const struct outbox_record *r = outbox_record(&o, 0);
    assert_true(r->has_key); /* of no bytes, which is not the same as none */
    assert_int_equal(r->key_len, 0);
    static const uint8_t expected[] = {5, 't', 'r', 'a', 'c', 'e', 4,   'a',
                                       0, 'b', 4,   'n', 'o', 'n', 'e', 0};
    assert_int_equal(r->headers_len, sizeof expected);
    assert_memory_equal(o.bytes.data + r->headers_at, expected, sizeof expected);
    assert_int_equal(r->value_at, r->headers_at + r->headers_len);
    outbox_free(&o);
    returned_free(&returned);
}

static void a_large_value_is_cut_and_the_detail_says_so(void **state)
{
    (void)state;
    size_t size = 600000;
    char *value = calloc(1, size);
    struct input in = {.topic = "events", .value = {value, size}};
    struct burial b;
    assert_int_equal(burial_make(&b, &in, "features", DEAD_TOO_LARGE, "too large", NULL), 0);
    assert_int_equal(b.letter.value.len, 524288);
    assert_true(str_is(b.letter.detail, "too large (the first 524288 of 600000 bytes are kept)"));
    burial_free(&b);
    free(value);
}

static void too_many_headers_are_cut_and_the_detail_says_so(void **state)
{
    (void)state;
    char large[30000];
    memset(large, 'x', sizeof large);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    for (int i = 0; i < 3; i++)
        rd_kafka_header_add(headers, "h", -1, large, sizeof large);
    rd_kafka_header_add(headers, "small", -1, "s", 1);
    struct returned returned = returned_with(headers);
    struct input in = {.topic = "events", .message = returned.message};
    struct burial b;
    assert_int_equal(burial_make(&b, &in, "features", DEAD_INVALID_VALUE, "no", NULL), 0);
    assert_true(str_is(b.letter.detail, "no (the first 2 of 4 headers are kept)"));
    assert_true(b.headers.len > 60000 && b.headers.len <= 65536);
    burial_free(&b);
    returned_free(&returned);
}

static void without_memory_a_dead_letter_says_so(void **state)
{
    (void)state;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "trace", -1, "abc", 3);
    struct returned returned = returned_with(headers);
    struct input in = {.topic = "events", .value = {"v", 1}, .message = returned.message};
    struct codec *codec = test_codec();
    for (int n = 1;; n++) {
        struct outbox o = {0};
        fail_alloc_at(n);
        dead_letter_put(&o, codec, "dead-letters", &in, "features", DEAD_INVALID_VALUE, "no");
        bool failed = fail_alloc_end();
        assert_int_equal(outbox_ok(&o), !failed);
        outbox_free(&o);
        if (!failed)
            break;
    }
    returned_free(&returned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(murmur2_is_that_of_kafkas_own_test),
        cmocka_unit_test(partitions_are_those_of_librdkafkas_murmur2),
        cmocka_unit_test(a_setting_that_librdkafka_refuses_is_named),
        cmocka_unit_test(roles_have_their_settings_and_users_have_the_last_word),
        cmocka_unit_test(only_a_gatherer_waits_for_more_records_and_half_an_epoch_at_most),
        cmocka_unit_test(errors_are_sorted_by_what_can_be_done),
        cmocka_unit_test(every_decoding_error_has_a_reason),
        cmocka_unit_test(a_dead_letter_holds_the_record_and_where_it_was),
        cmocka_unit_test(a_dead_letter_has_the_key_and_the_headers_of_its_record),
        cmocka_unit_test(a_large_value_is_cut_and_the_detail_says_so),
        cmocka_unit_test(too_many_headers_are_cut_and_the_detail_says_so),
        cmocka_unit_test(without_memory_a_dead_letter_says_so),
    };
    return RUN(tests);
}

#include "unit.h"

#include "ctl/record_line.h"
#include "support/codec.h"

static struct conf *conf;

/* What a record of a topic is printed as. */
static void assert_line(const char *topic, struct str key, struct str value, const char *line)
{
    struct arena a = {0};
    struct buf b = {0};
    rd_kafka_message_t m = {.partition = 3, .offset = 17};
    m.key = (void *)(uintptr_t)key.data;
    m.key_len = key.len;
    m.payload = (void *)(uintptr_t)value.data;
    m.len = value.len;
    struct ctl c = {.conf = conf, .codec = test_codec()};
    record_line_print(&b, &c, topics_find(conf, topic), &m, false, &a);
    assert_buf_is(&b, line);
    arena_free(&a);
    buf_free(&b);
}

static void values_of_features_are_the_record_alone(void **state)
{
    (void)state;
    assert_line("features", str_of("k"),
                str_of("{\"scope\":\"user\",\"key\":[\"u1\"],\"as_of\":5,\"values\":{\"a\":null}}"),
                "{\"scope\":\"user\",\"key\":[\"u1\"],\"as_of\":5,\"values\":{\"a\":null}}\n");
}

static void a_tombstone_has_its_key(void **state)
{
    (void)state;
    assert_line("users", str_of("u1"), (struct str){0}, "{\"key\":\"u1\",\"value\":null}\n");
    assert_line("users", (struct str){0}, (struct str){0}, "{\"key\":null,\"value\":null}\n");
    assert_line("state.user", str_bytes("\xff", 1), (struct str){0},
                "{\"key\":{\"bytes\":\"\\u00ff\"},\"value\":null}\n");
}

static void what_cannot_be_decoded_is_shown_byte_by_byte(void **state)
{
    (void)state;
    assert_line("events", str_of("k"), str_bytes("a\"\x01\xc3", 4),
                "{\"undecodable\":\"byte 0: neither Confluent framing (00), nor Avro single-object "
                "encoding (C3 01), nor JSON ({)\",\"bytes\":\"a\\\"\\u0001\\u00c3\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_features_are_the_record_alone),
        cmocka_unit_test(a_tombstone_has_its_key),
        cmocka_unit_test(what_cannot_be_decoded_is_shown_byte_by_byte),
    };
    if (conf_new(&conf, NULL))
        return 1;
    int failed = RUN(tests);
    conf_free(conf);
    return failed;
}

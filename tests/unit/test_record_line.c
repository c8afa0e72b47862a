#include "unit.h"

#include "ctl/record_line.h"
#include "support/codec.h"

static struct conf *conf;

/* What a record of a topic is printed as. */
static void assert_line_as(unsigned how, const char *topic, struct str key, struct str value,
                           const char *line)
{
    struct arena a = {0};
    struct buf b = {0};
    rd_kafka_message_t m = {.partition = 3, .offset = 17};
    m.key = (void *)(uintptr_t)key.data;
    m.key_len = key.len;
    m.payload = (void *)(uintptr_t)value.data;
    m.len = value.len;
    struct ctl c = {.conf = conf, .codec = test_codec()};
    record_line_print(&b, &c, topics_find(conf, topic), &m, how, &a);
    assert_buf_is(&b, line);
    arena_free(&a);
    buf_free(&b);
}

static void assert_line(const char *topic, struct str key, struct str value, const char *line)
{
    assert_line_as(0, topic, key, value, line);
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

#define SCORE_LOG(vectors, fingerprints)                                                           \
    "{\"request_id\":\"r\",\"user_id\":\"u\",\"timestamp\":5,\"placement\":\"home\","              \
    "\"context\":{},\"model\":\"rules\",\"version\":0,\"variant\":\"rules\",\"degraded\":null,"    \
    "\"share\":1,\"features\":[\"a\",\"b\"],\"fingerprints\":" fingerprints                        \
    ",\"candidates\":[\"p\",\"q\"],\"vectors\":" vectors                                           \
    ",\"scores\":[0.5,0.25],\"shown\":[1],\"propensities\":[1],\"shadows\":[],"                    \
    "\"explored_share\":0.5,\"temperature\":2,\"diverse\":true,\"utilities\":[-1.5,0]}"

/* float32: 1.5 is 3fc00000, -2 is c0000000, a NaN is 7fc00000. */
#define TWO_BY_TWO                                                                                 \
    "\"\\u0000\\u0000\u00c0?\\u0000\\u0000\u00c0\x7f\\u0000\\u0000\\u0000\u00c0"                   \
    "\\u0000\\u0000\\u0000\\u0000\""
#define TWO_DIGESTS                                                                                \
    "\"\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\u00ff\\u0000\\u0000"                   \
    "\\u0000\\u0000\\u0000\\u0000\\n\""

static void vectors_are_shown_by_name_and_fingerprints_in_digits(void **state)
{
    (void)state;
    assert_line("score.log", str_of("r"), str_of(SCORE_LOG(TWO_BY_TWO, TWO_DIGESTS)),
                SCORE_LOG("[{\"a\":1.5,\"b\":null},{\"a\":-2,\"b\":0}]",
                          "[\"0102030405060708\",\"ff0000000000000a\"]") "\n");
}

static void a_vector_of_another_length_than_its_names_is_shown_as_bytes(void **state)
{
    (void)state;
    assert_line("score.log", str_of("r"), str_of(SCORE_LOG("\"abcd\"", "\"abc\"")),
                SCORE_LOG("\"abcd\"", "\"abc\"") "\n");
}

static void a_model_is_shown_without_its_bytes_unless_it_is_wanted_whole(void **state)
{
    (void)state;
    struct str part =
        str_of("{\"model\":\"m\",\"version\":2,\"part\":0,\"parts\":1,\"sha256\":\"\\u0000A\","
               "\"features\":[\"a\"],\"fingerprints\":\"abcdefgh\",\"canary_rows\":\"1234\","
               "\"canary_margins\":\"5678\",\"calibration\":\"{}\",\"bytes\":\"hello\"}");
    assert_line("model.artifacts", str_of("k"), part,
                "{\"model\":\"m\",\"version\":2,\"part\":0,\"parts\":1,\"sha256\":\"0041\","
                "\"features\":[\"a\"],\"fingerprints\":[\"6162636465666768\"],\"canary_rows\":"
                "{\"size\":4},\"canary_margins\":{\"size\":4},\"calibration\":\"{}\",\"bytes\":{"
                "\"size\":5}}\n");
    assert_line_as(RECORD_LINE_WHOLE, "model.artifacts", str_of("k"), part,
                   "{\"model\":\"m\",\"version\":2,\"part\":0,\"parts\":1,\"sha256\":\"\\u0000A\","
                   "\"features\":[\"a\"],\"fingerprints\":\"abcdefgh\",\"canary_rows\":\"1234\","
                   "\"canary_margins\":\"5678\",\"calibration\":\"{}\",\"bytes\":\"hello\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_features_are_the_record_alone),
        cmocka_unit_test(a_tombstone_has_its_key),
        cmocka_unit_test(vectors_are_shown_by_name_and_fingerprints_in_digits),
        cmocka_unit_test(a_vector_of_another_length_than_its_names_is_shown_as_bytes),
        cmocka_unit_test(a_model_is_shown_without_its_bytes_unless_it_is_wanted_whole),
        cmocka_unit_test(what_cannot_be_decoded_is_shown_byte_by_byte),
    };
    if (conf_new(&conf, NULL))
        return 1;
    int failed = RUN(tests);
    conf_free(conf);
    return failed;
}

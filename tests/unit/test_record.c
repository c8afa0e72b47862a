/* The schemas' files are the oracle: canonical forms are made of them here, by the rules of Avro's
 * specification. */
#include "base/file.h"
#include "serde/records.h"
#include "unit.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Parsing canonical form, and CRC-64-AVRO with the table of the specification ---- */

static void canonical(struct buf *b, const json_t *j, const char *namespace);

static void canonical_record(struct buf *b, const json_t *j, const char *namespace)
{
    size_t i;
    json_t *field;
    buf_printf(b, "{\"name\":\"%s.%s\",\"type\":\"record\",\"fields\":[", namespace,
               json_string_value(json_object_get(j, "name")));
    json_array_foreach(json_object_get(j, "fields"), i, field)
    {
        buf_printf(b, "%s{\"name\":\"%s\",\"type\":", i ? "," : "",
                   json_string_value(json_object_get(field, "name")));
        canonical(b, json_object_get(field, "type"), namespace);
        buf_put_u8(b, '}');
    }
    buf_put_text(b, "]}");
}

static void canonical(struct buf *b, const json_t *j, const char *namespace)
{
    size_t i;
    json_t *branch;
    if (json_is_string(j)) {
        buf_printf(b, "\"%s\"", json_string_value(j));
        return;
    }
    if (json_is_array(j)) {
        json_array_foreach(j, i, branch)
        {
            buf_put_u8(b, i ? ',' : '[');
            canonical(b, branch, namespace);
        }
        buf_put_u8(b, ']');
        return;
    }
    const char *type = json_string_value(json_object_get(j, "type"));
    if (strcmp(type, "record") == 0) {
        canonical_record(b, j, namespace);
    } else if (strcmp(type, "array") == 0 || strcmp(type, "map") == 0) {
        const char *of = strcmp(type, "array") == 0 ? "items" : "values";
        buf_printf(b, "{\"type\":\"%s\",\"%s\":", type, of);
        canonical(b, json_object_get(j, of), namespace);
        buf_put_u8(b, '}');
    } else {
        buf_printf(b, "\"%s\"", type); /* {"type": "long", "logicalType": ...} is "long" */
    }
}

static uint64_t crc_64_avro(const struct buf *b)
{
    const uint64_t empty = 0xc15d213aa4d7a795;
    uint64_t table[256], crc = empty;
    for (uint64_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int k = 0; k < 8; k++)
            table[i] = (table[i] >> 1) ^ (table[i] & 1 ? empty : 0);
    }
    for (size_t i = 0; i < b->len; i++)
        crc = (crc >> 8) ^ table[(crc ^ b->data[i]) & 0xff];
    return crc;
}

static void fingerprints_are_those_of_the_schemas_files(void **state)
{
    (void)state;
    for (size_t i = 0; record_types[i]; i++) {
        const struct record_type *t = record_types[i];
        char path[512];
        struct buf file = {0}, expected = {0}, ours = {0};
        snprintf(path, sizeof path, "%s/schemas/%s.avsc", FLOTILLA_SOURCE_DIR, t->name);
        assert_int_equal(file_read(&file, path, 1 << 20, NULL), 0);
        json_t *j = json_loadb((const char *)file.data, file.len, 0, NULL);
        assert_non_null(j);
        canonical(&expected, j, json_string_value(json_object_get(j, "namespace")));
        record_canonical_schema(&ours, t);
        buf_put_u8(&expected, 0);
        assert_buf_is(&ours, (const char *)expected.data);
        expected.len--;
        assert_true(t->fingerprint == crc_64_avro(&expected));
        json_decref(j);
        buf_free(&file);
        buf_free(&expected);
        buf_free(&ours);
    }
}

/* Of Avro's own share/test/data/schema-tests.txt. */
static void fingerprints_of_primitive_schemas_are_avros(void **state)
{
    (void)state;
    assert_true((int64_t)record_fingerprint(str_of("\"null\"")) == 7195948357588979594);
    assert_true((int64_t)record_fingerprint(str_of("\"int\"")) == 8247732601305521295);
    assert_true((int64_t)record_fingerprint(str_of("\"string\"")) == -8142146995180207161);
}

static void defaults_are_those_of_the_schemas_files(void **state)
{
    (void)state;
    for (size_t i = 0; record_types[i]; i++) {
        const struct record_type *t = record_types[i];
        char path[512];
        snprintf(path, sizeof path, "%s/schemas/%s.avsc", FLOTILLA_SOURCE_DIR, t->name);
        json_t *j = json_load_file(path, 0, NULL), *fields = json_object_get(j, "fields");
        assert_int_equal(json_array_size(fields), t->field_count);
        for (size_t k = 0; k < t->field_count; k++) {
            json_t *expected = json_object_get(json_array_get(fields, k), "default");
            json_t *ours = t->fields[k].standard
                               ? json_loads(t->fields[k].standard, JSON_DECODE_ANY, NULL)
                               : NULL;
            assert_int_equal(expected == NULL, ours == NULL);
            assert_true(!expected || json_equal(expected, ours));
            json_decref(ours);
        }
        json_decref(j);
    }
}

/* ---- Round trips ---- */

static const char event_json[] = "{\"event_id\":\"e\xc3\xa4\",\"event\":\"click\",\"user_id\":"
                                 "\"u\",\"timestamp\":-9223372036854775808,"
                                 "\"propositions\":[\"p1\",\"\"],\"request_id\":\"r\",\"value\":-2."
                                 "5,\"context\":{\"device\":\"phone\",\"\":\"x\"}}";
static const char entity_json[] =
    "{\"id\":\"p\",\"timestamp\":9223372036854775807,\"active\":false,\"valid_from\":0,\"valid_"
    "until\":null,"
    "\"attributes\":{\"n\":null,\"b\":true,\"d\":0.1,\"s\":\"text\",\"l\":[\"a\",\"b\"]}}";
static const char dead_letter_json[] =
    "{\"topic\":\"t\",\"partition\":-2147483648,\"offset\":1,\"timestamp\":2,\"worker\":\"w\","
    "\"reason\":\"r\",\"detail\":\"d\","
    "\"value\":\"\\u0000\\u00ff{\"}";
static const char values_json[] = "{\"scope\":\"user\",\"key\":[\"u\"],\"as_of\":5,\"values\":{"
                                  "\"a\":1,\"missing\":null,\"tiny\":5e-324}}";

static void comes_back(const struct record_type *t, const char *json)
{
    struct arena a = {0};
    struct buf avro = {0}, printed = {0};
    void *record = calloc(1, t->size), *again = calloc(1, t->size);
    struct err e = {0};
    assert_int_equal(record_decode(record, t, str_of(json), &a, &e), 0);
    record_encode(&avro, t, record);
    assert_memory_equal(avro.data, "\xc3\x01", 2);
    assert_memory_equal(avro.data + 2, &t->fingerprint, 8);
    assert_int_equal(record_decode(again, t, buf_str(&avro), &a, &e), 0);
    record_print_json(&printed, t, again);
    assert_buf_is(&printed, json);
    free(record);
    free(again);
    buf_free(&avro);
    buf_free(&printed);
    arena_free(&a);
}

static void records_come_back_from_json_through_avro_to_json(void **state)
{
    (void)state;
    comes_back(&event_type, event_json);
    comes_back(&entity_type, entity_json);
    comes_back(&dead_letter_type, dead_letter_json);
    comes_back(&feature_values_type, values_json);
}

/* Written by hand from Avro's specification: lengths and longs are zigzag varints, a map is blocks
 * ended by 0. */
static void bytes_are_those_of_avros_specification(void **state)
{
    (void)state;
    struct str key = str_of("u1");
    struct double_entry value = {str_of("n"), 1.5};
    struct feature_values f = {
        .scope = str_of("user"), .key = {&key, 1}, .as_of = -65, .values = {&value, 1}};
    struct buf b = {0};
    record_encode(&b, &feature_values_type, &f);
    static const uint8_t body[] = {8,    'u', 's', 'e', 'r', 2, 4, 'u', '1', 0, /* scope, key */
                                   0x81, 1, /* -65: zigzag 129 */
                                   2,    2,   'n', 0,   0,   0, 0, 0,   0,   0xf8, 0x3f, 0};
    assert_int_equal(b.len, 10 + sizeof body);
    assert_memory_equal(b.data + 10, body, sizeof body);
    buf_free(&b);
}

/* ---- JSON ---- */

static int decode(const struct record_type *t, void *out, struct str bytes, struct arena *a,
                  struct err *e)
{
    *e = (struct err){0};
    arena_reset(a);
    return record_decode(out, t, bytes, a, e);
}

static void fields_that_are_not_given_have_their_defaults(void **state)
{
    (void)state;
    struct rank_request r;
    struct arena a = {0};
    struct err e;
    assert_int_equal(decode(&rank_request_type, &r,
                            str_of("{\"request_id\":\"r\",\"user_id\":\"u\",\"timestamp\":1}"), &a,
                            &e),
                     0);
    assert_true(str_is(r.placement, "default"));
    assert_int_equal(r.limit, 10);
    assert_int_equal(r.candidates.count, 0);
    assert_false(r.deadline.given);
    assert_false(r.explain);
    arena_free(&a);
}

static void unions_may_be_written_as_avro_writes_them(void **state)
{
    (void)state;
    struct event v;
    struct entity n;
    struct arena a = {0};
    struct err e;
    assert_int_equal(decode(&event_type, &v,
                            str_of("{\"event_id\":\"e\",\"event\":\"x\",\"user_id\":\"u\","
                                   "\"timestamp\":1e3,\"request_id\":{\"string\":"
                                   "\"r\"},\"value\":{\"double\":2}}"),
                            &a, &e),
                     0);
    assert_int_equal(v.timestamp, 1000);
    assert_true(str_is(v.request_id, "r"));
    assert_true(v.value.given && v.value.value == 2);
    assert_int_equal(decode(&entity_type, &n,
                            str_of("{\"id\":\"p\",\"timestamp\":1,\"attributes\":{\"a\":{\"array\":"
                                   "[\"x\"]},\"b\":{\"boolean\":true}}}"),
                            &a, &e),
                     0);
    assert_int_equal(n.attributes.items[0].type, ATTRIBUTE_LIST);
    assert_int_equal(n.attributes.items[1].type, ATTRIBUTE_BOOLEAN);
    arena_free(&a);
}

static void json_that_the_schema_does_not_allow_is_refused_by_field(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int code;
        const char *message;
    } cases[] = {
        {"{", ERR_CORRUPT, "not JSON"},
        {"{\"event_id\":\"e\"}", ERR_SCHEMA, "field event is missing"},
        {"{\"event_id\":1,\"event\":\"x\",\"user_id\":\"u\",\"timestamp\":1}", ERR_SCHEMA,
         "field event_id is an integer: a text"},
        {"{\"event_id\":\"e\",\"event\":\"x\",\"user_id\":\"u\",\"timestamp\":1.5}", ERR_SCHEMA,
         "field timestamp is a number"},
        {"{\"event_id\":\"e\",\"event\":\"x\",\"user_id\":\"u\",\"timestamp\":1e30}", ERR_SCHEMA,
         "field timestamp"},
        {"{\"event_id\":\"e\",\"event\":\"x\",\"user_id\":\"u\",\"timestamp\":1,\"propositions\":["
         "null]}",
         ERR_SCHEMA, "field propositions is null"},
        {"{\"event_id\":\"e\",\"event\":\"x\",\"user_id\":\"u\",\"timestamp\":1,\"context\":[]}",
         ERR_SCHEMA, "field context is a list: an object"},
    };
    struct event v;
    struct arena a = {0};
    struct err e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(decode(&event_type, &v, str_of(cases[i].json), &a, &e), cases[i].code);
        assert_contains(e.msg, cases[i].message);
    }
    arena_free(&a);
}

/* ---- Hostile bytes ---- */

static void other_framings_and_schemas_are_told_apart(void **state)
{
    (void)state;
    struct event v;
    struct arena a = {0};
    struct err e;
    struct buf b = {0};
    assert_int_equal(decode(&event_type, &v, str_of(""), &a, &e), ERR_CORRUPT);
    assert_int_equal(decode(&event_type, &v, str_bytes("\0\0\0\0\1rest.....", 14), &a, &e),
                     ERR_CORRUPT);
    assert_contains(e.msg, "neither Avro single-object encoding");
    assert_int_equal(decode(&event_type, &v, str_bytes("\xc3\x01short", 7), &a, &e), ERR_CORRUPT);
    buf_put(&b, "\xc3\x01", 2);
    buf_put_u64(&b, entity_type.fingerprint);
    assert_int_equal(decode(&event_type, &v, buf_str(&b), &a, &e), ERR_NOT_FOUND);
    assert_contains(
        e.msg,
        "written with schema 8a6b0312f4deb146, known for flotilla.Event is dbfb0ef01f1ce484");
    buf_free(&b);
    arena_free(&a);
}

static struct buf encoded(const struct record_type *t, const char *json)
{
    struct arena a = {0};
    struct buf b = {0};
    void *record = calloc(1, t->size);
    assert_int_equal(record_decode(record, t, str_of(json), &a, NULL), 0);
    record_encode(&b, t, record);
    free(record);
    arena_free(&a);
    return b;
}

static void a_record_cut_anywhere_is_corrupt(void **state)
{
    (void)state;
    struct buf b = encoded(&entity_type, entity_json);
    struct entity v;
    struct arena a = {0};
    struct err e;
    for (size_t n = 0; n < b.len; n++) {
        /* A copy of its own size, so that a sanitizer sees a read past the end. */
        char *cut = malloc(n ? n : 1);
        memcpy(cut, b.data, n);
        assert_int_equal(decode(&entity_type, &v, str_bytes(cut, n), &a, &e), ERR_CORRUPT);
        free(cut);
    }
    buf_put_u8(&b, 0);
    assert_int_equal(decode(&entity_type, &v, buf_str(&b), &a, &e), ERR_CORRUPT);
    assert_contains(e.msg, "1 bytes follow after the last field");
    buf_free(&b);
    arena_free(&a);
}

static void any_change_of_bytes_is_decoded_or_refused_but_never_more(void **state)
{
    (void)state;
    struct buf whole = encoded(&entity_type, entity_json);
    struct entity v;
    struct arena a = {0};
    struct err e;
    srand(7);
    for (int i = 0; i < 100000; i++) {
        uint8_t *bytes = malloc(whole.len);
        memcpy(bytes, whole.data, whole.len);
        for (int k = rand() % 3; k >= 0; k--)
            bytes[10 + (size_t)rand() % (whole.len - 10)] = (uint8_t)rand();
        int rc = decode(&entity_type, &v, str_bytes(bytes, whole.len), &a, &e);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        free(bytes);
    }
    buf_free(&whole);
    arena_free(&a);
}

/* A count of 2^62 items in six bytes must not ask for memory. */
static void counts_and_lengths_are_checked_against_what_is_left(void **state)
{
    (void)state;
    struct feature_values v;
    struct arena a = {0};
    struct err e = {0};
    static const uint8_t many[] = {0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    static const uint8_t negative[] = {0,    0xff, 0xff, 0xff, 0xff, 0xff,
                                       0xff, 0xff, 0xff, 0xff, 1,    0};
    static const uint8_t length[] = {0xfe, 0xff, 0xff, 0xff, 0x0f};
    static const uint8_t minus[] = {1};
    assert_int_equal(
        record_decode_avro(&v, &feature_values_type, str_bytes(many, sizeof many), &a, &e),
        ERR_CORRUPT);
    assert_contains(e.msg, "field key, byte 10: a block has more items than bytes are left");
    assert_int_equal(
        record_decode_avro(&v, &feature_values_type, str_bytes(negative, sizeof negative), &a, &e),
        ERR_CORRUPT);
    assert_int_equal(
        record_decode_avro(&v, &feature_values_type, str_bytes(length, sizeof length), &a, &e),
        ERR_CORRUPT);
    assert_contains(e.msg, "field scope");
    assert_int_equal(
        record_decode_avro(&v, &feature_values_type, str_bytes(minus, sizeof minus), &a, &e),
        ERR_CORRUPT);
    arena_free(&a);
}

static void texts_that_are_not_utf8_are_corrupt(void **state)
{
    (void)state;
    struct feature_values v;
    struct arena a = {0};
    struct err e = {0};
    static const uint8_t surrogate[] = {6, 0xed, 0xa0, 0x80, 0, 0, 0};
    assert_int_equal(record_decode_avro(&v, &feature_values_type,
                                        str_bytes(surrogate, sizeof surrogate), &a, &e),
                     ERR_CORRUPT);
    assert_contains(e.msg, "a text is not UTF-8");
    arena_free(&a);
}

static void a_record_over_the_limit_is_too_large(void **state)
{
    (void)state;
    struct event v;
    struct arena a = {0};
    struct err e;
    char *bytes = calloc(1, RECORD_MAX_BYTES + 1);
    bytes[0] = '{';
    assert_int_equal(decode(&event_type, &v, str_bytes(bytes, RECORD_MAX_BYTES + 1), &a, &e),
                     ERR_TOO_LARGE);
    free(bytes);
    arena_free(&a);
}

static void without_memory_decoding_says_so(void **state)
{
    (void)state;
    struct buf b = encoded(&entity_type, entity_json);
    struct str both[] = {buf_str(&b), str_of(entity_json)};
    for (size_t i = 0; i < 2; i++) {
        for (int n = 1;; n++) {
            struct entity v;
            struct arena a = {0};
            struct err e = {0};
            fail_alloc_at(n);
            int rc = record_decode(&v, &entity_type, both[i], &a, &e);
            bool failed = fail_alloc_end();
            assert_int_equal(rc, failed ? ERR_NOMEM : 0);
            arena_free(&a);
            if (!failed)
                break;
        }
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fingerprints_are_those_of_the_schemas_files),
        cmocka_unit_test(fingerprints_of_primitive_schemas_are_avros),
        cmocka_unit_test(defaults_are_those_of_the_schemas_files),
        cmocka_unit_test(records_come_back_from_json_through_avro_to_json),
        cmocka_unit_test(bytes_are_those_of_avros_specification),
        cmocka_unit_test(fields_that_are_not_given_have_their_defaults),
        cmocka_unit_test(unions_may_be_written_as_avro_writes_them),
        cmocka_unit_test(json_that_the_schema_does_not_allow_is_refused_by_field),
        cmocka_unit_test(other_framings_and_schemas_are_told_apart),
        cmocka_unit_test(a_record_cut_anywhere_is_corrupt),
        cmocka_unit_test(any_change_of_bytes_is_decoded_or_refused_but_never_more),
        cmocka_unit_test(counts_and_lengths_are_checked_against_what_is_left),
        cmocka_unit_test(texts_that_are_not_utf8_are_corrupt),
        cmocka_unit_test(a_record_over_the_limit_is_too_large),
        cmocka_unit_test(without_memory_decoding_says_so),
    };
    return RUN(tests);
}

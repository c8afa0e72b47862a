/* Records of the topics: that schemas, structures and bytes are the same thing, written three
 * times. */
#include "unit.h"

#include "base/file.h"
#include "support/codec.h"

#include <jansson.h>
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
    for (size_t i = 0; i < RECORD_TYPES; i++) {
        const struct record_type *t = record_types[i];
        char path[512];
        struct buf file = {0}, expected = {0};
        assert_int_equal(t->place, i);
        snprintf(path, sizeof path, "%s/schemas/%s.avsc", FLOTILLA_SOURCE_DIR, t->name);
        assert_int_equal(file_read(&file, path, 1 << 20, NULL), 0);
        json_t *j = json_loadb((const char *)file.data, file.len, 0, NULL);
        assert_non_null(j);
        canonical(&expected, j, json_string_value(json_object_get(j, "namespace")));
        assert_true(record_fingerprint(t) == crc_64_avro(&expected));
        json_decref(j);
        buf_free(&file);
        buf_free(&expected);
    }
}

/* Of Avro's own share/test/data/schema-tests.txt. */
static void fingerprints_of_primitive_schemas_are_avros(void **state)
{
    (void)state;
    assert_true((int64_t)schema_crc64(str_of("\"null\"")) == 7195948357588979594);
    assert_true((int64_t)schema_crc64(str_of("\"int\"")) == 8247732601305521295);
    assert_true((int64_t)schema_crc64(str_of("\"string\"")) == -8142146995180207161);
}

/* ---- Structures ---- */

static size_t offset_of(const struct record_type *t, const char *field)
{
    const struct schema_node *n = codec_schema(test_codec(), t);
    for (size_t i = 0; i < n->field_count; i++)
        if (str_is(n->fields[i].name, field))
            return n->fields[i].offset;
    fail_msg("%s has no field %s", t->name, field);
    return 0;
}

#define SAME_PLACE(structure, field)                                                               \
    assert_int_equal(offset_of(&structure##_type, #field), offsetof(struct structure, field))

static void schemas_lay_out_the_structures_of_the_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECORD_TYPES; i++)
        assert_int_equal(codec_schema(test_codec(), record_types[i])->size, record_types[i]->size);
    SAME_PLACE(event, event_id);
    SAME_PLACE(event, event);
    SAME_PLACE(event, user_id);
    SAME_PLACE(event, timestamp);
    SAME_PLACE(event, propositions);
    SAME_PLACE(event, request_id);
    SAME_PLACE(event, value);
    SAME_PLACE(event, context);
    SAME_PLACE(entity, id);
    SAME_PLACE(entity, timestamp);
    SAME_PLACE(entity, active);
    SAME_PLACE(entity, valid_from);
    SAME_PLACE(entity, valid_until);
    SAME_PLACE(entity, attributes);
    SAME_PLACE(rank_request, request_id);
    SAME_PLACE(rank_request, user_id);
    SAME_PLACE(rank_request, timestamp);
    SAME_PLACE(rank_request, placement);
    SAME_PLACE(rank_request, candidates);
    SAME_PLACE(rank_request, limit);
    SAME_PLACE(rank_request, deadline);
    SAME_PLACE(rank_request, context);
    SAME_PLACE(rank_request, explain);
    SAME_PLACE(feature_values, scope);
    SAME_PLACE(feature_values, key);
    SAME_PLACE(feature_values, as_of);
    SAME_PLACE(feature_values, values);
    SAME_PLACE(dead_letter, topic);
    SAME_PLACE(dead_letter, partition);
    SAME_PLACE(dead_letter, offset);
    SAME_PLACE(dead_letter, timestamp);
    SAME_PLACE(dead_letter, worker);
    SAME_PLACE(dead_letter, reason);
    SAME_PLACE(dead_letter, detail);
    SAME_PLACE(dead_letter, value);
    SAME_PLACE(feature_delta, fingerprints);
    SAME_PLACE(feature_delta, cell);
    SAME_PLACE(feature_state, offset);
    SAME_PLACE(feature_state, due);
    SAME_PLACE(feature_state, fingerprints);
    SAME_PLACE(feature_state, state);
    SAME_PLACE(feature_state, keys);
    SAME_PLACE(ranking, request_id);
    SAME_PLACE(ranking, user_id);
    SAME_PLACE(ranking, timestamp);
    SAME_PLACE(ranking, placement);
    SAME_PLACE(ranking, model);
    SAME_PLACE(ranking, version);
    SAME_PLACE(ranking, variant);
    SAME_PLACE(ranking, degraded);
    SAME_PLACE(ranking, items);
    SAME_PLACE(ranking, unknown);
    SAME_PLACE(score_log, request_id);
    SAME_PLACE(score_log, user_id);
    SAME_PLACE(score_log, timestamp);
    SAME_PLACE(score_log, placement);
    SAME_PLACE(score_log, context);
    SAME_PLACE(score_log, model);
    SAME_PLACE(score_log, version);
    SAME_PLACE(score_log, variant);
    SAME_PLACE(score_log, degraded);
    SAME_PLACE(score_log, share);
    SAME_PLACE(score_log, features);
    SAME_PLACE(score_log, fingerprints);
    SAME_PLACE(score_log, candidates);
    SAME_PLACE(score_log, vectors);
    SAME_PLACE(score_log, scores);
    SAME_PLACE(score_log, shown);
    SAME_PLACE(score_log, propensities);
    SAME_PLACE(score_log, shadows);
    SAME_PLACE(score_log, explored_share);
    SAME_PLACE(score_log, temperature);
    SAME_PLACE(score_log, diverse);
    SAME_PLACE(score_log, utilities);
    SAME_PLACE(rollout_plan, model);
    SAME_PLACE(rollout_plan, timestamp);
    SAME_PLACE(rollout_plan, actor);
    SAME_PLACE(rollout_plan, reason);
    SAME_PLACE(rollout_plan, salt);
    SAME_PLACE(rollout_plan, champion);
    SAME_PLACE(rollout_plan, previous);
    SAME_PLACE(rollout_plan, pinned);
    SAME_PLACE(rollout_plan, challengers);
    SAME_PLACE(model_artifact, model);
    SAME_PLACE(model_artifact, version);
    SAME_PLACE(model_artifact, part);
    SAME_PLACE(model_artifact, parts);
    SAME_PLACE(model_artifact, sha256);
    SAME_PLACE(model_artifact, features);
    SAME_PLACE(model_artifact, fingerprints);
    SAME_PLACE(model_artifact, canary_rows);
    SAME_PLACE(model_artifact, canary_margins);
    SAME_PLACE(model_artifact, calibration);
    SAME_PLACE(model_artifact, bytes);
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
    assert_memory_equal(avro.data + 2, &(uint64_t){record_fingerprint(t)}, 8);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fingerprints_are_those_of_the_schemas_files),
        cmocka_unit_test(fingerprints_of_primitive_schemas_are_avros),
        cmocka_unit_test(schemas_lay_out_the_structures_of_the_header),
        cmocka_unit_test(records_come_back_from_json_through_avro_to_json),
        cmocka_unit_test(bytes_are_those_of_avros_specification),
    };
    return RUN(tests);
}

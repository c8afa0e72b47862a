/* Framings, JSON, hostile bytes, schemas of others. */
#include "unit.h"

#include "support/codec.h"

#include <stdio.h>
#include <stdlib.h>

static const char entity_json[] =
    "{\"id\":\"p\",\"timestamp\":9223372036854775807,\"active\":false,\"valid_from\":0,\"valid_"
    "until\":null,"
    "\"attributes\":{\"n\":null,\"b\":true,\"d\":0.1,\"s\":\"text\",\"l\":[\"a\",\"b\"]}}";

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
        {"{\"event_id\":\"e\"}", ERR_SCHEMA, "field event, byte 16: it is missing"},
        {"{\"event_id\":1,\"event\":\"x\",\"user_id\":\"u\",\"timestamp\":1}", ERR_SCHEMA,
         "field event_id, byte 12: a number, where a text is wanted"},
        {"{\"event_id\":\"e\",\"event\":\"x\",\"user_id\":\"u\",\"timestamp\":1.5}", ERR_SCHEMA,
         "field timestamp, byte 54: a number, where a whole number of 64 bits is wanted"},
        {"{\"event_id\":\"e\",\"event\":\"x\",\"user_id\":\"u\",\"timestamp\":1e30}", ERR_SCHEMA,
         "field timestamp"},
        {"{\"event_id\":\"e\",\"event\":\"x\",\"user_id\":\"u\",\"timestamp\":1,\"propositions\":["
         "null]}",
         ERR_SCHEMA, "field propositions, byte 72: null, where a text"},
        {"{\"event_id\":\"e\",\"event\":\"x\",\"user_id\":\"u\",\"timestamp\":1,\"context\":[]}",
         ERR_SCHEMA, "field context, byte 66: a list, where an object"},
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
    assert_int_equal(decode(&event_type, &v, str_bytes("\0\0\0\1\1rest.....", 14), &a, &e),
                     ERR_NOT_FOUND);
    assert_contains(e.msg, "byte 1: written with schema id 257 of a registry: give");
    assert_int_equal(decode(&event_type, &v, str_bytes("\0\0\0\1", 4), &a, &e), ERR_CORRUPT);
    assert_contains(e.msg, "byte 4: the id of the schema is cut off");
    assert_int_equal(decode(&event_type, &v, str_of("x"), &a, &e), ERR_CORRUPT);
    assert_contains(e.msg, "byte 0: neither Confluent framing");
    assert_int_equal(decode(&event_type, &v, str_bytes("\xc3\x01short", 7), &a, &e), ERR_CORRUPT);
    buf_put(&b, "\xc3\x01", 2);
    buf_put_u64(&b, 0x1122334455667788);
    assert_int_equal(decode(&event_type, &v, buf_str(&b), &a, &e), ERR_NOT_FOUND);
    assert_contains(e.msg, "byte 2: written with schema 1122334455667788, which nobody knows");
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
    assert_contains(e.msg, "1 bytes follow after the end");
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

/* A body behind its header of single-object encoding. */
static int decode_body(void *out, const struct record_type *t, struct str body, struct arena *a,
                       struct err *e)
{
    struct buf b = {0};
    buf_put(&b, "\xc3\x01", 2);
    buf_put_u64(&b, record_fingerprint(t));
    buf_put_str(&b, body);
    arena_reset(a);
    int rc = record_decode(out, t, buf_str(&b), a, e);
    buf_free(&b);
    return rc;
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
    assert_int_equal(decode_body(&v, &feature_values_type, str_bytes(many, sizeof many), &a, &e),
                     ERR_CORRUPT);
    assert_contains(e.msg, "field key, byte 11: a block has more items than bytes are left");
    assert_int_equal(
        decode_body(&v, &feature_values_type, str_bytes(negative, sizeof negative), &a, &e),
        ERR_CORRUPT);
    assert_int_equal(
        decode_body(&v, &feature_values_type, str_bytes(length, sizeof length), &a, &e),
        ERR_CORRUPT);
    assert_contains(e.msg, "field scope");
    assert_int_equal(decode_body(&v, &feature_values_type, str_bytes(minus, sizeof minus), &a, &e),
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
    assert_int_equal(
        decode_body(&v, &feature_values_type, str_bytes(surrogate, sizeof surrogate), &a, &e),
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
    char *bytes = calloc(1, VALUE_MAX_BYTES + 1);
    bytes[0] = '{';
    assert_int_equal(decode(&event_type, &v, str_bytes(bytes, VALUE_MAX_BYTES + 1), &a, &e),
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

/* A schema of everything, and values of it. */
static const char everything[] =
    "{\"type\":\"record\",\"name\":\"A\",\"namespace\":\"n\",\"aliases\":[\"B\"],\"fields\":["
    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"X\",\"Y\"]}},"
    "{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}},"
    "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":[\"int\",\"A\",\"E\"]}},"
    "{\"name\":\"next\",\"type\":[\"null\",\"A\"],\"default\":null},"
    "{\"name\":\"l\",\"type\":{\"type\":\"array\",\"items\":\"string\"},\"default\":[\"a\\u00e4\"]}"
    "]}";
static const char everything_json[] =
    "{\"e\":\"Y\",\"f\":\"ab\",\"m\":{\"i\":7,\"e\":\"X\"},"
    "\"next\":{\"e\":\"X\",\"f\":\"cd\",\"m\":{},\"next\":null,\"l\":[]}}";

/* All of it once: 0 or the error. */
static int parse_plan_read_encode_decode(struct err *e)
{
    struct schema *s = NULL;
    struct plan *p = NULL;
    struct arena a = {0};
    struct buf b = {0};
    struct str text = str_of(everything);
    void *value = NULL;
    int rc = schema_parse(&s, &text, 1, e);
    const struct schema_node *n = rc ? NULL : schema_root(s);
    if (!rc)
        rc = plan_new(&p, n, n, e);
    if (!rc && !(value = arena_alloc(&a, n->size)))
        rc = err_nomem(e);
    if (!rc)
        rc = value_read_json(value, n, str_of(everything_json), &a, e);
    if (!rc) {
        value_encode(&b, n, value);
        rc = buf_ok(&b) ? plan_decode(p, value, buf_str(&b), 0, &a, e) : err_nomem(e);
    }
    plan_free(p);
    schema_free(s);
    buf_free(&b);
    arena_free(&a);
    return rc;
}

static void without_memory_schemas_plans_and_values_say_so(void **state)
{
    (void)state;
    struct err e = {0};
    if (parse_plan_read_encode_decode(&e))
        fail_msg("%s", e.msg);
    for (int n = 1;; n++) {
        fail_alloc_at(n);
        int rc = parse_plan_read_encode_decode(&e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        if (!failed)
            break;
    }
}

static void without_memory_a_codec_says_so(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct codec *c = NULL;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = codec_new(&c, NULL, NULL, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        codec_free(rc ? NULL : c);
        if (!failed)
            break;
    }
}

/* ---- Schemas of others ---- */

static const char theirs[] =
    "{\"type\":\"record\",\"name\":\"Event\",\"namespace\":\"shop\",\"fields\":["
    "{\"name\":\"user_id\",\"type\":\"string\"},{\"name\":\"basket\",\"type\":\"int\"},"
    "{\"name\":\"timestamp\",\"type\":\"int\"},{\"name\":\"event_id\",\"type\":\"string\"},"
    "{\"name\":\"event\",\"type\":{\"type\":\"string\",\"avro.java.string\":\"String\"}}]}";

struct directory {
    char path[64], file[128];
    struct conf *conf;
};

static void directory_with(struct directory *d, const char *schema)
{
    char setting[128];
    strcpy(d->path, "/tmp/test_codec.XXXXXX");
    assert_non_null(mkdtemp(d->path));
    snprintf(d->file, sizeof d->file, "%s/their_event.avsc", d->path);
    FILE *f = fopen(d->file, "w");
    assert_non_null(f);
    fputs(schema, f);
    fclose(f);
    snprintf(setting, sizeof setting, "schemas.dir=%s", d->path);
    assert_int_equal(conf_new(&d->conf, NULL), 0);
    assert_int_equal(conf_set(d->conf, setting, NULL), 0);
}

static void directory_remove(struct directory *d)
{
    remove(d->file);
    remove(d->path);
    conf_free(d->conf);
}

static void a_schema_of_schemas_dir_is_known_by_its_fingerprint(void **state)
{
    (void)state;
    struct directory d;
    struct codec *c = NULL;
    struct schema *schema = NULL;
    struct arena a = {0};
    struct buf b = {0};
    struct event v;
    struct err e = {0};
    struct str text = str_of(theirs);
    directory_with(&d, theirs);
    assert_int_equal(schema_parse(&schema, &text, 1, NULL), 0);
    buf_put(&b, "\xc3\x01", 2);
    buf_put_u64(&b, schema_fingerprint(schema));
    static const uint8_t body[] = {4, 'u', '7', 6, 84, 2, 'e', 10, 'c', 'l', 'i', 'c', 'k'};
    buf_put(&b, body, sizeof body);
    assert_int_equal(record_decode(&v, &event_type, buf_str(&b), &a, &e), ERR_NOT_FOUND);
    assert_int_equal(codec_new(&c, d.conf, NULL, NULL), 0);
    assert_int_equal(codec_decode(c, &v, &event_type, buf_str(&b), &a, NULL), 0);
    assert_true(str_is(v.user_id, "u7") && str_is(v.event_id, "e") && str_is(v.event, "click"));
    assert_int_equal(v.timestamp, 42);
    assert_int_equal(v.propositions.count, 0);
    assert_false(v.value.given);
    assert_null(v.request_id.data);
    b.data[b.len - 6] = 99;
    assert_int_equal(codec_decode(c, &v, &event_type, buf_str(&b), &a, &e), ERR_CORRUPT);
    assert_contains(e.msg, "field event, byte 18: a length is negative");
    assert_int_equal(codec_decode(c, &v, &entity_type, buf_str(&b), &a, &e), ERR_SCHEMA);
    assert_contains(e.msg, "shop.Event was written, and cannot be read as flotilla.Entity");
    codec_free(c);
    schema_free(schema);
    buf_free(&b);
    arena_free(&a);
    directory_remove(&d);
}

static void a_file_of_schemas_dir_that_is_no_schema_is_refused_by_its_name(void **state)
{
    (void)state;
    struct directory d;
    struct codec *c = NULL;
    struct err e = {0};
    directory_with(&d, "{\"type\":\"recrod\"}");
    assert_int_equal(codec_new(&c, d.conf, NULL, &e), ERR_INVALID);
    assert_contains(e.msg, "their_event.avsc: the schema uses recrod, which it does not define");
    directory_remove(&d);
    assert_int_equal(conf_new(&d.conf, NULL), 0);
    assert_int_equal(conf_set(d.conf, "schemas.dir=/nowhere", NULL), 0);
    assert_int_equal(codec_new(&c, d.conf, NULL, &e), ERR_IO);
    assert_contains(e.msg, "schemas.dir: /nowhere: No such file or directory");
    conf_free(d.conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        cmocka_unit_test(without_memory_schemas_plans_and_values_say_so),
        cmocka_unit_test(without_memory_a_codec_says_so),
        cmocka_unit_test(a_schema_of_schemas_dir_is_known_by_its_fingerprint),
        cmocka_unit_test(a_file_of_schemas_dir_that_is_no_schema_is_refused_by_its_name),
    };
    return RUN(tests);
}

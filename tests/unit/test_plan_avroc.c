/*
 * Plans against avro-c: what its resolver makes of random values of a pair of schemas, in its
 * generic values, and what ours makes of them, in structures, are encoded to the same bytes.
 *
 * avro-c knows no defaults, no aliases and no promotion between text and bytes: of those it has no
 * say here. Its resolver also takes an empty array inside a union for the branch that it met
 * before; so equal schemas are read without it.
 */
#include "serde/plan.h"
#include "serde/value.h"
#include "unit.h"

#include "support/fixture.h"

#include <avro.h>

enum { VALUES = 400 };

/* Takes both of them as JSON texts; the reader's NULL: the writer's. */
static const char *const pairs[][2] = {
    {"\"null\"", NULL},
    {"\"boolean\"", NULL},
    {"\"int\"", NULL},
    {"\"long\"", NULL},
    {"\"float\"", NULL},
    {"\"double\"", NULL},
    {"\"bytes\"", NULL},
    {"\"string\"", NULL},
    {"\"int\"", "\"long\""},
    {"\"int\"", "\"float\""},
    {"\"int\"", "\"double\""},
    {"\"long\"", "\"float\""},
    {"\"long\"", "\"double\""},
    {"\"float\"", "\"double\""},
    {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":7}", NULL},
    {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\",\"C\"]}", NULL},
    {"{\"type\":\"array\",\"items\":\"string\"}", NULL},
    {"{\"type\":\"array\",\"items\":\"int\"}", "{\"type\":\"array\",\"items\":\"double\"}"},
    {"{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":\"long\"}}", NULL},
    {"{\"type\":\"map\",\"values\":\"bytes\"}", NULL},
    {"{\"type\":\"map\",\"values\":\"long\"}", "{\"type\":\"map\",\"values\":\"float\"}"},
    {"[\"null\",\"string\"]", NULL},
    {"[\"null\",\"int\"]", "[\"null\",\"int\",\"string\"]"},
    {"[\"string\",\"null\"]", "[\"null\",\"string\"]"},
    {"[\"null\",\"int\"]", "[\"null\",\"long\"]"},
    {"\"int\"", "[\"null\",\"int\"]"},
    {"\"string\"", "[\"null\",\"string\"]"},
    {"[\"null\",\"boolean\",\"double\",\"string\",{\"type\":\"array\",\"items\":\"string\"}]",
     NULL},
    {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
     "{\"name\":\"b\",\"type\":\"string\"},{\"name\":\"c\",\"type\":[\"null\",\"double\"]}]}",
     NULL},
    {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
     "{\"name\":\"b\",\"type\":\"string\"},{\"name\":\"c\",\"type\":\"long\"}]}",
     "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"c\",\"type\":\"double\"},"
     "{\"name\":\"a\",\"type\":\"long\"}]}"},
    {"{\"type\":\"record\",\"name\":\"R\",\"fields\":["
     "{\"name\":\"x\",\"type\":{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":"
     "[\"null\",\"bytes\"]}}},"
     "{\"name\":\"y\",\"type\":{\"type\":\"record\",\"name\":\"Q\",\"fields\":["
     "{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}},"
     "{\"name\":\"g\",\"type\":\"boolean\"}]}},"
     "{\"name\":\"z\",\"type\":{\"type\":\"array\",\"items\":\"Q\"}}]}",
     "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
     "{\"name\":\"z\",\"type\":{\"type\":\"array\",\"items\":"
     "{\"type\":\"record\",\"name\":\"Q\",\"fields\":[{\"name\":\"g\",\"type\":\"boolean\"}]}}}]}"},
    {"{\"type\":\"record\",\"name\":\"Tree\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"},"
     "{\"name\":\"children\",\"type\":{\"type\":\"array\",\"items\":\"Tree\"}}]}",
     NULL},
    {"{\"type\":\"record\",\"name\":\"Chain\",\"fields\":[{\"name\":\"n\",\"type\":\"int\"},"
     "{\"name\":\"next\",\"type\":[\"null\",\"Chain\"]}]}",
     "{\"type\":\"record\",\"name\":\"Chain\",\"fields\":["
     "{\"name\":\"next\",\"type\":[\"null\",\"Chain\"]},{\"name\":\"n\",\"type\":\"long\"}]}"},
    {"{\"type\":\"record\",\"name\":\"shop.R\",\"fields\":[{\"name\":\"at\",\"type\":"
     "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},{\"name\":\"e\",\"type\":"
     "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}}]}",
     NULL},
};

/* ------------------------------------------------------------ random values */

static void put_random(struct buf *out, const struct schema_node *n, struct random *r, int depth);

static void put_text(struct buf *out, struct random *r)
{
    static const char *const texts[] = {
        "",
        "a",
        "impression",
        "\xc3\xa9t\xc3\xa9",
        "\xe6\xbc\xa2\xe5\xad\x97",
        "\xf0\x9f\x98\x80",
        "3f2b8c1e-90ab-4def-a123-0123456789ab",
        "a text of more than sixty-four bytes, so that its length does not take one byte but two"};
    struct str text = str_of(texts[random_below(r, sizeof texts / sizeof *texts)]);
    buf_put_zigzag(out, (int64_t)text.len);
    buf_put_str(out, text);
}

static int64_t random_long(struct random *r)
{
    return (int64_t)random_next(r) >> random_below(r, 64);
}

static double random_real(struct random *r)
{
    return (random_unit(r) - 0.5) * (double)(1 + random_below(r, 1000000));
}

static void put_items(struct buf *out, const struct schema_node *n, struct random *r, int depth)
{
    for (int64_t left = depth > 4 ? 0 : random_below(r, 4); left; left--) {
        /* Blocks of one item each; some say how long they are. */
        struct buf item = {0};
        if (n->type == SCHEMA_MAP) {
            char name[24];
            int length = snprintf(name, sizeof name, "k%lld", (long long)left);
            buf_put_zigzag(&item, length);
            buf_put(&item, name, (size_t)length);
        }
        put_random(&item, n->items, r, depth + 1);
        bool sized = random_below(r, 2);
        buf_put_zigzag(out, sized ? -1 : 1);
        if (sized)
            buf_put_zigzag(out, (int64_t)item.len);
        buf_put_str(out, buf_str(&item));
        buf_free(&item);
    }
    buf_put_u8(out, 0);
}

/* The encoding of a random value, written without the library's own encoder. */
static void put_random(struct buf *out, const struct schema_node *n, struct random *r, int depth)
{
    float small = (float)random_real(r);
    int64_t branch = 0;
    switch (n->type) {
    case SCHEMA_NULL:
        break;
    case SCHEMA_BOOLEAN:
        buf_put_u8(out, (uint8_t)random_below(r, 2));
        break;
    case SCHEMA_INT:
        buf_put_zigzag(out, (int32_t)random_long(r));
        break;
    case SCHEMA_LONG:
        buf_put_zigzag(out, random_long(r));
        break;
    case SCHEMA_FLOAT:
        buf_put(out, &small, sizeof small);
        break;
    case SCHEMA_DOUBLE:
        buf_put_double(out, random_real(r));
        break;
    case SCHEMA_BYTES:
    case SCHEMA_STRING:
        put_text(out, r);
        break;
    case SCHEMA_FIXED:
        for (size_t i = 0; i < n->fixed_bytes; i++)
            buf_put_u8(out, (uint8_t)random_next(r));
        break;
    case SCHEMA_ENUM:
        buf_put_zigzag(out, random_below(r, (int64_t)n->symbols.count));
        break;
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        put_items(out, n, r, depth);
        break;
    case SCHEMA_UNION:
        branch = depth > 8 ? 0 : random_below(r, (int64_t)n->branch_count);
        buf_put_zigzag(out, branch);
        put_random(out, n->branches[branch], r, depth + 1);
        break;
    case SCHEMA_RECORD:
        for (size_t i = 0; i < n->field_count; i++)
            put_random(out, n->fields[i].type, r, depth + 1);
        break;
    }
}

/* ------------------------------------------------------------ avro-c */

struct avro_c {
    avro_schema_t writer, reader;
    avro_value_t resolved, dest; /* bytes go into the first and come out of the second */
    char room[65536];
};

static void avro_c_init(struct avro_c *a, const char *writer, const char *reader)
{
    assert_int_equal(avro_schema_from_json_length(writer, strlen(writer), &a->writer), 0);
    assert_int_equal(avro_schema_from_json_length(reader, strlen(reader), &a->reader), 0);
    avro_value_iface_t *generic = avro_generic_class_from_schema(a->reader);
    if (!generic || avro_generic_value_new(generic, &a->dest))
        fail_msg("avro-c has no value for %s: %s", reader, avro_strerror());
    avro_value_iface_decref(generic);
    if (strcmp(writer, reader) == 0) {
        avro_value_copy_ref(&a->resolved, &a->dest);
        return;
    }
    avro_value_iface_t *resolver = avro_resolved_writer_new(a->writer, a->reader);
    if (!resolver || avro_resolved_writer_new_value(resolver, &a->resolved))
        fail_msg("avro-c cannot read %s as %s: %s", writer, reader, avro_strerror());
    avro_resolved_writer_set_dest(&a->resolved, &a->dest);
    avro_value_iface_decref(resolver);
}

static struct str avro_c_read(struct avro_c *a, struct str bytes)
{
    avro_reader_t reader = avro_reader_memory(bytes.len ? bytes.data : "", (int64_t)bytes.len);
    avro_writer_t writer = avro_writer_memory(a->room, sizeof a->room);
    assert_int_equal(avro_value_reset(&a->dest), 0);
    if (avro_value_read(reader, &a->resolved))
        fail_msg("avro-c: %s", avro_strerror());
    if (avro_value_write(writer, &a->dest))
        fail_msg("avro-c: %s", avro_strerror());
    struct str out = str_bytes(a->room, (size_t)avro_writer_tell(writer));
    avro_reader_free(reader);
    avro_writer_free(writer);
    return out;
}

static void avro_c_free(struct avro_c *a)
{
    avro_value_decref(&a->resolved);
    avro_value_decref(&a->dest);
    avro_schema_decref(a->writer);
    avro_schema_decref(a->reader);
}

/* ------------------------------------------------------------ both */

static struct schema *parse(const char *text)
{
    struct schema *s = NULL;
    struct err e = {0};
    struct str all = str_of(text);
    if (schema_parse(&s, &all, 1, &e))
        fail_msg("%s: %s", text, e.msg);
    return s;
}

static void compare(const char *writer_text, const char *reader_text, struct random *random)
{
    static struct avro_c avro_c;
    struct schema *writer = parse(writer_text), *reader = parse(reader_text);
    const struct schema_node *n = schema_root(reader);
    struct plan *plan = NULL;
    struct arena arena = {0};
    struct buf bytes = {0}, ours = {0};
    struct err e = {0};
    void *value = malloc(n->size + 1);
    assert_non_null(value);
    avro_c_init(&avro_c, writer_text, reader_text);
    assert_int_equal(plan_new(&plan, schema_root(writer), n, &e), 0);
    for (int i = 0; i < VALUES; i++) {
        arena_reset(&arena);
        buf_reset(&bytes);
        buf_reset(&ours);
        put_random(&bytes, schema_root(writer), random, 0);
        struct str theirs = avro_c_read(&avro_c, buf_str(&bytes));
        if (plan_decode(plan, value, buf_str(&bytes), 0, &arena, &e))
            fail_msg("%s as %s: %s", writer_text, reader_text, e.msg);
        value_encode(&ours, n, value);
        if (!str_equal(buf_str(&ours), theirs))
            fail_msg("value %d of %s as %s: other than by avro-c", i, writer_text, reader_text);
    }
    avro_c_free(&avro_c);
    plan_free(plan);
    schema_free(writer);
    schema_free(reader);
    buf_free(&bytes);
    buf_free(&ours);
    arena_free(&arena);
    free(value);
}

static void values_are_decoded_as_by_avro_c(void **state)
{
    (void)state;
    struct random random = {7};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        compare(pairs[i][0], pairs[i][1] ? pairs[i][1] : pairs[i][0], &random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_decoded_as_by_avro_c),
    };
    return RUN(tests);
}

/* The recorder's batches and sinks, without a server. */
#include "recorder/batch.h"
#include "unit.h"

#include "support/codec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What batch_count() told, as text: "table=n;" and "!reason=n;". */
struct told {
    char text[512];
};

static void tell(void *arg, const char *table, const char *reason, size_t n)
{
    struct told *t = arg;
    size_t at = strlen(t->text);
    snprintf(t->text + at, sizeof t->text - at, "%s%s=%zu;", table ? "" : "!",
             table ? table : reason, n);
}

static void assert_holds(const struct batch *b, const char *expected)
{
    struct told t = {""};
    struct batch_counts counts = {tell, &t};
    batch_count(b, &counts);
    assert_string_equal(t.text, expected);
}

static const struct sink *sink_of(const char *topic)
{
    size_t i = 0;
    while (strcmp(sinks[i]->topic, topic) != 0)
        i++;
    return sinks[i];
}

static struct batch *make(void)
{
    struct batch *b = NULL;
    assert_int_equal(batch_new(&b, test_codec(), NULL), 0);
    return b;
}

static int add(struct batch *b, const char *topic, struct str value)
{
    struct input in = {
        .topic = topic, .partition = 1, .offset = 7, .key = str_of("k"), .value = value};
    return batch_add(b, sink_of(topic), &in, NULL);
}

static struct str values_of(struct buf *out, const char *key, const char *as_of)
{
    buf_reset(out);
    buf_printf(out, "{\"scope\":\"user\",\"key\":[\"%s\"],\"as_of\":%s,\"values\":{\"n\":1}}", key,
               as_of);
    return buf_str(out);
}

static void of_a_key_only_the_last_record_is_a_row(void **state)
{
    (void)state;
    struct batch *b = make();
    struct buf json = {0};
    for (int i = 0; i < 5; i++)
        assert_int_equal(add(b, "features", values_of(&json, i % 2 ? "odd" : "even", "1")), 0);
    assert_int_equal(batch_records(b), 5);
    assert_holds(b, "feature_values=2;");
    batch_clear(b);
    assert_holds(b, "");
    assert_int_equal(batch_records(b), 0);
    assert_int_equal(batch_bytes(b), 0);
    assert_int_equal(add(b, "features", values_of(&json, "even", "1")), 0);
    assert_holds(b, "feature_values=1;");
    buf_free(&json);
    batch_free(b);
}

static void history_keeps_every_record(void **state)
{
    (void)state;
    struct batch *b = make();
    const char *json = "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"timestamp\":1,\"worker\":"
                       "\"w\",\"reason\":\"r\","
                       "\"detail\":\"d\",\"value\":null}";
    for (int i = 0; i < 3; i++)
        assert_int_equal(add(b, "dead-letters", str_of(json)), 0);
    assert_holds(b, "dead_letters=3;");
    batch_free(b);
}

static void what_cannot_be_recorded_is_a_dead_letter_with_its_reason(void **state)
{
    (void)state;
    struct batch *b = make();
    struct buf json = {0};
    char key[3000];
    memset(key, 'x', sizeof key);
    key[sizeof key - 1] = 0;
    assert_int_equal(add(b, "features", str_of("rubbish")), 0);
    assert_int_equal(add(b, "features", str_of("{}")), 0);
    assert_int_equal(add(b, "features", str_bytes("\xc3\x01........", 10)), 0);
    assert_int_equal(add(b, "features", (struct str){0}), 0);
    assert_int_equal(add(b, "features", values_of(&json, "nul\\u0000", "1")), 0);
    assert_int_equal(add(b, "features", values_of(&json, "late", "9223372036854775807")), 0);
    assert_int_equal(add(b, "features", values_of(&json, key, "1")), 0);
    assert_int_equal(add(b, "features", values_of(&json, "good", "1")), 0);
    assert_int_equal(batch_records(b), 8);
    assert_holds(
        b, "feature_values=1;dead_letters=7;!undecodable=1;!schema_mismatch=1;!unknown_schema=1;"
           "!invalid_value=3;!too_large=1;");
    buf_free(&json);
    batch_free(b);
}

static void a_dead_letter_of_a_dead_letter_holds_its_bytes_and_no_nul(void **state)
{
    (void)state;
    struct buf row = {0};
    size_t key_bytes = 0;
    struct dead_letter d = {.topic = str_of("t"),
                            .offset = 9,
                            .timestamp = INT64_MAX,
                            .worker = str_of("w"),
                            .reason = str_of("r"),
                            .detail = str_bytes("\0", 1),
                            .value = str_bytes("\0", 1)};
    struct sink_record record = {.fields = &d};
    assert_int_equal(sink_put_row(&row, &dead_letters_sink, &record, &key_bytes, NULL), 0);
    static const uint8_t
        expected[] = {0, 10, 0,    0,    0,    1,    't',  0,    0,    0,   4,   0,
                      0, 0,  0,    0,    0,    0,    8,    0,    0,    0,   0,   0,
                      0, 0,  9,    0xff, 0xff, 0xff, 0xff, /* the time is none of
                                                              PostgreSQL's */
                      0, 0,  0,    1,    'w',  0,    0,    0,    1,    'r', 0,   0,
                      0, 3,  0xef, 0xbf, 0xbd, 0xff, 0xff, 0xff, 0xff, /* no key */
                      0, 0,  0,    1,    0,    0,    0,    0,    3,    1,   '[', ']'};
    assert_bytes(&row, expected, sizeof expected);
    assert_int_equal(key_bytes, 0);
    buf_free(&row);
}

static void a_refused_row_leaves_nothing_behind_and_names_its_column(void **state)
{
    (void)state;
    struct buf rows = {0};
    size_t key_bytes = 0;
    struct err e = {0};
    struct feature_values f = {.scope = str_of("user"), .as_of = INT64_MIN};
    buf_put_text(&rows, "before");
    struct sink_record record = {.fields = &f};
    assert_int_equal(sink_put_row(&rows, sink_of("features"), &record, &key_bytes, &e), ERR_SCHEMA);
    assert_contains(e.msg, "column as_of of feature_values: the time -9223372036854775808 ms");
    assert_buf_is(&rows, "before");
    buf_free(&rows);
}

static void the_key_is_scope_and_key_and_nothing_more(void **state)
{
    (void)state;
    struct buf row = {0};
    size_t key_bytes = 0;
    struct str key = str_of("u");
    struct feature_values f = {.scope = str_of("user"), .key = {&key, 1}};
    struct sink_record record = {.fields = &f};
    assert_int_equal(sink_put_row(&row, sink_of("features"), &record, &key_bytes, NULL), 0);
    /* text: 4 + 4; text[]: 4 + five numbers of 4 + 4 + 1. */
    assert_int_equal(key_bytes, 8 + 4 + 20 + 5);
    buf_free(&row);
}

static struct str ranking_of(struct buf *out, const char *request, const char *proposition)
{
    buf_reset(out);
    buf_printf(out,
               "{\"request_id\":\"%s\",\"user_id\":\"u\",\"timestamp\":1,\"placement\":\"\","
               "\"model\":\"rules\",\"version\":0,\"variant\":\"rules\",\"items\":["
               "{\"proposition_id\":\"%s\",\"score\":0.5}]}",
               request, proposition);
    return buf_str(out);
}

static void a_ranking_is_a_row_unless_postgresql_cannot_hold_it(void **state)
{
    (void)state;
    struct batch *b = make();
    struct buf json = {0};
    char id[3000];
    memset(id, 'x', sizeof id);
    id[sizeof id - 1] = 0;
    assert_int_equal(add(b, "rankings", ranking_of(&json, "r", "p")), 0);
    assert_int_equal(add(b, "rankings", ranking_of(&json, "r", "p")), 0);
    assert_int_equal(add(b, "rankings", ranking_of(&json, "r", "\\\\u0000")), 0);
    assert_int_equal(add(b, "rankings", ranking_of(&json, "r", "nul\\u0000")), 0);
    assert_int_equal(add(b, "rankings", ranking_of(&json, id, "p")), 0);
    assert_holds(b, "dead_letters=2;rankings=3;!invalid_value=1;!too_large=1;");
    buf_free(&json);
    batch_free(b);
}

static void a_ranking_has_its_items_as_json_and_null_where_it_is_not_degraded(void **state)
{
    (void)state;
    struct buf row = {0};
    size_t key_bytes = 0;
    struct double_entry why = {str_of("bias"), -0.25};
    struct ranked item = {str_of("p"), 0.5, 1, {&why, 1}};
    struct ranking r = {.request_id = str_of("r"),
                        .user_id = str_of("u"),
                        .timestamp = INT64_C(946684800001), /* a millisecond into 2000 */
                        .placement = str_of("home"),
                        .model = str_of("m"),
                        .version = 3,
                        .variant = str_of("ab"),
                        .items = {&item, 1}};
    struct sink_record record = {.fields = &r, .schema = codec_schema(test_codec(), &ranking_type)};
    static const char items[] = "\1[{\"proposition_id\":\"p\",\"score\":0.5,\"propensity\":1,"
                                "\"contributions\":{\"bias\":-0.25}}]";
    static const char before[] = "\0\12\0\0\0\1r\0\0\0\1u\0\0\0\10\0\0\0\0\0\0\3\350"
                                 "\0\0\0\4home\0\0\0\1m\0\0\0\10\0\0\0\0\0\0\0\3"
                                 "\0\0\0\2ab\377\377\377\377\0\0\0";
    static const char after[] = "\0\0\0\14\0\0\0\0\0\0\0\0\0\0\0\31"; /* text[], empty */
    struct buf expected = {0};
    buf_put(&expected, before, sizeof before - 1);
    buf_put_u8(&expected, sizeof items - 1);
    buf_put(&expected, items, sizeof items - 1);
    buf_put(&expected, after, sizeof after - 1);
    assert_int_equal(sink_put_row(&row, sink_of("rankings"), &record, &key_bytes, NULL), 0);
    assert_bytes(&row, expected.data, expected.len);
    assert_int_equal(key_bytes, 0);
    buf_free(&expected);
    buf_free(&row);
}

static void a_rollout_plan_says_where_it_was(void **state)
{
    (void)state;
    struct buf row = {0};
    size_t key_bytes = 0;
    struct rollout_plan p = {.model = str_of("m"), .pinned = true};
    struct sink_record record = {.fields = &p,
                                 .schema = codec_schema(test_codec(), &rollout_plan_type),
                                 .topic = "models",
                                 .partition = 2,
                                 .offset = 7};
    static const char end[] = "\0\0\0\1\1"     /* pinned */
                              "\0\0\0\3\1[]"   /* challengers */
                              "\0\0\0\6models" /* topic, partition and offset */
                              "\0\0\0\4\0\0\0\2\0\0\0\10\0\0\0\0\0\0\0\7";
    assert_int_equal(sink_put_row(&row, sink_of("models"), &record, &key_bytes, NULL), 0);
    assert_true(row.len > sizeof end - 1);
    assert_memory_equal(row.data + row.len - (sizeof end - 1), end, sizeof end - 1);
    buf_free(&row);
}

/* What the schema calls the field that stands at a place of the structure. */
static const char *field_at(const struct schema_node *n, size_t offset)
{
    for (size_t i = 0; i < n->field_count; i++)
        if (n->fields[i].offset == offset)
            return n->fields[i].name.data;
    return "none";
}

static void columns_are_the_fields_of_their_names(void **state)
{
    (void)state;
    for (size_t i = 0; sinks[i]; i++) {
        const struct schema_node *schema = codec_schema(test_codec(), sinks[i]->type);
        for (int c = 0; c < sinks[i]->column_count; c++) {
            const struct sink_column *column = &sinks[i]->columns[c];
            const char *name = strcmp(column->name, "at") == 0 ? "timestamp" : column->name;
            if (column->type < COLUMN_KAFKA_KEY) /* the first that is no field */
                assert_string_equal(field_at(schema, column->offset), name);
        }
        assert_int_equal(sinks[i]->mode == SINK_LATEST, sinks[i]->key_columns > 0);
    }
}

static void without_memory_adding_says_so(void **state)
{
    (void)state;
    struct buf json = {0}, ranking = {0};
    struct codec *codec = test_codec();
    values_of(&json, "key", "1");
    ranking_of(&ranking, "r", "p");
    for (int n = 1;; n++) {
        struct batch *b = NULL;
        fail_alloc_at(n);
        int rc = batch_new(&b, codec, NULL);
        if (!rc)
            rc = add(b, "features", buf_str(&json));
        if (!rc)
            rc = add(b, "features", str_of("rubbish"));
        if (!rc)
            rc = add(b, "rankings", buf_str(&ranking));
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        batch_free(b);
        if (!failed)
            break;
    }
    buf_free(&json);
    buf_free(&ranking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_key_only_the_last_record_is_a_row),
        cmocka_unit_test(history_keeps_every_record),
        cmocka_unit_test(what_cannot_be_recorded_is_a_dead_letter_with_its_reason),
        cmocka_unit_test(a_dead_letter_of_a_dead_letter_holds_its_bytes_and_no_nul),
        cmocka_unit_test(a_refused_row_leaves_nothing_behind_and_names_its_column),
        cmocka_unit_test(the_key_is_scope_and_key_and_nothing_more),
        cmocka_unit_test(a_ranking_is_a_row_unless_postgresql_cannot_hold_it),
        cmocka_unit_test(a_ranking_has_its_items_as_json_and_null_where_it_is_not_degraded),
        cmocka_unit_test(a_rollout_plan_says_where_it_was),
        cmocka_unit_test(columns_are_the_fields_of_their_names),
        cmocka_unit_test(without_memory_adding_says_so),
    };
    return RUN(tests);
}

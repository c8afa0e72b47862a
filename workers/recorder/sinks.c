#include "recorder/sinks.h"

#include "db/copy.h"
#include "stream/headers.h"

#include <stddef.h>

#define COLUMNS(list)          .columns = list, .column_count = sizeof list / sizeof *list

#define FIELD(structure, name) offsetof(struct structure, name)

static const struct sink_column feature_values_columns[] = {
    {"scope", COLUMN_TEXT, FIELD(feature_values, scope)},
    {"key", COLUMN_TEXTS, FIELD(feature_values, key)},
    {"as_of", COLUMN_TIME, FIELD(feature_values, as_of)},
    {"values", COLUMN_DOUBLES, FIELD(feature_values, values)},
};

/* A key that its user dropped. */
static bool has_no_values(const void *fields)
{
    return ((const struct feature_values *)fields)->values.count == 0;
}

static const struct sink feature_values_sink = {
    .topic = "features",
    .table = "feature_values",
    .mode = SINK_LATEST,
    .type = &feature_values_type,
    COLUMNS(feature_values_columns),
    .key_columns = 2,
    .is_removal = has_no_values,
    .removed = "\"values\" = '{}'",
};

static const struct sink_column dead_letters_columns[] = {
    {"topic", COLUMN_CLEAN_TEXT, FIELD(dead_letter, topic)},
    {"partition", COLUMN_INT, FIELD(dead_letter, partition)},
    {"offset", COLUMN_LONG, FIELD(dead_letter, offset)},
    {"timestamp", COLUMN_TIME_OR_NULL, FIELD(dead_letter, timestamp)},
    {"worker", COLUMN_CLEAN_TEXT, FIELD(dead_letter, worker)},
    {"reason", COLUMN_CLEAN_TEXT, FIELD(dead_letter, reason)},
    {"detail", COLUMN_CLEAN_TEXT, FIELD(dead_letter, detail)},
    {"key", COLUMN_KAFKA_KEY, 0},
    {"value", COLUMN_BYTES, FIELD(dead_letter, value)},
    {"headers", COLUMN_KAFKA_HEADERS, 0},
};

const struct sink dead_letters_sink = {
    .topic = "dead-letters",
    .table = "dead_letters",
    .mode = SINK_HISTORY,
    .type = &dead_letter_type,
    COLUMNS(dead_letters_columns),
    .wants_headers = true,
};

static const struct sink_column rankings_columns[] = {
    {"request_id", COLUMN_TEXT, FIELD(ranking, request_id)},
    {"user_id", COLUMN_TEXT, FIELD(ranking, user_id)},
    {"at", COLUMN_TIME, FIELD(ranking, timestamp)},
    {"placement", COLUMN_TEXT, FIELD(ranking, placement)},
    {"model", COLUMN_TEXT, FIELD(ranking, model)},
    {"version", COLUMN_LONG, FIELD(ranking, version)},
    {"variant", COLUMN_TEXT, FIELD(ranking, variant)},
    {"degraded", COLUMN_TEXT_OR_NULL, FIELD(ranking, degraded)},
    {"items", COLUMN_JSON, FIELD(ranking, items)},
    {"unknown", COLUMN_TEXTS, FIELD(ranking, unknown)},
};

static const struct sink rankings_sink = {
    .topic = "rankings",
    .table = "rankings",
    .mode = SINK_HISTORY,
    .type = &ranking_type,
    COLUMNS(rankings_columns),
    .indexed_columns = 2,
};

static const struct sink_column rollout_plans_columns[] = {
    {"model", COLUMN_TEXT, FIELD(rollout_plan, model)},
    {"at", COLUMN_TIME, FIELD(rollout_plan, timestamp)},
    {"actor", COLUMN_TEXT, FIELD(rollout_plan, actor)},
    {"reason", COLUMN_TEXT, FIELD(rollout_plan, reason)},
    {"salt", COLUMN_TEXT, FIELD(rollout_plan, salt)},
    {"champion", COLUMN_LONG, FIELD(rollout_plan, champion)},
    {"previous", COLUMN_LONG, FIELD(rollout_plan, previous)},
    {"pinned", COLUMN_BOOLEAN, FIELD(rollout_plan, pinned)},
    {"challengers", COLUMN_JSON, FIELD(rollout_plan, challengers)},
    {"topic", COLUMN_KAFKA_TOPIC, 0},
    {"partition", COLUMN_KAFKA_PARTITION, 0},
    {"offset", COLUMN_KAFKA_OFFSET, 0},
};

static const struct sink rollout_plans_sink = {
    .topic = "models",
    .table = "rollout_plans",
    .mode = SINK_HISTORY,
    .type = &rollout_plan_type,
    COLUMNS(rollout_plans_columns),
    .indexed_columns = 1,
};

const struct sink *const sinks[] = {
    &feature_values_sink, &dead_letters_sink, &rankings_sink, &rollout_plans_sink, NULL,
};

/* An entry of a B-tree is at most 2704 bytes (a third of a page); PostgreSQL aligns and heads what
 * it holds. */
enum { KEY_MAX_BYTES = 2600, VALUE_OVERHEAD_BYTES = 8, ARRAY_OVERHEAD_BYTES = 32 };

static void put_bytes(struct buf *rows, struct str bytes)
{
    if (bytes.data)
        copy_bytea(rows, bytes);
    else
        copy_null(rows);
}

static void put_headers(struct buf *rows, struct str headers)
{
    struct buf json = {0};
    headers_put_json(&json, headers);
    copy_jsonb(rows, buf_str(&json));
    rows->failed |= json.failed;
    buf_free(&json);
}

static const struct schema_node *node_at(const struct schema_node *schema, size_t offset)
{
    size_t i = 0;
    while (schema->fields[i].offset != offset)
        i++;
    return schema->fields[i].type;
}

static int put_value(struct buf *rows, const struct sink_column *c, const void *value,
                     const struct sink_record *record, struct err *e)
{
    size_t start = rows->len;
    switch (c->type) {
    case COLUMN_TEXT:
        return copy_text(rows, *(const struct str *)value, e);
    case COLUMN_CLEAN_TEXT:
        copy_clean_text(rows, *(const struct str *)value);
        return 0;
    case COLUMN_TEXTS:
        return copy_texts(rows, value, e);
    case COLUMN_DOUBLES:
        return copy_jsonb_doubles(rows, value, e);
    case COLUMN_TIME:
        return copy_timestamptz(rows, *(const int64_t *)value, e);
    case COLUMN_TIME_OR_NULL:
        if (copy_timestamptz(rows, *(const int64_t *)value, NULL)) {
            rows->len = start;
            copy_null(rows);
        }
        return 0;
    case COLUMN_INT:
        copy_int4(rows, *(const int32_t *)value);
        return 0;
    case COLUMN_LONG:
        copy_int8(rows, *(const int64_t *)value);
        return 0;
    case COLUMN_BOOLEAN:
        copy_bool(rows, *(const bool *)value);
        return 0;
    case COLUMN_TEXT_OR_NULL:
        if (((const struct str *)value)->data)
            return copy_text(rows, *(const struct str *)value, e);
        copy_null(rows);
        return 0;
    case COLUMN_JSON:
        return copy_jsonb_value(rows, node_at(record->schema, c->offset), value, e);
    case COLUMN_BYTES:
        put_bytes(rows, *(const struct str *)value);
        return 0;
    case COLUMN_KAFKA_KEY:
        put_bytes(rows, record->key);
        return 0;
    case COLUMN_KAFKA_HEADERS:
        put_headers(rows, record->headers);
        return 0;
    case COLUMN_KAFKA_TOPIC:
        return copy_text(rows, str_of(record->topic), e);
    case COLUMN_KAFKA_PARTITION:
        copy_int4(rows, record->partition);
        return 0;
    case COLUMN_KAFKA_OFFSET:
        copy_int8(rows, record->offset);
        return 0;
    }
    return err_set(e, ERR_FATAL, "column %s has a type that cannot be", c->name);
}

/* An upper bound of what a value takes in an index. */
static size_t index_bytes(const struct sink_column *c, const void *value)
{
    const struct str_list *list = value;
    if (c->type != COLUMN_TEXTS)
        return ((const struct str *)value)->len + VALUE_OVERHEAD_BYTES;
    size_t n = ARRAY_OVERHEAD_BYTES;
    for (size_t i = 0; i < list->count; i++)
        n += list->items[i].len + VALUE_OVERHEAD_BYTES;
    return n;
}

int sink_put_row(struct buf *rows, const struct sink *s, const struct sink_record *record,
                 size_t *key_bytes, struct err *e)
{
    size_t start = rows->len, in_index = 0;
    int rc = 0;
    *key_bytes = 0;
    copy_row(rows, s->column_count);
    size_t first = rows->len;
    for (int i = 0; i < s->column_count && !rc; i++) {
        const struct sink_column *c = &s->columns[i];
        const void *value = (const char *)record->fields + c->offset;
        rc = put_value(rows, c, value, record, e);
        if (rc)
            err_wrap(e, "column %s of %s", c->name, s->table);
        if (i >= s->key_columns && i >= s->indexed_columns)
            continue;
        in_index += index_bytes(c, value);
        if (i < s->key_columns)
            *key_bytes = rows->len - first;
        if (!rc && in_index > KEY_MAX_BYTES)
            rc = err_set(e, ERR_TOO_LARGE, "%s of %s takes %zu bytes, an index holds %d",
                         s->key_columns ? "the key" : c->name, s->table, in_index, KEY_MAX_BYTES);
    }
    if (rc)
        rows->len = start;
    return rc;
}

#include "db/copy.h"

#include "base/json.h"
#include "base/utf8.h"
#include "serde/value.h"

#include <endian.h>

/* PostgreSQL counts microseconds from 2000-01-01; the limits are MIN_TIMESTAMP and END_TIMESTAMP of
 * its datatype/timestamp.h, in milliseconds. */
#define YEAR_2000_MS     INT64_C(946684800000)
#define MIN_TIMESTAMP_MS INT64_C(-211813488000000)
#define END_TIMESTAMP_MS INT64_C(9223371331200000)

enum { OID_TEXT = 25, JSONB_VERSION = 1 };

static void put_16(struct buf *b, uint16_t v)
{
    v = htobe16(v);
    buf_put(b, &v, sizeof v);
}

static void put_32(struct buf *b, uint32_t v)
{
    v = htobe32(v);
    buf_put(b, &v, sizeof v);
}

static void put_64(struct buf *b, uint64_t v)
{
    v = htobe64(v);
    buf_put(b, &v, sizeof v);
}

void copy_begin(struct buf *b)
{
    buf_put(b, "PGCOPY\n\377\r\n\0", 11);
    put_32(b, 0); /* flags */
    put_32(b, 0); /* no header extension */
}

void copy_end(struct buf *b)
{
    put_16(b, UINT16_MAX);
}

void copy_row(struct buf *b, int columns)
{
    put_16(b, (uint16_t)columns);
}

void copy_null(struct buf *b)
{
    put_32(b, UINT32_MAX);
}

void copy_int4(struct buf *b, int32_t value)
{
    put_32(b, 4);
    put_32(b, (uint32_t)value);
}

void copy_int8(struct buf *b, int64_t value)
{
    put_32(b, 8);
    put_64(b, (uint64_t)value);
}

void copy_bool(struct buf *b, bool value)
{
    put_32(b, 1);
    buf_put_u8(b, value);
}

void copy_float8(struct buf *b, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_32(b, 8);
    put_64(b, bits);
}

void copy_bytea(struct buf *b, struct str bytes)
{
    put_32(b, (uint32_t)bytes.len);
    buf_put_str(b, bytes);
}

static int check_text(struct str text, struct err *e)
{
    const char *nul = text.len ? memchr(text.data, 0, text.len) : NULL;
    if (nul)
        return err_set(e, ERR_SCHEMA,
                       "a text with U+0000 at byte %zu, which PostgreSQL cannot hold",
                       (size_t)(nul - text.data));
    if (!utf8_is_valid(text))
        return err_set(e, ERR_SCHEMA, "a text that is not UTF-8 at byte %zu", utf8_first_bad(text));
    return text.len > INT32_MAX / 2 ? err_set(e, ERR_SCHEMA, "a text of %zu bytes", text.len) : 0;
}

int copy_text(struct buf *b, struct str text, struct err *e)
{
    int rc = check_text(text, e);
    if (!rc)
        copy_bytea(b, text);
    return rc;
}

/* Fills in a length that is known only once its value stands behind it. */
static void set_length(struct buf *b, size_t at)
{
    if (!buf_ok(b))
        return;
    uint32_t n = htobe32((uint32_t)(b->len - at - 4));
    memcpy(b->data + at, &n, sizeof n);
}

void copy_clean_text(struct buf *b, struct str text)
{
    size_t start = b->len;
    put_32(b, 0); /* length, set below */
    for (size_t i = 0, n; i < text.len; i += n) {
        n = utf8_length(text.data + i, text.len - i);
        if (n && text.data[i])
            buf_put(b, text.data + i, n);
        else
            buf_put_text(b, "\xef\xbf\xbd");
        n = n ? n : 1;
    }
    set_length(b, start);
}

int copy_texts(struct buf *b, const struct str_list *texts, struct err *e)
{
    size_t start = b->len;
    put_32(b, 0);                    /* length, set below */
    put_32(b, texts->count ? 1 : 0); /* dimensions: an empty array has none */
    put_32(b, 0);                    /* no nulls */
    put_32(b, OID_TEXT);
    if (texts->count) {
        put_32(b, (uint32_t)texts->count);
        put_32(b, 1); /* lower bound */
    }
    int rc = 0;
    for (size_t i = 0; i < texts->count && !rc; i++)
        rc = copy_text(b, texts->items[i], e);
    set_length(b, start);
    return rc;
}

int copy_jsonb_doubles(struct buf *b, const struct double_map *map, struct err *e)
{
    size_t start = b->len;
    put_32(b, 0); /* length, set below */
    buf_put_u8(b, JSONB_VERSION);
    buf_put_u8(b, '{');
    int rc = 0;
    for (size_t i = 0; i < map->count && !rc; i++) {
        rc = check_text(map->items[i].name, e);
        if (i)
            buf_put_u8(b, ',');
        json_put_text(b, map->items[i].name);
        buf_put_u8(b, ':');
        json_put_number(b, map->items[i].value);
    }
    buf_put_u8(b, '}');
    set_length(b, start);
    return rc;
}

/* JSON that was written here: a backslash is the first of two characters, or of six that name one
 * below U+0020. */
static bool json_has_nul(const uint8_t *json, size_t n)
{
    for (size_t i = 0; i + 5 < n; i++) {
        if (json[i] != '\\')
            continue;
        if (memcmp(json + i, "\\u0000", 6) == 0)
            return true;
        i++;
    }
    return false;
}

int copy_jsonb_value(struct buf *b, const struct schema_node *n, const void *value, struct err *e)
{
    size_t start = b->len;
    put_32(b, 0); /* length, set below */
    buf_put_u8(b, JSONB_VERSION);
    size_t json = b->len;
    value_print_json(b, n, value);
    set_length(b, start);
    if (buf_ok(b) && json_has_nul(b->data + json, b->len - json))
        return err_set(e, ERR_SCHEMA, "a text with U+0000, which PostgreSQL cannot hold");
    return 0;
}

void copy_jsonb(struct buf *b, struct str json)
{
    size_t start = b->len;
    put_32(b, 0); /* length, set below */
    buf_put_u8(b, JSONB_VERSION);
    buf_put_str(b, json);
    set_length(b, start);
}

int copy_timestamptz(struct buf *b, int64_t ms, struct err *e)
{
    if (ms < MIN_TIMESTAMP_MS + YEAR_2000_MS || ms >= END_TIMESTAMP_MS + YEAR_2000_MS)
        return err_set(e, ERR_SCHEMA,
                       "the time %lld ms is outside of PostgreSQL's range, 4714 BC to 294276",
                       (long long)ms);
    copy_int8(b, (ms - YEAR_2000_MS) * 1000);
    return 0;
}

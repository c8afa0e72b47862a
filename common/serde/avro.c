/* Avro: binary bodies, single-object framing, canonical schemas and their fingerprints (Avro 1.11
 * specification). */
#include "base/utf8.h"
#include "serde/record.h"

#include <stdio.h>

/* One decoding: where it is, and which field it is at, for messages. */
struct reader {
    struct cursor c;
    const uint8_t *start;
    const char *field;
    struct arena *arena;
    struct err *e;
};

static int corrupt(struct reader *r, const char *what)
{
    return err_set(r->e, ERR_CORRUPT, "field %s, byte %zu: %s", r->field,
                   (size_t)(r->c.at - r->start), what);
}

static int read_long(struct reader *r, int64_t *out)
{
    *out = cursor_zigzag(&r->c);
    return r->c.bad ? corrupt(r, "an integer is cut off or over 64 bits") : 0;
}

static int read_int(struct reader *r, int32_t *out)
{
    int64_t value = 0;
    int rc = read_long(r, &value);
    if (!rc && (value < INT32_MIN || value > INT32_MAX))
        rc = corrupt(r, "an int is over 32 bits");
    *out = (int32_t)value;
    return rc;
}

static int read_double(struct reader *r, double *out)
{
    *out = cursor_double(&r->c);
    return r->c.bad ? corrupt(r, "a double is cut off") : 0;
}

static int read_boolean(struct reader *r, bool *out)
{
    uint8_t byte = cursor_u8(&r->c);
    *out = byte == 1;
    return r->c.bad || byte > 1 ? corrupt(r, "a boolean is neither 0 nor 1") : 0;
}

static int read_bytes(struct reader *r, struct str *out)
{
    int64_t n = 0;
    int rc = read_long(r, &n);
    if (rc)
        return rc;
    if (n < 0 || (uint64_t)n > cursor_left(&r->c))
        return corrupt(r, "a length is negative or goes past the end of the record");
    *out = cursor_str(&r->c, (uint64_t)n);
    return 0;
}

static int read_text(struct reader *r, struct str *out)
{
    int rc = read_bytes(r, out);
    return rc ? rc : utf8_is_valid(*out) ? 0 : corrupt(r, "a text is not UTF-8");
}

/* The branch of a union with `branches` members. */
static int read_branch(struct reader *r, int64_t branches, int64_t *out)
{
    int rc = read_long(r, out);
    return rc ? rc : *out < 0 || *out >= branches ? corrupt(r, "a union has no such branch") : 0;
}

/* Makes room for `more` items behind `count` in a list that grows block by block. */
static int grow(struct reader *r, void *items, size_t count, size_t more, size_t size)
{
    void **list = items;
    void *bigger = arena_alloc(r->arena, (count + more) * size + 1);
    if (!bigger)
        return err_nomem(r->e);
    if (count)
        memcpy(bigger, *list, count * size);
    *list = bigger;
    return 0;
}

/*
 * Items of an array or a map, block by block: a count, negative with a size in bytes behind it, and
 * 0 at the end. Every item has at least one byte, so a count is checked against what is left.
 */
static int read_blocks(struct reader *r, void *items, size_t *count, size_t size,
                       int (*item)(struct reader *r, void *out))
{
    void **list = items;
    *list = NULL;
    *count = 0;
    for (;;) {
        int64_t n = 0, bytes = 0;
        int rc = read_long(r, &n);
        if (!rc && n < 0) {
            rc = read_long(r, &bytes);
            n = n == INT64_MIN ? INT64_MAX : -n;
        }
        if (rc || n == 0)
            return rc;
        if ((uint64_t)n > cursor_left(&r->c))
            return corrupt(r, "a block has more items than bytes are left");
        if ((rc = grow(r, items, *count, (size_t)n, size)))
            return rc;
        for (int64_t i = 0; i < n; i++, ++*count)
            if ((rc = item(r, (char *)*list + *count * size)))
                return rc;
    }
}

static int item_text(struct reader *r, void *out)
{
    return read_text(r, out);
}

static int item_text_entry(struct reader *r, void *out)
{
    struct text_entry *entry = out;
    int rc = read_text(r, &entry->name);
    return rc ? rc : read_text(r, &entry->value);
}

static int item_double_entry(struct reader *r, void *out)
{
    struct double_entry *entry = out;
    int rc = read_text(r, &entry->name);
    return rc ? rc : read_double(r, &entry->value);
}

static int read_texts(struct reader *r, struct str_list *out)
{
    return read_blocks(r, &out->items, &out->count, sizeof *out->items, item_text);
}

static int item_attribute(struct reader *r, void *out)
{
    struct attribute *a = out;
    int64_t branch = 0;
    bool flag = false;
    *a = (struct attribute){0};
    int rc = read_text(r, &a->name);
    if (rc || (rc = read_branch(r, 5, &branch)))
        return rc;
    a->type = (enum attribute_type)branch;
    switch (a->type) {
    case ATTRIBUTE_NULL:
        return 0;
    case ATTRIBUTE_BOOLEAN:
        rc = read_boolean(r, &flag);
        a->number = flag;
        return rc;
    case ATTRIBUTE_NUMBER:
        return read_double(r, &a->number);
    case ATTRIBUTE_TEXT:
        return read_text(r, &a->text);
    default:
        return read_texts(r, &a->list);
    }
}

/* A union of null and one other type. */
static int read_optional(struct reader *r, bool *given)
{
    int64_t branch = 0;
    int rc = read_branch(r, 2, &branch);
    *given = branch == 1;
    return rc;
}

static int read_field(struct reader *r, enum field_type type, void *out)
{
    bool given = false;
    int rc = 0;
    switch (type) {
    case FIELD_TEXT:
        return read_text(r, out);
    case FIELD_INT:
        return read_int(r, out);
    case FIELD_LONG:
        return read_long(r, out);
    case FIELD_BOOLEAN:
        return read_boolean(r, out);
    case FIELD_BYTES:
        return read_bytes(r, out);
    case FIELD_OPTIONAL_TEXT:
    case FIELD_OPTIONAL_BYTES:
        *(struct str *)out = (struct str){0};
        if ((rc = read_optional(r, &given)) || !given)
            return rc;
        return type == FIELD_OPTIONAL_TEXT ? read_text(r, out) : read_bytes(r, out);
    case FIELD_OPTIONAL_LONG: {
        struct optional_long *o = out;
        *o = (struct optional_long){0};
        rc = read_optional(r, &o->given);
        return rc || !o->given ? rc : read_long(r, &o->value);
    }
    case FIELD_OPTIONAL_DOUBLE: {
        struct optional_double *o = out;
        *o = (struct optional_double){0};
        rc = read_optional(r, &o->given);
        return rc || !o->given ? rc : read_double(r, &o->value);
    }
    case FIELD_TEXTS:
        return read_texts(r, out);
    case FIELD_TEXT_MAP: {
        struct text_map *m = out;
        return read_blocks(r, &m->items, &m->count, sizeof *m->items, item_text_entry);
    }
    case FIELD_DOUBLE_MAP: {
        struct double_map *m = out;
        return read_blocks(r, &m->items, &m->count, sizeof *m->items, item_double_entry);
    }
    case FIELD_ATTRIBUTES: {
        struct attribute_map *m = out;
        return read_blocks(r, &m->items, &m->count, sizeof *m->items, item_attribute);
    }
    }
    return err_set(r->e, ERR_FATAL, "field %s has a type that cannot be", r->field);
}

int record_decode_avro(void *out, const struct record_type *type, struct str body, struct arena *a,
                       struct err *e)
{
    struct reader r = {cursor_of(body.data, body.len), (const uint8_t *)body.data, "", a, e};
    for (size_t i = 0; i < type->field_count; i++) {
        r.field = type->fields[i].name;
        int rc = read_field(&r, type->fields[i].type, (char *)out + type->fields[i].offset);
        if (rc)
            return rc;
    }
    if (cursor_left(&r.c))
        return err_set(e, ERR_CORRUPT, "byte %zu: %zu bytes follow after the last field",
                       (size_t)(r.c.at - r.start), cursor_left(&r.c));
    return 0;
}

int record_decode(void *out, const struct record_type *type, struct str bytes, struct arena *a,
                  struct err *e)
{
    const uint8_t *b = (const uint8_t *)bytes.data;
    if (bytes.len > RECORD_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "%zu bytes, at most %d are read", bytes.len,
                       RECORD_MAX_BYTES);
    if (bytes.len >= 1 && b[0] == '{')
        return record_decode_json(out, type, bytes, a, e);
    if (bytes.len < 10 || b[0] != 0xc3 || b[1] != 0x01)
        return err_set(
            e, ERR_CORRUPT,
            "byte 0: neither Avro single-object encoding (C3 01 and 8 bytes) nor JSON ({)");
    uint64_t fingerprint;
    memcpy(&fingerprint, b + 2, 8);
    if (fingerprint != type->fingerprint)
        return err_set(e, ERR_NOT_FOUND,
                       "byte 2: written with schema %016llx, known for %s is %016llx",
                       (unsigned long long)fingerprint, type->full_name,
                       (unsigned long long)type->fingerprint);
    int rc = record_decode_avro(out, type, str_bytes(bytes.data + 10, bytes.len - 10), a, e);
    if (rc && rc != ERR_NOMEM)
        err_wrap(e, "%s behind its 10 bytes of header", type->full_name);
    return rc;
}

static void put_text(struct buf *b, struct str s)
{
    buf_put_zigzag(b, (int64_t)s.len);
    buf_put_str(b, s);
}

static void put_texts(struct buf *b, const struct str_list *list)
{
    if (list->count)
        buf_put_zigzag(b, (int64_t)list->count);
    for (size_t i = 0; i < list->count; i++)
        put_text(b, list->items[i]);
    buf_put_u8(b, 0);
}

static void put_attribute(struct buf *b, const struct attribute *a)
{
    put_text(b, a->name);
    buf_put_zigzag(b, a->type);
    if (a->type == ATTRIBUTE_BOOLEAN)
        buf_put_u8(b, a->number != 0);
    else if (a->type == ATTRIBUTE_NUMBER)
        buf_put_double(b, a->number);
    else if (a->type == ATTRIBUTE_TEXT)
        put_text(b, a->text);
    else if (a->type == ATTRIBUTE_LIST)
        put_texts(b, &a->list);
}

static void put_count(struct buf *b, size_t count)
{
    if (count)
        buf_put_zigzag(b, (int64_t)count);
}

static void put_field(struct buf *b, enum field_type type, const void *value)
{
    switch (type) {
    case FIELD_TEXT:
    case FIELD_BYTES:
        put_text(b, *(const struct str *)value);
        break;
    case FIELD_INT:
        buf_put_zigzag(b, *(const int32_t *)value);
        break;
    case FIELD_LONG:
        buf_put_zigzag(b, *(const int64_t *)value);
        break;
    case FIELD_BOOLEAN:
        buf_put_u8(b, *(const bool *)value);
        break;
    case FIELD_OPTIONAL_TEXT:
    case FIELD_OPTIONAL_BYTES: {
        const struct str *s = value;
        buf_put_u8(b, s->data ? 2 : 0);
        if (s->data)
            put_text(b, *s);
        break;
    }
    case FIELD_OPTIONAL_LONG: {
        const struct optional_long *o = value;
        buf_put_u8(b, o->given ? 2 : 0);
        if (o->given)
            buf_put_zigzag(b, o->value);
        break;
    }
    case FIELD_OPTIONAL_DOUBLE: {
        const struct optional_double *o = value;
        buf_put_u8(b, o->given ? 2 : 0);
        if (o->given)
            buf_put_double(b, o->value);
        break;
    }
    case FIELD_TEXTS:
        put_texts(b, value);
        break;
    case FIELD_TEXT_MAP: {
        const struct text_map *m = value;
        put_count(b, m->count);
        for (size_t i = 0; i < m->count; i++) {
            put_text(b, m->items[i].name);
            put_text(b, m->items[i].value);
        }
        buf_put_u8(b, 0);
        break;
    }
    case FIELD_DOUBLE_MAP: {
        const struct double_map *m = value;
        put_count(b, m->count);
        for (size_t i = 0; i < m->count; i++) {
            put_text(b, m->items[i].name);
            buf_put_double(b, m->items[i].value);
        }
        buf_put_u8(b, 0);
        break;
    }
    case FIELD_ATTRIBUTES: {
        const struct attribute_map *m = value;
        put_count(b, m->count);
        for (size_t i = 0; i < m->count; i++)
            put_attribute(b, &m->items[i]);
        buf_put_u8(b, 0);
        break;
    }
    }
}

void record_encode(struct buf *out, const struct record_type *type, const void *record)
{
    buf_put(out, "\xc3\x01", 2);
    buf_put_u64(out, type->fingerprint);
    for (size_t i = 0; i < type->field_count; i++)
        put_field(out, type->fields[i].type, (const char *)record + type->fields[i].offset);
}

static const char *const canonical_types[] = {
    [FIELD_TEXT] = "\"string\"",
    [FIELD_INT] = "\"int\"",
    [FIELD_LONG] = "\"long\"",
    [FIELD_BOOLEAN] = "\"boolean\"",
    [FIELD_BYTES] = "\"bytes\"",
    [FIELD_OPTIONAL_TEXT] = "[\"null\",\"string\"]",
    [FIELD_OPTIONAL_BYTES] = "[\"null\",\"bytes\"]",
    [FIELD_OPTIONAL_LONG] = "[\"null\",\"long\"]",
    [FIELD_OPTIONAL_DOUBLE] = "[\"null\",\"double\"]",
    [FIELD_TEXTS] = "{\"type\":\"array\",\"items\":\"string\"}",
    [FIELD_TEXT_MAP] = "{\"type\":\"map\",\"values\":\"string\"}",
    [FIELD_DOUBLE_MAP] = "{\"type\":\"map\",\"values\":\"double\"}",
    [FIELD_ATTRIBUTES] =
        ("{\"type\":\"map\",\"values\":[\"null\",\"boolean\",\"double\",\"string\","
         "{\"type\":\"array\",\"items\":\"string\"}]}"),
};

void record_canonical_schema(struct buf *out, const struct record_type *type)
{
    buf_printf(out, "{\"name\":\"%s\",\"type\":\"record\",\"fields\":[", type->full_name);
    for (size_t i = 0; i < type->field_count; i++)
        buf_printf(out, "%s{\"name\":\"%s\",\"type\":%s}", i ? "," : "", type->fields[i].name,
                   canonical_types[type->fields[i].type]);
    buf_put_text(out, "]}");
}

/* CRC-64-AVRO as the Avro specification gives it (the Rabin fingerprint), bit by bit: schemas are
 * short. */
uint64_t record_fingerprint(struct str canonical_schema)
{
    const uint64_t empty = 0xc15d213aa4d7a795;
    uint64_t crc = empty;
    for (size_t i = 0; i < canonical_schema.len; i++) {
        uint64_t row = (crc ^ (uint8_t)canonical_schema.data[i]) & 0xff;
        for (int bit = 0; bit < 8; bit++)
            row = (row >> 1) ^ (empty & (0 - (row & 1)));
        crc = (crc >> 8) ^ row;
    }
    return crc;
}

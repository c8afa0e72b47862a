#include "stream/headers.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/utf8.h"

#include <jansson.h>

void headers_put(struct buf *out, struct str name, struct str value)
{
    buf_put_sized(out, name);
    buf_put_varint(out, value.data ? (uint64_t)value.len + 1 : 0);
    buf_put_str(out, value);
}

bool headers_next(struct cursor *c, struct header *out)
{
    if (c->bad || !cursor_left(c))
        return false;
    *out = (struct header){.name = cursor_sized(c)};
    uint64_t n = cursor_varint(c);
    if (n)
        out->value = cursor_str(c, n - 1);
    return !c->bad;
}

struct headers_count headers_take(struct buf *out, const rd_kafka_headers_t *list, size_t most)
{
    struct headers_count count = {0, list ? rd_kafka_header_cnt(list) : 0};
    size_t start = out->len;
    for (; count.kept < count.all; count.kept++) {
        const char *name = NULL;
        const void *value = NULL;
        size_t size = 0, end = out->len;
        if (rd_kafka_header_get_all(list, count.kept, &name, &value, &size))
            break;
        /* Looked at before it is copied: one of them alone may be as large as a record. */
        if (strlen(name) + size <= most)
            headers_put(out, str_of(name), str_bytes(value, size));
        if (strlen(name) + size > most || out->len - start > most) {
            out->len = end;
            break;
        }
    }
    return count;
}

int headers_list(rd_kafka_headers_t **out, struct str headers, struct err *e)
{
    struct cursor c = cursor_of(headers.data, headers.len);
    struct header h;
    *out = NULL;
    if (!headers.len)
        return 0;
    rd_kafka_headers_t *list = rd_kafka_headers_new(8);
    if (!list)
        return err_nomem(e);
    while (headers_next(&c, &h))
        rd_kafka_header_add(list, h.name.data, (ssize_t)h.name.len, h.value.data,
                            (ssize_t)h.value.len);
    if (c.bad) {
        rd_kafka_headers_destroy(list);
        return err_set(e, ERR_CORRUPT, "the headers of a record are damaged");
    }
    *out = list;
    return 0;
}

/* ------------------------------------------------------------ JSON */

static void put_json_part(struct buf *out, struct str part)
{
    if (!part.data) {
        buf_put_text(out, "null");
    } else if (utf8_is_valid(part) && (!part.len || !memchr(part.data, 0, part.len))) {
        json_put_text(out, part);
    } else {
        buf_put_text(out, "{\"base64\":\"");
        base64_put(out, part);
        buf_put_text(out, "\"}");
    }
}

void headers_put_json(struct buf *out, struct str headers)
{
    struct cursor c = cursor_of(headers.data, headers.len);
    struct header h;
    buf_put_u8(out, '[');
    for (bool first = true; headers_next(&c, &h); first = false) {
        buf_put_text(out, first ? "[" : ",[");
        put_json_part(out, h.name);
        buf_put_u8(out, ',');
        put_json_part(out, h.value);
        buf_put_u8(out, ']');
    }
    buf_put_u8(out, ']');
}

static int read_part(struct buf *out, struct str *part, const json_t *json, struct err *e)
{
    const json_t *encoded = json_object_get(json, "base64");
    buf_reset(out);
    buf_put_u8(out, 0); /* so that an empty text has an address */
    if (json_is_string(json)) {
        buf_put(out, json_string_value(json), json_string_length(json));
    } else if (!json_is_string(encoded) ||
               !base64_read(out,
                            str_bytes(json_string_value(encoded), json_string_length(encoded)))) {
        return err_set(e, ERR_SCHEMA,
                       "headers are [name, value], each a text or {\"base64\": \"...\"}");
    }
    if (!buf_ok(out))
        return err_nomem(e);
    *part = str_bytes(out->data + 1, out->len - 1);
    return 0;
}

static int read_pair(struct buf *out, const json_t *pair, struct err *e)
{
    struct buf name = {0}, value = {0};
    struct header h = {0};
    int rc = json_array_size(pair) == 2
                 ? read_part(&name, &h.name, json_array_get(pair, 0), e)
                 : err_set(e, ERR_SCHEMA, "a header is an array of its name and its value");
    if (!rc && !json_is_null(json_array_get(pair, 1)))
        rc = read_part(&value, &h.value, json_array_get(pair, 1), e);
    if (!rc)
        headers_put(out, h.name, h.value);
    buf_free(&name);
    buf_free(&value);
    return rc;
}

int headers_read_json(struct buf *out, struct str json, struct err *e)
{
    json_error_t why;
    json_t *array = json_loadb(json.data, json.len, JSON_ALLOW_NUL, &why);
    int rc = json_is_array(array) ? 0 : err_set(e, ERR_SCHEMA, "headers are an array of arrays");
    for (size_t i = 0; i < json_array_size(array) && !rc; i++)
        rc = read_pair(out, json_array_get(array, i), e);
    json_decref(array);
    return rc || buf_ok(out) ? rc : err_nomem(e);
}

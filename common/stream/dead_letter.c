#include "stream/dead_letter.h"

#include "base/utf8.h"

const char *dead_letter_reason(int err_code)
{
    switch (err_code) {
    case ERR_NOT_FOUND:
        return "unknown_schema";
    case ERR_SCHEMA:
        return "schema_mismatch";
    case ERR_TOO_LARGE:
        return DEAD_TOO_LARGE;
    default:
        return "undecodable";
    }
}

/* A text as Avro demands it: details may quote the bytes that were wrong. */
static void put_valid(struct buf *out, struct str text)
{
    while (text.len) {
        size_t n = utf8_first_bad(text);
        buf_put(out, text.data, n);
        text = str_bytes(text.data + n, text.len - n);
        if (text.len) {
            buf_put_text(out, "\xef\xbf\xbd");
            text = str_bytes(text.data + 1, text.len - 1);
        }
    }
}

void dead_letter_encode(struct buf *out, const struct input *in, const char *worker,
                        const char *reason, const char *detail)
{
    struct buf text = {0};
    put_valid(&text, str_of(detail));
    size_t n = in->value.len;
    if (n > DEAD_LETTER_VALUE_BYTES) {
        buf_printf(&text, " (the first %d of %zu bytes are kept)", DEAD_LETTER_VALUE_BYTES, n);
        n = DEAD_LETTER_VALUE_BYTES;
    }
    struct dead_letter d = {
        .topic = str_of(in->topic),
        .partition = in->partition,
        .offset = in->offset,
        .timestamp = in->timestamp_ms,
        .worker = str_of(worker),
        .reason = str_of(reason),
        .detail = buf_str(&text),
        .value = str_bytes(in->value.data, n),
    };
    record_encode(out, &dead_letter_type, &d);
    out->failed |= text.failed;
    buf_free(&text);
}

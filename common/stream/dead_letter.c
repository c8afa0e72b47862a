#include "stream/dead_letter.h"

#include "base/utf8.h"
#include "stream/headers.h"

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

int burial_make(struct burial *b, const struct input *in, const char *worker, const char *reason,
                const char *detail, struct err *e)
{
    *b = (struct burial){0};
    struct headers_count headers = headers_take(&b->headers, input_headers(in), HEADERS_MAX_BYTES);
    size_t n = in->value.len;
    put_valid(&b->detail, str_of(detail));
    if (n > DEAD_LETTER_VALUE_BYTES) {
        buf_printf(&b->detail, " (the first %d of %zu bytes are kept)", DEAD_LETTER_VALUE_BYTES, n);
        n = DEAD_LETTER_VALUE_BYTES;
    }
    if (headers.kept < headers.all)
        buf_printf(&b->detail, " (the first %zu of %zu headers are kept)", headers.kept,
                   headers.all);
    b->letter = (struct dead_letter){
        .topic = str_of(in->topic),
        .partition = in->partition,
        .offset = in->offset,
        .timestamp = in->timestamp_ms,
        .worker = str_of(worker),
        .reason = str_of(reason),
        .detail = buf_str(&b->detail),
        .value = str_bytes(in->value.data, n),
    };
    return buf_ok(&b->detail) && buf_ok(&b->headers) ? 0 : err_nomem(e);
}

void burial_free(struct burial *b)
{
    buf_free(&b->detail);
    buf_free(&b->headers);
}

void dead_letter_put(struct outbox *out, const struct codec *c, const char *topic,
                     const struct input *in, const char *worker, const char *reason,
                     const char *detail)
{
    struct burial b;
    if (burial_make(&b, in, worker, reason, detail, NULL)) {
        out->bytes.failed = true;
    } else {
        outbox_begin_with(out, topic, OUTBOX_ANY_PARTITION, in->key, buf_str(&b.headers));
        codec_encode(c, &out->bytes, topic, &dead_letter_type, &b.letter);
        outbox_end(out);
    }
    burial_free(&b);
}

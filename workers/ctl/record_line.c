#include "record_line.h"

#include "record_print.h"

#include "base/json.h"
#include "base/utf8.h"

static void put_key(struct buf *out, struct str key)
{
    if (!key.data) {
        buf_put_text(out, "null");
    } else if (utf8_is_valid(key)) {
        json_put_text(out, key);
    } else {
        buf_put_text(out, "{\"bytes\":");
        json_put_bytes(out, key);
        buf_put_u8(out, '}');
    }
}

static void put_value(struct buf *out, const struct ctl *c, const struct topic *t, struct str value,
                      unsigned how, struct arena *a)
{
    struct err why = {0};
    void *record = arena_alloc(a, t->type->size);
    int rc = record ? ctl_decode(c, record, t->type, value, a, &why) : err_nomem(&why);
    if (!rc && how & RECORD_LINE_WHOLE)
        value_print_json(out, codec_schema(c->codec, t->type), record);
    else if (!rc)
        record_print(out, codec_schema(c->codec, t->type), t->type, record);
    if (!rc)
        return;
    buf_put_text(out, "{\"undecodable\":");
    json_put_text(out, str_of(why.msg));
    buf_put_text(out, ",\"bytes\":");
    json_put_bytes(out, value);
    buf_put_u8(out, '}');
}

void record_line_print(struct buf *out, const struct ctl *c, const struct topic *t,
                       const rd_kafka_message_t *m, unsigned how, struct arena *a)
{
    bool with_place = how & RECORD_LINE_PLACE, around = with_place || !m->payload;
    if (with_place)
        buf_printf(
            out, "{\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld,\"key\":", (int)m->partition,
            (long long)m->offset, (long long)rd_kafka_message_timestamp(m, NULL));
    else if (around)
        buf_put_text(out, "{\"key\":");
    if (around) {
        put_key(out, str_bytes(m->key, m->key_len));
        buf_put_text(out, ",\"value\":");
    }
    if (m->payload)
        put_value(out, c, t, str_bytes(m->payload, m->len), how, a);
    else
        buf_put_text(out, "null");
    buf_put_text(out, around ? "}\n" : "\n");
}

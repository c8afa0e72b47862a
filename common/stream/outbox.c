#include "stream/outbox.h"

enum { KEPT_BYTES = 64 * 1024 * 1024 };

void outbox_begin(struct outbox *o, const char *topic, int partition, struct str key)
{
    /* A key of no bytes is a key, wherever its bytes would stand. */
    outbox_begin_with(o, topic, partition, key.data ? key : str_of(""), (struct str){0});
}

void outbox_begin_with(struct outbox *o, const char *topic, int partition, struct str key,
                       struct str headers)
{
    struct outbox_record r = {.topic = topic,
                              .partition = partition,
                              .has_key = key.data,
                              .key_at = o->bytes.len,
                              .key_len = key.len,
                              .headers_at = o->bytes.len + key.len,
                              .headers_len = headers.len};
    buf_put_str(&o->bytes, key);
    buf_put_str(&o->bytes, headers);
    r.value_at = o->bytes.len;
    buf_put(&o->records, &r, sizeof r);
}

void outbox_end(struct outbox *o)
{
    if (!outbox_ok(o))
        return;
    struct outbox_record *r =
        (struct outbox_record *)(void *)(o->records.data + o->records.len) - 1;
    r->value_len = o->bytes.len - r->value_at;
}

void outbox_take_back(struct outbox *o)
{
    if (!outbox_ok(o))
        return;
    o->records.len -= sizeof(struct outbox_record);
    o->bytes.len = outbox_record(o, outbox_count(o))->key_at;
}

size_t outbox_count(const struct outbox *o)
{
    return o->records.len / sizeof(struct outbox_record);
}

const struct outbox_record *outbox_record(const struct outbox *o, size_t i)
{
    return (const struct outbox_record *)(const void *)o->records.data + i;
}

bool outbox_offset(struct outbox *o, const char *topic, int partition, int64_t next)
{
    if (!o->offsets && !(o->offsets = rd_kafka_topic_partition_list_new(8)))
        return false;
    rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(o->offsets, topic, partition);
    p->offset = next;
    return true;
}

bool outbox_ok(const struct outbox *o)
{
    return buf_ok(&o->bytes) && buf_ok(&o->records);
}

bool outbox_is_empty(const struct outbox *o)
{
    return outbox_count(o) == 0 && (!o->offsets || o->offsets->cnt == 0);
}

void outbox_reset(struct outbox *o)
{
    if (o->bytes.cap > KEPT_BYTES)
        buf_free(&o->bytes);
    buf_reset(&o->bytes);
    buf_reset(&o->records);
    if (o->offsets)
        rd_kafka_topic_partition_list_destroy(o->offsets);
    if (o->group)
        rd_kafka_consumer_group_metadata_destroy(o->group);
    o->offsets = NULL;
    o->group = NULL;
}

void outbox_free(struct outbox *o)
{
    outbox_reset(o);
    buf_free(&o->bytes);
    buf_free(&o->records);
}

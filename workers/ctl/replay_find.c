/* What an earlier replay has written: looked for in the partitions themselves. */
#include "replay_log.h"

#include "base/clock.h"
#include "stream/kafka.h"

#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 10000, SLICE_MS = 200, SILENCE_MS = 60000 };

struct search {
    rd_kafka_t *consumer, *asking; /* the latter counts what is not committed yet, too */
    struct replay_item *items;
    size_t count;
    const char *topic; /* of the partition at hand, as are the next */
    int partition;
    int64_t position, end;
    size_t left;
};

static int make_client(rd_kafka_t **out, const struct conf *conf, const char *isolation,
                       struct err *e)
{
    rd_kafka_conf_t *k = NULL;
    char group[300];
    /* librdkafka wants a group even where none is joined; this one's right an operator has. */
    snprintf(group, sizeof group, "%srecorder", conf_text(conf, "kafka.prefix"));
    int rc = kafka_conf_new(&k, conf, KAFKA_CONSUMER, e);
    if (rc)
        return rc;
    if ((rc = kafka_conf_put(k, "group.id", group, e)) ||
        (rc = kafka_conf_put(k, "enable.partition.eof", "true", e)) ||
        (rc = kafka_conf_put(k, "isolation.level", isolation, e))) {
        rd_kafka_conf_destroy(k);
        return rc;
    }
    return kafka_new(out, k, KAFKA_CONSUMER, e);
}

static bool is_here(const struct search *s, const struct replay_item *item)
{
    return item->target_partition == s->partition && strcmp(item->place.topic, s->topic) == 0;
}

/* The value of the last header of our name; data NULL: it has none. */
static struct str replay_of(const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *list = NULL;
    const void *value = NULL;
    size_t n = 0;
    if (rd_kafka_message_headers(m, &list) ||
        rd_kafka_header_get_last(list, REPLAY_HEADER, &value, &n))
        return (struct str){0};
    return str_bytes(value, n);
}

static void look_at(struct search *s, const rd_kafka_message_t *m)
{
    char text[LETTER_PLACE_BYTES];
    struct str place = replay_of(m);
    for (size_t i = 0; place.data && i < s->count; i++) {
        struct replay_item *item = &s->items[i];
        if (item->target_offset >= 0 || !is_here(s, item) || m->offset < item->log_end ||
            !str_is(place, letter_place_print(text, &item->place)))
            continue;
        item->target_offset = m->offset;
        s->left--;
    }
}

static int on_message(struct search *s, const rd_kafka_message_t *m, struct err *e)
{
    if (m->err && m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        struct err why = {0};
        int rc = kafka_message_err(&why, s->consumer, m, "look for what was sent");
        if (rc != ERR_UNAVAILABLE)
            *e = why;
        return rc == ERR_UNAVAILABLE ? 0 : rc; /* librdkafka goes on by itself */
    }
    /* The end of a partition also tells of the marks of transactions behind its last record. */
    int64_t next = m->err ? m->offset : m->offset + 1;
    s->position = next > s->position ? next : s->position;
    if (!m->err)
        look_at(s, m);
    return 0;
}

/* Reads until everything was found or everything was seen. */
static int read_on(struct search *s, struct err *e)
{
    int64_t heard_us = clock_monotonic_us();
    int rc = 0;
    while (!rc && s->left && s->position < s->end) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(s->consumer, SLICE_MS);
        if (ctl_stopping())
            rc = err_set(e, ERR_ABORTED, "interrupted");
        else if (!m && clock_monotonic_us() - heard_us > SILENCE_MS * INT64_C(1000))
            rc = err_set(e, ERR_UNAVAILABLE, "%s/%d cannot be read on from offset %lld", s->topic,
                         s->partition, (long long)s->position);
        else if (m)
            rc = on_message(s, m, e);
        if (m) {
            heard_us = clock_monotonic_us();
            rd_kafka_message_destroy(m);
        }
    }
    return rc;
}

static int assign(struct search *s, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, s->topic, s->partition)->offset = s->position;
    rd_kafka_resp_err_t code = rd_kafka_assign(s->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_err(e, code, "look for what was sent") : 0;
}

/* The partition of one item, for all items that are in it. */
static int search_partition(struct search *s, const struct replay_item *of, struct err *e)
{
    int64_t first = 0;
    s->topic = of->place.topic;
    s->partition = of->target_partition;
    s->position = INT64_MAX;
    s->left = 0;
    for (size_t i = 0; i < s->count; i++)
        if (is_here(s, &s->items[i])) {
            s->left++;
            if (s->items[i].log_end < s->position)
                s->position = s->items[i].log_end;
        }
    int rc = kafka_offsets(s->asking, s->topic, s->partition, TIMEOUT_MS, &first, &s->end, e);
    if (!rc && first > s->position)
        rc = err_set(e, ERR_NOT_FOUND,
                     "an earlier replay may have written to %s/%d at offset %lld or later, but the "
                     "log begins at %lld only: decide by what the records did, set the state of "
                     "its rows of dead_letter_replays that are 'sending' to 'sent' (with a "
                     "target_offset) or 'left', and run this again",
                     s->topic, s->partition, (long long)s->position, (long long)first);
    if (!rc)
        rc = assign(s, e);
    return rc ? rc : read_on(s, e);
}

int replay_log_find(const struct conf *conf, struct replay_item *items, size_t n, struct err *e)
{
    struct search s = {.items = items, .count = n};
    for (size_t i = 0; i < n; i++)
        items[i].target_offset = -1;
    int rc = make_client(&s.consumer, conf, "read_committed", e);
    if (!rc)
        rc = make_client(&s.asking, conf, "read_uncommitted", e);
    for (size_t i = 0; i < n && !rc; i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++)
            seen = items[k].target_partition == items[i].target_partition &&
                   strcmp(items[k].place.topic, items[i].place.topic) == 0;
        if (!seen)
            rc = search_partition(&s, &items[i], e);
    }
    if (s.consumer)
        rd_kafka_destroy(s.consumer);
    if (s.asking)
        rd_kafka_destroy(s.asking);
    return rc;
}

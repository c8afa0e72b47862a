#include "stream/tail.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "stream/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METADATA_TIMEOUT_MS = 30000, POLL_MS = 10, POLL_RECORDS = 2000 };

struct tail_partition {
    const char *topic; /* borrowed from the caller */
    int partition;
    int64_t first, end; /* at the start */
    int64_t position;   /* behind the last record handed over, or where an end was told */
    bool at_end;
    bool heard; /* it was fetched from */
};

struct tail {
    rd_kafka_t *consumer;
    rd_kafka_t *probe; /* until the start; sees transactions under way */
    rd_kafka_t *asker; /* for tail_catch_up(): a broker answers a connection in order, and the
                          consumer's waits for records; NULL: nobody asked yet */
    const struct conf *conf;
    const char *client_id;
    tail_record *each;
    void *arg;
    struct tail_partition *partitions;
    size_t count, left;       /* left: not at their end yet */
    size_t unheard;           /* not fetched from yet */
    rd_kafka_message_t *held; /* that the callback could not take yet; NULL: none */
    int64_t done;
};

/* librdkafka demands a group and looks for its coordinator, though none is joined: it is the
 * worker's own, which its login has a right to. A client id begins with the worker's name. */
static int put_group(rd_kafka_conf_t *k, const struct conf *conf, const char *client_id,
                     struct err *e)
{
    char group[300];
    snprintf(group, sizeof group, "%s%.*s", conf_text(conf, "kafka.prefix"),
             (int)strcspn(client_id, "/"), client_id);
    return kafka_conf_put(k, "group.id", group, e);
}

static int connect_one(rd_kafka_t **out, const struct conf *conf, const char *client_id,
                       const char *isolation, struct err *e)
{
    rd_kafka_conf_t *k = NULL;
    int rc = kafka_conf_new(&k, conf, KAFKA_CONSUMER, e);
    if (rc)
        return rc;
    if ((rc = kafka_conf_put(k, "client.id", client_id, e)) ||
        (rc = kafka_conf_put(k, "isolation.level", isolation, e)) ||
        (rc = kafka_conf_put(k, "enable.partition.eof", "true", e)) ||
        (rc = put_group(k, conf, client_id, e)) ||
        (rc = kafka_conf_put(k, "auto.offset.reset", "earliest", e))) {
        rd_kafka_conf_destroy(k);
        return rc;
    }
    return kafka_new(out, k, KAFKA_CONSUMER, e);
}

int tail_new(struct tail **out, const struct conf *conf, const char *client_id, tail_record *each,
             void *arg, struct err *e)
{
    struct tail *t = calloc(1, sizeof *t);
    if (!t)
        return err_nomem(e);
    t->each = each;
    t->arg = arg;
    t->conf = conf;
    t->client_id = client_id;
    int rc = connect_one(&t->consumer, conf, client_id, "read_committed", e);
    if (!rc)
        rc = connect_one(&t->probe, conf, client_id, "read_uncommitted", e);
    rd_kafka_resp_err_t code =
        rc ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_poll_set_consumer(t->consumer);
    if (code)
        rc = kafka_err(e, code, "read tables");
    if (rc)
        tail_free(t);
    else
        *out = t;
    return rc;
}

void tail_free(struct tail *t)
{
    if (!t)
        return;
    if (t->held)
        rd_kafka_message_destroy(t->held);
    if (t->consumer) {
        FAILPOINT("tail.before_close");
        rd_kafka_assign(t->consumer, NULL);
        FAILPOINT("tail.released");
        rd_kafka_consumer_close(t->consumer);
        FAILPOINT("tail.closed");
        rd_kafka_destroy(t->consumer);
    }
    if (t->probe)
        rd_kafka_destroy(t->probe);
    if (t->asker)
        rd_kafka_destroy(t->asker);
    free(t->partitions);
    free(t);
}

int tail_add_from(struct tail *t, const char *topic, int partition, int64_t from, struct err *e)
{
    struct tail_partition *longer = realloc(t->partitions, (t->count + 1) * sizeof *longer);
    if (!longer)
        return err_nomem(e);
    t->partitions = longer;
    struct tail_partition *p = &longer[t->count];
    *p = (struct tail_partition){.topic = topic, .partition = partition};
    int rc = kafka_offsets(t->probe, topic, partition, METADATA_TIMEOUT_MS, &p->first, &p->end, e);
    if (rc)
        return rc;
    if (from != TAIL_FIRST && (from < p->first || from > p->end))
        return err_set(e, ERR_NOT_FOUND,
                       "%s partition %d has the offsets %lld to %lld but is to be read from %lld",
                       topic, partition, (long long)p->first, (long long)p->end, (long long)from);
    p->first = from == TAIL_FIRST ? p->first : from;
    p->position = p->first;
    p->at_end = p->first >= p->end;
    t->left += !p->at_end;
    t->unheard++;
    t->count++;
    return 0;
}

int tail_add(struct tail *t, const char *topic, int partition, struct err *e)
{
    return tail_add_from(t, topic, partition, TAIL_FIRST, e);
}

int tail_add_topic(struct tail *t, const char *topic, struct err *e)
{
    int count = 0;
    int rc = kafka_partition_count(t->probe, topic, METADATA_TIMEOUT_MS, &count, e);
    for (int i = 0; i < count && !rc; i++)
        rc = tail_add(t, topic, i, e);
    return rc;
}

int tail_add_topic_end(struct tail *t, const char *topic, struct err *e)
{
    size_t before = t->count;
    int rc = tail_add_topic(t, topic, e);
    for (size_t i = before; i < t->count; i++) {
        struct tail_partition *p = &t->partitions[i];
        p->first = p->position = p->end;
        t->left -= !p->at_end;
        p->at_end = true;
    }
    return rc;
}

/* A consumer that does not know who has its partitions begins to fetch up to a second later. */
static void learn_leaders(struct tail *t, size_t i)
{
    const struct rd_kafka_metadata *m = NULL;
    const char *topic = t->partitions[i].topic;
    if (i && strcmp(t->partitions[i - 1].topic, topic) == 0)
        return;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(t->consumer, topic, NULL);
    if (!rkt)
        return;
    if (!rd_kafka_metadata(t->consumer, 0, rkt, &m, METADATA_TIMEOUT_MS))
        rd_kafka_metadata_destroy(m);
    rd_kafka_topic_destroy(rkt);
}

int tail_start(struct tail *t, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)t->count);
    if (!list)
        return err_nomem(e);
    for (size_t i = 0; i < t->count; i++)
        rd_kafka_topic_partition_list_add(list, t->partitions[i].topic, t->partitions[i].partition)
            ->offset = t->partitions[i].first;
    for (size_t i = 0; i < t->count; i++)
        learn_leaders(t, i);
    FAILPOINT("tail.before_assign");
    rd_kafka_resp_err_t code = rd_kafka_assign(t->consumer, list);
    FAILPOINT("tail.assigned");
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(t->probe);
    t->probe = NULL;
    return code ? kafka_err(e, code, "read tables") : 0;
}

static struct tail_partition *find(struct tail *t, const rd_kafka_message_t *m)
{
    const char *topic = rd_kafka_topic_name(m->rkt);
    for (size_t i = 0; i < t->count; i++)
        if (t->partitions[i].partition == m->partition &&
            strcmp(t->partitions[i].topic, topic) == 0)
            return &t->partitions[i];
    return NULL;
}

static void hear(struct tail *t, struct tail_partition *p)
{
    t->unheard -= !p->heard;
    p->heard = true;
}

static void reach(struct tail *t, struct tail_partition *p, int64_t position)
{
    p->position = position;
    if (!p->at_end && position >= p->end) {
        p->at_end = true;
        t->left--;
    }
}

static int handle(struct tail *t, const rd_kafka_message_t *m, int *count, struct err *e)
{
    struct tail_partition *p = m->rkt ? find(t, m) : NULL;
    if (p && (!m->err || m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF))
        hear(t, p);
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (p)
            reach(t, p, m->offset);
        return 0;
    }
    if (m->err) {
        int rc = kafka_message_err(e, t->consumer, m, "read tables");
        if (rc != ERR_UNAVAILABLE)
            return rc;
        LOG_WARN("table_read", LOG_ERR(e));
        return 0;
    }
    if (!p || m->offset < p->position)
        return 0;
    int rc = t->each(t->arg, m, e);
    if (rc == ERR_UNAVAILABLE)
        return rc;
    reach(t, p, m->offset + 1);
    t->done++;
    ++*count;
    return rc;
}

/* Hands a message over; one that cannot be taken yet is kept for the next time. */
static int take(struct tail *t, rd_kafka_message_t *m, int *count, struct err *e)
{
    int rc = handle(t, m, count, e);
    t->held = rc == ERR_UNAVAILABLE ? m : NULL;
    if (!t->held)
        rd_kafka_message_destroy(m);
    return t->held ? 0 : rc;
}

int tail_poll(struct tail *t, int wait_ms, int most, int *count, struct err *e)
{
    *count = 0;
    int rc = t->held ? take(t, t->held, count, e) : 0;
    while (!rc && *count < most && !t->held) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(t->consumer, *count ? 0 : wait_ms);
        if (!m)
            break;
        if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            wait_ms = 0;
        rc = take(t, m, count, e);
    }
    return rc;
}

bool tail_waits(const struct tail *t)
{
    return t->held;
}

bool tail_at_end(const struct tail *t)
{
    return t->left == 0;
}

bool tail_is_live(const struct tail *t)
{
    return t->unheard == 0;
}

/* Where every partition ends, as its records may be read. */
static int find_ends(struct tail *t, rd_kafka_topic_partition_list_t **out, int timeout_ms,
                     struct err *e)
{
    int rc = t->asker ? 0 : connect_one(&t->asker, t->conf, t->client_id, "read_committed", e);
    rd_kafka_topic_partition_list_t *ends =
        rc ? NULL : rd_kafka_topic_partition_list_new((int)t->count);
    if (!ends)
        return rc ? rc : err_nomem(e);
    for (size_t i = 0; i < t->count; i++)
        rd_kafka_topic_partition_list_add(ends, t->partitions[i].topic, t->partitions[i].partition)
            ->offset = RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(t->asker, ends, timeout_ms);
    for (int i = 0; i < ends->cnt && !code; i++)
        code = ends->elems[i].err;
    if (code) {
        rd_kafka_topic_partition_list_destroy(ends);
        return kafka_err(e, code, "read where tables end");
    }
    *out = ends;
    return 0;
}

static bool has_reached(const struct tail *t, const rd_kafka_topic_partition_list_t *ends)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->partitions[i].position < ends->elems[i].offset)
            return false;
    return true;
}

int tail_catch_up(struct tail *t, int timeout_ms, struct err *e)
{
    rd_kafka_topic_partition_list_t *ends = NULL;
    int64_t until_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    int count, rc = find_ends(t, &ends, timeout_ms, e);
    while (!rc && !has_reached(t, ends)) {
        rc = tail_poll(t, POLL_MS, POLL_RECORDS, &count, e);
        if (!rc && clock_monotonic_us() > until_us && !has_reached(t, ends))
            rc = err_set(e, ERR_UNAVAILABLE, "tables could not be read to their end in %d ms",
                         timeout_ms);
    }
    if (ends)
        rd_kafka_topic_partition_list_destroy(ends);
    return rc;
}

int64_t tail_done(const struct tail *t)
{
    return t->done;
}

int64_t tail_total(const struct tail *t)
{
    int64_t total = 0;
    for (size_t i = 0; i < t->count; i++)
        total += t->partitions[i].end - t->partitions[i].first;
    return total;
}

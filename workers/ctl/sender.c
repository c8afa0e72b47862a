#include "sender.h"

#include "ctl.h"

#include "base/clock.h"
#include "stream/kafka.h"

#include <stdio.h>
#include <stdlib.h>

enum { TIMEOUT_MS = 10000, SLICE_MS = 100, LAST_FLUSH_MS = 10000, MAX_OPEN = 16 };

struct sender {
    rd_kafka_t *rk;
    const struct ctl *ctl;
    struct {
        const struct topic *topic;
        rd_kafka_topic_t *rkt;
    } open[MAX_OPEN];
    int open_count;
    int64_t accepted;
    int64_t undelivered;
    struct err failure; /* of the first record that was not delivered */
    int64_t failed;     /* its number */
};

/* Only failures are reported (delivery.report.only.error): what has left the queue without one is
 * delivered. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    struct sender *s = arg;
    (void)rk;
    s->undelivered++;
    if (s->failure.code)
        return;
    s->failed = (int64_t)(intptr_t)m->_private;
    if (m->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        err_set(&s->failure, ERR_TOO_LARGE,
                "not delivered: the record is larger than max.message.bytes of topic %s",
                rd_kafka_topic_name(m->rkt));
    } else if (m->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
               m->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        err_set(&s->failure, ERR_NOT_FOUND,
                "not delivered: topic %s is gone: run `flotilla topics create`",
                rd_kafka_topic_name(m->rkt));
    } else {
        kafka_err(&s->failure, m->err, "deliver it");
        err_wrap(&s->failure, "topic %s", rd_kafka_topic_name(m->rkt));
    }
}

static int make(struct sender **out, const struct ctl *c, bool prompt, struct err *e)
{
    struct sender *s = calloc(1, sizeof *s);
    rd_kafka_conf_t *k = NULL;
    if (!s)
        return err_nomem(e);
    s->ctl = c;
    s->failed = -1;
    int rc = kafka_conf_new(&k, c->conf, KAFKA_PRODUCER, e);
    if (!rc) {
        rd_kafka_conf_set_opaque(k, s);
        rd_kafka_conf_set_dr_msg_cb(k, on_delivery);
        rc = kafka_conf_put(k, "delivery.report.only.error", "true", e);
        if (!rc && prompt)
            rc = kafka_conf_put(k, "linger.ms", "0", e);
        if (!rc)
            rc = kafka_new(&s->rk, k, KAFKA_PRODUCER, e);
        else
            rd_kafka_conf_destroy(k);
    }
    if (rc) {
        sender_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

int sender_new(struct sender **out, const struct ctl *c, struct err *e)
{
    return make(out, c, false, e);
}

int sender_new_prompt(struct sender **out, const struct ctl *c, struct err *e)
{
    return make(out, c, true, e);
}

void sender_free(struct sender *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->open_count; i++)
        rd_kafka_topic_destroy(s->open[i].rkt);
    if (s->rk) {
        rd_kafka_purge(s->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(s->rk);
    }
    free(s);
}

int sender_open(struct sender *s, const struct topic *t, struct err *e)
{
    const char *name = conf_topic(s->ctl->conf, t->name);
    int partitions;
    int rc = kafka_partition_count(s->rk, name, TIMEOUT_MS, &partitions, e);
    if (rc == ERR_UNAVAILABLE)
        err_wrap(e, "kafka.brokers=%s", conf_text(s->ctl->conf, "kafka.brokers"));
    if (rc)
        return rc;
    if ((rc = ctl_declare(s->ctl, name, t->type, e)))
        return rc;
    rd_kafka_topic_t *rkt = s->open_count < MAX_OPEN ? rd_kafka_topic_new(s->rk, name, NULL) : NULL;
    if (!rkt)
        return kafka_err(e, rd_kafka_last_error(), "open the topic");
    s->open[s->open_count].topic = t;
    s->open[s->open_count++].rkt = rkt;
    return 0;
}

static rd_kafka_topic_t *topic_of(const struct sender *s, const struct topic *t)
{
    for (int i = 0; i < s->open_count; i++)
        if (s->open[i].topic == t)
            return s->open[i].rkt;
    return NULL;
}

static rd_kafka_resp_err_t produce(struct sender *s, const struct sender_record *r)
{
    void *number = (void *)(intptr_t)r->number;
    void *value = (void *)(uintptr_t)r->value.data;
    rd_kafka_topic_t *rkt = topic_of(s, r->topic);
    if (!r->timestamp_ms)
        return rd_kafka_produce(rkt, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value,
                                r->value.len, r->key.data, r->key.len, number)
                   ? rd_kafka_last_error()
                   : RD_KAFKA_RESP_ERR_NO_ERROR;
    return rd_kafka_producev(
        s->rk, RD_KAFKA_V_RKT(rkt), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE(value, r->value.len), RD_KAFKA_V_KEY(r->key.data, r->key.len),
        RD_KAFKA_V_TIMESTAMP(r->timestamp_ms), RD_KAFKA_V_OPAQUE(number), RD_KAFKA_V_END);
}

static int failure(const struct sender *s, struct err *e)
{
    if (s->failure.code && e)
        *e = s->failure;
    return s->failure.code;
}

int sender_put(struct sender *s, const struct sender_record *r, struct err *e)
{
    rd_kafka_resp_err_t code;
    if ((s->accepted & 1023) == 0)
        rd_kafka_poll(s->rk, 0);
    while (!s->failure.code && (code = produce(s, r)) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            return err_set(e, ERR_TOO_LARGE,
                           "the record takes %zu bytes, which is more than kafka.message.max.bytes",
                           r->key.len + r->value.len);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return kafka_err(e, code, "send a record");
        if (ctl_stopping())
            return err_set(e, ERR_UNAVAILABLE, "interrupted while Kafka took no more");
        rd_kafka_poll(s->rk, SLICE_MS / 10);
    }
    if (!s->failure.code)
        s->accepted++;
    return failure(s, e);
}

int sender_flush(struct sender *s, struct err *e)
{
    int64_t stopped_us = 0;
    while (rd_kafka_outq_len(s->rk) > 0) {
        rd_kafka_flush(s->rk, SLICE_MS);
        if (!ctl_stopping())
            continue;
        int64_t now_us = clock_monotonic_us();
        stopped_us = stopped_us ? stopped_us : now_us;
        if (now_us - stopped_us > LAST_FLUSH_MS * INT64_C(1000))
            return err_set(e, ERR_UNAVAILABLE, "interrupted; Kafka has not taken %d records",
                           rd_kafka_outq_len(s->rk));
    }
    rd_kafka_poll(s->rk, 0);
    return failure(s, e);
}

void sender_wait(struct sender *s, int64_t ms)
{
    rd_kafka_poll(s->rk, (int)ms);
}

int64_t sender_failed(const struct sender *s)
{
    return s->failed;
}

int64_t sender_delivered(const struct sender *s)
{
    return s->accepted - s->undelivered - rd_kafka_outq_len(s->rk);
}

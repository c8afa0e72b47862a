#include "ranker/answers.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "stream/headers.h"
#include "stream/kafka.h"

#include <stdlib.h>

enum { TOPICS = 3, FULL_WAIT_MS = 50, CLOSE_LIMIT_MS = 10000 };

struct answers {
    struct worker_env *env;
    rd_kafka_t *producer;
    rd_kafka_topic_t *topics[TOPICS];
    const char *names[TOPICS]; /* as they stand in outboxes: conf_topic() */
    int64_t under_way[2];      /* of two generations, turn about */
    int filling;               /* the one that is sent now */
    struct err error;          /* of a delivery */
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    struct answers *a = arg;
    intptr_t generation = (intptr_t)m->_private;
    (void)rk;
    a->under_way[generation]--;
    if (m->err && !a->error.code)
        err_set(&a->error, ERR_FATAL, "deliver to %s: %s%s", rd_kafka_topic_name(m->rkt),
                rd_kafka_err2str(m->err), kafka_advice(m->err));
}

static int connect_producer(struct answers *a, struct err *e)
{
    rd_kafka_conf_t *k = NULL;
    int rc = kafka_conf_new(&k, a->env->conf, KAFKA_PRODUCER, e);
    if (rc)
        return rc;
    rd_kafka_conf_set_opaque(k, a);
    rd_kafka_conf_set_dr_msg_cb(k, on_delivery);
    /* An answer is of use at once; under load records gather by themselves. */
    if ((rc = kafka_conf_put(k, "client.id", a->env->client_id, e)) ||
        (rc = kafka_conf_put(k, "linger.ms", "0.2", e)) ||
        (rc = kafka_conf_put(k, "message.max.bytes", "16777216", e))) {
        rd_kafka_conf_destroy(k);
        return rc;
    }
    return kafka_new(&a->producer, k, KAFKA_PRODUCER, e);
}

int answers_new(struct answers **out, struct worker_env *env, struct err *e)
{
    static const char *const names[TOPICS] = {"rankings", "score.log", "dead-letters"};
    struct answers *a = calloc(1, sizeof *a);
    if (!a)
        return err_nomem(e);
    a->env = env;
    int rc = connect_producer(a, e);
    for (int i = 0; i < TOPICS && !rc; i++) {
        a->names[i] = conf_topic(env->conf, names[i]);
        a->topics[i] = rd_kafka_topic_new(a->producer, a->names[i], NULL);
        rc = a->topics[i] ? 0 : kafka_err(e, rd_kafka_last_error(), "open a topic");
    }
    if (rc)
        answers_free(a);
    else
        *out = a;
    return rc;
}

void answers_free(struct answers *a)
{
    if (!a)
        return;
    FAILPOINT("ranker.answers.before_flush");
    if (a->producer)
        rd_kafka_flush(a->producer, CLOSE_LIMIT_MS);
    FAILPOINT("ranker.answers.flushed");
    for (int i = 0; i < TOPICS; i++)
        if (a->topics[i])
            rd_kafka_topic_destroy(a->topics[i]);
    if (a->producer)
        rd_kafka_destroy(a->producer);
    free(a);
}

static rd_kafka_topic_t *find_topic(const struct answers *a, const char *name)
{
    for (int i = 0; i < TOPICS; i++)
        if (a->names[i] == name)
            return a->topics[i];
    return NULL;
}

static rd_kafka_resp_err_t produce(struct answers *a, const struct outbox *o,
                                   const struct outbox_record *r)
{
    void *bytes = o->bytes.data;
    char *key = r->has_key ? (char *)bytes + r->key_at : NULL, *value = (char *)bytes + r->value_at;
    void *generation = (void *)(intptr_t)a->filling;
    rd_kafka_topic_t *topic = find_topic(a, r->topic);
    rd_kafka_headers_t *headers = NULL;
    /* Headers that cannot be carried along are left behind: the record is what counts. */
    if (r->headers_len)
        headers_list(&headers, str_bytes((char *)bytes + r->headers_at, r->headers_len), NULL);
    if (!headers)
        return rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value,
                                r->value_len, key, r->key_len, generation)
                   ? rd_kafka_last_error()
                   : RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_producev(
        a->producer, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE(value, r->value_len), RD_KAFKA_V_KEY(key, r->key_len),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(generation), RD_KAFKA_V_END);
    if (code)
        rd_kafka_headers_destroy(headers);
    return code;
}

static int send_one(struct answers *a, const struct outbox *o, const struct outbox_record *r,
                    struct err *e)
{
    rd_kafka_resp_err_t code;
    int rc = 0;
    FAILPOINT("ranker.answers.before_record");
    while (!rc && (code = produce(a, o, r)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        if (worker_stopping())
            return err_set(e, ERR_UNAVAILABLE, "Kafka takes no answers");
        rc = answers_poll(a, FULL_WAIT_MS, e);
        worker_alive(a->env);
    }
    if (rc)
        return rc;
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        LOG_WARN("record_left_out", LOG_TEXT("topic", r->topic), LOG_INT("bytes", r->value_len),
                 LOG_TEXT("meaning", "it is larger than Kafka takes"));
        return 0;
    }
    if (code)
        return kafka_err(e, code, "send an answer");
    a->under_way[a->filling]++;
    FAILPOINT("ranker.answers.record_produced");
    return 0;
}

int answers_send(struct answers *a, const struct outbox *o, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < outbox_count(o) && !rc; i++)
        rc = send_one(a, o, outbox_record(o, i), e);
    return rc;
}

int answers_poll(struct answers *a, int wait_ms, struct err *e)
{
    rd_kafka_poll(a->producer, wait_ms);
    return a->error.code ? err_set(e, a->error.code, "%s", a->error.msg) : 0;
}

void answers_close(struct answers *a)
{
    a->filling = !a->filling;
}

bool answers_settled(const struct answers *a)
{
    return a->under_way[!a->filling] == 0;
}

bool answers_is_idle(const struct answers *a)
{
    return a->under_way[0] + a->under_way[1] == 0;
}

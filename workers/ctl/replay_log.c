#include "replay_log.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "stream/headers.h"
#include "stream/kafka.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TIMEOUT_MS = 10000,
    PATIENCE_MS = 30000, /* a broker that restarts */
    FENCE_TIMEOUT_MS = 60000,
    COMMIT_TIMEOUT_MS = 60000,
    SLICE_MS = 100,
    RETRY_MS = 200,
    MOST_TRIES = 5,
    MOST_TOPICS = 32,
};

struct replay_log {
    const struct conf *conf;
    rd_kafka_t *producer;
    struct {
        char name[256];
        int partitions;
    } topics[MOST_TOPICS];
    int topic_count;
    rd_kafka_resp_err_t undelivered; /* of the transaction at hand, the first reason that is not an
                                        item's own */
    int refused;                     /* items that were refused for themselves */
};

/* ---- Making it ---- */

static bool is_items_own(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           code == RD_KAFKA_RESP_ERR_INVALID_RECORD || code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;
}

static void refuse(struct replay_log *l, struct replay_item *item, rd_kafka_resp_err_t code)
{
    item->send = false;
    snprintf(item->note, sizeof item->note, "Kafka does not take it: %s (%zu bytes)",
             rd_kafka_err2str(code), item->bytes.len);
    l->refused++;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    struct replay_log *l = arg;
    struct replay_item *item = m->_private;
    (void)rk;
    if (!m->err)
        item->target_offset = m->offset;
    else if (is_items_own(m->err))
        refuse(l, item, m->err);
    else if (!l->undelivered)
        l->undelivered = m->err;
}

static int configure(rd_kafka_conf_t *k, const struct conf *conf, struct err *e)
{
    char id[300];
    snprintf(id, sizeof id, "%sdead-letters-replay", conf_text(conf, "kafka.prefix"));
    int rc = kafka_conf_put(k, "transactional.id", id, e);
    if (!rc)
        rc = kafka_conf_put(k, "client.id", "flotilla dead-letters replay", e);
    if (!rc)
        rc = kafka_conf_put(k, "message.max.bytes", "20000000", e);
    /* Where a partition ends is asked of this client: transactions that are open count as well. */
    if (!rc)
        rc = kafka_conf_put(k, "isolation.level", "read_uncommitted", e);
    return rc;
}

int replay_log_new(struct replay_log **out, const struct conf *conf, struct err *e)
{
    rd_kafka_conf_t *k = NULL;
    struct replay_log *l = calloc(1, sizeof *l);
    if (!l)
        return err_nomem(e);
    l->conf = conf;
    int rc = kafka_conf_new(&k, conf, KAFKA_TRANSACTIONAL, e);
    if (!rc && (rc = configure(k, conf, e))) {
        rd_kafka_conf_destroy(k);
    } else if (!rc) {
        rd_kafka_conf_set_opaque(k, l);
        rd_kafka_conf_set_dr_msg_cb(k, on_delivery);
        rc = kafka_new(&l->producer, k, KAFKA_TRANSACTIONAL, e);
    }
    if (rc)
        replay_log_free(l);
    else
        *out = l;
    return rc;
}

void replay_log_free(struct replay_log *l)
{
    if (!l)
        return;
    if (l->producer) {
        rd_kafka_purge(l->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(l->producer);
    }
    free(l);
}

/* ---- Errors ---- */

/* The client's own last word, where it has one: others only say that there is one. */
static int fail(struct replay_log *l, rd_kafka_resp_err_t code, const char *what, struct err *e)
{
    char why[512];
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(l->producer, why, sizeof why);
    int rc = kafka_err(e, fatal ? fatal : code, what);
    if (rc == ERR_FENCED)
        err_set(e, rc,
                "another replay has begun and goes on in place of this one, or Kafka took this one "
                "for dead (%s): what was sent is sent once; run it again for the rest",
                rd_kafka_err2name(fatal ? fatal : code));
    return rc;
}

static int take_error(struct replay_log *l, rd_kafka_error_t *error, const char *what,
                      struct err *e)
{
    if (!error)
        return 0;
    int rc = fail(l, rd_kafka_error_code(error), what, e);
    rd_kafka_error_destroy(error);
    return rc;
}

int replay_log_fence(struct replay_log *l, struct err *e)
{
    int64_t until_us = clock_monotonic_us() + FENCE_TIMEOUT_MS * INT64_C(1000);
    for (;;) {
        FAILPOINT("replay.before_fence");
        rd_kafka_error_t *error = rd_kafka_init_transactions(l->producer, TIMEOUT_MS);
        FAILPOINT("replay.fenced");
        bool again = error && rd_kafka_error_is_retriable(error) &&
                     clock_monotonic_us() < until_us && !ctl_stopping();
        int rc = take_error(l, error, "begin a replay", e);
        if (!again)
            return rc == ERR_UNAVAILABLE
                       ? err_wrap(e, "kafka.brokers=%s", conf_text(l->conf, "kafka.brokers"))
                       : rc;
    }
}

/* ---- Where an item goes ---- */

static int partition_count(struct replay_log *l, const char *topic, int *out, struct err *e)
{
    for (int i = 0; i < l->topic_count; i++)
        if (strcmp(l->topics[i].name, topic) == 0) {
            *out = l->topics[i].partitions;
            return 0;
        }
    int rc = kafka_partition_count(l->producer, topic, TIMEOUT_MS, out, e);
    if (rc || l->topic_count == MOST_TOPICS)
        return rc;
    snprintf(l->topics[l->topic_count].name, sizeof l->topics->name, "%s", topic);
    l->topics[l->topic_count++].partitions = *out;
    return 0;
}

int replay_log_aim(struct replay_log *l, struct replay_item *item, struct err *e)
{
    int n = 0;
    int64_t first = 0;
    int rc = partition_count(l, item->place.topic, &n, e);
    if (rc)
        return rc;
    item->target_partition =
        item->has_key ? kafka_partition_of(item_key(item), n) : item->place.partition % n;
    return kafka_offsets(l->producer, item->place.topic, item->target_partition, PATIENCE_MS,
                         &first, &item->log_end, e);
}

/* ---- Sending ---- */

static int produce(struct replay_log *l, struct replay_item *item, struct err *e)
{
    struct str key = item_key(item), value = item_value(item);
    rd_kafka_headers_t *headers = NULL;
    int rc = headers_list(&headers, item_headers(item), e);
    while (!rc) {
        rd_kafka_resp_err_t code =
            rd_kafka_producev(l->producer, RD_KAFKA_V_TOPIC(item->place.topic),
                              RD_KAFKA_V_PARTITION(item->target_partition),
                              RD_KAFKA_V_KEY((void *)(uintptr_t)key.data, key.len),
                              RD_KAFKA_V_VALUE((void *)(uintptr_t)value.data, value.len),
                              RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(item), RD_KAFKA_V_END);
        if (!code)
            return 0;
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            rd_kafka_poll(l->producer, SLICE_MS);
            continue;
        }
        if (is_items_own(code)) {
            refuse(l, item, code);
            break;
        }
        rc = fail(l, code, "send a record", e);
    }
    if (headers)
        rd_kafka_headers_destroy(headers);
    return rc;
}

/* Everything of the transaction has reached the brokers or has failed. */
static int flush(struct replay_log *l, struct err *e)
{
    while (rd_kafka_outq_len(l->producer) > 0)
        rd_kafka_flush(l->producer, SLICE_MS);
    return l->undelivered ? fail(l, l->undelivered, "send records", e) : 0;
}

static int commit(struct replay_log *l, bool *again, struct err *e)
{
    int64_t until_us = clock_monotonic_us() + COMMIT_TIMEOUT_MS * INT64_C(1000);
    for (;;) {
        FAILPOINT("replay.before_commit");
        rd_kafka_error_t *error = rd_kafka_commit_transaction(l->producer, TIMEOUT_MS);
        FAILPOINT("replay.committed");
        bool retry = error && rd_kafka_error_is_retriable(error);
        *again = error && rd_kafka_error_txn_requires_abort(error);
        int rc = take_error(l, error, "commit the transaction", e);
        if (!rc || !retry || clock_monotonic_us() > until_us)
            return rc;
    }
}

/* Whether it is over and nothing of it is in the log. */
static int abort_it(struct replay_log *l, struct err *e)
{
    for (;;) {
        FAILPOINT("replay.before_abort");
        rd_kafka_error_t *error = rd_kafka_abort_transaction(l->producer, COMMIT_TIMEOUT_MS);
        FAILPOINT("replay.aborted");
        bool retry = error && rd_kafka_error_is_retriable(error);
        int rc = take_error(l, error, "abort the transaction", e);
        if (!rc || !retry || ctl_stopping())
            return rc;
        clock_sleep_ms(RETRY_MS);
    }
}

/* *again: nothing was written, and it may be tried once more. */
static int try_once(struct replay_log *l, struct replay_item *items, size_t n, bool *again,
                    struct err *e)
{
    struct err why = {0};
    *again = false;
    l->undelivered = RD_KAFKA_RESP_ERR_NO_ERROR;
    l->refused = 0;
    FAILPOINT("replay.before_begin");
    int rc = take_error(l, rd_kafka_begin_transaction(l->producer), "begin a transaction", e);
    FAILPOINT("replay.begun");
    if (rc)
        return rc;
    for (size_t i = 0; i < n && !rc; i++) {
        items[i].target_offset = -1;
        if (items[i].send && !items[i].taken)
            rc = produce(l, &items[i], &why);
    }
    FAILPOINT("replay.records_produced");
    int flushed = flush(l, rc ? NULL : &why);
    FAILPOINT("replay.flushed");
    rc = rc ? rc : flushed;
    if (!rc && !l->refused)
        rc = commit(l, again, &why);
    else
        *again = rc != ERR_FENCED;
    if (*again) {
        if (abort_it(l, e))
            return e->code;
        if (!rc) /* without those that were refused */
            rc = err_set(&why, ERR_ABORTED, "a record was refused");
    }
    if (rc && e)
        *e = why;
    return rc;
}

int replay_log_send(struct replay_log *l, struct replay_item *items, size_t n, struct err *e)
{
    bool again = true;
    int rc = 0;
    for (int tries = 0; again && tries < MOST_TRIES; tries += l->refused == 0) {
        rc = try_once(l, items, n, &again, e);
        if (!rc)
            return 0;
        if (again && !l->refused)
            clock_sleep_ms(RETRY_MS);
    }
    return rc;
}

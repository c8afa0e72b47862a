#include "stream/committer.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "stream/headers.h"
#include "stream/kafka.h"
#include "stream/starved.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { CALL_TIMEOUT_MS = 10000, RETRY_MS = 100, ASK_TIMEOUT_MS = 1000, MAX_TOPICS = 16 };

struct committer {
    rd_kafka_t *producer;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum commit_state state; /* the rest below is guarded by lock */
    bool stop;
    struct err error;
    struct outbox outboxes[2];
    int filling; /* the one the processing thread has; the other one is under way */
    struct metric *epochs, *records, *aborted, *rejected;
    struct histogram *seconds;
};

/* ------------------------------------------------------------ one transaction */

enum outcome { OUTCOME_DONE, OUTCOME_AGAIN, OUTCOME_REJECTED, OUTCOME_FAILED };

/* What an error of a transactional call means; takes it. */
static enum outcome outcome_of(rd_kafka_error_t *error, const char *what, struct err *e)
{
    if (!error)
        return OUTCOME_DONE;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    enum outcome o = OUTCOME_AGAIN;
    err_set(e, ERR_ABORTED, "%s: %s: %s%s", what, rd_kafka_err2name(code),
            rd_kafka_error_string(error), kafka_advice(code));
    switch (code) {
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
        o = OUTCOME_REJECTED;
        break;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        err_set(e, ERR_FATAL,
                "%s: a record, or a batch of records (at most kafka.batch.size bytes), is larger "
                "than its topic's max.message.bytes; the line before names the topic: run "
                "`flotilla topics check`",
                what);
        o = OUTCOME_FAILED;
        break;
    default:
        if (rd_kafka_error_is_fatal(error))
            o = OUTCOME_FAILED;
    }
    rd_kafka_error_destroy(error);
    return o;
}

/* A call that is made again while librdkafka says that it may be; not without a thread that could
 * make it. */
#define RETRIED(error, call)                                                                       \
    do {                                                                                           \
        (error) = (call);                                                                          \
        if (!(error) || !rd_kafka_error_is_retriable(error) || starved_check(NULL))                \
            break;                                                                                 \
        LOG_WARN("transaction_retry", LOG_TEXT("error", rd_kafka_error_string(error)));            \
        rd_kafka_error_destroy(error);                                                             \
        clock_sleep_ms(RETRY_MS);                                                                  \
    } while (1)

static int produce(struct committer *c, const struct outbox *o, const struct outbox_record *r,
                   struct err *e)
{
    const uint8_t *bytes = o->bytes.data;
    rd_kafka_headers_t *headers = NULL;
    int rc = headers_list(&headers, str_bytes(bytes + r->headers_at, r->headers_len), e);
    if (rc)
        return err_set(e, ERR_FATAL, "a record for %s: %s", r->topic,
                       rc == ERR_NOMEM ? "out of memory" : "its headers are damaged");
    for (;;) {
        rd_kafka_vu_t fields[] = {
            {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = r->topic},
            {.vtype = RD_KAFKA_VTYPE_PARTITION,
             .u.i32 = r->partition == OUTBOX_ANY_PARTITION ? RD_KAFKA_PARTITION_UA : r->partition},
            {.vtype = RD_KAFKA_VTYPE_KEY,
             .u.mem = {r->has_key ? (void *)(uintptr_t)(bytes + r->key_at) : NULL, r->key_len}},
            {.vtype = RD_KAFKA_VTYPE_VALUE,
             .u.mem = {(void *)(uintptr_t)(bytes + r->value_at), r->value_len}},
            {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        };
        /* Not copied: the outbox outlives the transaction. Headers are the producer's once it has
         * the record. */
        FAILPOINT("committer.before_record");
        rd_kafka_error_t *error =
            rd_kafka_produceva(c->producer, fields, sizeof fields / sizeof *fields);
        FAILPOINT("committer.record_produced");
        if (!error)
            return 0;
        rd_kafka_resp_err_t code = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            rd_kafka_poll(c->producer, 10);
            continue;
        }
        if (headers)
            rd_kafka_headers_destroy(headers);
        if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            return err_set(
                e, ERR_FATAL,
                "a record of %zu bytes for %s is larger than kafka.message.max.bytes allows",
                r->key_len + r->value_len, r->topic);
        return err_set(e, ERR_ABORTED, "produce to %s: %s%s", r->topic, rd_kafka_err2str(code),
                       kafka_advice(code));
    }
}

static enum outcome abort_it(struct committer *c, enum outcome because, struct err *e)
{
    rd_kafka_error_t *error;
    metric_add(c->aborted, 1);
    LOG_WARN("transaction_aborted", LOG_ERR(e));
    FAILPOINT("committer.before_abort");
    RETRIED(error, rd_kafka_abort_transaction(c->producer, -1));
    FAILPOINT("committer.aborted");
    struct err why = {0};
    enum outcome o = outcome_of(error, "abort transaction", &why);
    if (o == OUTCOME_DONE)
        return because;
    *e = why;
    return OUTCOME_FAILED;
}

/* Records for a topic that was deleted just time out: what librdkafka does not say is asked for. */
static bool is_topic_missing(struct committer *c, const struct outbox *o, struct err *e)
{
    const char *asked[MAX_TOPICS] = {NULL};
    int topics = 0, partitions;
    for (size_t i = 0; i < outbox_count(o); i++) {
        const char *topic = outbox_record(o, i)->topic;
        int at = 0;
        while (at < topics && asked[at] != topic)
            at++;
        if (at < topics || topics == MAX_TOPICS)
            continue;
        asked[topics++] = topic;
        if (kafka_partition_count(c->producer, topic, ASK_TIMEOUT_MS, &partitions, e) ==
            ERR_NOT_FOUND)
            return true;
    }
    return false;
}

static enum outcome try_once(struct committer *c, struct outbox *o, struct err *e)
{
    FAILPOINT("committer.before_begin");
    rd_kafka_error_t *error = rd_kafka_begin_transaction(c->producer);
    FAILPOINT("committer.begun");
    if (error)
        return outcome_of(error, "begin transaction", e) == OUTCOME_AGAIN
                   ? abort_it(c, OUTCOME_AGAIN, e)
                   : OUTCOME_FAILED;
    for (size_t i = 0; i < outbox_count(o); i++) {
        int rc = produce(c, o, outbox_record(o, i), e);
        if (rc)
            return abort_it(c, rc == ERR_FATAL ? OUTCOME_FAILED : OUTCOME_AGAIN, e);
        if (i % 1000 == 0)
            rd_kafka_poll(c->producer, 0);
        FAILPOINT_WHEN(i == 0, "committer.first_produced");
        FAILPOINT_WHEN(i == outbox_count(o) / 2, "committer.half_produced");
    }
    FAILPOINT("committer.all_produced");
    enum outcome outcome = OUTCOME_DONE;
    if (o->offsets && o->offsets->cnt) {
        FAILPOINT("committer.before_offsets");
        RETRIED(error, rd_kafka_send_offsets_to_transaction(c->producer, o->offsets, o->group,
                                                            CALL_TIMEOUT_MS));
        FAILPOINT("committer.offsets_sent");
        outcome = outcome_of(error, "send offsets to transaction", e);
    }
    if (outcome == OUTCOME_DONE) {
        FAILPOINT("committer.before_commit");
        RETRIED(error, rd_kafka_commit_transaction(c->producer, CALL_TIMEOUT_MS));
        FAILPOINT("committer.committed");
        outcome = outcome_of(error, "commit transaction", e);
    }
    if (outcome == OUTCOME_AGAIN || outcome == OUTCOME_REJECTED)
        return abort_it(c, outcome, e);
    return outcome;
}

static enum commit_state write_epoch(struct committer *c, struct outbox *o, struct err *e)
{
    int64_t started_us = clock_monotonic_us();
    enum outcome outcome;
    while ((outcome = try_once(c, o, e)) == OUTCOME_AGAIN) {
        if (is_topic_missing(c, o, e))
            return COMMIT_FAILED;
        pthread_mutex_lock(&c->lock);
        bool stop = c->stop;
        pthread_mutex_unlock(&c->lock);
        if (stop)
            return COMMIT_REJECTED;
        clock_sleep_ms(RETRY_MS);
    }
    if (outcome == OUTCOME_REJECTED) {
        metric_add(c->rejected, 1);
        return COMMIT_REJECTED;
    }
    if (outcome == OUTCOME_FAILED)
        return COMMIT_FAILED;
    metric_add(c->epochs, 1);
    metric_add(c->records, (double)outbox_count(o));
    histogram_observe(c->seconds, (double)(clock_monotonic_us() - started_us) / 1e6);
    return COMMIT_DONE;
}

static void *run(void *arg)
{
    struct committer *c = arg;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (!c->stop && c->state != COMMIT_BUSY)
            pthread_cond_wait(&c->changed, &c->lock);
        if (c->state != COMMIT_BUSY)
            break;
        struct outbox *o = &c->outboxes[1 - c->filling];
        struct err e = {0};
        pthread_mutex_unlock(&c->lock);
        FAILPOINT("committer.epoch_taken");
        enum commit_state state = write_epoch(c, o, &e);
        FAILPOINT("committer.epoch_untold");
        pthread_mutex_lock(&c->lock);
        if (state != COMMIT_FAILED)
            outbox_reset(o); /* else the producer may hold its bytes until it is destroyed */
        c->state = state;
        c->error = e;
        pthread_cond_broadcast(&c->changed);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* ------------------------------------------------------------ for the processing thread */

static void make_metrics(struct committer *c, struct metrics *m)
{
    static const double bounds[] = {0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10};
    c->epochs = metric_get(m, METRIC_COUNTER, "flotilla_transaction_epochs_total",
                           "Epochs committed.", NULL, NULL);
    c->records = metric_get(m, METRIC_COUNTER, "flotilla_transaction_records_total",
                            "Records written in committed transactions.", NULL, NULL);
    c->aborted = metric_get(m, METRIC_COUNTER, "flotilla_transaction_aborts_total",
                            "Transactions aborted; their epochs are sent again.", NULL, NULL);
    c->rejected = metric_get(m, METRIC_COUNTER, "flotilla_transaction_rejected_epochs_total",
                             "Epochs dropped because their partitions had moved to another worker.",
                             NULL, NULL);
    c->seconds = metric_histogram(m, "flotilla_transaction_commit_seconds",
                                  "Time from handing an epoch over to its commit.", bounds,
                                  sizeof bounds / sizeof *bounds);
}

static int connect_producer(struct committer *c, const struct conf *conf, const char *client_id,
                            const char *transactional_id, struct err *e)
{
    rd_kafka_conf_t *k = NULL;
    int rc = kafka_conf_new(&k, conf, KAFKA_TRANSACTIONAL, e);
    if (rc)
        return rc;
    if ((rc = kafka_conf_put(k, "client.id", client_id, e)) ||
        (rc = kafka_conf_put(k, "transactional.id", transactional_id, e)) ||
        (rc = kafka_conf_put(k, "message.max.bytes", "16777216", e))) {
        rd_kafka_conf_destroy(k);
        return rc;
    }
    if ((rc = kafka_new(&c->producer, k, KAFKA_TRANSACTIONAL, e)))
        return rc;
    rd_kafka_error_t *error;
    FAILPOINT("committer.before_init");
    RETRIED(error, rd_kafka_init_transactions(c->producer, CALL_TIMEOUT_MS));
    FAILPOINT("committer.initialized");
    if (error) {
        rc = err_set(e, ERR_FATAL, "start transactions as %s: %s%s", transactional_id,
                     rd_kafka_error_string(error), kafka_advice(rd_kafka_error_code(error)));
        rd_kafka_error_destroy(error);
    }
    return rc;
}

int committer_new(struct committer **out, const struct conf *conf, const char *client_id,
                  const char *transactional_id, struct metrics *metrics, struct err *e)
{
    struct committer *c = calloc(1, sizeof *c);
    if (!c)
        return err_nomem(e);
    pthread_mutex_init(&c->lock, NULL);
    /* Not the time of day, which may be set back by hours. */
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &steady);
    pthread_condattr_destroy(&steady);
    make_metrics(c, metrics);
    int rc = connect_producer(c, conf, client_id, transactional_id, e);
    int why = rc ? 0 : pthread_create(&c->thread, NULL, run, c);
    if (why)
        rc = err_set(e, why == EAGAIN ? ERR_NOMEM : ERR_FATAL,
                     "cannot start the committing thread: %s", strerror(why));
    c->has_thread = !rc;
    if (rc)
        committer_free(c);
    else
        *out = c;
    return rc;
}

void committer_free(struct committer *c)
{
    if (!c)
        return;
    if (c->has_thread) {
        pthread_mutex_lock(&c->lock);
        c->stop = true;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
    }
    if (c->producer)
        rd_kafka_destroy(c->producer);
    outbox_free(&c->outboxes[0]);
    outbox_free(&c->outboxes[1]);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

struct outbox *committer_outbox(struct committer *c)
{
    return &c->outboxes[c->filling];
}

void committer_send(struct committer *c)
{
    pthread_mutex_lock(&c->lock);
    c->filling = 1 - c->filling;
    c->state = COMMIT_BUSY;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void wait_changed(struct committer *c, int wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    until.tv_sec += wait_ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (wait_ms < 0)
        pthread_cond_wait(&c->changed, &c->lock);
    else
        pthread_cond_timedwait(&c->changed, &c->lock, &until);
}

enum commit_state committer_poll(struct committer *c, int wait_ms, struct err *e)
{
    pthread_mutex_lock(&c->lock);
    if (wait_ms > 0 && c->state == COMMIT_BUSY)
        wait_changed(c, wait_ms);
    while (wait_ms < 0 && c->state == COMMIT_BUSY)
        wait_changed(c, wait_ms);
    enum commit_state state = c->state;
    if (state == COMMIT_FAILED)
        err_set(e, ERR_FATAL, "%s", c->error.msg);
    else if (state == COMMIT_DONE || state == COMMIT_REJECTED)
        c->state = COMMIT_IDLE;
    pthread_mutex_unlock(&c->lock);
    return state;
}

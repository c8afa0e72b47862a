/*
 * A bare exactly-once copy of a topic: what the features worker is measured against. Bytes go from
 * one topic to the same partition of another, offsets in the transaction, and nothing is done with
 * them. The clients have the worker's settings (stream/kafka.h).
 *
 *   copy BROKERS FROM TO GROUP COMMIT_MS      prints "ready" once it has partitions; until SIGTERM
 *
 * It is meant to be as cheap as librdkafka lets it be: records are taken and handed on in batches,
 * and not copied on the way; what was fetched is held until its transaction is committed. A failure
 * of any kind ends it with status 1.
 */
#include "base/clock.h"
#include "stream/kafka.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 10000, WAIT_MS = 10, CALL_TIMEOUT_MS = 60000, MAX_PARTITIONS = 64 };

struct copy {
    rd_kafka_t *in, *out;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *to;
    const char *from;
    rd_kafka_message_t **held; /* records of the open transaction */
    size_t count, capacity;
    rd_kafka_message_t batch[BATCH];
    int64_t next[MAX_PARTITIONS]; /* the offset behind the last record; 0: none was read */
};

static volatile sig_atomic_t stopping;

static void on_signal(int signal_number)
{
    stopping = signal_number;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "copy: %s: %s\n", what, why);
    exit(1);
}

static void expect(rd_kafka_error_t *error, const char *what)
{
    if (error)
        fail(what, rd_kafka_error_string(error));
}

static void expect_ok(int rc, const struct err *e)
{
    if (rc)
        fail("prepare", e->msg);
}

/* ------------------------------------------------------------ clients */

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *arg)
{
    (void)arg;
    bool given = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (given && puts("ready") >= 0)
        fflush(stdout);
    rd_kafka_assign(rk, given ? list : NULL);
}

static void make_consumer(struct copy *c, const struct conf *conf, const char *group)
{
    rd_kafka_conf_t *k;
    struct err e = {0};
    expect_ok(kafka_conf_new(&k, conf, KAFKA_CONSUMER, &e), &e);
    expect_ok(kafka_conf_put(k, "group.id", group, &e), &e);
    expect_ok(kafka_conf_put(k, "auto.offset.reset", "earliest", &e), &e);
    rd_kafka_conf_set_rebalance_cb(k, on_rebalance);
    expect_ok(kafka_new(&c->in, k, KAFKA_CONSUMER, &e), &e);
    c->queue = rd_kafka_queue_get_consumer(c->in);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, c->from, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(c->in, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code)
        fail("subscribe", rd_kafka_err2str(code));
}

static void make_producer(struct copy *c, const struct conf *conf, const char *id, const char *to)
{
    rd_kafka_conf_t *k;
    struct err e = {0};
    expect_ok(kafka_conf_new(&k, conf, KAFKA_TRANSACTIONAL, &e), &e);
    expect_ok(kafka_conf_put(k, "transactional.id", id, &e), &e);
    expect_ok(kafka_new(&c->out, k, KAFKA_TRANSACTIONAL, &e), &e);
    expect(rd_kafka_init_transactions(c->out, CALL_TIMEOUT_MS), "start transactions");
    c->to = rd_kafka_topic_new(c->out, to, NULL);
}

/* ------------------------------------------------------------ one transaction */

/* Hands n records on; those for which the queue was full wait until there is room. */
static void produce(struct copy *c, int n)
{
    while (n) {
        int left = 0;
        if (rd_kafka_produce_batch(c->to, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_PARTITION, c->batch,
                                   n) == n)
            return;
        for (int i = 0; i < n; i++) {
            if (c->batch[i].err && c->batch[i].err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                fail("produce", rd_kafka_err2str(c->batch[i].err));
            if (c->batch[i].err)
                c->batch[left++] = c->batch[i];
        }
        n = left;
        rd_kafka_poll(c->out, WAIT_MS);
    }
}

/* Takes what is there, at most a batch; waits for the first. */
static void copy_batch(struct copy *c)
{
    int n = 0;
    if (c->capacity - c->count < BATCH) {
        c->capacity = 2 * c->capacity + BATCH;
        c->held = realloc(c->held, c->capacity * sizeof *c->held);
        if (!c->held)
            fail("hold records", "out of memory");
    }
    rd_kafka_message_t **first = c->held + c->count;
    ssize_t taken = rd_kafka_consume_batch_queue(c->queue, WAIT_MS, first, BATCH);
    for (ssize_t i = 0; i < taken; i++) {
        const rd_kafka_message_t *m = first[i];
        if (m->err)
            fail("read", rd_kafka_message_errstr(m));
        if (m->partition >= MAX_PARTITIONS)
            fail("read", "too many partitions");
        c->batch[n++] = (rd_kafka_message_t){.partition = m->partition,
                                             .payload = m->payload,
                                             .len = m->len,
                                             .key = m->key,
                                             .key_len = m->key_len};
        c->next[m->partition] = m->offset + 1;
    }
    c->count += (size_t)n;
    produce(c, n);
}

static void send_offsets(struct copy *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(MAX_PARTITIONS);
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(c->in);
    for (int i = 0; i < MAX_PARTITIONS; i++)
        if (c->next[i])
            rd_kafka_topic_partition_list_add(list, c->from, i)->offset = c->next[i];
    expect(rd_kafka_send_offsets_to_transaction(c->out, list, group, CALL_TIMEOUT_MS),
           "send offsets");
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(list);
}

static void copy_transaction(struct copy *c, int64_t commit_us)
{
    int64_t started_us = clock_monotonic_us();
    expect(rd_kafka_begin_transaction(c->out), "begin a transaction");
    while (!stopping && clock_monotonic_us() - started_us < commit_us)
        copy_batch(c);
    if (c->count)
        send_offsets(c);
    expect(rd_kafka_commit_transaction(c->out, CALL_TIMEOUT_MS), "commit a transaction");
    for (size_t i = 0; i < c->count; i++)
        rd_kafka_message_destroy(c->held[i]);
    c->count = 0;
}

int main(int argc, char **argv)
{
    static struct copy c;
    struct conf *conf;
    struct err e = {0};
    char brokers[256];
    if (argc != 6)
        fail("usage", "copy BROKERS FROM TO GROUP COMMIT_MS");
    signal(SIGTERM, on_signal);
    c.from = argv[2];
    snprintf(brokers, sizeof brokers, "kafka.brokers=%s", argv[1]);
    expect_ok(conf_new(&conf, &e), &e);
    expect_ok(conf_set(conf, brokers, &e), &e);
    make_producer(&c, conf, argv[4], argv[3]);
    make_consumer(&c, conf, argv[4]);
    while (!stopping)
        copy_transaction(&c, atol(argv[5]) * 1000);
    rd_kafka_queue_destroy(c.queue);
    rd_kafka_consumer_close(c.in);
    rd_kafka_destroy(c.in);
    rd_kafka_topic_destroy(c.to);
    rd_kafka_destroy(c.out);
    free(c.held);
    conf_free(conf);
    return 0;
}

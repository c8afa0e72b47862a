/*
 * Events of bench-A at a rate, and how long it takes until they have become values.
 *
 *   pace BROKERS TOPIC FILE RATE SECONDS [FEATURES]
 *
 * FILE is what bench-A's generator writes: for each event its partition, the lengths of its key and
 * value (1, 1 and 2 bytes, little-endian), key, value. No event is sent twice, so the file has to
 * last.
 *
 * With FEATURES, the topic of values, 100 tracers a second go along: clicks of a user and on a
 * proposition that nobody else has. From what Kafka has for a tracer's timestamp to the instant at
 * which the values of its user, or of its proposition, can be read as committed is its latency. The
 * first two seconds do not count: what starts is not what runs.
 *
 * Prints {"sent", "seconds", "late_ms"} (late_ms: how far it was behind the rate, at most) and with
 * FEATURES also {"user": {"count", "p50_ms", "p99_ms", "max_ms"}, "proposition": {…}}. Ends with
 * status 1 and says why if something fails, or a value does not come within 20 s.
 */
#include "base/clock.h"
#include "base/file.h"
#include "serde/codec.h"
#include "stream/kafka.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TRACERS_A_SECOND = 100,
    WARM_UP_MS = 2000,
    WAIT_MS = 20000,
    CALL_TIMEOUT_MS = 10000,
    BATCH = 10000,
};

struct tracer {
    int64_t sent_us;
    int64_t seen_us[2]; /* the user's values, the proposition's; 0: not yet */
};

struct pace {
    const char *topic;
    rd_kafka_t *out, *in; /* in: NULL where nobody asks for latencies */
    rd_kafka_topic_t *to;
    rd_kafka_queue_t *queue;
    struct codec *codec;
    struct buf file, bytes;
    struct cursor left; /* of the file */
    double rate;
    int64_t started_us, ends_us, late_us;
    long sent;
    struct tracer *tracers;
    size_t tracer_count, tracer_capacity, seen; /* seen: values */
    rd_kafka_message_t *batch[BATCH];
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "pace: %s: %s\n", what, why);
    exit(1);
}

static void expect(int rc, const struct err *e)
{
    if (rc)
        fail("prepare", e->msg);
}

/* ------------------------------------------------------------ clients */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    (void)rk, (void)arg;
    if (m->err)
        fail("deliver", rd_kafka_err2str(m->err));
}

static void make_producer(struct pace *p, const struct conf *conf)
{
    rd_kafka_conf_t *k;
    struct err e = {0};
    expect(kafka_conf_new(&k, conf, KAFKA_PRODUCER, &e), &e);
    expect(kafka_conf_put(k, "linger.ms", "1", &e), &e);
    rd_kafka_conf_set_dr_msg_cb(k, on_delivery);
    expect(kafka_new(&p->out, k, KAFKA_PRODUCER, &e), &e);
    p->to = rd_kafka_topic_new(p->out, p->topic, NULL);
}

/* Reads all partitions of a topic from their ends, committed records only. */
static void make_consumer(struct pace *p, const struct conf *conf, const char *topic)
{
    rd_kafka_conf_t *k;
    struct err e = {0};
    int count;
    expect(kafka_conf_new(&k, conf, KAFKA_CONSUMER, &e), &e);
    expect(kafka_conf_put(k, "group.id", "pace", &e), &e);
    expect(kafka_new(&p->in, k, KAFKA_CONSUMER, &e), &e);
    expect(kafka_partition_count(p->in, topic, CALL_TIMEOUT_MS, &count, &e), &e);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++) {
        int64_t first, end;
        expect(kafka_offsets(p->in, topic, i, CALL_TIMEOUT_MS, &first, &end, &e), &e);
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = end;
    }
    rd_kafka_assign(p->in, list);
    rd_kafka_topic_partition_list_destroy(list);
    p->queue = rd_kafka_queue_get_consumer(p->in);
}

/* ------------------------------------------------------------ out */

static void put(struct pace *p, struct str key, struct str value)
{
    while (rd_kafka_produce(p->to, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                            (void *)(uintptr_t)value.data, value.len, key.data, key.len, NULL)) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail("send", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(p->out, 1);
    }
    p->sent++;
}

static void send_event(struct pace *p)
{
    const uint8_t *head = cursor_take(&p->left, 4);
    if (!head)
        fail("read", "the file has too few events for so many seconds at this rate");
    struct str key = cursor_str(&p->left, head[1]);
    struct str value = cursor_str(&p->left, (uint64_t)head[2] | (uint64_t)head[3] << 8);
    if (p->left.bad)
        fail("read", "the file is cut short");
    put(p, key, value);
}

static void send_tracer(struct pace *p)
{
    char user[32], proposition[32];
    if (p->tracer_count == p->tracer_capacity)
        fail("trace", "more tracers than expected");
    snprintf(user, sizeof user, "tracer-u%zu", p->tracer_count);
    snprintf(proposition, sizeof proposition, "tracer-p%zu", p->tracer_count);
    struct str listed = str_of(proposition);
    struct event event = {.event_id = str_of(user),
                          .event = str_of("click"),
                          .user_id = str_of(user),
                          .timestamp = clock_now_ms(),
                          .propositions = {&listed, 1}};
    buf_reset(&p->bytes);
    codec_encode(p->codec, &p->bytes, p->topic, &event_type, &event);
    if (!buf_ok(&p->bytes))
        fail("trace", "out of memory");
    p->tracers[p->tracer_count++].sent_us = clock_monotonic_us();
    put(p, event.user_id, buf_str(&p->bytes));
}

/* Sends what is due. */
static void send_due(struct pace *p)
{
    int64_t now_us = clock_monotonic_us();
    double s = (double)(now_us - p->started_us) / 1e6;
    if ((double)p->sent < s * p->rate) {
        int64_t late_us = now_us - p->started_us - (int64_t)((double)p->sent / p->rate * 1e6);
        p->late_us = late_us > p->late_us ? late_us : p->late_us;
    }
    while ((double)p->sent < s * p->rate) {
        if (p->in && (double)p->tracer_count < s * TRACERS_A_SECOND)
            send_tracer(p);
        else
            send_event(p);
    }
    rd_kafka_poll(p->out, 0);
}

/* ------------------------------------------------------------ in */

static void look_at(struct pace *p, const rd_kafka_message_t *m, int64_t now_us)
{
    static const char prefix[] = "tracer-";
    struct str key = {m->key, m->key_len};
    size_t at = sizeof prefix; /* behind the letter that tells user and proposition apart */
    unsigned long number = 0;
    if (key.len <= at || memcmp(key.data, prefix, at - 1) != 0)
        return;
    int which = key.data[at - 1] == 'u' ? 0 : 1;
    for (; at < key.len && key.data[at] >= '0' && key.data[at] <= '9'; at++)
        number = number * 10 + (unsigned long)(key.data[at] - '0');
    if (number >= p->tracer_count || p->tracers[number].seen_us[which])
        return;
    p->tracers[number].seen_us[which] = now_us;
    p->seen++;
}

static void receive(struct pace *p, int wait_ms)
{
    ssize_t n = rd_kafka_consume_batch_queue(p->queue, wait_ms, p->batch, BATCH);
    int64_t now_us = clock_monotonic_us();
    for (ssize_t i = 0; i < n; i++) {
        if (p->batch[i]->err)
            fail("read", rd_kafka_message_errstr(p->batch[i]));
        look_at(p, p->batch[i], now_us);
        rd_kafka_message_destroy(p->batch[i]);
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_latencies(const struct pace *p, const char *name, int which)
{
    double *ms = calloc(p->tracer_count + 1, sizeof *ms);
    size_t n = 0;
    if (!ms)
        fail("sort", "out of memory");
    for (size_t i = 0; i < p->tracer_count; i++) {
        const struct tracer *t = &p->tracers[i];
        if (t->sent_us - p->started_us >= WARM_UP_MS * 1000)
            ms[n++] = (double)(t->seen_us[which] - t->sent_us) / 1e3;
    }
    if (!n)
        fail("sort", "there was no tracer after the first seconds");
    qsort(ms, n, sizeof *ms, by_size);
    printf(", \"%s\": {\"count\": %zu, \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"max_ms\": %.1f}", name,
           n, ms[n / 2], ms[n * 99 / 100], ms[n - 1]);
    free(ms);
}

/* ------------------------------------------------------------ all of it */

static void run(struct pace *p)
{
    while (clock_monotonic_us() < p->ends_us) {
        send_due(p);
        if (p->in)
            receive(p, 1);
        else
            clock_sleep_ms(1);
    }
    if (rd_kafka_flush(p->out, CALL_TIMEOUT_MS))
        fail("send", "events are not acknowledged");
    int64_t until_us = clock_monotonic_us() + (int64_t)WAIT_MS * 1000;
    while (p->in && p->seen < 2 * p->tracer_count) {
        receive(p, 10);
        if (clock_monotonic_us() > until_us)
            fail("wait", "values are missing");
    }
}

static void prepare(struct pace *p, char **argv, const char *features)
{
    struct conf *conf;
    struct err e = {0};
    char brokers[256];
    double seconds = atof(argv[5]);
    snprintf(brokers, sizeof brokers, "kafka.brokers=%s", argv[1]);
    expect(conf_new(&conf, &e), &e);
    expect(conf_set(conf, brokers, &e), &e);
    expect(codec_new(&p->codec, NULL, NULL, &e), &e);
    expect(file_read(&p->file, argv[3], SIZE_MAX / 2, &e), &e);
    p->topic = argv[2];
    p->left = cursor_of(p->file.data, p->file.len);
    p->rate = atof(argv[4]);
    p->tracer_capacity = (size_t)((seconds + 1) * TRACERS_A_SECOND);
    p->tracers = calloc(p->tracer_capacity, sizeof *p->tracers);
    if (!p->tracers)
        fail("prepare", "out of memory");
    make_producer(p, conf);
    if (features)
        make_consumer(p, conf, features);
    conf_free(conf);
    p->started_us = clock_monotonic_us();
    p->ends_us = p->started_us + (int64_t)(seconds * 1e6);
}

static void finish(struct pace *p)
{
    if (p->in) {
        rd_kafka_queue_destroy(p->queue);
        rd_kafka_consumer_close(p->in);
        rd_kafka_destroy(p->in);
    }
    rd_kafka_topic_destroy(p->to);
    rd_kafka_destroy(p->out);
    codec_free(p->codec);
    buf_free(&p->file);
    buf_free(&p->bytes);
    free(p->tracers);
}

int main(int argc, char **argv)
{
    static struct pace p;
    if ((argc != 6 && argc != 7) || atof(argv[4]) <= 0)
        fail("usage", "pace BROKERS TOPIC FILE RATE SECONDS [FEATURES]");
    prepare(&p, argv, argc == 7 ? argv[6] : NULL);
    run(&p);
    printf("{\"sent\": %ld, \"seconds\": %.3f, \"late_ms\": %.1f", p.sent,
           (double)(p.ends_us - p.started_us) / 1e6, (double)p.late_us / 1e3);
    if (p.in) {
        print_latencies(&p, "user", 0);
        print_latencies(&p, "proposition", 1);
    }
    printf("}\n");
    finish(&p);
    return 0;
}

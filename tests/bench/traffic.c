/*
 * Traffic for the benchmarks of the ranker: requests at a rate or as fast as can be, a bare echo,
 * and what came back when. Records are read from a file that ranker.py writes: for each the lengths
 * of its key and value (4 bytes each, little-endian), then both. A value is in single-object
 * encoding and its first field a text, which is unique: the id by which an answer is known.
 *
 *   traffic send  BROKERS TOPIC FILE                  as fast as can be; waits for acknowledgements
 *   traffic fill  BROKERS TOPIC ANSWERS FILE          as fast as can be; waits for all answers
 *   traffic pace  BROKERS TOPIC ANSWERS FILE RATE     RATE a second; latencies
 *   traffic click BROKERS TOPIC ANSWERS FILE EVENTS EVENT_FILE COUNT
 *                                                      event, its ack, request, answer; one by one
 *   traffic echo  BROKERS TOPIC ANSWERS               copies until SIGTERM
 *
 * Prints one line of numbers: see ranker.py. Ends with status 1 and says why if something fails.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/table.h"

#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { HEADER_BYTES = 10, WAIT_MS = 60000, MAX_PARTITIONS = 64 };

static volatile sig_atomic_t stopping;

static void on_signal(int signal_number)
{
    stopping = signal_number;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "traffic: %s: %s\n", what, why);
    exit(1);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    (void)rk, (void)arg;
    if (m->err)
        fail("deliver", rd_kafka_err2str(m->err));
    if (m->_private)
        *(int64_t *)m->_private = clock_monotonic_us();
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *brokers)
{
    static const char *const producer[] = {
        "linger.ms",        "0",   "partitioner", "murmur2_random", "enable.idempotence", "true",
        "compression.type", "lz4", NULL};
    static const char *const consumer[] = {"group.id",
                                           "traffic",
                                           "enable.auto.commit",
                                           "false",
                                           "queued.min.messages",
                                           "1000000",
                                           "fetch.wait.max.ms",
                                           "100",
                                           NULL};
    char why[512];
    rd_kafka_conf_t *k = rd_kafka_conf_new();
    const char *const *list = type == RD_KAFKA_PRODUCER ? producer : consumer;
    rd_kafka_conf_set(k, "bootstrap.servers", brokers, why, sizeof why);
    for (; *list; list += 2)
        if (rd_kafka_conf_set(k, list[0], list[1], why, sizeof why))
            fail("configure", why);
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(k, on_delivery);
    rd_kafka_t *rk = rd_kafka_new(type, k, why, sizeof why);
    if (!rk)
        fail("connect", why);
    return rk;
}

/* Reads all partitions of a topic from their ends; ready when every end is known. */
static rd_kafka_t *reader(const char *brokers, const char *topic)
{
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, brokers);
    const struct rd_kafka_metadata *m;
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    if (rd_kafka_metadata(rk, 0, t, &m, 10000))
        fail("metadata", topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(MAX_PARTITIONS);
    for (int i = 0; i < m->topics[0].partition_cnt; i++) {
        int64_t low, high = 0;
        rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__FAIL;
        /* A client that has just connected may not know yet whom to ask. */
        for (int attempt = 0; code && attempt < 20; attempt++) {
            if (attempt)
                clock_sleep_ms(200);
            code = rd_kafka_query_watermark_offsets(rk, topic, i, &low, &high, 10000);
        }
        if (code)
            fail("find the end", rd_kafka_err2str(code));
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = high;
    }
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(m);
    rd_kafka_topic_destroy(t);
    return rk;
}

static void close_reader(rd_kafka_t *rk)
{
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

/* ------------------------------------------------------------ records */

struct record {
    struct str key, value, id;
    int64_t sent_us, answered_us;
};

struct records {
    struct buf bytes;
    struct record *items;
    size_t count;
    struct table *ids; /* to numbers */
};

static struct str id_of(struct str value)
{
    struct cursor c = cursor_of(value.data, value.len);
    cursor_take(&c, HEADER_BYTES);
    int64_t n = cursor_zigzag(&c);
    return n < 0 ? (struct str){"", 0} : cursor_str(&c, (uint64_t)n);
}

static uint32_t cursor_u32(struct cursor *c)
{
    const uint8_t *b = cursor_take(c, 4);
    uint32_t v = 0;
    if (b)
        memcpy(&v, b, 4);
    return v;
}

static struct records load(const char *path)
{
    struct records r = {.ids = table_new()};
    struct err e = {0};
    if (file_read(&r.bytes, path, SIZE_MAX / 2, &e))
        fail("read", e.msg);
    struct cursor c = cursor_of(r.bytes.data, r.bytes.len);
    size_t cap = 0;
    while (cursor_left(&c) && !c.bad) {
        if (r.count == cap) {
            cap = cap ? 2 * cap : 1024;
            r.items = realloc(r.items, cap * sizeof *r.items);
        }
        uint32_t key = cursor_u32(&c), value = cursor_u32(&c);
        struct record one = {.key = cursor_str(&c, key), .value = cursor_str(&c, value)};
        one.id = id_of(one.value);
        uint32_t place = table_insert(r.ids, one.id);
        table_set_tag(table_get(r.ids, place), (int64_t)r.count);
        r.items[r.count++] = one;
    }
    if (c.bad || table_count(r.ids) != r.count)
        fail("read", "the file is damaged, or an id is there twice");
    return r;
}

static void put(rd_kafka_t *rk, rd_kafka_topic_t *t, const struct record *r, int64_t *acked_us)
{
    while (rd_kafka_produce(t, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                            (void *)(uintptr_t)r->value.data, r->value.len, r->key.data, r->key.len,
                            acked_us)) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(rk, 10);
    }
}

/* Takes answers that are there; returns how many were first ones. */
static size_t take(rd_kafka_t *rk, struct records *r, int wait_ms)
{
    size_t count = 0;
    for (rd_kafka_message_t *m; (m = rd_kafka_consumer_poll(rk, wait_ms)); wait_ms = 0) {
        if (!m->err) {
            uint32_t place = table_find(r->ids, id_of((struct str){m->payload, m->len}));
            struct record *one =
                place == TABLE_NONE ? NULL : &r->items[table_tag(table_get(r->ids, place))];
            if (one && !one->answered_us) {
                one->answered_us = clock_monotonic_us();
                count++;
            }
        }
        rd_kafka_message_destroy(m);
    }
    return count;
}

/* ------------------------------------------------------------ modes */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* {"count", "p50_ms", "p99_ms", "max_ms"} of latencies in ms. */
static void print_latencies(double *ms, size_t n, double seconds)
{
    qsort(ms, n, sizeof *ms, by_size);
    printf("{\"count\": %zu, \"seconds\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": "
           "%.3f}\n",
           n, seconds, ms[n / 2], ms[n * 99 / 100], ms[n - 1]);
}

static void send_all(const char *brokers, const char *topic, const char *answers, const char *file,
                     double rate)
{
    struct records r = load(file);
    rd_kafka_t *in = reader(brokers, answers), *out = client(RD_KAFKA_PRODUCER, brokers);
    rd_kafka_topic_t *t = rd_kafka_topic_new(out, topic, NULL);
    double *ms = calloc(r.count + 1, sizeof *ms);
    size_t answered = 0;
    take(in, &r, 1000);
    int64_t start_us = clock_monotonic_us();
    for (size_t i = 0; i < r.count;) {
        int64_t now_us = clock_monotonic_us();
        size_t due = rate > 0 ? (size_t)((double)(now_us - start_us) / 1e6 * rate) : r.count;
        for (; i < r.count && i < due; i++) {
            r.items[i].sent_us = clock_monotonic_us();
            put(out, t, &r.items[i], NULL);
            if (rate <= 0 && i % 1000 == 0)
                answered += take(in, &r, 0);
        }
        rd_kafka_poll(out, 0);
        answered += take(in, &r, 1);
    }
    for (int64_t end_us = clock_monotonic_us() + WAIT_MS * (int64_t)1000; answered < r.count;) {
        rd_kafka_poll(out, 0);
        answered += take(in, &r, 10);
        if (clock_monotonic_us() > end_us)
            fail("wait", "answers are missing");
    }
    double seconds = (double)(clock_monotonic_us() - start_us) / 1e6;
    for (size_t i = 0; i < r.count; i++)
        ms[i] = (double)(r.items[i].answered_us - r.items[i].sent_us) / 1e3;
    /* What starts is not what runs: the first tenth is left out. */
    size_t skip = rate > 0 ? r.count / 10 : 0;
    print_latencies(ms + skip, r.count - skip, seconds);
    rd_kafka_topic_destroy(t);
    rd_kafka_flush(out, 1000);
    rd_kafka_destroy(out);
    close_reader(in);
}

static void send_only(const char *brokers, const char *topic, const char *file)
{
    struct records r = load(file);
    rd_kafka_t *out = client(RD_KAFKA_PRODUCER, brokers);
    rd_kafka_topic_t *t = rd_kafka_topic_new(out, topic, NULL);
    for (size_t i = 0; i < r.count; i++) {
        put(out, t, &r.items[i], NULL);
        if (i % 1000 == 0)
            rd_kafka_poll(out, 0);
    }
    if (rd_kafka_flush(out, WAIT_MS))
        fail("send", "records are not acknowledged");
    printf("{\"count\": %zu}\n", r.count);
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(out);
}

static void click(const char *brokers, const char *topic, const char *answers, const char *file,
                  const char *events, const char *event_file, size_t count)
{
    struct records r = load(file), e = load(event_file);
    rd_kafka_t *in = reader(brokers, answers), *out = client(RD_KAFKA_PRODUCER, brokers);
    rd_kafka_topic_t *requests = rd_kafka_topic_new(out, topic, NULL),
                     *log = rd_kafka_topic_new(out, events, NULL);
    double *ms = calloc(count + 1, sizeof *ms);
    int64_t start_us = clock_monotonic_us();
    take(in, &r, 1000);
    for (size_t i = 0; i < count && i < r.count && i < e.count; i++) {
        int64_t acked_us = 0, clicked_us = clock_monotonic_us();
        put(out, log, &e.items[i], &acked_us);
        while (!acked_us)
            rd_kafka_poll(out, 1);
        put(out, requests, &r.items[i], NULL);
        while (!r.items[i].answered_us) {
            take(in, &r, 10);
            rd_kafka_poll(out, 0);
            if (clock_monotonic_us() > clicked_us + WAIT_MS * (int64_t)1000)
                fail("wait", "an answer is missing");
        }
        ms[i] = (double)(r.items[i].answered_us - clicked_us) / 1e3;
    }
    size_t skip = count / 10;
    print_latencies(ms + skip, count - skip, (double)(clock_monotonic_us() - start_us) / 1e6);
    rd_kafka_topic_destroy(requests);
    rd_kafka_topic_destroy(log);
    rd_kafka_flush(out, 1000);
    rd_kafka_destroy(out);
    close_reader(in);
}

static void echo(const char *brokers, const char *topic, const char *answers)
{
    rd_kafka_t *in = reader(brokers, topic), *out = client(RD_KAFKA_PRODUCER, brokers);
    rd_kafka_topic_t *t = rd_kafka_topic_new(out, answers, NULL);
    size_t count = 0;
    printf("ready\n");
    fflush(stdout);
    while (!stopping) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(in, 5);
        if (m && !m->err) {
            struct record r = {.key = {m->key, m->key_len}, .value = {m->payload, m->len}};
            put(out, t, &r, NULL);
            count++;
        }
        if (m)
            rd_kafka_message_destroy(m);
        if (!m || count % 100 == 0)
            rd_kafka_poll(out, 0);
    }
    struct rusage u;
    rd_kafka_flush(out, 10000);
    getrusage(RUSAGE_SELF, &u);
    printf("{\"count\": %zu, \"cpu_s\": %.3f}\n", count,
           (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(out);
    close_reader(in);
}

int main(int argc, char **argv)
{
    signal(SIGTERM, on_signal);
    if (argc == 6 && strcmp(argv[1], "fill") == 0)
        send_all(argv[2], argv[3], argv[4], argv[5], 0);
    else if (argc == 7 && strcmp(argv[1], "pace") == 0)
        send_all(argv[2], argv[3], argv[4], argv[5], atof(argv[6]));
    else if (argc == 9 && strcmp(argv[1], "click") == 0)
        click(argv[2], argv[3], argv[4], argv[5], argv[6], argv[7], (size_t)atol(argv[8]));
    else if (argc == 5 && strcmp(argv[1], "echo") == 0)
        echo(argv[2], argv[3], argv[4]);
    else if (argc == 5 && strcmp(argv[1], "send") == 0)
        send_only(argv[2], argv[3], argv[4]);
    else
        fail("usage", "send, fill, pace, click or echo: see tests/bench/traffic.c");
    return 0;
}

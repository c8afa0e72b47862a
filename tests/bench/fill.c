/*
 * Events of a population of any size: first one event of each user, in order, so that all of them
 * are there; then events of users drawn uniformly. What they are is bench-A's mix: 70 % impressions
 * of five of 20,000 propositions (Zipf 1), 25 % clicks, 5 % conversions with a value, over 3 days.
 *
 *   fill BROKERS TOPIC USERS EVENTS SEED      USERS + EVENTS events; the same for the same
 * arguments
 */
#include "base/prng.h"
#include "serde/codec.h"
#include "stream/kafka.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROPOSITIONS = 20000, LISTED = 5, ID_BYTES = 20, FLUSH_MS = 60000 };

#define START_MS 1767225600000 /* 2026-01-01T00:00:00Z */
#define SPAN_MS  259200000     /* 3 days */

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "fill: %s: %s\n", what, why);
    exit(1);
}

static rd_kafka_t *producer(const char *brokers)
{
    struct conf *conf;
    struct err e = {0};
    rd_kafka_conf_t *k;
    rd_kafka_t *rk = NULL;
    char assignment[256];
    snprintf(assignment, sizeof assignment, "kafka.brokers=%s", brokers);
    if (conf_new(&conf, &e) || conf_set(conf, assignment, &e) ||
        kafka_conf_new(&k, conf, KAFKA_PRODUCER, &e) || kafka_conf_put(k, "linger.ms", "50", &e) ||
        kafka_new(&rk, k, KAFKA_PRODUCER, &e))
        fail("connect", e.msg);
    conf_free(conf);
    return rk;
}

/* ------------------------------------------------------------ one event */

struct texts {
    char id[ID_BYTES], user[ID_BYTES], request[ID_BYTES], propositions[LISTED][ID_BYTES];
    struct str listed[LISTED];
    struct text_entry device;
};

/* A rank below n, rank r about 1 / (r + 1) as likely as the first. */
static uint32_t zipf(struct prng *random, uint32_t n)
{
    return (uint32_t)pow(n + 1.0, prng_unit(random)) - 1;
}

static struct str print(char text[ID_BYTES], const char *format, unsigned long long number)
{
    snprintf(text, ID_BYTES, format, number);
    return str_of(text);
}

static void list_propositions(struct texts *t, size_t n, struct prng *random)
{
    for (size_t i = 0; i < n; i++) {
        bool again = true;
        while (again) {
            t->listed[i] = print(t->propositions[i], "p%05llu", zipf(random, PROPOSITIONS));
            again = false;
            for (size_t k = 0; k < i; k++)
                again |= str_equal(t->listed[i], t->listed[k]);
        }
    }
}

static struct event make(struct texts *t, uint32_t user, int64_t timestamp, struct prng *random)
{
    static const char *const devices[] = {"mobile", "desktop", "tv"};
    double kind = prng_unit(random);
    bool is_impression = kind < 0.70, is_conversion = kind >= 0.95;
    struct event event = {
        .event_id = print(t->id, "%016llx", prng_next(random)),
        .event = str_of(is_impression   ? "impression"
                        : is_conversion ? "convert"
                                        : "click"),
        .user_id = print(t->user, "u%08llu", user),
        .timestamp = timestamp,
        .propositions = {t->listed, is_impression ? LISTED : 1},
        .context = {&t->device, 1},
    };
    list_propositions(t, event.propositions.count, random);
    t->device = (struct text_entry){str_of("device"), str_of(devices[prng_below(random, 3)])};
    if (is_conversion)
        event.value = (struct optional_double){true, 1 + floor(prng_unit(random) * 9900) / 100};
    else
        event.request_id = print(t->request, "r%08llx", prng_next(random) >> 32);
    return event;
}

/* ------------------------------------------------------------ all of them */

static void put(rd_kafka_t *rk, rd_kafka_topic_t *topic, struct str key, struct str value)
{
    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                            (void *)(uintptr_t)value.data, value.len, key.data, key.len, NULL)) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail("send", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(rk, 10);
    }
}

static void fill(rd_kafka_t *rk, const char *name, uint32_t users, long total, struct prng *random)
{
    struct codec *codec;
    struct err e = {0};
    struct buf bytes = {0};
    struct texts texts;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    if (codec_new(&codec, NULL, NULL, &e))
        fail("prepare", e.msg);
    for (long i = 0; i < total; i++) {
        uint32_t user = i < (long)users ? (uint32_t)i : prng_below(random, users);
        struct event event =
            make(&texts, user, START_MS + (int64_t)((double)i / (double)total * SPAN_MS), random);
        buf_reset(&bytes);
        codec_encode(codec, &bytes, name, &event_type, &event);
        if (!buf_ok(&bytes))
            fail("encode", "out of memory");
        put(rk, topic, event.user_id, buf_str(&bytes));
        if (i % 1000 == 0)
            rd_kafka_poll(rk, 0);
    }
    if (rd_kafka_flush(rk, FLUSH_MS))
        fail("send", "events are not acknowledged");
    buf_free(&bytes);
    codec_free(codec);
    rd_kafka_topic_destroy(topic);
}

int main(int argc, char **argv)
{
    struct prng random;
    if (argc != 6 || atol(argv[3]) < 1 || atol(argv[4]) < 0)
        fail("usage", "fill BROKERS TOPIC USERS EVENTS SEED");
    uint32_t users = (uint32_t)atol(argv[3]);
    rd_kafka_t *rk = producer(argv[1]);
    prng_seed(&random, strtoull(argv[5], NULL, 10));
    fill(rk, argv[2], users, (long)users + atol(argv[4]), &random);
    rd_kafka_destroy(rk);
    return 0;
}

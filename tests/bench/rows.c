/*
 * Published values of bench-A's shape, the same ones twice: sent to a topic as records, and
 * written to a file as rows for COPY ... FROM (FORMAT binary), made by the recorder's own code.
 *
 *   rows once  N BROKERS TOPIC FILE [SEED]   N keys, one record each, in no order; N is no
 *                                            multiple of 7919
 *   rows often N BROKERS TOPIC FILE [SEED]   N records of bench-A's users: whoever occurs among
 *                                            50,000 of its events has one record for these
 *
 * Nine in ten are users with eight values, the others propositions with three. The random numbers
 * are seeded: the same arguments make the same files.
 */
#include "base/prng.h"
#include "db/copy.h"
#include "recorder/sinks.h"
#include "serde/codec.h"

#include <librdkafka/rdkafka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    OFTEN_KEYS = 200000,
    EPOCH_DRAWS = 50000,
    PROPOSITION_EVERY = 10,
    MAX_VALUES = 8,
    SCATTER = 7919,
    FLUSH_MS = 60000
};

static const int64_t START_MS = 1767225600000; /* 2026-01-01 */

static const char *const user_names[] = {"user_clicks_5m",   "user_clicks_1h", "user_clicks_7d",
                                         "user_clicks_1d",   "user_spend_1d",  "user_spend_30d",
                                         "user_since_click", "user_ctr_7d"};
static const char *const proposition_names[] = {"prop_ctr_1h", "prop_ctr_7d", "prop_heat"};

static void fail(const char *what)
{
    fprintf(stderr, "rows: %s\n", what);
    exit(1);
}

/* The key of each record: its number, or a user by Zipf's law that has none of this epoch yet. */
struct keys {
    bool often;
    double *shares; /* cumulated */
    uint32_t *epochs;
    uint64_t draws;
};

static void keys_make(struct keys *k, bool often)
{
    double sum = 0;
    *k = (struct keys){.often = often};
    k->shares = calloc(OFTEN_KEYS, sizeof *k->shares);
    k->epochs = calloc(OFTEN_KEYS, sizeof *k->epochs);
    if (!k->shares || !k->epochs)
        fail("out of memory");
    for (int i = 0; i < OFTEN_KEYS; i++)
        k->shares[i] = sum += pow(i + 1, -1.1);
}

static uint32_t keys_draw(struct keys *k, struct prng *random)
{
    for (;;) {
        double share = prng_unit(random) * k->shares[OFTEN_KEYS - 1];
        uint32_t low = 0, high = OFTEN_KEYS - 1, epoch = (uint32_t)(k->draws++ / EPOCH_DRAWS) + 1;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (k->shares[middle] < share)
                low = middle + 1;
            else
                high = middle;
        }
        if (k->epochs[low] == epoch)
            continue;
        k->epochs[low] = epoch;
        return (uint32_t)((uint64_t)low * SCATTER % OFTEN_KEYS);
    }
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    (void)rk, (void)arg;
    if (m->err)
        fail(rd_kafka_err2str(m->err));
}

static rd_kafka_t *producer(const char *brokers)
{
    static const char *const settings[] = {"partitioner", "murmur2_random", "compression.type",
                                           "lz4",         "linger.ms",      "20"};
    char why[512];
    rd_kafka_conf_t *k = rd_kafka_conf_new();
    rd_kafka_conf_set(k, "bootstrap.servers", brokers, why, sizeof why);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i += 2)
        if (rd_kafka_conf_set(k, settings[i], settings[i + 1], why, sizeof why))
            fail(why);
    rd_kafka_conf_set_dr_msg_cb(k, on_delivery);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, k, why, sizeof why);
    if (!rk)
        fail(why);
    return rk;
}

static void produce(rd_kafka_t *rk, const char *topic, struct str key, const struct buf *value)
{
    rd_kafka_resp_err_t code;
    if (!buf_ok(value))
        fail("out of memory");
    while ((code = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key.data, key.len),
                                     RD_KAFKA_V_VALUE(value->data, value->len),
                                     RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END)) !=
           0) {
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail(rd_kafka_err2str(code));
        rd_kafka_poll(rk, 100);
    }
    rd_kafka_poll(rk, 0);
}

static void write_bytes(FILE *out, const struct buf *b)
{
    if (!buf_ok(b))
        fail("out of memory");
    fwrite(b->data, 1, b->len, out);
}

/* Counts, sums and shares as the features of bench-A have them. */
static size_t make_values(struct double_entry *values, bool of_user, struct prng *random)
{
    const char *const *names = of_user ? user_names : proposition_names;
    size_t n = of_user ? MAX_VALUES : sizeof proposition_names / sizeof *proposition_names;
    for (size_t i = 0; i < n; i++) {
        double value = prng_unit(random);
        if (of_user && i < 4)
            value = floor(value * 40);
        else if (of_user && i < 7)
            value = floor(value * 90000) / 100;
        values[i] = (struct double_entry){.name = str_of(names[i]), .value = value};
    }
    return n;
}

static const struct sink *features_sink(void)
{
    size_t i = 0;
    while (strcmp(sinks[i]->topic, "features") != 0)
        i++;
    return sinks[i];
}

static void write_all(struct keys *k, uint64_t count, rd_kafka_t *rk, const char *topic, FILE *rows,
                      uint64_t seed)
{
    struct codec *codec = NULL;
    struct buf record = {0}, row = {0};
    struct prng random = {0};
    struct double_entry values[MAX_VALUES];
    prng_seed(&random, seed);
    if (codec_new(&codec, NULL, NULL, NULL))
        fail("no codec");
    copy_begin(&row);
    for (uint64_t i = 0; i < count; i++) {
        char name[32];
        uint32_t key = k->often ? keys_draw(k, &random) : (uint32_t)(i * SCATTER % count);
        bool of_user = key % PROPOSITION_EVERY != 0;
        int n = snprintf(name, sizeof name, "%c%07u", of_user ? 'u' : 'p', key);
        struct str id = str_bytes(name, (size_t)n);
        struct feature_values f = {.scope = str_of(of_user ? "user" : "proposition"),
                                   .key = {&id, 1},
                                   .as_of = START_MS + (int64_t)i,
                                   .values = {values, 0}};
        size_t key_bytes;
        f.values.count = make_values(values, of_user, &random);
        buf_reset(&record);
        codec_encode(codec, &record, "", &feature_values_type, &f);
        produce(rk, topic, id, &record);
        struct sink_record source = {.fields = &f};
        if (sink_put_row(&row, features_sink(), &source, &key_bytes, NULL))
            fail("a row that PostgreSQL cannot hold");
        write_bytes(rows, &row);
        buf_reset(&row);
    }
    copy_end(&row);
    write_bytes(rows, &row);
    buf_free(&record);
    buf_free(&row);
    codec_free(codec);
}

int main(int argc, char **argv)
{
    struct keys k;
    if (argc < 6)
        fail("usage: rows once|often N BROKERS TOPIC FILE [SEED]");
    keys_make(&k, strcmp(argv[1], "often") == 0);
    rd_kafka_t *rk = producer(argv[3]);
    FILE *rows = fopen(argv[5], "wb");
    if (!rows)
        fail("the file cannot be written");
    write_all(&k, strtoull(argv[2], NULL, 10), rk, argv[4], rows,
              argc > 6 ? strtoull(argv[6], NULL, 10) : 1);
    if (fclose(rows))
        fail("the file cannot be written");
    if (rd_kafka_flush(rk, FLUSH_MS))
        fail("the records do not get to the broker");
    rd_kafka_destroy(rk);
    free(k.shares);
    free(k.epochs);
    return 0;
}

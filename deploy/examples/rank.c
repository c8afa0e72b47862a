/*
 * An application that asks Flotilla what to show to a user, and prints the propositions, best
 * first.
 *
 *     cc -o rank rank.c $(pkg-config --cflags --libs rdkafka avro-c)
 *     ./rank BROKERS PREFIX SCHEMA USER
 *
 * PREFIX is the setting kafka.prefix of the fleet, as a rule "". SCHEMA is
 * share/flotilla/schemas/ranking.avsc of the installation. A service would keep its clients open,
 * read `rankings` all the time, and look at what every call returns.
 */
#include <avro.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WAIT_S = 10, WAIT_MS = WAIT_S * 1000 };

static rd_kafka_t *connect_to(const char *brokers, rd_kafka_type_t type)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, NULL, 0);
    if (type == RD_KAFKA_CONSUMER)
        rd_kafka_conf_set(conf, "group.id", "rank-example", NULL, 0); /* is never joined */
    else /* the partition of a user is chosen as Java clients do, as is that of its events */
        rd_kafka_conf_set(conf, "partitioner", "murmur2_random", NULL, 0);
    return rd_kafka_new(type, conf, NULL, 0);
}

static const char *text_of(const avro_value_t *record, const char *name)
{
    avro_value_t field;
    const char *text = "";
    if (!avro_value_get_by_name(record, name, &field, NULL))
        avro_value_get_string(&field, &text, NULL);
    return text;
}

/* Ten bytes before the record say its schema; five where the fleet has a schema registry. */
static int decode(avro_value_t *ranking, const rd_kafka_message_t *m)
{
    size_t head = m->len && *(const char *)m->payload == 0 ? 5 : 10;
    if (m->err || m->len < head)
        return 0;
    avro_reader_t r = avro_reader_memory((char *)m->payload + head, (int64_t)(m->len - head));
    int good = !avro_value_reset(ranking) && !avro_value_read(r, ranking);
    avro_reader_free(r);
    return good;
}

int main(int argc, char **argv)
{
    char requests[300], rankings[300], id[64], json[1024], text[65536];
    const struct rd_kafka_metadata *m;
    rd_kafka_message_t *answer;
    avro_schema_t schema;
    avro_value_t ranking, items, item;
    struct timespec now;
    size_t count = 0;
    FILE *f = argc == 5 ? fopen(argv[3], "r") : NULL;
    if (!f || avro_schema_from_json_length(text, fread(text, 1, sizeof text, f), &schema))
        return fprintf(stderr, "usage: rank BROKERS PREFIX SCHEMA USER\n"), 2;
    avro_generic_value_new(avro_generic_class_from_schema(schema), &ranking);
    snprintf(requests, sizeof requests, "%srank.requests", argv[2]);
    snprintf(rankings, sizeof rankings, "%srankings", argv[2]);

    /* A little is read again, so that the answer is not missed however fast it comes. */
    rd_kafka_t *consumer = connect_to(argv[1], RD_KAFKA_CONSUMER);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, rankings, NULL);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    if (rd_kafka_metadata(consumer, 0, topic, &m, WAIT_MS))
        return fprintf(stderr, "no broker answers at %s\n", argv[1]), 1;
    for (int i = 0; i < m->topics[0].partition_cnt; i++)
        rd_kafka_topic_partition_list_add(list, rankings, i)->offset = RD_KAFKA_OFFSET_TAIL(100);
    rd_kafka_assign(consumer, list);

    rd_kafka_t *producer = connect_to(argv[1], RD_KAFKA_PRODUCER);
    const char *user = argv[4]; /* with a quote in it, it would have to be escaped here */
    timespec_get(&now, TIME_UTC);
    snprintf(id, sizeof id, "example-%lld-%09ld", (long long)now.tv_sec, now.tv_nsec);
    int n = snprintf(json, sizeof json,
                     "{\"request_id\":\"%s\",\"user_id\":\"%s\",\"timestamp\":%lld,\"limit\":5}",
                     id, user, (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(requests), RD_KAFKA_V_KEY(user, strlen(user)),
                      RD_KAFKA_V_VALUE(json, (size_t)n), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                      RD_KAFKA_V_END);
    rd_kafka_flush(producer, WAIT_MS);

    /* It may come twice, under the same request_id: whoever reads on skips the second. */
    while (time(NULL) <= now.tv_sec + WAIT_S) {
        if (!(answer = rd_kafka_consumer_poll(consumer, 100)))
            continue;
        int mine = decode(&ranking, answer) && strcmp(text_of(&ranking, "request_id"), id) == 0;
        rd_kafka_message_destroy(answer);
        if (!mine)
            continue;
        printf("%s", text_of(&ranking, "user_id"));
        avro_value_get_by_name(&ranking, "items", &items, NULL);
        avro_value_get_size(&items, &count);
        for (size_t i = 0; i < count && !avro_value_get_by_index(&items, i, &item, NULL); i++)
            printf(" %s", text_of(&item, "proposition_id"));
        return printf("\n"), 0;
    }
    return fprintf(stderr, "no answer within %d s: see `flotilla status`\n", WAIT_S), 1;
}

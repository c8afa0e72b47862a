/*
 * A record that was read from Kafka, without Kafka: so that what handles records can be tested
 * without it.
 */
#pragma once

#include "base/str.h"

#include <librdkafka/rdkafka.h>
#include <stdint.h>

/* Borrows everything. */
struct input {
    const char *topic;
    int partition;
    int64_t offset;
    int64_t timestamp_ms; /* of the record in Kafka; -1: it has none */
    struct str key;       /* data NULL: none */
    struct str value;     /* data NULL: none (a tombstone) */
    /* Where its headers are; NULL: it has none. librdkafka takes them apart only when they are
     * asked for: records that are well cost nothing. */
    const rd_kafka_message_t *message;
};

static inline struct input input_of(const rd_kafka_message_t *m)
{
    return (struct input){
        .topic = rd_kafka_topic_name(m->rkt),
        .partition = m->partition,
        .offset = m->offset,
        .timestamp_ms = rd_kafka_message_timestamp(m, NULL),
        .key = {m->key, m->key_len},
        .value = {m->payload, m->len},
        .message = m,
    };
}

/* The headers as they came; borrowed, and NULL where there are none. */
static inline const rd_kafka_headers_t *input_headers(const struct input *in)
{
    rd_kafka_headers_t *list = NULL;
    if (in->message && rd_kafka_message_headers(in->message, &list))
        list = NULL;
    return list;
}

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
    };
}

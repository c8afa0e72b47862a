/*
 * What one transaction writes: records, and how far its input was read.
 *
 * Filled by one thread, then handed to another: never used by two at once. Bytes are copied in;
 * topics are borrowed and must outlive it (conf_topic).
 */
#pragma once

#include "base/buf.h"

#include <librdkafka/rdkafka.h>

enum { OUTBOX_ANY_PARTITION = -1 }; /* by the key: murmur2, as Java producers do */

struct outbox_record {
    const char *topic;
    int partition;
    bool has_key;
    size_t key_at, key_len;
    size_t headers_at, headers_len; /* as stream/headers.h has them */
    size_t value_at, value_len;
};

struct outbox {
    struct buf bytes;
    struct buf records; /* of struct outbox_record */
    rd_kafka_topic_partition_list_t *offsets;
    rd_kafka_consumer_group_metadata_t *group;
};

/* Starts a record by its key; what is appended to ->bytes until outbox_end() is its value. */
void outbox_begin(struct outbox *o, const char *topic, int partition, struct str key);

/* The same for a record that may be without a key (data NULL) and has headers. */
void outbox_begin_with(struct outbox *o, const char *topic, int partition, struct str key,
                       struct str headers);

void outbox_end(struct outbox *o);

/* Takes the last record out again. */
void outbox_take_back(struct outbox *o);

size_t outbox_count(const struct outbox *o);
const struct outbox_record *outbox_record(const struct outbox *o, size_t i);

/* Everything read so far of a partition: next is the offset behind it. False: memory was short. */
bool outbox_offset(struct outbox *o, const char *topic, int partition, int64_t next);

bool outbox_ok(const struct outbox *o);
bool outbox_is_empty(const struct outbox *o);

/* Empties; gives back memory where more than 64 MiB are held. */
void outbox_reset(struct outbox *o);
void outbox_free(struct outbox *o);

/*
 * One Kafka record of any of our topics as one line of JSON.
 *
 * One thread; no I/O.
 */
#pragma once

#include "base/arena.h"
#include "stream/topics.h"

/*
 * Appends the record and a line feed. with_place: partition, offset, timestamp and key around it.
 * A record that cannot be decoded is {"undecodable": why, "bytes": ...}; one without a value null,
 * or, without its place, {"key": ..., "value": null}. A key that is not UTF-8 is {"bytes": ...}.
 * The arena is for decoding.
 */
void record_line_print(struct buf *out, const struct topic *t, const rd_kafka_message_t *m,
                       bool with_place, struct arena *a);

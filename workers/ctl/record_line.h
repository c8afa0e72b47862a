/*
 * One Kafka record of any of our topics as one line of JSON.
 *
 * One thread.
 */
#pragma once

#include "base/arena.h"
#include "ctl.h"
#include "stream/topics.h"

/*
 * Appends the record and a line feed. with_place: partition, offset, timestamp and key around it.
 * A record that cannot be decoded is {"undecodable": why, "bytes": ...}; one without a value null,
 * or, without its place, {"key": ..., "value": null}. A key that is not UTF-8 is {"bytes": ...}.
 * The arena is for decoding. A schema registry is waited for as by ctl_decode().
 */
void record_line_print(struct buf *out, const struct ctl *c, const struct topic *t,
                       const rd_kafka_message_t *m, bool with_place, struct arena *a);

/*
 * One Kafka record of any of our topics as one line of JSON.
 *
 * One thread.
 */
#pragma once

#include "base/arena.h"
#include "ctl.h"
#include "stream/topics.h"

enum record_line {
    RECORD_LINE_PLACE = 1, /* partition, offset, timestamp and key around the record */
    RECORD_LINE_WHOLE = 2, /* every field as value_print_json() writes it, not as record_print() */
};

/*
 * Appends the record and a line feed; how: RECORD_LINE_... together. A record that cannot be
 * decoded is {"undecodable": why, "bytes": ...}; one without a value null, or, without its place,
 * {"key":
 * ..., "value": null}. A key that is not UTF-8 is {"bytes": ...}. The arena is for decoding. A
 * schema registry is waited for as by ctl_decode().
 */
void record_line_print(struct buf *out, const struct ctl *c, const struct topic *t,
                       const rd_kafka_message_t *m, unsigned how, struct arena *a);

/*
 * Lines that say what they hold: {"event": {...}, "kafka_timestamp": 1700000000000}, as the oracle
 * and `features vector` have them.
 *
 * Pure; one thread.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct wrapping {
    struct str kind;      /* event, user, proposition or request */
    struct str record;    /* the object, as it stands in the line */
    int64_t timestamp_ms; /* 0: none was given */
};

/*
 * Whether the line is an object with one member of a kind's name that is an object, and otherwise
 * nothing but kafka_timestamp, a whole number above 0. Borrows the line. Whether the record itself
 * is JSON is for its decoding to find out.
 */
bool wrapping_open(struct wrapping *out, struct str line);

/*
 * What is counted of requests and their answers in a stretch of time, and how it is told.
 *
 * One thread, no clock: durations are arguments. Never grows, cannot fail.
 */
#pragma once

#include "base/buf.h"
#include "serde/records.h"

#include <stdint.h>

enum { TALLY_NAMES = 8, TALLY_NAME_BYTES = 96, TALLY_BUCKETS = 1900 };

/* The first few different names and how often each came; the rest has the last place. */
struct tally_names {
    struct tally_name {
        char text[TALLY_NAME_BYTES];
        int64_t count;
    } items[TALLY_NAMES];
    int count;
};

/* All zero: nothing counted. */
struct tally {
    int64_t requests, answers;
    struct tally_names rankers; /* "rules", "home v3", "home v4 (bold)" */
    struct tally_names degraded;
    int64_t latencies[TALLY_BUCKETS]; /* each is 1 % wide */
};

void tally_request(struct tally *t);
void tally_answer(struct tally *t, const struct ranking *answer, int64_t latency_us);

/* The latency that a share of the answers, above 0 to 1, did not exceed, in ms, to half a per cent;
 * NaN: there was no answer. Above 160 s it is no longer told apart. */
double tally_latency_ms(const struct tally *t, double share);

/* Appends two lines: how many in how long, and by what they were ranked. */
void tally_print(const struct tally *t, double seconds, struct buf *out);

/*
 * Records to topics, as applications send them: idempotent, acknowledged by all replicas,
 * partitioned by murmur2 of the key.
 *
 * One thread. Uses the machine's clock for pacing.
 */
#pragma once

#include "base/str.h"
#include "ctl.h"
#include "stream/topics.h"

#include <stdint.h>

struct sender;

/* Does not connect yet. Fails with ERR_INVALID, ERR_FATAL, ERR_NOMEM. */
int sender_new(struct sender **out, const struct ctl *c, struct err *e);

/* The same, for one record at a time: none waits for others to go along with it. */
int sender_new_prompt(struct sender **out, const struct ctl *c, struct err *e);

void sender_free(struct sender *s); /* what was not flushed is lost; NULL is fine */

/* Once, before the first record for a topic; declares it to the codec. Fails with ERR_NOT_FOUND (no
 * such topic: says how to make it), ERR_UNAVAILABLE. */
int sender_open(struct sender *s, const struct topic *t, struct err *e);

struct sender_record {
    const struct topic *topic;
    struct str key;
    struct str value;     /* data NULL: a tombstone */
    int64_t timestamp_ms; /* 0: now */
    int64_t number;       /* the caller's, for sender_failed() */
};

/*
 * Copies the record; waits while too many are on their way. Fails with ERR_TOO_LARGE (this record;
 * the others are not affected), ERR_UNAVAILABLE (asked to stop while waiting), ERR_NOMEM,
 * ERR_FATAL; and with the reason of the first record that was not delivered, from then on.
 */
int sender_put(struct sender *s, const struct sender_record *r, struct err *e);

/* Waits until everything is delivered or has failed; once asked to stop, 10 s at most. Fails as
 * sender_put(). */
int sender_flush(struct sender *s, struct err *e);

/* Lets deliveries be noticed for so long, while there is nothing to put. */
void sender_wait(struct sender *s, int64_t ms);

/* Number of the first record that was not delivered; -1 while there is none. */
int64_t sender_failed(const struct sender *s);

/* Records delivered so far. */
int64_t sender_delivered(const struct sender *s);

/*
 * Partitions read from their beginning to their end, and further: tables that are kept whole, and
 * checkpoints.
 *
 * A consumer without a group. The end is where the partition stood when it was opened, transactions
 * under way included: what a transaction has written is only there when it is committed, so the end
 * is not reached before. One thread.
 */
#pragma once

#include "base/conf.h"
#include "base/err.h"

#include <librdkafka/rdkafka.h>

struct tail;

/* A record: key and value borrowed for the call; value.data NULL is a tombstone. ERR_UNAVAILABLE:
 * it cannot be taken yet, and comes again with every tail_poll() until it can, nothing else
 * meanwhile. Any other error ends the reading. */
typedef int tail_record(void *arg, const rd_kafka_message_t *m, struct err *e);

/* Borrows conf and client_id. Fails with ERR_NOT_FOUND (no such topic), ERR_UNAVAILABLE,
 * ERR_INVALID, ERR_NOMEM. */
int tail_new(struct tail **out, const struct conf *conf, const char *client_id, tail_record *each,
             void *arg, struct err *e);
void tail_free(struct tail *t); /* NULL is fine */

/* Adds one partition, or all of a topic; before tail_start(). from: the first record to be handed
 * over, TAIL_FIRST is the first there is. Fail with ERR_NOT_FOUND (tail_add_from: the partition has
 * no such offset, now or later: says which it has), and as tail_new(). */
#define TAIL_FIRST INT64_C(-1)
int tail_add_from(struct tail *t, const char *topic, int partition, int64_t from, struct err *e);
int tail_add(struct tail *t, const char *topic, int partition, struct err *e);
int tail_add_topic(struct tail *t, const char *topic, struct err *e);

/* The same, without what is there already: only what comes from this call on is handed over. */
int tail_add_topic_end(struct tail *t, const char *topic, struct err *e);
int tail_start(struct tail *t, struct err *e); /* once */

/* Hands over what is there, at most `most` records, waiting for the first at most wait_ms. *count:
 * how many. Fails as the callback does, with ERR_UNAVAILABLE (the cluster; goes on with the next
 * call), or ERR_FATAL. */
int tail_poll(struct tail *t, int wait_ms, int most, int *count, struct err *e);

/* Whether a record could not be taken yet. */
bool tail_waits(const struct tail *t);

/* Whether every partition was read to its end at the start. Once true, true for ever. */
bool tail_at_end(const struct tail *t);

/* Whether every partition was fetched from since the start: what is written from then on comes at
 * once. An empty partition is at its end before. */
bool tail_is_live(const struct tail *t);

/*
 * Reads on to where the partitions end now: whatever was acknowledged to its producer before the
 * call is handed over when it returns. Costs one request to the cluster. Fails as tail_poll, with
 * ERR_UNAVAILABLE where that takes longer than timeout_ms.
 */
int tail_catch_up(struct tail *t, int timeout_ms, struct err *e);

/* Records handed over, and about how many there were to read at the start. */
int64_t tail_done(const struct tail *t);
int64_t tail_total(const struct tail *t);

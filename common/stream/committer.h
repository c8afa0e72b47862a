/*
 * The committing thread: writes an epoch's records and input offsets in one Kafka transaction,
 * while the processing thread goes on with the next epoch.
 *
 * One epoch at a time. A transaction that is aborted is sent again from memory, as often as it
 * takes; an epoch whose offsets the group does not take any more (partitions moved, this process
 * was taken for dead) is rejected: nothing of it was written. A transaction is open only while it
 * is produced and committed. Functions are for the processing thread; the producer belongs to the
 * committing one.
 */
#pragma once

#include "base/conf.h"
#include "base/err.h"
#include "net/metrics.h"
#include "stream/outbox.h"

struct committer;

enum commit_state {
    COMMIT_IDLE, /* nothing under way, nothing to tell */
    COMMIT_BUSY,
    COMMIT_DONE,     /* the epoch is written */
    COMMIT_REJECTED, /* nothing was written: its partitions are somebody else's now */
    COMMIT_FAILED,   /* the process has to end: see the error */
};

/* Ends any transaction that an earlier process with the same id has left open; waits for
 * the cluster up to a minute. Fails with ERR_UNAVAILABLE, ERR_INVALID, ERR_FATAL, ERR_NOMEM. */
int committer_new(struct committer **out, const struct conf *conf, const char *client_id,
                  const char *transactional_id, struct metrics *metrics, struct err *e);

/* Waits for the epoch under way (the caller bounds that with its watchdog). NULL is fine. */
void committer_free(struct committer *c);

/* The outbox to fill next: empty after a send. */
struct outbox *committer_outbox(struct committer *c);

/* Hands the outbox over; the state must be IDLE. */
void committer_send(struct committer *c);

/* How the epoch under way stands; DONE and REJECTED are told once, then it is IDLE. wait_ms: at
 * most so long, 0: no wait, -1: until it is no longer busy. */
enum commit_state committer_poll(struct committer *c, int wait_ms, struct err *e);

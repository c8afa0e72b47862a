/*
 * The partitions that a ranker has: their users' state, restored from checkpoints and kept up from
 * `events`.
 *
 * Once restored, an event is read first and applied later: when the attributes that were written
 * before it are known, and after the requests that are earlier than it.
 *
 * A lane is one partition of rank.requests with the partition of `events` of the same number.
 * Reading events belongs to no group: a ranker reads those of its requests' partitions. A lane that
 * was revoked is parked: if it comes back, reading goes on where it was. One thread.
 */
#pragma once

#include "ranker/late.h"
#include "state/mirror.h"
#include "stream/worker.h"

struct lane {
    int partition;
    struct mirror_users *users;
    int64_t position;     /* next event to read */
    bool owned;           /* assigned; else parked */
    bool restored;        /* checkpoints were read to their end, then events to theirs */
    int64_t next_request; /* offset behind the last request that was answered; -1: none was */
    bool asked;           /* there is a request of it in the batch at hand */
    struct late late;     /* events that were read and not applied yet */
};

struct lanes;

/* Borrows env and mirror. */
int lanes_new(struct lanes **out, struct worker_env *env, struct mirror *mirror, struct err *e);
void lanes_free(struct lanes *l); /* NULL is fine */

/* The group gave these partitions, or took all back. */
int lanes_begin(struct lanes *l, const rd_kafka_topic_partition_list_t *list, struct err *e);
void lanes_park(struct lanes *l);

/*
 * Goes on with restoring, for about wait_ms. *ready: every lane has its state, and lanes_read() may
 * be called. Clusters that are away are waited for. Fails with ERR_FATAL (events that are needed
 * are gone: says what to do), ERR_CORRUPT, ERR_NOMEM.
 */
int lanes_restore(struct lanes *l, int wait_ms, bool *ready, struct err *e);

/* Whether all lanes are restored. */
bool lanes_are_ready(const struct lanes *l);

/* Reads events that are there, at most `most`, for lane_apply(). Fails as lanes_restore. */
int lanes_read(struct lanes *l, int most, struct err *e);

/*
 * Reads every event that was acknowledged to its producer before the call. Costs one request to
 * the cluster. *is_stale: the cluster did not tell within timeout_ms, or an event waits for the
 * schema registry. Fails as lanes_restore.
 */
int lanes_catch_up(struct lanes *l, int timeout_ms, bool *is_stale, struct err *e);

/* Whether events wait that lane_apply() would apply. */
bool lanes_are_due(const struct lanes *l, int64_t until_ms);

/* Applies those events of a lane that were read and are due by a time (late.h). Fails as
 * mirror_event(). */
int lane_apply(struct lane *lane, const char *topic, int64_t until_ms, struct err *e);

/* Whether events wait for the schema registry. */
bool lanes_wait(const struct lanes *l);

size_t lanes_count(const struct lanes *l);
struct lane *lanes_at(struct lanes *l, size_t i);

/* The owned lane of a partition; NULL: it is none of ours. */
struct lane *lanes_find(struct lanes *l, int partition);

/* Name of the topic of events. */
const char *lanes_topic(const struct lanes *l);

/* What is being restored, as text. */
const char *lanes_phase(const struct lanes *l);

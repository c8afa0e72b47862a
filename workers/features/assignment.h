/*
 * The partitions that a worker has: where it is in each, and how their state is restored.
 *
 * A lane is one input partition: of `events` and `feature.deltas` with a shard of state, of `users`
 * and `propositions` without (there it only reports what cannot be used). A lane that was revoked
 * is parked: if it comes back and nobody has committed more of it meanwhile, its state is still
 * right and is used again. One thread.
 */
#pragma once

#include "features/features.h"
#include "stream/flood.h"
#include "stream/tail.h"

enum lane_kind { LANE_EVENTS, LANE_DELTAS, LANE_USERS, LANE_PROPOSITIONS };

#define LANE_NO_OFFSET ((int64_t)-1)

struct lane {
    enum lane_kind kind;
    const char *topic; /* of the configuration */
    int partition;
    struct shard *shard; /* NULL where there is no state */
    bool owned;          /* assigned; else parked */
    bool stale;          /* holds what was not committed: must be restored */
    int64_t committed;   /* of the group; LANE_NO_OFFSET: nothing was */
    int64_t position;    /* next offset to handle */
    int64_t acked;       /* position known to be committed */
    int64_t sent;        /* position handed over for commit */
    int64_t low_water;   /* of its checkpoint; LANE_NO_OFFSET: it has none */
    int64_t marked;      /* low-water mark written last */
    int64_t marked_ms;
    int64_t end;              /* end of the partition as last heard of, for the lag */
    rd_kafka_message_t *held; /* waits for the schema registry, and the lane with it; NULL: none */
    char why[256];            /* it waits */
    bool flooded;             /* too many of its records became dead letters: it is not read */
    struct flood flood;
};

/* It is not read further for now. */
static inline bool lane_waits(const struct lane *l)
{
    return l->held || l->flooded;
}

/* Replays what was handled before: nothing is written for it. */
static inline bool lane_is_restoring(const struct lane *l)
{
    return l->position < l->committed;
}

/* Its state is right up to its position, and what it is handled for is to be written. */
static inline bool lane_is_settled(const struct lane *l)
{
    return l->owned && !l->stale && !lane_is_restoring(l);
}

struct assignment;

struct assignment_opts {
    const struct conf *conf;
    const char *client_id;
    struct features *features;
    rd_kafka_t *consumer;
    struct codec *codec; /* that features has */
};

int assignment_new(struct assignment **out, const struct assignment_opts *opts, struct err *e);
void assignment_free(struct assignment *a); /* NULL is fine */

/* The group gave these partitions: restoring starts. Everything that was owned must have been
 * parked. */
int assignment_begin(struct assignment *a, const rd_kafka_topic_partition_list_t *list,
                     struct err *e);

/* The group takes everything back. lost: without asking, or what was handled last could not be
 * committed. */
void assignment_park(struct assignment *a, bool lost);

/*
 * Goes on with restoring, for at most wait_ms and some: reads committed offsets, then checkpoints;
 * then starts reading the log where the replay begins. *ready: the consumer may be polled for
 * records. Fails with ERR_FATAL (the log does not reach back far enough, or offsets were lost: says
 * what to do), ERR_CORRUPT, ERR_NOMEM; clusters that are away are waited for.
 */
int assignment_restore(struct assignment *a, int wait_ms, int64_t now_ms, bool *ready,
                       struct err *e);

/* Reads on from where the lanes are, those that wait left out: to be called when one begins or
 * ceases to. Fails with ERR_UNAVAILABLE, ERR_FATAL. */
int assignment_reread(struct assignment *a, struct err *e);

/* What was handed over is committed. */
void assignment_acknowledge(struct assignment *a);

/* Whether the last assignment_restore() said so, and nothing was parked since. */
bool assignment_is_ready(const struct assignment *a);

/* Owned lanes; all lanes stay at their place until the next assignment. */
size_t assignment_count(const struct assignment *a);
struct lane *assignment_lane(struct assignment *a, size_t i);

/* The lane of a record; NULL: it is none of ours. */
struct lane *assignment_find(struct assignment *a, const rd_kafka_message_t *m);

/* Checkpoints read so far and to be read in the restoring under way. */
void assignment_progress(const struct assignment *a, int64_t *done, int64_t *total);

/* Whether restoring waits for the schema registry. */
bool assignment_asks(const struct assignment *a);

/* Rebalances may come again and again while checkpoints are read: what is being waited for, as
 * text. */
const char *assignment_phase(const struct assignment *a);

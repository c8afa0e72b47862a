/*
 * What the worker `features` does with records: events and deltas become state, state becomes
 * values and checkpoints.
 *
 * One thread; no I/O and no clock: records and readings of the clock in, records into an outbox
 * out. So it is tested without Kafka, and what it does is a function of its input.
 */
#pragma once

#include "features/shard.h"
#include "net/metrics.h"
#include "serde/codec.h"
#include "stream/input.h"
#include "stream/outbox.h"

struct features;

struct features_opts {
    const struct feature_set *set; /* borrowed, as all below */
    int64_t max_clock_skew_ms;
    uint32_t max_keys_per_user;
    /* topics */
    const char *deltas, *totals, *state_user, *state_shared, *values, *dead_letters;
    int delta_partitions;
    struct metrics *metrics;
    struct codec *codec; /* every topic above was declared to it */
};

int features_new(struct features **out, const struct features_opts *opts, struct err *e);
void features_free(struct features *f); /* NULL is fine */

/* A record of the tables `users` and `propositions`. Bad ones change nothing: features_entity_check
 * reports them. */
int features_entity(struct features *f, enum side side, const struct input *in, struct err *e);

/* How many records became dead letters so far. */
int64_t features_buried(const struct features *f);

/* The same record, as read by the one worker that has to report it: a dead letter if it cannot be
 * used. */
int features_entity_check(struct features *f, const struct input *in, struct outbox *out,
                          struct err *e);

/* A record of `feature.totals`. */
int features_total(struct features *f, const struct input *in, struct err *e);

/*
 * A record of `events` and of `feature.deltas`. out NULL: a replay; what it does was written
 * before, only the state is wanted. Records that cannot be used become dead letters. Fails with
 * ERR_NOMEM, ERR_CORRUPT (the state is damaged), and, as all that decodes, with ERR_UNAVAILABLE:
 * nothing was done, the record can be handled again once the codec's registry has answered.
 */
int features_event(struct features *f, struct shard *s, const struct input *in, struct outbox *out,
                   int64_t now_ms, struct err *e);
int features_delta(struct features *f, struct shard *s, const struct input *in, struct outbox *out,
                   int64_t now_ms, struct err *e);

/* A record of `state.user` or `state.shared`; *low_water is set by a mark. Fails with ERR_CORRUPT
 * (not one of ours: says what to do), ERR_NOMEM. */
int features_restore(struct features *f, struct shard *s, const struct input *in, int64_t now_ms,
                     int64_t *low_water, struct err *e);

/* Moves the deltas of the epoch into the outbox. */
int features_collect_deltas(struct features *f, struct outbox *out, struct err *e);

/* Whether the deltas of the epoch are so many that they have to go before others are made. */
bool features_is_full(const struct features *f);

/* Whether they are so many that not even what was read already may be handled before. */
bool features_is_overfull(const struct features *f);

/* Forgets the deltas of the epoch: they will be made again from the log. */
void features_drop_deltas(struct features *f);

/* Values and checkpoints of a partition that are due, at most `most` of each; returns through *more
 * whether there are others. */
int features_collect(struct features *f, struct shard *s, struct outbox *out, size_t most,
                     int64_t now_ms, bool *more, struct err *e);

/* The mark of a partition: every change before low_water is in its checkpoints; with what was
 * passed over since. Due as well in the epoch that passed something over. */
void features_collect_mark(struct features *f, struct shard *s, int64_t low_water,
                           struct outbox *out);

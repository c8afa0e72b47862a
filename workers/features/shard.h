/*
 * The state derived from one partition of a log: `events` to users' records, or `feature.deltas` to
 * cells of shared keys; with what is due for publication and for a checkpoint.
 *
 * One thread; no I/O; the clock is an argument. Times of the clock are milliseconds and need not
 * grow.
 *
 * Every key has the newest offset of the log that its state includes, so that a replay applies a
 * record to a key only once. The low-water mark is the first offset whose change may be missing in
 * the checkpoint: the one at which the key that has waited longest for its checkpoint was changed
 * first.
 */
#pragma once

#include "base/table.h"
#include "feature/apply.h"
#include "state/skipped.h"

enum shard_kind { SHARD_USERS, SHARD_SHARED };

struct shard;

struct shard_opts {
    enum shard_kind kind;
    int partition;
    int64_t publish_interval_ms, checkpoint_interval_ms;
};

int shard_new(struct shard **out, const struct shard_opts *opts, struct err *e);
void shard_free(struct shard *s); /* NULL is fine */

enum shard_kind shard_kind(const struct shard *s);
int shard_partition(const struct shard *s);

/* The state of a key, to be read before a change: its id (made if it is new), TABLE_NONE if memory
 * is short. */
uint32_t shard_key(struct shard *s, struct str key);

/* TABLE_NONE: nothing was seen. */
uint32_t shard_find(const struct shard *s, struct str key);
/* The key will be looked up soon: table_fetch(). */
void shard_fetch(const struct shard *s, struct str key, int step);

struct str shard_value(const struct shard *s, uint32_t id);
struct str shard_name(const struct shard *s, uint32_t id);

/* Whether a record of the log is in the key's state already. */
bool shard_includes(const struct shard *s, uint32_t id, int64_t offset);

/* Puts the state after the record at offset; due: there is something to publish. The key waits for
 * publication and checkpoint from now on. Fails with ERR_NOMEM. */
int shard_put(struct shard *s, uint32_t id, struct str value, int64_t offset, bool due,
              int64_t now_ms, struct err *e);

/* Puts what a checkpoint holds; due as it was then. Fails with ERR_NOMEM. */
int shard_restore(struct shard *s, struct str key, struct str value, int64_t offset, bool due,
                  int64_t now_ms, struct err *e);

/*
 * The next key to publish: one that was touched and was not published for publish_interval_ms.
 * TABLE_NONE: none is due. It counts as published by that. shard_is_due() tells for a checkpoint.
 * Fails never.
 */
uint32_t shard_next_due(struct shard *s, int64_t now_ms);
bool shard_is_due(const struct shard *s, uint32_t id);

/* The next key whose checkpoint is due, at the latest offset it includes; TABLE_NONE: none is due.
 */
uint32_t shard_next_checkpoint(struct shard *s, int64_t now_ms, int64_t *offset);

/* Where a replay of the log would have to start, given what was handed out by
 * shard_next_checkpoint; position: behind the last record handled. */
int64_t shard_low_water(const struct shard *s, int64_t position);

/* Records of the log that were passed over, from the low-water mark on. The shard's own. */
struct skipped *shard_skipped(struct shard *s);

/* Keys that the checkpoints hold: restored, or handed out by shard_next_checkpoint(). */
int64_t shard_written(const struct shard *s);

/*
 * Whether restoring has found at least as many keys as the newest mark says that there are. Fewer:
 * the topic of the checkpoints was emptied or made anew, and what they hold is no state.
 * shard_promise() takes what a mark says, -1 for nothing; shard_pass_over() counts a record whose
 * scope the definitions do not have any more.
 */
bool shard_is_whole(const struct shard *s);
void shard_promise(struct shard *s, int64_t keys);
void shard_pass_over(struct shard *s);

/* The log is replayed from its very beginning: what was passed over in it is not known from a
 * mark, and is found out again. */
void shard_replay_all(struct shard *s);
bool shard_replays_all(const struct shard *s);

size_t shard_keys(const struct shard *s);
size_t shard_memory_bytes(const struct shard *s);

/*
 * Offsets of a partition's records that were passed over because nobody knew their schema.
 *
 * A record is a function of its bytes, but whether its schema is known changes with time: a replay
 * has to do what was done, neither count a record that became a dead letter nor leave out one that
 * was counted. So the marks of checkpoints carry these offsets, from the low-water mark on.
 *
 * One thread. Offsets are added in ascending order and kept as runs.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum { SKIPPED_MAX_RUNS = 200000 };

struct skipped {
    struct skipped_run {
        int64_t first, count;
    } * runs; /* owned */
    size_t count, cap;
    bool is_new; /* something was added since the last skipped_write() */
};

void skipped_free(struct skipped *s);

/* Fails with ERR_UNAVAILABLE (there are too many: once the low-water mark has moved there is room),
 * ERR_NOMEM. */
int skipped_add(struct skipped *s, int64_t offset, struct err *e);
bool skipped_has(const struct skipped *s, int64_t offset);

/* Forgets offsets before one. */
void skipped_forget(struct skipped *s, int64_t before);

/* Appends them as bytes; they count as written. And back, in place of what there was. Fails with
 * ERR_CORRUPT, ERR_NOMEM. */
void skipped_write(struct skipped *s, struct buf *out);
int skipped_read(struct skipped *s, struct str bytes, struct err *e);

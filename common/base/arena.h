/*
 * Memory that lives until the next reset: what a record is decoded into.
 *
 * One thread. Blocks are kept over resets, so a steady stream allocates nothing; one oversized
 * record does not keep its memory for ever (blocks over 1 MiB are given back at the reset).
 */
#pragma once

#include "base/str.h"

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *first;
    struct arena_block *now;
};

/* n bytes, aligned for any type, not zeroed. NULL if memory could not be had. Owned by the arena.
 */
void *arena_alloc(struct arena *a, size_t n);

/* A copy with a 0 behind it. data is NULL if memory could not be had. */
struct str arena_copy(struct arena *a, struct str s);

/* Where the arena stands, and back to there: what was taken since is free again. Marks are taken
 * back in the reverse order, and none is good after a reset. */
struct arena_mark {
    struct arena_block *block;
    size_t used;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark);

/* Everything taken since the last reset is free again. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

/*
 * The keys of one scope in a user's record, open for reading: found by hash, and their contents
 * kept for the length of a request.
 *
 * A key is known by 64 bits of hash alone: among the 256 keys of a user another one is taken for it
 * once in 7·10^16 cases, and looking at the keys themselves would double the memory that is read.
 *
 * Memory is in the caller's arena; what is read is borrowed from the section. One thread; no clock.
 */
#pragma once

#include "base/arena.h"
#include "feature/cell.h"

/* One key. */
struct user_cell {
    uint64_t hash; /* key_hash() of entities.h */
    struct str cell;
    struct key_contents *contents; /* NULL: not read yet */
};

struct user_cells {
    struct user_cell *cells;
    uint32_t *index; /* number + 1 in the lower bits of each, more of the hash in the upper ones */
    uint32_t count, mask;
};

/* Reads a scope's section; keys that were dropped are left out. Fails with ERR_CORRUPT, ERR_NOMEM.
 */
int user_cells_open(struct user_cells *u, struct str section, struct arena *a, struct err *e);

/* The cell of the key with a hash; NULL if it is not held. */
static inline struct user_cell *user_cells_find(const struct user_cells *u, uint64_t hash)
{
    uint32_t tag = (uint32_t)(hash >> 32) & ~u->mask;
    for (uint32_t at = (uint32_t)hash & u->mask; u->index[at]; at = (at + 1) & u->mask) {
        struct user_cell *cell = &u->cells[(u->index[at] & u->mask) - 1];
        if ((u->index[at] & ~u->mask) == tag && cell->hash == hash)
            return cell;
    }
    return NULL;
}

/* The contents of a cell as of the request's time. Fails with ERR_NOMEM. */
int user_cell_read(const struct key_contents **out, struct user_cell *cell,
                   const struct scope *scope, int64_t as_of_ms, struct arena *a, struct err *e);

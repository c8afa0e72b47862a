/*
 * The cells of shared scopes, by key, and beside them what they hold at the time they are read at.
 *
 * A cell is decoded when it is first read; its contents (content.h) are kept and read again until
 * the cell changes or a bucket enters or leaves one of its windows, so that reading a key that is
 * read often costs a few loads. A key costs its bytes in a table and 8 bytes; the contents, 24
 * bytes each and 24 for all of them, are there only for keys that were read.
 *
 * One thread: reading keeps contents, so it changes the object. No clock.
 */
#pragma once

#include "base/table.h"
#include "feature/cell.h"

struct shared_cells;

/* Borrows the set. Fails with ERR_NOMEM. */
int shared_cells_new(struct shared_cells **out, const struct feature_set *set, struct err *e);
void shared_cells_free(struct shared_cells *s); /* NULL is fine */

/* Puts the cell of a key (shared_key() of apply.h) in place of the one before; an empty one removes
 * the key. Copies both. Fails with ERR_CORRUPT (the key's scope is none of the set's), ERR_NOMEM;
 * what was there stays then. */
int shared_cells_put(struct shared_cells *s, struct str shared_key, struct str cell, struct err *e);

/* Merges a cell into the one of a key, which came before it. Fails as shared_cells_put. */
int shared_cells_merge(struct shared_cells *s, struct str shared_key, struct str cell,
                       struct err *e);

/* The number of a key, the same until it is removed; TABLE_NONE if it is not there. */
uint32_t shared_cells_find(const struct shared_cells *s, struct str shared_key);

/* The same by scope and key in two parts. Fails with ERR_NOMEM. */
int shared_cells_find_in(uint32_t *id, struct shared_cells *s, size_t scope, struct str key,
                         struct err *e);

/* The cell of a number; empty for TABLE_NONE. Borrowed until the next change. */
struct str shared_cells_get(const struct shared_cells *s, uint32_t id);

/* How often a key of the scope was added, and one of any scope removed: a number found before is
 * good while no key is removed, and a key that was not there still is not while none is added. */
struct shared_cells_changes {
    uint64_t added, removed;
};
struct shared_cells_changes shared_cells_changes(const struct shared_cells *s, size_t scope);

/*
 * The contents of a key as of as_of_ms (within ±CONTRIBUTION_MAX_MS); for TABLE_NONE those of a key
 * that has seen nothing. Good until the key changes or is read as of another time. Fails with
 * ERR_NOMEM.
 */
int shared_cells_read(const struct key_contents **out, struct shared_cells *s, size_t scope,
                      uint32_t id, int64_t as_of_ms, struct err *e);

/* One value of one key: an output of the set whose feature is an aggregate in a shared scope. A
 * global prior is read from the totals that are here. TABLE_NONE: nothing seen. Cannot fail: where
 * memory is short the contents are worked out and not kept. */
double shared_cells_value(struct shared_cells *s, uint32_t id, size_t output, int64_t as_of_ms);

/* The prior of a rate in one window: its number, or N_of / N_per of the totals that are here, 0
 * where N_per is 0. Cannot fail likewise. */
double shared_cells_prior(struct shared_cells *s, const struct feature *f, size_t window,
                          int64_t as_of_ms);

size_t shared_cells_count(const struct shared_cells *s);

/* Bytes of memory held: keys, cells, contents and what the allocator adds to them. */
size_t shared_cells_bytes(const struct shared_cells *s);

/* All keys and cells, to go through (table_first, table_next, table_get); not to be changed. */
const struct table *shared_cells_table(const struct shared_cells *s);

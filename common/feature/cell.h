/*
 * All aggregates of one scope for one key, encoded: what state is made of and what deltas carry.
 *
 * Form: the time of the newest contribution (zigzag ms), then for each slot of the scope a length
 * (0: nothing seen) and so many bytes: its own newest contribution (varint: 0 that of the cell, 1
 * that of the slot before that has seen something, else 1 more than the ms by which it is older
 * than the cell), and its body (aggregate.h). No bytes at all are the zero. One thread a call; no
 * clock. Memory failures show in buf_ok().
 */
#pragma once

#include "feature/content.h"

/* Appends the cell of one contribution to a scope that has its event; false: it is nothing to any
 * aggregate here, not even to when the key was last touched (only totals). */
bool cell_of(struct buf *out, const struct scope *scope, const struct contribution *c,
             struct arena *a);

/* Appends the cell of several contributions to a scope that is_of_instances, in any order, at least
 * one: what merging the cells of each makes. */
void cell_of_instances(struct buf *out, const struct scope *scope, const struct instance *items,
                       size_t count);

/* Appends the merged cell. Either may be the zero. What a holds came before what b holds. */
void cell_merge(struct buf *out, const struct scope *scope, struct str a, struct str b);

/* Whether bytes from outside are a cell of the scope as far as lengths go. */
bool cell_is_sound(const struct scope *scope, struct str cell);

/* Time of the newest contribution to any aggregate of the scope; the cell must not be the zero. */
int64_t cell_newest_ms(struct str cell);

/* What one slot has seen. */
struct part cell_part(struct str cell, size_t slot);

/* Bytes of the contents of one key of a scope. */
size_t key_contents_bytes(const struct scope *scope);

/* Reads them from a cell, an empty one being that of a key that has seen nothing. */
void key_contents_read(struct key_contents *out, const struct scope *scope, struct str cell,
                       int64_t as_of_ms);

/*
 * The contents over several cells together, none of them empty (a candidate with several values in
 * a dimension): as if they had been merged first. scratch is overwritten. Fails with ERR_NOMEM.
 */
int cells_contents(struct content *out, const struct scope *scope, const struct str *cells,
                   size_t count, int64_t as_of_ms, struct buf *scratch, struct err *e);

/* Appends a cell whose slots had `fingerprints` (8 bytes each) with the slots of the scope; what
 * the scope does not have any more is dropped, what is new has seen nothing. False: nothing of it
 * is left, or it is damaged. */
bool cell_convert(struct buf *out, const struct scope *scope, struct str fingerprints,
                  struct str cell);

/* Appends the fingerprints of a scope's slots. */
void cell_fingerprints(struct buf *out, const struct scope *scope);

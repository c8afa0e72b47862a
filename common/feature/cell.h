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

#include "feature/aggregate.h"

/* Appends the cell of one contribution to a scope that has its event; false: it is nothing to any
 * aggregate here, not even to when the key was last touched (only totals). */
bool cell_of(struct buf *out, const struct scope *scope, const struct contribution *c,
             struct arena *a);

/* Appends the merged cell. Either may be the zero. What a holds came before what b holds. */
void cell_merge(struct buf *out, const struct scope *scope, struct str a, struct str b);

/* Whether bytes from outside are a cell of the scope as far as lengths go. */
bool cell_is_sound(const struct scope *scope, struct str cell);

/* Time of the newest contribution to any aggregate of the scope; the cell must not be the zero. */
int64_t cell_newest_ms(struct str cell);

/* What one slot has seen. */
struct part cell_part(struct str cell, size_t slot);

/*
 * The part of a slot over several cells together (a candidate with several values in a dimension).
 * One cell is not copied; of more the merged body is appended to scratch.
 */
struct part cell_merged_part(struct buf *scratch, const struct scope *scope, size_t slot,
                             const struct str *cells, size_t count);

/* N_of / N_per of a rate with a global prior in one window, from the cell of its totals; 0 where
 * N_per is 0. */
double cell_prior(const struct feature *f, size_t window, struct str total, int64_t as_of_ms);

/* The value of an aggregate; not of gap and overlap, which need a candidate. total: the cell of the
 * scope's totals, needed where the prior is global. */
double cell_value(const struct feature *f, size_t window, struct part p, struct str total,
                  int64_t as_of_ms);

/* Appends a cell whose slots had `fingerprints` (8 bytes each) with the slots of the scope; what
 * the scope does not have any more is dropped, what is new has seen nothing. False: nothing of it
 * is left, or it is damaged. */
bool cell_convert(struct buf *out, const struct scope *scope, struct str fingerprints,
                  struct str cell);

/* Appends the fingerprints of a scope's slots. */
void cell_fingerprints(struct buf *out, const struct scope *scope);

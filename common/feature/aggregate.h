/*
 * One aggregate of one key: a mergeable monoid, encoded.
 *
 * A `part` is what one feature has seen for one key: the time of its newest contribution and a body
 * whose form depends on the feature's kind. Adding is merging with the part of a single
 * contribution; several contributions at once make the part that merging theirs one by one would
 * make (sums to a relative 1e-12, in whatever order they come). A part that has seen nothing is the
 * zero.
 *
 * Bodies (integers are varints, u8 is a byte, double 8 bytes; ages count buckets back from the
 * newest one): windows    for each window: u8 number of buckets, then each: u8 gap to the age
 * before it and flags, then its content count n · sum and its rest in double-double · mean (and
 * gap) n and sum · min, max a double · rate n of `of`, n of `per`; small contents are in the
 *              flags, one bucket that is the newest takes a byte less, a window that holds what the
 *              one before does takes a byte
 *   recency    empty
 *   decay      double: the sum at the newest contribution
 *   distinct   for each bucket: u8 age and a flag for one value, or u8 age, u8 level and number of
 *              values; 5 bytes of hash for each value
 *   overlap    number of propositions, then each, oldest first: ms before the newest, sized id
 *
 * Sums are kept as unevaluated sums of two doubles (Knuth's and Dekker's two-sum, 106 bits), so
 * that partial sums add up the same in any order far below the promised 1e-9. `distinct` is
 * Wegman's adaptive sampling (Flajolet, "On adaptive sampling", 1990) with a level for each bucket:
 * where more than 1,024 values are held, of the buckets that do not belong to the newest 256 values
 * only hashes below a halved bound are kept. So it is exact in every window with at most 256
 * values, also after there were more, and its standard error is below 6 % elsewhere.
 *
 * One thread a call; no clock; no state. Damaged bodies read as what can be read of them, never out
 * of bounds.
 */
#pragma once

#include "base/buf.h"
#include "feature/contribution.h"
#include "feature/definition.h"

#include <math.h>

struct part {
    bool seen;
    int64_t newest_ms;
    struct str body; /* borrowed */
};

enum { DISTINCT_EXACT = 256, DISTINCT_CAPACITY = 1024 };

/* The part of one contribution; its body is appended to out (and borrowed from there). seen is
 * false if this contribution is nothing to the feature. Memory failures show in buf_ok(out). */
bool aggregate_of(struct buf *out, const struct feature *f, const struct contribution *c,
                  struct arena *a);

/* The time of the newest of some contributions that is something to the feature, which is one of
 * feature_is_of_instances(). False: none is. */
bool aggregate_newest_instance(const struct feature *f, const struct instance *items, size_t count,
                               int64_t *newest_ms);

/* Appends the body of these contributions, in any order, newest_ms being that time. */
void aggregate_of_instances(struct buf *out, const struct feature *f, const struct instance *items,
                            size_t count, int64_t newest_ms);

/* Appends the body of a merged with b; both have seen something. The newest is the larger one. Of
 * equal times, what a holds came before what b holds. */
void aggregate_merge(struct buf *out, const struct feature *f, struct part a, struct part b);

/* Propositions of an overlap, oldest first: calls each(arg, id) for those within the feature's time
 * of as_of_ms. */
void aggregate_each_past(const struct feature *f, struct part p, int64_t as_of_ms,
                         void (*each)(void *arg, struct str id), void *arg);

static inline bool has_windows(enum feature_kind kind)
{
    return kind <= FEATURE_GAP;
}

/* A sum of `decay` so many ms later. */
static inline double decay_after(const struct feature *f, double sum, double later_ms)
{
    return sum * exp2(-later_ms / (double)f->half_life_ms);
}

/* Differences of times that damaged bytes may make absurd. */
static inline int64_t time_minus(int64_t a_ms, int64_t b_ms)
{
    return (int64_t)((uint64_t)a_ms - (uint64_t)b_ms);
}

/* The number of the bucket of a time; rounded down, below zero too. */
static inline int64_t bucket_of(int64_t time_ms, int64_t bucket_ms)
{
    return time_ms / bucket_ms - (time_ms % bucket_ms < 0);
}

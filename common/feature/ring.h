/*
 * The buckets of one window: at most 64, by age, newest first; encoded, they cost what they hold.
 *
 * Used by aggregate.c and content.c. One thread a call; no clock.
 */
#pragma once

#include "base/buf.h"
#include "feature/definition.h"

/* A sum as an unevaluated sum of two doubles. */
struct double_double {
    double high, low;
};

struct double_double double_double_add(struct double_double a, struct double_double b);

/* Content of a bucket; which members count depends on the kind. */
struct bucket {
    uint64_t n;               /* count, mean; `of` of a rate */
    uint64_t per;             /* of a rate */
    struct double_double sum; /* sum, mean; min and max in high */
};

/* Of the same bucket, seen in two places. */
void bucket_add(struct bucket *to, const struct bucket *b, enum feature_kind kind);

struct ring {
    size_t count;
    uint8_t ages[REMEMBERED_BUCKETS]; /* ascending */
    struct bucket buckets[REMEMBERED_BUCKETS];
};

/* In place of a ring: it is that of the window before. */
enum { RING_SAME = REMEMBERED_BUCKETS + 1 };

/* Reads one ring, r being that of the window before (empty for the first); stops where the bytes
 * make no sense. */
void ring_decode(struct ring *r, struct cursor *c, enum feature_kind kind);

void ring_encode(struct buf *out, const struct ring *r, enum feature_kind kind);

/* a, made older by a_age buckets, with b, made older by b_age; what is older than 63 then is
 * forgotten. */
void ring_merge(struct ring *out, const struct ring *a, int64_t a_age, const struct ring *b,
                int64_t b_age, enum feature_kind kind);

/* A ring as it stands encoded: most buckets are carried along without being read. */
struct ring_bytes {
    struct str bytes; /* borrowed; none: no bucket */
    size_t count;
    unsigned oldest; /* age; of none 0 */
};

/*
 * Steps over one ring; r stays as it is where that is the same as the one of the window before.
 * False: the bytes make no sense, and the cursor stands anywhere.
 */
bool ring_step(struct ring_bytes *r, struct cursor *c, enum feature_kind kind);

/* Appends the ring a, made older by a_age buckets, with one bucket of age 0 added: what
 * ring_encode() writes of what ring_merge() makes of both. */
void ring_put_newest(struct buf *out, const struct ring_bytes *a, int64_t a_age,
                     const struct bucket *newest, enum feature_kind kind);

/* Some buckets of a ring together, and the ages of those next to the ends of what was asked for. */
struct ring_sum {
    struct bucket total;
    size_t count;         /* of buckets in it */
    int youngest, oldest; /* of them; without any INT_MAX, INT_MIN */
    int before, after;    /* the nearest ones that were too young and too old; without any INT_MIN,
                             INT_MAX */
};

/*
 * Reads one ring and adds up the buckets from age `from` to `to` while it does so; what is older
 * than `most` is as if it were not there. full: where the last ring that was written in full
 * begins (bad before the first), for one that is the same.
 */
void ring_read(struct ring_sum *out, struct cursor *c, struct cursor *full, enum feature_kind kind,
               int64_t from, int64_t to, int64_t most);

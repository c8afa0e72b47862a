/*
 * Random rings for the tests of ring.c and of what carries rings along.
 *
 * Include after unit.h.
 */
#pragma once

#include "feature/ring.h"
#include "support/fixture.h"

/* Content as the kind has it: what flags stand for, and what has to be written. */
static inline struct bucket any_bucket(struct random *r, enum feature_kind kind)
{
    struct bucket b = {0};
    if (kind == FEATURE_COUNT || kind == FEATURE_MEAN || kind == FEATURE_GAP ||
        kind == FEATURE_RATE)
        b.n = 1 + (uint64_t)random_below(r, 3) * (uint64_t)random_below(r, 1000);
    if (kind == FEATURE_RATE)
        b.per = (uint64_t)random_below(r, 3) * (uint64_t)random_below(r, 1000);
    if (kind == FEATURE_RATE && random_below(r, 3) == 0)
        b = (struct bucket){.n = 0, .per = 1};
    if (kind != FEATURE_COUNT && kind != FEATURE_RATE)
        b.sum.high = random_unit(r) * 1000 - 500;
    if ((kind == FEATURE_SUM || kind == FEATURE_MEAN || kind == FEATURE_GAP) && random_below(r, 2))
        b.sum.low = b.sum.high * 1e-17;
    return b;
}

/* 0 to 64 buckets, ages ascending, close together or far apart. */
static inline struct ring any_ring(struct random *r, enum feature_kind kind)
{
    struct ring out;
    int apart = (int[]){1, 3, 20, 64}[random_below(r, 4)];
    out.count = 0;
    for (int age = (int)random_below(r, apart + 4) - 4; age < REMEMBERED_BUCKETS;
         age += 1 + (int)random_below(r, apart)) {
        if (out.count == 0 && age < 0)
            age = 0;
        out.ages[out.count] = (uint8_t)age;
        out.buckets[out.count++] = any_bucket(r, kind);
    }
    if (random_below(r, 8) == 0)
        out.count = 0;
    else if (random_below(r, 4) == 0)
        out.count = (size_t)random_below(r, (int64_t)out.count + 1);
    return out;
}

/* Numbers from damaged bytes may be none; which one is nobody's business. */
static inline void same_doubles(double a, double b)
{
    assert_true(a == b || (isnan(a) && isnan(b)));
}

static inline void same_rings(const struct ring *a, const struct ring *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_int_equal(a->ages[i], b->ages[i]);
        assert_int_equal(a->buckets[i].n, b->buckets[i].n);
        assert_int_equal(a->buckets[i].per, b->buckets[i].per);
        same_doubles(a->buckets[i].sum.high, b->buckets[i].sum.high);
        same_doubles(a->buckets[i].sum.low, b->buckets[i].sum.low);
    }
}

/* The bytes in memory of their own, to be freed: the sanitizer sees whoever reads past their end.
 */
static inline struct str exact_copy(struct str bytes)
{
    char *memory = malloc(bytes.len + !bytes.len);
    assert_non_null(memory);
    if (bytes.len)
        memcpy(memory, bytes.data, bytes.len);
    return (struct str){memory, bytes.len};
}

/* Some of the bytes become others, or bits of them turn; the first, a number of buckets, more often
 * than others. */
static inline void damage(struct str bytes, struct random *r)
{
    for (int64_t i = 1 + random_below(r, 3); i > 0 && bytes.len; i--) {
        size_t at = random_below(r, 3) ? (size_t)random_below(r, (int64_t)bytes.len) : 0;
        char *byte = (char *)(uintptr_t)bytes.data + at;
        if (random_below(r, 2))
            *byte = (char)random_next(r);
        else
            *byte = (char)(*byte ^ (1 << random_below(r, 8)));
    }
}

#include "feature/distinct.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Two of 256 values are taken for one in 1 of 3*10^7 keys. */
enum { HASH_BYTES = 5 };

struct seen {
    uint64_t hash;
    uint8_t age;
};

/* A body in the open. Two bodies at once while they are merged, and one contribution's values. */
enum { HELD = 2 * DISTINCT_CAPACITY };

struct sketch {
    size_t count;
    struct seen seen[HELD];
    uint8_t levels[REMEMBERED_BUCKETS]; /* of each age: hashes with so many leading zero bits are
                                           kept */
};

uint64_t distinct_hash(struct str value)
{
    return XXH3_64bits(value.data, value.len) >> (64 - 8 * HASH_BYTES) << (64 - 8 * HASH_BYTES);
}

/* The upper bytes; the others are 0. */
static void put_hash(struct buf *out, uint64_t hash)
{
    hash >>= 64 - 8 * HASH_BYTES;
    buf_put(out, &hash, HASH_BYTES);
}

static uint64_t take_hash(struct cursor *c)
{
    const uint8_t *bytes = cursor_take(c, HASH_BYTES);
    uint64_t hash = 0;
    if (bytes)
        memcpy(&hash, bytes, HASH_BYTES);
    return hash << (64 - 8 * HASH_BYTES);
}

static bool is_kept(uint64_t hash, uint8_t level)
{
    return level == 0 || (level < 64 && hash >> (64 - level) == 0);
}

static int by_hash(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash)
                              : (x->age > y->age) - (x->age < y->age);
}

static int by_age(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    return x->age != y->age ? (x->age > y->age) - (x->age < y->age)
                            : (x->hash > y->hash) - (x->hash < y->hash);
}

/* Each value once, where it was last seen. */
static void unite(struct sketch *s)
{
    size_t kept = 0;
    qsort(s->seen, s->count, sizeof *s->seen, by_hash);
    for (size_t i = 0; i < s->count; i++)
        if (kept == 0 || s->seen[kept - 1].hash != s->seen[i].hash)
            s->seen[kept++] = s->seen[i];
    s->count = kept;
}

/* Older buckets have been thinned out at least as much as newer ones; what is above their level
 * goes. */
static void apply_levels(struct sketch *s)
{
    size_t kept = 0;
    for (size_t age = 1; age < REMEMBERED_BUCKETS; age++)
        if (s->levels[age] < s->levels[age - 1])
            s->levels[age] = s->levels[age - 1];
    for (size_t i = 0; i < s->count; i++)
        if (is_kept(s->seen[i].hash, s->levels[s->seen[i].age]))
            s->seen[kept++] = s->seen[i];
    s->count = kept;
}

/*
 * Down to the capacity: buckets with more than DISTINCT_EXACT values in them and after them go up a
 * level, the least thinned ones first. (How many values were last seen in or after a bucket never
 * falls, so every window that such a bucket is in has more than DISTINCT_EXACT values for good.)
 */
static void thin_out(struct sketch *s)
{
    while (s->count > DISTINCT_CAPACITY) {
        size_t in_bucket[REMEMBERED_BUCKETS] = {0}, since = 0, first = 0;
        for (size_t i = 0; i < s->count; i++)
            in_bucket[s->seen[i].age]++;
        while ((since += in_bucket[first]) <= DISTINCT_EXACT)
            first++;
        uint8_t level = (uint8_t)(s->levels[first] + 1);
        for (size_t age = first; age < REMEMBERED_BUCKETS && s->levels[age] < level; age++)
            s->levels[age] = level;
        apply_levels(s);
    }
}

static void start(struct sketch *s)
{
    s->count = 0;
    memset(s->levels, 0, sizeof s->levels);
}

/* Each value once, and no more than there is room for. */
static void tidy(struct sketch *s)
{
    unite(s);
    apply_levels(s);
    thin_out(s);
}

static void put(struct sketch *s, uint64_t hash, uint8_t age)
{
    if (s->count == HELD)
        tidy(s);
    s->seen[s->count++] = (struct seen){hash, age};
}

/* The values of one bucket: how old, how thinned out, how many. */
struct group {
    uint8_t age, level;
    uint64_t count;
};

/* In the byte of the age: one value, at level 0, which is what most buckets have. */
enum { ONE_VALUE = 0x40 };

static void put_group(struct buf *out, struct group g)
{
    if (g.count == 1 && g.level == 0) {
        buf_put_u8(out, g.age | ONE_VALUE);
        return;
    }
    buf_put_u8(out, g.age);
    buf_put_u8(out, g.level);
    buf_put_varint(out, g.count);
}

/* False: there is none, or its values are cut off. */
static bool take_group(struct group *g, struct cursor *c)
{
    if (cursor_left(c) == 0)
        return false;
    g->age = cursor_u8(c);
    bool one = g->age & ONE_VALUE;
    g->age &= (uint8_t)~ONE_VALUE;
    g->level = one ? 0 : cursor_u8(c);
    g->count = one ? 1 : cursor_varint(c);
    return !c->bad && g->count <= cursor_left(c) / HASH_BYTES;
}

/* Adds the values of a body, made older. */
static void take(struct sketch *s, struct cursor *c, int64_t age_by)
{
    struct group g;
    while (take_group(&g, c)) {
        int64_t age = g.age + age_by;
        if (age >= REMEMBERED_BUCKETS) {
            cursor_take(c, (size_t)g.count * HASH_BYTES);
            continue;
        }
        if (s->levels[age] < g.level)
            s->levels[age] = g.level;
        for (uint64_t i = 0; i < g.count; i++)
            put(s, take_hash(c), (uint8_t)age);
    }
}

static void encode(struct buf *out, struct sketch *s)
{
    qsort(s->seen, s->count, sizeof *s->seen, by_age);
    for (size_t i = 0; i < s->count;) {
        size_t end = i;
        while (end < s->count && s->seen[end].age == s->seen[i].age)
            end++;
        put_group(out, (struct group){s->seen[i].age, s->levels[s->seen[i].age], end - i});
        for (; i < end; i++)
            put_hash(out, s->seen[i].hash);
    }
}

void distinct_merge(struct buf *out, struct str a, int64_t a_age, struct str b, int64_t b_age)
{
    struct sketch s;
    struct cursor x = cursor_of(a.data, a.len), y = cursor_of(b.data, b.len);
    start(&s);
    take(&s, &x, a_age);
    take(&s, &y, b_age);
    tidy(&s);
    encode(out, &s);
}

void distinct_of(struct buf *out, const uint64_t *hashes, size_t count)
{
    struct sketch s;
    start(&s);
    for (size_t i = 0; i < count; i++)
        put(&s, hashes[i], 0);
    tidy(&s);
    encode(out, &s);
}

double distinct_read(struct str body, int64_t oldest)
{
    struct cursor c = cursor_of(body.data, body.len);
    struct group g;
    double estimate = 0;
    while (take_group(&g, &c)) {
        cursor_take(&c, (size_t)g.count * HASH_BYTES);
        if (g.age <= oldest)
            estimate += (double)g.count * (double)((uint64_t)1 << (g.level < 63 ? g.level : 63));
    }
    return estimate;
}

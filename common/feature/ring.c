#include "feature/ring.h"

#include <limits.h>
#include <math.h>

/* In the byte of a bucket: 6 bits of gap to the age before (or, of the first, its age), and two
 * flags that stand for the most frequent contents. */
enum {
    GAP_BITS = 0x3f,
    COUNT_ONE = 0x40,    /* n is 1, not written */
    RATE_ONE_OF = 0x40,  /* n 1, per 0, not written */
    RATE_ONE_PER = 0x80, /* n 0, per 1, not written */
    SUM_SIMPLE = 0x40,   /* low is 0, not written */
    /* In the byte of the number of buckets: one bucket, the newest; its flags, a bit lower, are in
     * the byte as well. */
    ONE_NEWEST = 0x80,
};

struct double_double double_double_add(struct double_double a, struct double_double b)
{
    double s = a.high + b.high, v = s - a.high;
    if (!isfinite(s))
        return (struct double_double){s, 0};
    double rest = (a.high - (s - v)) + (b.high - v) + a.low + b.low;
    double high = s + rest;
    return (struct double_double){high, isfinite(high) ? rest - (high - s) : 0};
}

void bucket_add(struct bucket *to, const struct bucket *b, enum feature_kind kind)
{
    if (kind == FEATURE_MIN) {
        to->sum.high = b->sum.high < to->sum.high ? b->sum.high : to->sum.high;
    } else if (kind == FEATURE_MAX) {
        to->sum.high = b->sum.high > to->sum.high ? b->sum.high : to->sum.high;
    } else {
        to->n += b->n;
        to->per += b->per;
        if (kind != FEATURE_COUNT && kind != FEATURE_RATE)
            to->sum = double_double_add(to->sum, b->sum);
    }
}

static uint8_t flags_of(const struct bucket *b, enum feature_kind kind)
{
    if (kind == FEATURE_COUNT)
        return b->n == 1 ? COUNT_ONE : 0;
    if (kind == FEATURE_RATE)
        return b->n == 1 && b->per == 0 ? RATE_ONE_OF : b->n == 0 && b->per == 1 ? RATE_ONE_PER : 0;
    return b->sum.low == 0 ? SUM_SIMPLE : 0;
}

static void put_bucket(struct buf *out, const struct bucket *b, uint8_t flags,
                       enum feature_kind kind)
{
    if (kind == FEATURE_COUNT || kind == FEATURE_RATE) {
        if (flags)
            return;
        buf_put_varint(out, b->n);
        if (kind == FEATURE_RATE)
            buf_put_varint(out, b->per);
        return;
    }
    if (kind == FEATURE_MEAN || kind == FEATURE_GAP)
        buf_put_varint(out, b->n);
    buf_put_double(out, b->sum.high);
    if (!flags)
        buf_put_double(out, b->sum.low);
}

static void put_alone(struct buf *out, const struct bucket *b, enum feature_kind kind)
{
    uint8_t flags = flags_of(b, kind);
    buf_put_u8(out, (uint8_t)(ONE_NEWEST | flags >> 1));
    put_bucket(out, b, flags, kind);
}

void ring_encode(struct buf *out, const struct ring *r, enum feature_kind kind)
{
    uint8_t before = 0;
    if (r->count == 1 && r->ages[0] == 0) {
        put_alone(out, &r->buckets[0], kind);
        return;
    }
    buf_put_u8(out, (uint8_t)r->count);
    for (size_t i = 0; i < r->count; i++) {
        uint8_t flags = flags_of(&r->buckets[i], kind);
        buf_put_u8(out, (uint8_t)((r->ages[i] - before) | flags));
        put_bucket(out, &r->buckets[i], flags, kind);
        before = r->ages[i];
    }
}

static void take_bucket(struct bucket *b, struct cursor *c, uint8_t flags, enum feature_kind kind)
{
    *b = (struct bucket){0};
    if (kind == FEATURE_COUNT || kind == FEATURE_RATE) {
        b->n = flags & COUNT_ONE ? 1 : flags & RATE_ONE_PER ? 0 : cursor_varint(c);
        if (kind == FEATURE_RATE)
            b->per = flags & RATE_ONE_PER ? 1 : flags & RATE_ONE_OF ? 0 : cursor_varint(c);
        return;
    }
    if (kind == FEATURE_MEAN || kind == FEATURE_GAP)
        b->n = cursor_varint(c);
    b->sum.high = cursor_double(c);
    if (!(flags & SUM_SIMPLE))
        b->sum.low = cursor_double(c);
}

void ring_decode(struct ring *r, struct cursor *c, enum feature_kind kind)
{
    uint8_t count = cursor_u8(c);
    unsigned age = 0;
    if (count == RING_SAME)
        return;
    r->count = 0;
    if (count & ONE_NEWEST) {
        take_bucket(&r->buckets[0], c, (uint8_t)(count << 1), kind);
        r->ages[0] = 0;
        r->count = !c->bad;
        return;
    }
    for (uint8_t i = 0; i < count && count <= REMEMBERED_BUCKETS; i++) {
        uint8_t head = cursor_u8(c);
        age += head & GAP_BITS;
        take_bucket(&r->buckets[i], c, head & (uint8_t)~GAP_BITS, kind);
        if (c->bad || age >= REMEMBERED_BUCKETS)
            return;
        r->ages[i] = (uint8_t)age;
        r->count++;
    }
}

void ring_merge(struct ring *out, const struct ring *a, int64_t a_age, const struct ring *b,
                int64_t b_age, enum feature_kind kind)
{
    size_t i = 0, k = 0;
    out->count = 0;
    while (i < a->count || k < b->count) {
        int64_t x = i < a->count ? a->ages[i] + a_age : INT64_MAX;
        int64_t y = k < b->count ? b->ages[k] + b_age : INT64_MAX;
        int64_t age = x < y ? x : y;
        if (age >= REMEMBERED_BUCKETS || out->count == REMEMBERED_BUCKETS)
            return;
        out->ages[out->count] = (uint8_t)age;
        out->buckets[out->count] = x <= y ? a->buckets[i++] : b->buckets[k++];
        if (x == y)
            bucket_add(&out->buckets[out->count], &b->buckets[k++], kind);
        out->count++;
    }
}

/* ------------------------------------------------------------ without decoding */

/* The end of a varint; NULL: it is not before `end`, or has so many bytes that its value has to be
 * looked at. */
static const uint8_t *after_varint(const uint8_t *at, const uint8_t *end)
{
    for (size_t n = 1; at < end && n < VARINT_BYTES; n++)
        if (!(*at++ & 0x80))
            return at;
    return NULL;
}

/* Where the content of a bucket ends; NULL: not before `end`, or it is no content that is written
 * here. */
static const uint8_t *after_bucket(const uint8_t *at, const uint8_t *end, uint8_t flags,
                                   enum feature_kind kind)
{
    if (kind == FEATURE_COUNT && flags & RATE_ONE_PER)
        return NULL;
    if (kind == FEATURE_COUNT)
        return flags & COUNT_ONE ? at : after_varint(at, end);
    if (kind == FEATURE_RATE) {
        if (flags & (RATE_ONE_OF | RATE_ONE_PER))
            return at;
        at = after_varint(at, end);
        return at ? after_varint(at, end) : NULL;
    }
    if (kind == FEATURE_MEAN || kind == FEATURE_GAP)
        at = after_varint(at, end);
    size_t doubles = flags & SUM_SIMPLE ? 8 : 16;
    return at && (size_t)(end - at) >= doubles ? at + doubles : NULL;
}

bool ring_step(struct ring_bytes *r, struct cursor *c, enum feature_kind kind)
{
    const uint8_t *start = c->at, *at = start, *end = c->end;
    if (c->bad || at == end)
        return false;
    uint8_t count = *at++;
    unsigned age = 0;
    if (count == RING_SAME) {
        c->at = at;
        return true;
    }
    if (count & ONE_NEWEST) {
        at = after_bucket(at, end, (uint8_t)(count << 1), kind);
        count = 1;
    } else {
        if (count > REMEMBERED_BUCKETS)
            return false;
        for (uint8_t i = 0; i < count && at; i++) {
            if (at == end)
                return false;
            uint8_t head = *at++;
            if (i > 0 && !(head & GAP_BITS))
                return false; /* two of one age */
            age += head & GAP_BITS;
            at = after_bucket(at, end, head & (uint8_t)~GAP_BITS, kind);
        }
    }
    if (!at || age >= REMEMBERED_BUCKETS)
        return false;
    c->at = at;
    *r = (struct ring_bytes){str_bytes(start, (size_t)(at - start)), count, age};
    return true;
}

/* What of the buckets from `at` on is younger than `most`, the first of them having that age less
 * its gap: its end, and their number. */
static const uint8_t *cut(const uint8_t *at, const uint8_t *end, unsigned age, unsigned most,
                          enum feature_kind kind, size_t *count)
{
    for (*count = 0; at < end; (*count)++) {
        age += *at & GAP_BITS;
        if (age > most)
            return at;
        at = after_bucket(at + 1, end, *at & (uint8_t)~GAP_BITS, kind);
    }
    return at;
}

/* Number of buckets, the newest, and what comes behind it. */
static void put_before(struct buf *out, const struct bucket *newest, enum feature_kind kind,
                       size_t count, const uint8_t *rest, const uint8_t *end)
{
    uint8_t flags = flags_of(newest, kind);
    buf_put_u8(out, (uint8_t)count);
    buf_put_u8(out, flags);
    put_bucket(out, newest, flags, kind);
    buf_put(out, rest, (size_t)(end - rest));
}

/* a's buckets are all older than the newest: the first has its age anew, the last may go. */
static void put_older(struct buf *out, const struct ring_bytes *a, unsigned first_age,
                      uint8_t flags, const uint8_t *content, const uint8_t *end, int64_t a_age,
                      const struct bucket *newest, enum feature_kind kind)
{
    const uint8_t *rest = after_bucket(content, end, flags, kind);
    unsigned age = first_age + (unsigned)a_age;
    size_t behind = a->count - 1;
    if (a->oldest + (unsigned)a_age >= REMEMBERED_BUCKETS)
        end = cut(rest, end, age, REMEMBERED_BUCKETS - 1, kind, &behind);
    uint8_t newest_flags = flags_of(newest, kind);
    buf_put_u8(out, (uint8_t)(behind + 2));
    buf_put_u8(out, newest_flags);
    put_bucket(out, newest, newest_flags, kind);
    buf_put_u8(out, (uint8_t)(age | flags));
    buf_put(out, content, (size_t)(end - content));
}

void ring_put_newest(struct buf *out, const struct ring_bytes *a, int64_t a_age,
                     const struct bucket *newest, enum feature_kind kind)
{
    struct cursor c = cursor_of(a->bytes.data, a->bytes.len);
    uint8_t count = cursor_u8(&c), head = 0;
    if (count & ONE_NEWEST)
        head = (uint8_t)(count << 1);
    else if (a->count)
        head = cursor_u8(&c);
    unsigned first_age = count & ONE_NEWEST ? 0 : head & GAP_BITS;
    uint8_t flags = head & (uint8_t)~GAP_BITS;
    if (a->count == 0 || first_age + a_age >= REMEMBERED_BUCKETS) {
        put_alone(out, newest, kind);
    } else if (first_age + a_age > 0) {
        put_older(out, a, first_age, flags, c.at, c.end, a_age, newest, kind);
    } else {
        struct bucket both;
        take_bucket(&both, &c, flags, kind);
        bucket_add(&both, newest, kind);
        if (a->count == 1)
            put_alone(out, &both, kind);
        else
            put_before(out, &both, kind, a->count, c.at, c.end);
    }
}

/* ------------------------------------------------------------ sums */

/* A bucket's place in a sum. */
static void sum_bucket(struct ring_sum *s, int age, const struct bucket *b, enum feature_kind kind,
                       int64_t from, int64_t to)
{
    if (age < from) {
        s->before = age;
        return;
    }
    if (age > to) {
        s->after = age < s->after ? age : s->after;
        return;
    }
    if (s->count++ == 0) {
        s->total = *b;
        s->youngest = age;
    } else {
        bucket_add(&s->total, b, kind);
    }
    s->oldest = age;
}

void ring_read(struct ring_sum *out, struct cursor *c, struct cursor *full, enum feature_kind kind,
               int64_t from, int64_t to, int64_t most)
{
    struct cursor start = *c;
    struct bucket b;
    unsigned age = 0;
    out->total = (struct bucket){0};
    out->count = 0;
    out->youngest = out->after = INT_MAX;
    out->oldest = out->before = INT_MIN;
    uint8_t count = cursor_u8(c);
    if (count == RING_SAME) {
        start = *full;
        if (start.bad || cursor_left(&start) == 0 || *start.at == RING_SAME)
            return;
        c = &start;
        count = cursor_u8(c);
    } else {
        *full = start;
    }
    if (count & ONE_NEWEST) {
        take_bucket(&b, c, (uint8_t)(count << 1), kind);
        if (!c->bad && most >= 0)
            sum_bucket(out, 0, &b, kind, from, to);
        return;
    }
    for (uint8_t i = 0; i < count && count <= REMEMBERED_BUCKETS; i++) {
        uint8_t head = cursor_u8(c);
        age += head & GAP_BITS;
        take_bucket(&b, c, head & (uint8_t)~GAP_BITS, kind);
        if (c->bad || age >= REMEMBERED_BUCKETS)
            return;
        if (age <= most)
            sum_bucket(out, (int)age, &b, kind, from, to);
    }
}

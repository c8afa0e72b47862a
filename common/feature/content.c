#include "feature/content.h"

#include "feature/distinct.h"
#include "feature/ring.h"

#include <limits.h>

/* A distance in buckets, none of which matters beyond a window's length; damaged bytes may hold any
 * time. */
static int64_t distance(int64_t from, int64_t to)
{
    enum { FAR = 1000 };
    int64_t d = time_minus(to, from);
    return d > FAR ? FAR : d < -FAR ? -FAR : d;
}

/* Narrows the range to the buckets of as_of from `first` to `last`. */
static void narrow(struct content_range *valid, int64_t first, int64_t last, int64_t bucket_ms)
{
    int64_t from_ms = (int64_t)((uint64_t)first * (uint64_t)bucket_ms);
    int64_t until_ms = (int64_t)((uint64_t)(last + 1) * (uint64_t)bucket_ms - 1);
    valid->from_ms = from_ms > valid->from_ms ? from_ms : valid->from_ms;
    valid->until_ms = until_ms < valid->until_ms ? until_ms : valid->until_ms;
}

/* What a window holds. */
static void put_total(struct content *out, const struct ring_sum *s, enum feature_kind kind)
{
    const struct bucket *b = &s->total;
    switch (kind) {
    case FEATURE_COUNT:
        *out = (struct content){.a = (double)b->n};
        break;
    case FEATURE_RATE:
        *out = (struct content){.a = (double)b->n, .b = (double)b->per};
        break;
    case FEATURE_MIN:
    case FEATURE_MAX:
        *out = (struct content){.a = s->count ? b->sum.high : NAN};
        break;
    default: /* sum, mean, gap */
        *out = (struct content){b->sum.high, b->sum.low, (double)b->n};
        break;
    }
}

/*
 * As of bucket k, ages from `from` to from + 59 count, and one bucket later all of them one less.
 * So the total stays as it is until the oldest that counts is too old, or the nearest of those that
 * were too young counts; and backwards likewise. No range is wider than 64 buckets around k.
 */
static void narrow_to_sum(struct content_range *valid, const struct ring_sum *s, int64_t k,
                          int64_t from, int64_t bucket_ms)
{
    int64_t back = -REMEMBERED_BUCKETS, on = REMEMBERED_BUCKETS;
    if (s->count) {
        back = from - s->youngest > back ? from - s->youngest : back;
        on =
            from - s->oldest + WINDOW_BUCKETS - 1 < on ? from - s->oldest + WINDOW_BUCKETS - 1 : on;
    }
    if (s->after != INT_MAX && from - s->after + WINDOW_BUCKETS > back)
        back = from - s->after + WINDOW_BUCKETS;
    if (s->before != INT_MIN && from - s->before - 1 < on)
        on = from - s->before - 1;
    narrow(valid, k + back, k + on, bucket_ms);
}

static void read_windows(struct content *out, struct content_range *valid, const struct feature *f,
                         struct part p, int64_t newest_ms, int64_t as_of_ms)
{
    struct cursor c = cursor_of(p.body.data, p.body.len), full = {.bad = true};
    for (size_t w = 0; w < f->window_count; w++) {
        int64_t bucket_ms = f->windows[w].bucket_ms, k = bucket_of(as_of_ms, bucket_ms);
        int64_t newest = bucket_of(p.newest_ms, bucket_ms), from = distance(k, newest);
        int64_t forgotten =
            newest_ms == p.newest_ms ? 0 : distance(newest, bucket_of(newest_ms, bucket_ms));
        struct ring_sum s;
        ring_read(&s, &c, &full, f->kind, from, from + WINDOW_BUCKETS - 1,
                  REMEMBERED_BUCKETS - 1 - forgotten);
        put_total(&out[w], &s, f->kind);
        narrow_to_sum(valid, &s, k, from, bucket_ms);
    }
}

/* The buckets of the values are not looked at, so it is right for the bucket of as_of. */
static void read_distinct(struct content *out, struct content_range *valid, const struct feature *f,
                          struct part p, int64_t as_of_ms)
{
    int64_t bucket_ms = f->windows[0].bucket_ms, k = bucket_of(as_of_ms, bucket_ms);
    int64_t oldest = distance(k, bucket_of(p.newest_ms, bucket_ms)) + WINDOW_BUCKETS - 1;
    *out = (struct content){0};
    out->a = distinct_read(p.body, oldest < REMEMBERED_BUCKETS ? oldest : REMEMBERED_BUCKETS - 1);
    narrow(valid, k, k, bucket_ms);
}

void content_nothing(struct content *out, const struct feature *f)
{
    bool is_missing =
        f->kind == FEATURE_MIN || f->kind == FEATURE_MAX || f->kind == FEATURE_RECENCY;
    for (size_t i = 0; i < feature_contents(f); i++)
        out[i] =
            (struct content){is_missing ? NAN : 0, f->kind == FEATURE_DECAY ? -INFINITY : 0, 0};
}

void content_read(struct content *out, struct content_range *valid, const struct feature *f,
                  struct part p, int64_t newest_ms, int64_t as_of_ms)
{
    struct cursor c = cursor_of(p.body.data, p.body.len);
    if (!p.seen) {
        content_nothing(out, f);
    } else if (has_windows(f->kind)) {
        read_windows(out, valid, f, p, newest_ms, as_of_ms);
    } else if (f->kind == FEATURE_DISTINCT) {
        read_distinct(out, valid, f, p, as_of_ms);
    } else if (f->kind == FEATURE_DECAY) {
        *out = (struct content){cursor_double(&c), (double)p.newest_ms, 0};
    } else { /* recency */
        *out = (struct content){.a = (double)p.newest_ms};
    }
}

/* Sums in double-double. */
static void add_sum(struct content *to, const struct content *more)
{
    struct double_double sum = double_double_add((struct double_double){to->a, to->b},
                                                 (struct double_double){more->a, more->b});
    *to = (struct content){sum.high, sum.low, to->c + more->c};
}

/* Both as of the newer one. */
static void add_decayed(struct content *to, const struct content *more, const struct feature *f)
{
    if (more->b == -INFINITY)
        return;
    if (to->b == -INFINITY)
        *to = *more;
    else if (more->b > to->b)
        *to = (struct content){decay_after(f, to->a, more->b - to->b) + more->a, more->b, 0};
    else
        to->a += decay_after(f, more->a, to->b - more->b);
}

void content_add(struct content *to, const struct content *more, const struct feature *f)
{
    switch (f->kind) {
    case FEATURE_COUNT:
        to->a += more->a;
        break;
    case FEATURE_RATE:
        to->a += more->a;
        to->b += more->b;
        break;
    case FEATURE_MIN:
        to->a = isnan(to->a) || more->a < to->a ? more->a : to->a;
        break;
    case FEATURE_MAX:
    case FEATURE_RECENCY:
        to->a = isnan(to->a) || more->a > to->a ? more->a : to->a;
        break;
    case FEATURE_DECAY:
        add_decayed(to, more, f);
        break;
    default: /* sum, mean, gap */
        add_sum(to, more);
        break;
    }
}

double content_value(const struct content *c, const struct feature *f, double prior,
                     int64_t as_of_ms)
{
    double at_ms = (double)as_of_ms;
    switch (f->kind) {
    case FEATURE_SUM:
        return c->a + c->b;
    case FEATURE_MEAN:
    case FEATURE_GAP:
        return c->c > 0 ? (c->a + c->b) / c->c : NAN;
    case FEATURE_RATE:
        return content_rate(c, f, prior);
    case FEATURE_RECENCY:
        return isnan(c->a) ? NAN : at_ms > c->a ? (at_ms - c->a) / 1000 : 0;
    case FEATURE_DECAY:
        return at_ms > c->b ? decay_after(f, c->a, at_ms - c->b) : c->a;
    default: /* count, min, max, distinct */
        return c->a;
    }
}

#include "feature/aggregate.h"

#include "feature/distinct.h"
#include "feature/ring.h"

/* ------------------------------------------------------------ one contribution */

/* The ring that was written last in full. */
struct written {
    size_t at, len;
};

/* Windows that hold the same cost it once: the ring written from `at` on may be the one before. */
static void close_ring(struct buf *out, size_t at, struct written *last)
{
    size_t len = out->len - at;
    if (buf_ok(out) && len > 1 && last->len == len &&
        memcmp(out->data + last->at, out->data + at, len) == 0) {
        out->data[at] = RING_SAME;
        out->len = at + 1;
        return;
    }
    *last = (struct written){at, len};
}

static void put_ring(struct buf *out, const struct ring *r, enum feature_kind kind,
                     struct written *last)
{
    size_t at = out->len;
    ring_encode(out, r, kind);
    close_ring(out, at, last);
}

/* The numbers of a gap's attribute. */
static struct bucket numbers_of(const struct feature *f, const struct contribution *c)
{
    struct bucket b = {0};
    for (size_t i = 0; i < c->count; i++) {
        const struct known_value *v = situation_attribute(&c->situations[i], &f->dimension);
        if (!v || v->type != ATTRIBUTE_NUMBER)
            continue;
        b.n++;
        b.sum = double_double_add(b.sum, (struct double_double){v->number, 0});
    }
    return b;
}

/* Zero has one sign, or the least of 0 and -0 would be the one that came first. */
static struct double_double value_of(double value)
{
    return (struct double_double){value + 0.0, 0};
}

static bool windows_of(struct buf *out, const struct feature *f, const struct contribution *c)
{
    struct bucket b = {.n = 1, .sum = value_of(c->value.value)};
    if (f->kind == FEATURE_GAP) {
        b = numbers_of(f, c);
        if (b.n == 0)
            return false;
    } else if (f->kind == FEATURE_RATE) {
        b = (struct bucket){.n = c->event == f->event, .per = c->event == f->per};
    } else if (f->kind != FEATURE_COUNT && !c->value.given) {
        return false;
    }
    struct ring r;
    r.count = 1;
    r.ages[0] = 0;
    r.buckets[0] = b;
    struct written last = {0};
    for (size_t i = 0; i < f->window_count; i++)
        put_ring(out, &r, f->kind, &last);
    return true;
}

static bool values_of(struct buf *out, const struct feature *f, const struct contribution *c,
                      struct arena *a)
{
    size_t count = 0, room = 0;
    for (size_t i = 0; i < c->count; i++)
        room += situation_values(&c->situations[i], &f->dimension).count;
    uint64_t *hashes = arena_alloc(a, room * sizeof *hashes + 1);
    if (room == 0 || !hashes) {
        out->failed |= !hashes;
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        struct str_list values = situation_values(&c->situations[i], &f->dimension);
        for (size_t k = 0; k < values.count; k++)
            hashes[count++] = distinct_hash(values.items[k]);
    }
    distinct_of(out, hashes, count);
    return true;
}

/* The last propositions of the list, as many as the feature reads. */
static bool past_of(struct buf *out, const struct feature *f, const struct contribution *c)
{
    size_t first = c->count, count = 0;
    while (first > 0 && count < f->last)
        count += c->situations[--first].proposition_id.data != NULL;
    if (count == 0)
        return false;
    buf_put_varint(out, count);
    for (size_t i = first; i < c->count; i++) {
        if (!c->situations[i].proposition_id.data)
            continue;
        buf_put_varint(out, 0);
        buf_put_sized(out, c->situations[i].proposition_id);
    }
    return true;
}

bool aggregate_of(struct buf *out, const struct feature *f, const struct contribution *c,
                  struct arena *a)
{
    if (c->event != f->event && !(f->kind == FEATURE_RATE && c->event == f->per))
        return false;
    if (has_windows(f->kind))
        return windows_of(out, f, c);
    switch (f->kind) {
    case FEATURE_DECAY:
        buf_put_double(out, 1);
        return true;
    case FEATURE_DISTINCT:
        return values_of(out, f, c, a);
    case FEATURE_OVERLAP:
        return past_of(out, f, c);
    default: /* recency */
        return true;
    }
}

/* ------------------------------------------------------------ several contributions */

static bool needs_value(enum feature_kind kind)
{
    return kind > FEATURE_COUNT && kind < FEATURE_RATE;
}

static bool is_something(const struct feature *f, const struct instance *x)
{
    if (f->kind == FEATURE_RATE)
        return x->event == f->event || x->event == f->per;
    return x->event == f->event && (x->has_value || !needs_value(f->kind));
}

bool aggregate_newest_instance(const struct feature *f, const struct instance *items, size_t count,
                               int64_t *newest_ms)
{
    bool any = false;
    for (size_t i = 0; i < count; i++)
        if (is_something(f, &items[i]) && (!any || items[i].time > *newest_ms)) {
            *newest_ms = items[i].time;
            any = true;
        }
    return any;
}

static struct bucket bucket_of_instance(const struct feature *f, const struct instance *x)
{
    if (f->kind == FEATURE_RATE)
        return (struct bucket){.n = x->event == f->event, .per = x->event == f->per};
    return (struct bucket){.n = 1, .sum = value_of(x->value)};
}

/* Each to its place in the window; then those that are taken are put together. */
static void window_of_instances(struct ring *r, const struct feature *f, int64_t bucket_ms,
                                const struct instance *items, size_t count, int64_t newest_ms)
{
    struct bucket places[REMEMBERED_BUCKETS];
    uint64_t taken = 0;
    int64_t newest = bucket_of(newest_ms, bucket_ms);
    for (size_t i = 0; i < count; i++) {
        if (!is_something(f, &items[i]))
            continue;
        int64_t age = newest - bucket_of(items[i].time, bucket_ms);
        if (age >= REMEMBERED_BUCKETS)
            continue;
        struct bucket b = bucket_of_instance(f, &items[i]);
        if (taken >> age & 1)
            bucket_add(&places[age], &b, f->kind);
        else
            places[age] = b;
        taken |= UINT64_C(1) << age;
    }
    r->count = 0;
    for (uint8_t age = 0; age < REMEMBERED_BUCKETS && taken >> age; age++)
        if (taken >> age & 1) {
            r->ages[r->count] = age;
            r->buckets[r->count++] = places[age];
        }
}

void aggregate_of_instances(struct buf *out, const struct feature *f, const struct instance *items,
                            size_t count, int64_t newest_ms)
{
    if (has_windows(f->kind)) {
        struct ring r;
        struct written last = {0};
        for (size_t w = 0; w < f->window_count; w++) {
            window_of_instances(&r, f, f->windows[w].bucket_ms, items, count, newest_ms);
            put_ring(out, &r, f->kind, &last);
        }
    } else if (f->kind == FEATURE_DECAY) {
        double sum = 0;
        for (size_t i = 0; i < count; i++)
            if (is_something(f, &items[i]))
                sum += decay_after(f, 1, (double)time_minus(newest_ms, items[i].time));
        buf_put_double(out, sum);
    }
}

/* ------------------------------------------------------------ merging */

/*
 * b is one contribution, or several to the same buckets, and none of a is newer: what nearly every
 * merge is. a's buckets are carried over as they stand. False: it is not so, or a is damaged, and
 * what was appended means nothing.
 */
static bool merge_newest(struct buf *out, const struct feature *f, struct part a, struct part b)
{
    struct ring_bytes x = {0};
    struct ring y;
    struct written last = {0};
    struct cursor i = cursor_of(a.body.data, a.body.len), k = cursor_of(b.body.data, b.body.len);
    y.count = 0;
    for (size_t w = 0; w < f->window_count; w++) {
        int64_t bucket_ms = f->windows[w].bucket_ms;
        int64_t a_age = bucket_of(b.newest_ms, bucket_ms) - bucket_of(a.newest_ms, bucket_ms);
        ring_decode(&y, &k, f->kind);
        if (a_age < 0 || y.count != 1 || y.ages[0] != 0 || !ring_step(&x, &i, f->kind))
            return false;
        size_t at = out->len;
        ring_put_newest(out, &x, a_age, &y.buckets[0], f->kind);
        close_ring(out, at, &last);
    }
    return true;
}

static void merge_windows(struct buf *out, const struct feature *f, struct part a, struct part b)
{
    struct ring x, y, both;
    struct written last = {0};
    size_t at = out->len;
    if (merge_newest(out, f, a, b))
        return;
    if (buf_ok(out))
        out->len = at;
    x.count = y.count = 0;
    struct cursor i = cursor_of(a.body.data, a.body.len), k = cursor_of(b.body.data, b.body.len);
    for (size_t w = 0; w < f->window_count; w++) {
        int64_t a_newest = bucket_of(a.newest_ms, f->windows[w].bucket_ms);
        int64_t b_newest = bucket_of(b.newest_ms, f->windows[w].bucket_ms);
        int64_t newest = a_newest > b_newest ? a_newest : b_newest;
        ring_decode(&x, &i, f->kind);
        ring_decode(&y, &k, f->kind);
        ring_merge(&both, &x, newest - a_newest, &y, newest - b_newest, f->kind);
        put_ring(out, &both, f->kind, &last);
    }
}

static void merge_distinct(struct buf *out, const struct feature *f, struct part a, struct part b)
{
    int64_t a_newest = bucket_of(a.newest_ms, f->windows[0].bucket_ms);
    int64_t b_newest = bucket_of(b.newest_ms, f->windows[0].bucket_ms);
    int64_t newest = a_newest > b_newest ? a_newest : b_newest;
    distinct_merge(out, a.body, newest - a_newest, b.body, newest - b_newest);
}

static double decay_at(const struct feature *f, struct part p, int64_t at_ms)
{
    struct cursor c = cursor_of(p.body.data, p.body.len);
    return decay_after(f, cursor_double(&c), (double)time_minus(at_ms, p.newest_ms));
}

/* One list of past propositions on the way through. */
struct past {
    struct cursor c;
    uint64_t left;
    int64_t newest_ms;
    int64_t time_ms;
    struct str id;
};

static bool past_next(struct past *p)
{
    if (p->left == 0)
        return false;
    p->left--;
    p->time_ms = time_minus(p->newest_ms, (int64_t)cursor_varint(&p->c));
    p->id = cursor_sized(&p->c);
    if (p->c.bad)
        p->left = 0;
    return !p->c.bad;
}

static struct past past_start(struct part part)
{
    struct past p = {.c = cursor_of(part.body.data, part.body.len), .newest_ms = part.newest_ms};
    p.left = cursor_varint(&p.c);
    return p;
}

/* Those of a and b in order of time, a's first where times are equal: calls each, or only counts.
 */
static size_t walk_both(const struct feature *f, struct part a, struct part b, size_t skip,
                        struct buf *out)
{
    int64_t newest_ms = a.newest_ms > b.newest_ms ? a.newest_ms : b.newest_ms;
    struct past x = past_start(a), y = past_start(b);
    bool has_x = past_next(&x), has_y = past_next(&y);
    size_t count = 0;
    while (has_x || has_y) {
        bool take_x = has_x && (!has_y || x.time_ms <= y.time_ms);
        const struct past *p = take_x ? &x : &y;
        if (time_minus(newest_ms, p->time_ms) <= f->within_ms) {
            if (out && count >= skip) {
                buf_put_varint(out, (uint64_t)time_minus(newest_ms, p->time_ms));
                buf_put_sized(out, p->id);
            }
            count++;
        }
        if (take_x)
            has_x = past_next(&x);
        else
            has_y = past_next(&y);
    }
    return count;
}

static void merge_overlap(struct buf *out, const struct feature *f, struct part a, struct part b)
{
    size_t count = walk_both(f, a, b, 0, NULL), kept = count < f->last ? count : f->last;
    buf_put_varint(out, kept);
    walk_both(f, a, b, count - kept, out);
}

void aggregate_merge(struct buf *out, const struct feature *f, struct part a, struct part b)
{
    int64_t newest_ms = a.newest_ms > b.newest_ms ? a.newest_ms : b.newest_ms;
    if (has_windows(f->kind))
        merge_windows(out, f, a, b);
    else if (f->kind == FEATURE_DECAY)
        buf_put_double(out, decay_at(f, a, newest_ms) + decay_at(f, b, newest_ms));
    else if (f->kind == FEATURE_DISTINCT)
        merge_distinct(out, f, a, b);
    else if (f->kind == FEATURE_OVERLAP)
        merge_overlap(out, f, a, b);
}

/* ------------------------------------------------------------ reading */

void aggregate_each_past(const struct feature *f, struct part p, int64_t as_of_ms,
                         void (*each)(void *arg, struct str id), void *arg)
{
    if (!p.seen)
        return;
    int64_t at_ms = as_of_ms > p.newest_ms ? as_of_ms : p.newest_ms;
    struct past past = past_start(p);
    while (past_next(&past))
        if (time_minus(at_ms, past.time_ms) <= f->within_ms)
            each(arg, past.id);
}

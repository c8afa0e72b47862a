#include "feature/cell.h"

/* Writes the length of what was appended since `at`, where one byte was left for it. */
static void close_slot(struct buf *out, size_t at)
{
    size_t n = out->len - at - 1;
    if (!buf_ok(out))
        return;
    if (n < 0x80) {
        out->data[at] = (uint8_t)n;
        return;
    }
    uint8_t length[VARINT_BYTES];
    size_t bytes = varint_write(length, n);
    buf_splice(out, at, 1, length, bytes);
}

/* Times of slots on the way through a cell: many slots are made of the same events and were touched
 * last at once. */
struct times {
    int64_t newest_ms; /* of the cell */
    int64_t before_ms; /* of the slot before that has seen something */
};

enum { SAME_AS_CELL, SAME_AS_BEFORE };

static struct times times_of(int64_t newest_ms)
{
    return (struct times){newest_ms, newest_ms};
}

static void put_time(struct buf *out, struct times *t, int64_t own_ms)
{
    if (own_ms == t->newest_ms)
        buf_put_u8(out, SAME_AS_CELL);
    else if (own_ms == t->before_ms)
        buf_put_u8(out, SAME_AS_BEFORE);
    else
        buf_put_varint(out, (uint64_t)time_minus(t->newest_ms, own_ms) + SAME_AS_BEFORE);
    t->before_ms = own_ms;
}

static int64_t take_time(struct cursor *c, struct times *t)
{
    uint64_t code = cursor_varint(c);
    if (code == SAME_AS_CELL)
        t->before_ms = t->newest_ms;
    else if (code != SAME_AS_BEFORE)
        t->before_ms = time_minus(t->newest_ms, (int64_t)(code - SAME_AS_BEFORE));
    return t->before_ms;
}

/* A part with its length before it. */
static void put_part(struct buf *out, struct times *t, struct part p)
{
    size_t at = out->len;
    buf_put_u8(out, 0);
    if (!p.seen)
        return;
    put_time(out, t, p.newest_ms);
    buf_put_str(out, p.body);
    close_slot(out, at);
}

static struct part take_part(struct cursor *c, struct times *t)
{
    struct str bytes = cursor_sized(c);
    struct cursor inside = cursor_of(bytes.data, bytes.len);
    if (bytes.len == 0)
        return (struct part){0};
    int64_t own_ms = take_time(&inside, t);
    return (struct part){true, own_ms, str_bytes(inside.at, cursor_left(&inside))};
}

bool cell_of(struct buf *out, const struct scope *scope, const struct contribution *c,
             struct arena *a)
{
    bool any = !scope->is_total;
    buf_put_zigzag(out, c->time);
    for (size_t i = 0; i < scope->slot_count; i++) {
        size_t at = out->len;
        buf_put_u8(out, 0); /* the length */
        buf_put_u8(out, SAME_AS_CELL);
        bool seen = aggregate_of(out, scope->slots[i], c, a);
        any |= seen;
        if (seen)
            close_slot(out, at);
        else if (buf_ok(out))
            out->len = at + 1;
    }
    return any;
}

void cell_of_instances(struct buf *out, const struct scope *scope, const struct instance *items,
                       size_t count)
{
    int64_t newest_ms = items[0].time, own_ms = 0;
    for (size_t i = 1; i < count; i++)
        newest_ms = items[i].time > newest_ms ? items[i].time : newest_ms;
    struct times times = times_of(newest_ms);
    buf_put_zigzag(out, newest_ms);
    for (size_t i = 0; i < scope->slot_count; i++) {
        const struct feature *f = scope->slots[i];
        size_t at = out->len;
        buf_put_u8(out, 0); /* the length */
        if (!aggregate_newest_instance(f, items, count, &own_ms))
            continue;
        put_time(out, &times, own_ms);
        aggregate_of_instances(out, f, items, count, own_ms);
        close_slot(out, at);
    }
}

void cell_merge(struct buf *out, const struct scope *scope, struct str a, struct str b)
{
    if (a.len == 0 || b.len == 0) {
        buf_put_str(out, a.len ? a : b);
        return;
    }
    struct cursor i = cursor_of(a.data, a.len), k = cursor_of(b.data, b.len);
    struct times a_times = times_of(cursor_zigzag(&i)), b_times = times_of(cursor_zigzag(&k));
    int64_t newest_ms =
        a_times.newest_ms > b_times.newest_ms ? a_times.newest_ms : b_times.newest_ms;
    struct times times = times_of(newest_ms);
    buf_put_zigzag(out, newest_ms);
    for (size_t s = 0; s < scope->slot_count; s++) {
        struct part x = take_part(&i, &a_times), y = take_part(&k, &b_times);
        if (!x.seen || !y.seen) {
            put_part(out, &times, x.seen ? x : y);
            continue;
        }
        size_t at = out->len;
        buf_put_u8(out, 0);
        put_time(out, &times, x.newest_ms > y.newest_ms ? x.newest_ms : y.newest_ms);
        aggregate_merge(out, scope->slots[s], x, y);
        close_slot(out, at);
    }
}

static bool is_time(int64_t ms)
{
    return ms <= CONTRIBUTION_MAX_MS && ms >= -CONTRIBUTION_MAX_MS;
}

bool cell_is_sound(const struct scope *scope, struct str cell)
{
    struct cursor c = cursor_of(cell.data, cell.len);
    struct times times = times_of(cursor_zigzag(&c));
    bool sound = is_time(times.newest_ms);
    for (size_t i = 0; i < scope->slot_count; i++) {
        struct part p = take_part(&c, &times);
        sound &= !p.seen || (is_time(p.newest_ms) && p.newest_ms <= times.newest_ms);
    }
    return sound && !c.bad && cursor_left(&c) == 0;
}

int64_t cell_newest_ms(struct str cell)
{
    struct cursor c = cursor_of(cell.data, cell.len);
    return cursor_zigzag(&c);
}

struct part cell_part(struct str cell, size_t slot)
{
    struct cursor c = cursor_of(cell.data, cell.len);
    if (cell.len == 0)
        return (struct part){0};
    struct times times = times_of(cursor_zigzag(&c));
    for (size_t i = 0; i < slot; i++)
        take_part(&c, &times);
    return take_part(&c, &times);
}

/* The part of a slot over several cells; one is not copied, of more the body is in scratch. */
static struct part merged_part(struct buf *scratch, const struct scope *scope, size_t slot,
                               const struct str *cells, size_t count)
{
    struct part all = {0};
    for (size_t i = 0; i < count; i++) {
        struct part p = cell_part(cells[i], slot);
        if (!all.seen || !p.seen) {
            all = all.seen ? all : p;
            continue;
        }
        /* What was merged so far may lie in scratch, which moves when it grows. */
        struct buf merged = {0};
        aggregate_merge(&merged, scope->slots[slot], all, p);
        all.newest_ms = all.newest_ms > p.newest_ms ? all.newest_ms : p.newest_ms;
        buf_reset(scratch);
        buf_put(scratch, merged.data, merged.len);
        scratch->failed |= merged.failed;
        buf_free(&merged);
        all.body = buf_str(scratch);
    }
    return all;
}

size_t key_contents_bytes(const struct scope *scope)
{
    return sizeof(struct key_contents) + scope->content_count * sizeof(struct content);
}

void key_contents_read(struct key_contents *out, const struct scope *scope, struct str cell,
                       int64_t as_of_ms)
{
    struct cursor c = cursor_of(cell.data, cell.len);
    struct content *at = out->contents;
    out->right = CONTENT_ALWAYS;
    out->newest_ms = cell.len ? cursor_zigzag(&c) : INT64_MIN;
    struct times times = times_of(out->newest_ms);
    for (size_t s = 0; s < scope->slot_count; s++) {
        const struct feature *f = scope->slots[s];
        struct part p = cell.len ? take_part(&c, &times) : (struct part){0};
        if (f->kind == FEATURE_OVERLAP)
            continue;
        content_read(at, &out->right, f, p, p.newest_ms, as_of_ms);
        at += feature_contents(f);
    }
}

/* The contents of one slot over several cells. room: for those of one more. */
static void add_slot(struct content *out, struct content *room, const struct scope *scope,
                     size_t slot, const struct str *cells, size_t count, int64_t as_of_ms)
{
    const struct feature *f = scope->slots[slot];
    struct content_range any = CONTENT_ALWAYS;
    int64_t newest_ms = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        struct part p = cell_part(cells[i], slot);
        if (p.seen && p.newest_ms > newest_ms)
            newest_ms = p.newest_ms;
    }
    content_nothing(out, f);
    for (size_t i = 0; i < count; i++) {
        struct part p = cell_part(cells[i], slot);
        if (!p.seen)
            continue;
        content_read(room, &any, f, p, newest_ms, as_of_ms);
        for (size_t w = 0; w < feature_contents(f); w++)
            content_add(&out[w], &room[w], f);
    }
}

int cells_contents(struct content *out, const struct scope *scope, const struct str *cells,
                   size_t count, int64_t as_of_ms, struct buf *scratch, struct err *e)
{
    struct content_range any = CONTENT_ALWAYS;
    for (size_t s = 0; s < scope->slot_count; s++) {
        const struct feature *f = scope->slots[s];
        size_t bytes = feature_contents(f) * sizeof *out;
        buf_reset(scratch);
        if (f->kind == FEATURE_DISTINCT) {
            struct part p = merged_part(scratch, scope, s, cells, count);
            content_read(out, &any, f, p, p.newest_ms, as_of_ms);
        } else if (buf_reserve(scratch, bytes)) {
            add_slot(out, (struct content *)(void *)scratch->data, scope, s, cells, count,
                     as_of_ms);
        }
        if (!buf_ok(scratch))
            return err_nomem(e);
        out += feature_contents(f);
    }
    return 0;
}

void cell_fingerprints(struct buf *out, const struct scope *scope)
{
    for (size_t i = 0; i < scope->slot_count; i++)
        buf_put(out, scope->slots[i]->fingerprint, FINGERPRINT_BYTES);
}

bool cell_convert(struct buf *out, const struct scope *scope, struct str fingerprints,
                  struct str cell)
{
    size_t count = fingerprints.len / FINGERPRINT_BYTES;
    struct cursor c = cursor_of(cell.data, cell.len);
    int64_t newest_ms = cursor_zigzag(&c);
    bool any = false;
    for (size_t i = 0; i < count; i++)
        cursor_sized(&c);
    if (c.bad || cursor_left(&c) || fingerprints.len % FINGERPRINT_BYTES)
        return false;
    struct times times = times_of(newest_ms);
    buf_put_zigzag(out, newest_ms);
    for (size_t s = 0; s < scope->slot_count; s++) {
        size_t i = 0;
        while (i < count && memcmp(fingerprints.data + i * FINGERPRINT_BYTES,
                                   scope->slots[s]->fingerprint, FINGERPRINT_BYTES) != 0)
            i++;
        put_part(out, &times, i < count ? cell_part(cell, i) : (struct part){0});
        any |= i < count;
    }
    return any;
}

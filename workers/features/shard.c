#include "features/shard.h"

#include <stdlib.h>

/* Of a key, in its table entry. */
enum {
    IS_DUE = 1,           /* touched since it was published */
    IN_PUBLISH_QUEUE = 2, /* in fresh or cooling */
    IN_CHECKPOINT_QUEUE = 4,
    IS_WRITTEN = 8, /* the checkpoints hold it */
};

struct waiting {
    uint32_t id;
    int64_t since_ms;
    int64_t offset; /* of the change that made it wait */
};

/* First in, first out. */
struct queue {
    struct waiting *items;
    size_t first, count, cap; /* a ring; cap is a power of two */
};

struct shard {
    struct shard_opts opts;
    struct table *table;
    struct queue fresh;   /* touched, not published for a while: due at once */
    struct queue cooling; /* published: not again until the interval has passed */
    struct queue checkpoint;
    struct skipped skipped;
    bool replays_all;
    int64_t written;     /* keys that are */
    int64_t promised;    /* by the newest mark that was read; -1: none has */
    int64_t passed_over; /* records of keys that the definitions have nothing of */
};

static bool push(struct queue *q, struct waiting w)
{
    if (q->count == q->cap) {
        size_t cap = q->cap ? q->cap * 2 : 64;
        struct waiting *items = malloc(cap * sizeof *items);
        if (!items)
            return false;
        for (size_t i = 0; i < q->count; i++)
            items[i] = q->items[(q->first + i) & (q->cap - 1)];
        free(q->items);
        *q = (struct queue){items, 0, q->count, cap};
    }
    q->items[(q->first + q->count++) & (q->cap - 1)] = w;
    return true;
}

static const struct waiting *head(const struct queue *q)
{
    return q->count ? &q->items[q->first] : NULL;
}

static void pop(struct queue *q)
{
    q->first = (q->first + 1) & (q->cap - 1);
    q->count--;
}

int shard_new(struct shard **out, const struct shard_opts *opts, struct err *e)
{
    struct shard *s = calloc(1, sizeof *s);
    if (!s || !(s->table = table_new())) {
        free(s);
        return err_nomem(e);
    }
    s->opts = *opts;
    s->promised = -1;
    *out = s;
    return 0;
}

void shard_free(struct shard *s)
{
    if (!s)
        return;
    table_free(s->table);
    free(s->fresh.items);
    free(s->cooling.items);
    free(s->checkpoint.items);
    skipped_free(&s->skipped);
    free(s);
}

struct skipped *shard_skipped(struct shard *s)
{
    return &s->skipped;
}

int64_t shard_written(const struct shard *s)
{
    return s->written;
}

/* A key that was passed over may have had several records: then this is too lenient, never too
 * strict. */
bool shard_is_whole(const struct shard *s)
{
    return s->written + s->passed_over >= s->promised;
}

void shard_promise(struct shard *s, int64_t keys)
{
    s->promised = keys;
}

void shard_pass_over(struct shard *s)
{
    s->passed_over++;
}

static void note_written(struct shard *s, struct table_entry *t)
{
    s->written += !table_has(t, IS_WRITTEN);
    table_flag(t, IS_WRITTEN, true);
}

enum shard_kind shard_kind(const struct shard *s)
{
    return s->opts.kind;
}

int shard_partition(const struct shard *s)
{
    return s->opts.partition;
}

uint32_t shard_key(struct shard *s, struct str key)
{
    uint32_t id = table_insert(s->table, key);
    if (id != TABLE_NONE && table_get(s->table, id)->value_len == 0 &&
        !table_has(table_get(s->table, id), 0xff))
        table_set_tag(table_get(s->table, id), -1);
    return id;
}

uint32_t shard_find(const struct shard *s, struct str key)
{
    return table_find(s->table, key);
}

void shard_fetch(const struct shard *s, struct str key, int step)
{
    table_fetch(s->table, key, step);
}

struct str shard_value(const struct shard *s, uint32_t id)
{
    return table_value(table_get(s->table, id));
}

struct str shard_name(const struct shard *s, uint32_t id)
{
    return table_key(table_get(s->table, id));
}

bool shard_includes(const struct shard *s, uint32_t id, int64_t offset)
{
    return offset <= table_tag(table_get(s->table, id));
}

static bool wait_for_publication(struct shard *s, uint32_t id, int64_t now_ms)
{
    struct table_entry *t = table_get(s->table, id);
    table_flag(t, IS_DUE, true);
    if (table_has(t, IN_PUBLISH_QUEUE))
        return true;
    if (!push(&s->fresh, (struct waiting){.id = id, .since_ms = now_ms}))
        return false;
    table_flag(t, IN_PUBLISH_QUEUE, true);
    return true;
}

int shard_put(struct shard *s, uint32_t id, struct str value, int64_t offset, bool due,
              int64_t now_ms, struct err *e)
{
    if (!table_set(s->table, id, value))
        return err_nomem(e);
    struct table_entry *t = table_get(s->table, id);
    table_set_tag(t, offset);
    bool ok = !due || wait_for_publication(s, id, now_ms);
    if (ok && !table_has(t, IN_CHECKPOINT_QUEUE)) {
        ok = push(&s->checkpoint, (struct waiting){id, now_ms, offset});
        table_flag(t, IN_CHECKPOINT_QUEUE, ok);
    }
    return ok ? 0 : err_nomem(e);
}

int shard_restore(struct shard *s, struct str key, struct str value, int64_t offset, bool due,
                  int64_t now_ms, struct err *e)
{
    uint32_t id = table_insert(s->table, key);
    if (id == TABLE_NONE || !table_set(s->table, id, value))
        return err_nomem(e);
    table_set_tag(table_get(s->table, id), offset);
    note_written(s, table_get(s->table, id));
    return !due || wait_for_publication(s, id, now_ms) ? 0 : err_nomem(e);
}

bool shard_is_due(const struct shard *s, uint32_t id)
{
    return table_has(table_get(s->table, id), IS_DUE);
}

/* A clock that was set back must not make keys wait for it to come round again. */
static bool has_passed(int64_t since_ms, int64_t interval_ms, int64_t now_ms)
{
    return now_ms - since_ms >= interval_ms || now_ms < since_ms;
}

uint32_t shard_next_due(struct shard *s, int64_t now_ms)
{
    const struct waiting *w;
    while ((w = head(&s->cooling)) &&
           has_passed(w->since_ms, s->opts.publish_interval_ms, now_ms)) {
        struct table_entry *t = table_get(s->table, w->id);
        if (!table_has(t, IS_DUE))
            table_flag(t, IN_PUBLISH_QUEUE, false);
        else if (!push(&s->fresh, *w))
            return TABLE_NONE; /* once more at the next turn */
        pop(&s->cooling);
    }
    if (!(w = head(&s->fresh)))
        return TABLE_NONE;
    uint32_t id = w->id;
    if (!push(&s->cooling, (struct waiting){.id = id, .since_ms = now_ms}))
        return TABLE_NONE;
    pop(&s->fresh);
    table_flag(table_get(s->table, id), IS_DUE, false);
    return id;
}

uint32_t shard_next_checkpoint(struct shard *s, int64_t now_ms, int64_t *offset)
{
    const struct waiting *w = head(&s->checkpoint);
    if (!w || !has_passed(w->since_ms, s->opts.checkpoint_interval_ms, now_ms))
        return TABLE_NONE;
    uint32_t id = w->id;
    struct table_entry *t = table_get(s->table, id);
    pop(&s->checkpoint);
    table_flag(t, IN_CHECKPOINT_QUEUE, false);
    note_written(s, t);
    *offset = table_tag(t);
    return id;
}

int64_t shard_low_water(const struct shard *s, int64_t position)
{
    const struct waiting *w = head(&s->checkpoint);
    return w ? w->offset : position;
}

void shard_replay_all(struct shard *s)
{
    s->replays_all = true;
}

bool shard_replays_all(const struct shard *s)
{
    return s->replays_all;
}

size_t shard_keys(const struct shard *s)
{
    return table_count(s->table);
}

size_t shard_memory_bytes(const struct shard *s)
{
    size_t queued = s->fresh.cap + s->cooling.cap + s->checkpoint.cap;
    return table_bytes(s->table) + queued * sizeof(struct waiting);
}

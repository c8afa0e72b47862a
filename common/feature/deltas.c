#include "feature/deltas.h"

#include "base/table.h"
#include "feature/apply.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    HEAD_BYTES = 24,
    FEW_SLOTS = 1024, /* more are given back where few of them are used */
    /* Of more than so many contributions the memory is given back once they are gone. */
    KEPT_CONTRIBUTIONS = 1 << 20,
};

/*
 * Where a key stands. Most keys are short, and so lie in the slot whole: to find one costs one
 * access to memory that the processor does not hold, and there are several to an event.
 */
struct slot {
    uint32_t number; /* the key's + 1; 0: the slot is empty */
    uint32_t len;
    uint8_t head[HEAD_BYTES]; /* of the key, zeros behind it */
};

/* A key that contributions were put down for. */
struct noted {
    size_t at; /* where in `keys` it stands */
    uint32_t len;
    uint32_t count; /* of contributions */
};

/* A growing array. */
struct row {
    void *items;
    size_t cap;
};

struct deltas {
    const struct feature_set *set;
    struct table *merged; /* key to cell, for scopes whose contributions are merged at once */
    struct slot *slots;
    size_t slot_count; /* a power of two, or 0 */
    struct buf keys;   /* one behind the other */
    struct row noted;  /* struct noted */
    size_t noted_count;
    struct row instances; /* struct instance, in the order they came */
    struct row numbers;   /* uint32_t: of the key of each */
    struct row sorted;    /* struct instance, key by key */
    size_t count;
    struct buf cell;
};

int deltas_new(struct deltas **out, const struct feature_set *set, struct err *e)
{
    struct deltas *d = calloc(1, sizeof *d);
    if (!d || !(d->merged = table_new())) {
        free(d);
        return err_nomem(e);
    }
    d->set = set;
    *out = d;
    return 0;
}

void deltas_free(struct deltas *d)
{
    if (!d)
        return;
    table_free(d->merged);
    free(d->slots);
    buf_free(&d->keys);
    free(d->noted.items);
    free(d->instances.items);
    free(d->numbers.items);
    free(d->sorted.items);
    buf_free(&d->cell);
    free(d);
}

/* Room for `wanted` of so many bytes each; what was there stays. */
static bool room_for(struct row *r, size_t wanted, size_t bytes)
{
    if (wanted <= r->cap)
        return true;
    size_t cap = r->cap * 2 > wanted ? r->cap * 2 : wanted + 64;
    void *items = cap > UINT32_MAX ? NULL : realloc(r->items, cap * bytes);
    if (!items)
        return false;
    *r = (struct row){items, cap};
    return true;
}

static void row_free(struct row *r)
{
    free(r->items);
    *r = (struct row){0};
}

static struct noted *noted(const struct deltas *d, size_t number)
{
    return (struct noted *)d->noted.items + number;
}

static struct str key_of(const struct deltas *d, const struct noted *n)
{
    return str_bytes(d->keys.data + n->at, n->len);
}

/* ------------------------------------------------------------ keys */

static struct slot slot_of(struct str key)
{
    struct slot s = {.len = (uint32_t)key.len};
    memcpy(s.head, key.data, key.len < HEAD_BYTES ? key.len : HEAD_BYTES);
    return s;
}

static bool is_of(const struct deltas *d, const struct slot *s, const struct slot *wanted,
                  struct str key)
{
    return s->len == wanted->len && memcmp(s->head, wanted->head, HEAD_BYTES) == 0 &&
           (key.len <= HEAD_BYTES || str_equal(key_of(d, noted(d, s->number - 1)), key));
}

/* The slot of a key, or the empty one where it would stand. */
static struct slot *find(const struct deltas *d, const struct slot *wanted, struct str key)
{
    size_t mask = d->slot_count - 1, at = XXH3_64bits(key.data, key.len) & mask;
    while (d->slots[at].number && !is_of(d, &d->slots[at], wanted, key))
        at = (at + 1) & mask;
    return &d->slots[at];
}

/* A quarter of the slots is empty at least. */
static bool grow_slots(struct deltas *d)
{
    size_t wanted = d->slot_count ? d->slot_count * 2 : 256;
    struct slot *slots = calloc(wanted, sizeof *slots);
    if (!slots)
        return false;
    free(d->slots);
    d->slots = slots;
    d->slot_count = wanted;
    for (size_t i = 0; i < d->noted_count; i++) {
        struct str key = key_of(d, noted(d, i));
        struct slot s = slot_of(key);
        s.number = (uint32_t)i + 1;
        *find(d, &s, key) = s;
    }
    return true;
}

/* The number of a key; UINT32_MAX: memory is short. */
static uint32_t number_of(struct deltas *d, struct str key)
{
    if (d->noted_count >= d->slot_count / 4 * 3 && !grow_slots(d))
        return UINT32_MAX;
    struct slot wanted = slot_of(key), *s = find(d, &wanted, key);
    if (s->number)
        return s->number - 1;
    if (!room_for(&d->noted, d->noted_count + 1, sizeof(struct noted)) ||
        !buf_reserve(&d->keys, key.len)) {
        d->keys.failed = false;
        return UINT32_MAX;
    }
    *noted(d, d->noted_count) = (struct noted){.at = d->keys.len, .len = (uint32_t)key.len};
    buf_put_str(&d->keys, key);
    *s = wanted;
    s->number = (uint32_t)++d->noted_count;
    return s->number - 1;
}

/* ------------------------------------------------------------ adding */

int deltas_put(struct deltas *d, struct str key, const struct contribution *c, struct err *e)
{
    if (!room_for(&d->instances, d->count + 1, sizeof(struct instance)) ||
        !room_for(&d->numbers, d->count + 1, sizeof(uint32_t)))
        return err_nomem(e);
    uint32_t number = number_of(d, key);
    if (number == UINT32_MAX)
        return err_nomem(e);
    ((struct instance *)d->instances.items)[d->count] =
        (struct instance){c->time, c->value.value, (int16_t)c->event, c->value.given};
    ((uint32_t *)d->numbers.items)[d->count++] = number;
    noted(d, number)->count++;
    return 0;
}

int deltas_merge(struct deltas *d, const struct scope *scope, struct str key, struct str cell,
                 struct err *e)
{
    uint32_t id = table_insert(d->merged, key);
    if (id == TABLE_NONE)
        return err_nomem(e);
    buf_reset(&d->cell);
    cell_merge(&d->cell, scope, table_value(table_get(d->merged, id)), cell);
    if (buf_ok(&d->cell) && table_set(d->merged, id, buf_str(&d->cell)))
        return 0;
    if (table_value(table_get(d->merged, id)).len == 0)
        table_remove(d->merged, id);
    return err_nomem(e);
}

size_t deltas_count(const struct deltas *d)
{
    return table_count(d->merged) + d->noted_count;
}

size_t deltas_contributions(const struct deltas *d)
{
    return d->count;
}

/* ------------------------------------------------------------ taking out */

/*
 * Puts what came key by key, in one pass over it instead of following a list for
 * each key: counts become where the next one of each key goes, and its first at the end. False:
 * memory is short.
 */
static bool sort_by_key(struct deltas *d)
{
    const struct instance *from = d->instances.items;
    const uint32_t *numbers = d->numbers.items;
    uint32_t sum = 0;
    if (!room_for(&d->sorted, d->count, sizeof(struct instance)))
        return false;
    struct instance *to = d->sorted.items;
    for (size_t i = 0; i < d->noted_count; i++)
        noted(d, i)->count = sum += noted(d, i)->count;
    for (size_t i = 0; i < d->count; i++)
        to[--noted(d, numbers[i])->count] = from[i];
    return true;
}

static int tell_noted(struct deltas *d, const struct noted *n, const struct instance *items,
                      int (*each)(void *arg, struct str key, struct str cell, struct err *e),
                      void *arg, struct err *e)
{
    struct str key;
    size_t scope;
    shared_key_parse(d->set, key_of(d, n), &scope, &key);
    buf_reset(&d->cell);
    cell_of_instances(&d->cell, &d->set->scopes[scope], items, n->count);
    return buf_ok(&d->cell) ? each(arg, key_of(d, n), buf_str(&d->cell), e) : err_nomem(e);
}

int deltas_each(struct deltas *d,
                int (*each)(void *arg, struct str key, struct str cell, struct err *e), void *arg,
                struct err *e)
{
    int rc = sort_by_key(d) ? 0 : err_nomem(e);
    if (rc)
        return rc;
    for (size_t i = 0; i < d->noted_count; i++) {
        struct noted *n = noted(d, i);
        size_t first = n->count, end = i + 1 < d->noted_count ? n[1].count : d->count;
        n->count = (uint32_t)(end - first);
        if (!rc)
            rc = tell_noted(d, n, (struct instance *)d->sorted.items + first, each, arg, e);
    }
    for (uint32_t id = table_first(d->merged); id != TABLE_NONE && !rc;
         id = table_next(d->merged, id)) {
        const struct table_entry *t = table_get(d->merged, id);
        rc = each(arg, table_key(t), table_value(t), e);
    }
    return rc;
}

void deltas_clear(struct deltas *d)
{
    table_clear(d->merged);
    if (d->slot_count > FEW_SLOTS && d->slot_count / 16 > d->noted_count) {
        free(d->slots);
        d->slots = NULL;
        d->slot_count = 0;
    } else if (d->noted_count) {
        memset(d->slots, 0, d->slot_count * sizeof *d->slots);
    }
    buf_reset(&d->keys);
    d->noted_count = d->count = 0;
    if (d->instances.cap <= KEPT_CONTRIBUTIONS)
        return;
    row_free(&d->instances);
    row_free(&d->numbers);
    row_free(&d->sorted);
}

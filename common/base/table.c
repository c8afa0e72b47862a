#include "base/table.h"

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/*
 * A slot is 32 bits: the lower ones, as many as number the slots, are the number of an entry + 1
 * (0: empty), the upper ones a part of the hash that tells most other keys apart without looking at
 * their entries.
 */

struct table {
    uint32_t *slots;
    size_t slot_count; /* a power of two, or 0 */
    struct table_entry **entries;
    uint32_t entry_count; /* of entries, free ones included */
    uint32_t entry_cap;
    uint32_t free_first; /* list of free ids through the entries array: (id + 1) << 1 | 1, 0 at its
                            end */
    size_t count;
    size_t bytes; /* of the entries, with the allocator's share */
};

/* What the allocator keeps for each allocation; how much an entry may be larger than its value
 * before it shrinks. */
enum { ALLOCATOR_BYTES = 8, SLACK_BYTES = 32 };

/* Of an entry, cache lines that table_fetch() asks for; the processor goes on by itself. */
enum { FETCHED_LINES = 3 };

/* The struct without the padding behind its last number. */
static size_t entry_size(size_t n)
{
    size_t size = offsetof(struct table_entry, bytes) + n;
    return size > sizeof(struct table_entry) ? size : sizeof(struct table_entry);
}

static uint64_t hash_of(struct str key)
{
    return XXH3_64bits(key.data, key.len);
}

/* Slots are filled to 7/8: 5 to 9 bytes a key. */
static bool is_full(const struct table *t)
{
    return t->count + 1 > t->slot_count / 8 * 7;
}

struct table *table_new(void)
{
    return calloc(1, sizeof(struct table));
}

static bool is_free(const struct table *t, uint32_t id)
{
    return (uintptr_t)t->entries[id] & 1 || !t->entries[id];
}

void table_clear(struct table *t)
{
    for (uint32_t i = 0; i < t->entry_count; i++)
        if (!is_free(t, i))
            free(t->entries[i]);
    if (t->slots)
        memset(t->slots, 0, t->slot_count * sizeof *t->slots);
    t->entry_count = 0;
    t->free_first = 0;
    t->count = 0;
    t->bytes = 0;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    table_clear(t);
    free(t->slots);
    free(t->entries);
    free(t);
}

/* More entries than slots there never are, so their numbers fit. */
static uint32_t number_of(const struct table *t, uint32_t slot)
{
    return slot & (uint32_t)(t->slot_count - 1);
}

static uint32_t tag_of(const struct table *t, uint64_t hash)
{
    return (uint32_t)(hash >> 32) & ~(uint32_t)(t->slot_count - 1);
}

static void place(struct table *t, uint64_t hash, uint32_t id)
{
    size_t mask = t->slot_count - 1, at = hash & mask;
    while (t->slots[at])
        at = (at + 1) & mask;
    t->slots[at] = tag_of(t, hash) | (id + 1);
}

static bool grow_slots(struct table *t)
{
    size_t wanted = t->slot_count ? t->slot_count * 2 : 16;
    uint32_t *slots = wanted > UINT32_MAX ? NULL : calloc(wanted, sizeof *slots);
    if (!slots)
        return false;
    free(t->slots);
    t->slots = slots;
    t->slot_count = wanted;
    for (uint32_t i = 0; i < t->entry_count; i++)
        if (!is_free(t, i))
            place(t, hash_of(table_key(t->entries[i])), i);
    return true;
}

static size_t find_slot(const struct table *t, struct str key, uint64_t hash)
{
    size_t mask = t->slot_count - 1;
    uint32_t tag = tag_of(t, hash);
    for (size_t at = hash & mask; t->slots[at]; at = (at + 1) & mask)
        if ((t->slots[at] & ~(uint32_t)mask) == tag &&
            str_equal(table_key(t->entries[number_of(t, t->slots[at]) - 1]), key))
            return at;
    return SIZE_MAX;
}

uint32_t table_find(const struct table *t, struct str key)
{
    if (!t->count)
        return TABLE_NONE;
    size_t at = find_slot(t, key, hash_of(key));
    return at == SIZE_MAX ? TABLE_NONE : number_of(t, t->slots[at]) - 1;
}

/* The first slot whose tag fits is nearly always the one; that it is not makes nothing wrong. */
void table_fetch(const struct table *t, struct str key, int step)
{
    if (!t->count)
        return;
    uint64_t hash = hash_of(key);
    size_t mask = t->slot_count - 1, at = hash & mask;
    if (step == 0) {
        __builtin_prefetch(&t->slots[at]);
        return;
    }
    uint32_t tag = tag_of(t, hash);
    while (t->slots[at] && (t->slots[at] & ~(uint32_t)mask) != tag)
        at = (at + 1) & mask;
    if (!t->slots[at])
        return;
    struct table_entry **entry = &t->entries[number_of(t, t->slots[at]) - 1];
    if (step == 1) {
        __builtin_prefetch(entry);
        return;
    }
    for (int line = 0; line < FETCHED_LINES; line++)
        __builtin_prefetch((const char *)*entry + 64 * line);
}

static bool grow_entries(struct table *t)
{
    if (t->entry_count >= UINT32_MAX - 2)
        return false;
    uint32_t cap = t->entry_cap ? t->entry_cap + t->entry_cap / 32 + 16 : 16;
    struct table_entry **entries =
        cap < t->entry_cap ? NULL : realloc(t->entries, cap * sizeof *entries);
    if (!entries)
        return false;
    t->entries = entries;
    t->entry_cap = cap;
    return true;
}

static size_t entry_bytes(struct table_entry *e)
{
    return malloc_usable_size(e) + ALLOCATOR_BYTES;
}

uint32_t table_insert(struct table *t, struct str key)
{
    uint64_t hash = hash_of(key);
    if (t->count) {
        size_t at = find_slot(t, key, hash);
        if (at != SIZE_MAX)
            return number_of(t, t->slots[at]) - 1;
    }
    if ((is_full(t) && !grow_slots(t)) || key.len > UINT32_MAX)
        return TABLE_NONE;
    if (!t->free_first && t->entry_count == t->entry_cap && !grow_entries(t))
        return TABLE_NONE;
    struct table_entry *e = malloc(entry_size(key.len));
    if (!e)
        return TABLE_NONE;
    *e = (struct table_entry){.key_len = (uint32_t)key.len};
    if (key.len)
        memcpy(e->bytes, key.data, key.len);
    uint32_t id = t->entry_count;
    if (t->free_first) {
        id = t->free_first - 1;
        t->free_first = (uint32_t)((uintptr_t)t->entries[id] >> 1);
    } else {
        t->entry_count++;
    }
    t->entries[id] = e;
    t->count++;
    t->bytes += entry_bytes(e);
    place(t, hash, id);
    return id;
}

bool table_set(struct table *t, uint32_t id, struct str value)
{
    struct table_entry *e = t->entries[id];
    if (value.len > UINT32_MAX)
        return false;
    size_t before = malloc_usable_size(e), wanted = entry_size(e->key_len + value.len);
    if (wanted > before || wanted + SLACK_BYTES < before) {
        struct table_entry *moved = realloc(e, wanted);
        if (!moved)
            return false;
        t->bytes += malloc_usable_size(moved) - before;
        t->entries[id] = e = moved;
    }
    if (value.len)
        memcpy(e->bytes + e->key_len, value.data, value.len);
    e->value_len = (uint32_t)value.len;
    return true;
}

struct table_entry *table_get(const struct table *t, uint32_t id)
{
    return t->entries[id];
}

/* Closes the gap at a slot by moving back what may stand there (linear probing without tombstones).
 */
static void close_gap(struct table *t, size_t gap)
{
    size_t mask = t->slot_count - 1;
    for (size_t at = (gap + 1) & mask; t->slots[at]; at = (at + 1) & mask) {
        size_t home = hash_of(table_key(t->entries[number_of(t, t->slots[at]) - 1])) & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            t->slots[gap] = t->slots[at];
            gap = at;
        }
    }
    t->slots[gap] = 0;
}

void table_remove(struct table *t, uint32_t id)
{
    struct table_entry *e = t->entries[id];
    struct str key = table_key(e);
    close_gap(t, find_slot(t, key, hash_of(key)));
    t->bytes -= entry_bytes(e);
    free(e);
    t->entries[id] = (struct table_entry *)((uintptr_t)t->free_first << 1 | 1);
    t->free_first = id + 1;
    t->count--;
}

size_t table_count(const struct table *t)
{
    return t->count;
}

static uint32_t in_use_from(const struct table *t, uint32_t id)
{
    while (id < t->entry_count && is_free(t, id))
        id++;
    return id < t->entry_count ? id : TABLE_NONE;
}

uint32_t table_first(const struct table *t)
{
    return in_use_from(t, 0);
}

uint32_t table_next(const struct table *t, uint32_t id)
{
    return in_use_from(t, id + 1);
}

size_t table_bytes(const struct table *t)
{
    return sizeof *t + t->slot_count * sizeof *t->slots + t->entry_cap * sizeof *t->entries +
           t->bytes;
}

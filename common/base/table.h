/*
 * Keys to values, both runs of bytes, with a stable number for each key.
 *
 * A hash table (open addressing, linear probing, 4 bytes a slot) over numbered entries; each entry
 * is one allocation that holds key and value. A key keeps its number (id) until it is removed,
 * however often its value changes, so queues can name keys by 4 bytes. One thread; no clock.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX

struct table;

/* One key and its value. Pointers are good until the next change of the same key or of the table.
 */
struct table_entry {
    uint64_t head; /* tag and flags */
    uint32_t key_len;
    uint32_t value_len;
    uint8_t bytes[]; /* key, then value */
};

/* The caller's own with each key: a number from -2^55 to 2^55 - 1 (an offset), and 8 flags. Both
 * are 0 at first. */
static inline int64_t table_tag(const struct table_entry *e)
{
    return (int64_t)e->head >> 8;
}

static inline void table_set_tag(struct table_entry *e, int64_t tag)
{
    e->head = (uint64_t)tag << 8 | (e->head & 0xff);
}

static inline bool table_has(const struct table_entry *e, uint8_t flags)
{
    return e->head & flags;
}

static inline void table_flag(struct table_entry *e, uint8_t flags, bool set)
{
    e->head = set ? e->head | flags : e->head & ~(uint64_t)flags;
}

static inline struct str table_key(const struct table_entry *e)
{
    return (struct str){(const char *)e->bytes, e->key_len};
}

static inline struct str table_value(const struct table_entry *e)
{
    return (struct str){(const char *)e->bytes + e->key_len, e->value_len};
}

/* NULL if memory could not be had. */
struct table *table_new(void);
void table_free(struct table *t);

/* TABLE_NONE if the key is not there. */
uint32_t table_find(const struct table *t, struct str key);

/*
 * Keys that are to be looked up soon: asks the processor for the memory that their lookup will
 * touch, a step at a time, each of which needs what the one before has fetched. To be called for
 * several keys in turn, TABLE_FETCHES times each with a growing step; it changes nothing.
 */
enum { TABLE_FETCHES = 3 };
void table_fetch(const struct table *t, struct str key, int step);

/* The key's id; a new key has an empty value, tag 0, flags 0. TABLE_NONE if memory could not be
 * had, or a key or the number of keys is over 2^32 - 2. Copies key. */
uint32_t table_insert(struct table *t, struct str key);

/* Copies value, which must not lie in the table. False if memory could not be had; the old value
 * stays then. */
bool table_set(struct table *t, uint32_t id, struct str value);

/* id must be in use. */
struct table_entry *table_get(const struct table *t, uint32_t id);
void table_remove(struct table *t, uint32_t id);

size_t table_count(const struct table *t);

/* Removes all keys, keeps the slots' memory. */
void table_clear(struct table *t);

/* Ids in use: for (id = table_first(t); id != TABLE_NONE; id = table_next(t, id)). Removing the id
 * at hand is fine. */
uint32_t table_first(const struct table *t);
uint32_t table_next(const struct table *t, uint32_t id);

/* Bytes of memory held: slots, entries and what the allocator adds to them. */
size_t table_bytes(const struct table *t);

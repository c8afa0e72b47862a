#include "ranker/ordered.h"

#include <stdlib.h>
#include <string.h>

/* A block that overflows is cut in two halves; one that gets below a third joins a neighbour where
 * the two fit into three quarters of one. So blocks are more than a third full on average. */
enum { BLOCK_ENTRIES = 256, MERGED_ENTRIES = BLOCK_ENTRIES * 3 / 4 };

struct block {
    size_t count; /* never 0 in the array */
    struct ordered_entry entries[BLOCK_ENTRIES];
};

struct ordered {
    ordered_compare *compare;
    void *arg;
    struct block **blocks;
    size_t block_count, block_room, count;
};

struct ordered *ordered_new(ordered_compare *compare, void *arg)
{
    struct ordered *o = calloc(1, sizeof *o);
    if (o) {
        o->compare = compare;
        o->arg = arg;
    }
    return o;
}

void ordered_free(struct ordered *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->block_count; i++)
        free(o->blocks[i]);
    free(o->blocks);
    free(o);
}

/* Whether the entry stands before this key and item. */
static bool is_before(const struct ordered *o, const struct ordered_entry *a, double key,
                      uint32_t item)
{
    if (a->key != key)
        return a->key > key;
    return a->item != item && o->compare(o->arg, a->item, item) < 0;
}

/* The last block whose first entry is not behind the key: the one it is in, or belongs into. */
static size_t find_block(const struct ordered *o, double key, uint32_t item)
{
    size_t low = 1, high = o->block_count; /* the first one takes what is before all others */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct ordered_entry *first = &o->blocks[middle]->entries[0];
        if (is_before(o, first, key, item) || (first->key == key && first->item == item))
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

/* The first entry of the block that is not before the key. */
static size_t find_entry(const struct ordered *o, const struct block *b, double key, uint32_t item)
{
    size_t low = 0, high = b->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (is_before(o, &b->entries[middle], key, item))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* An empty block at a place of the array. */
static struct block *add_block(struct ordered *o, size_t at)
{
    if (o->block_count == o->block_room) {
        size_t room = o->block_room ? 2 * o->block_room : 4;
        struct block **longer = realloc(o->blocks, room * sizeof *longer);
        if (!longer)
            return NULL;
        o->blocks = longer;
        o->block_room = room;
    }
    struct block *b = malloc(sizeof *b);
    if (!b)
        return NULL;
    b->count = 0;
    memmove(o->blocks + at + 1, o->blocks + at, (o->block_count - at) * sizeof *o->blocks);
    o->blocks[at] = b;
    o->block_count++;
    return b;
}

static void drop_block(struct ordered *o, size_t at)
{
    free(o->blocks[at]);
    o->block_count--;
    memmove(o->blocks + at, o->blocks + at + 1, (o->block_count - at) * sizeof *o->blocks);
}

/* Moves the second half of a full block into one behind it. */
static bool split(struct ordered *o, size_t at)
{
    struct block *behind = add_block(o, at + 1), *b = o->blocks[at];
    if (!behind)
        return false;
    size_t half = b->count / 2;
    behind->count = b->count - half;
    memcpy(behind->entries, b->entries + half, behind->count * sizeof *b->entries);
    b->count = half;
    return true;
}

bool ordered_insert(struct ordered *o, double key, uint32_t item)
{
    if (o->block_count == 0 && !add_block(o, 0))
        return false;
    size_t at = find_block(o, key, item);
    if (o->blocks[at]->count == BLOCK_ENTRIES) {
        if (!split(o, at))
            return false;
        at = find_block(o, key, item);
    }
    struct block *b = o->blocks[at];
    size_t i = find_entry(o, b, key, item);
    memmove(b->entries + i + 1, b->entries + i, (b->count - i) * sizeof *b->entries);
    b->entries[i] = (struct ordered_entry){key, item};
    b->count++;
    o->count++;
    return true;
}

/* Makes one block of two where they fit. */
static void merge(struct ordered *o, size_t at)
{
    if (at + 1 >= o->block_count)
        return;
    struct block *b = o->blocks[at], *behind = o->blocks[at + 1];
    if (b->count + behind->count > MERGED_ENTRIES)
        return;
    memcpy(b->entries + b->count, behind->entries, behind->count * sizeof *b->entries);
    b->count += behind->count;
    drop_block(o, at + 1);
}

bool ordered_remove(struct ordered *o, double key, uint32_t item)
{
    if (o->block_count == 0)
        return false;
    size_t at = find_block(o, key, item);
    struct block *b = o->blocks[at];
    size_t i = find_entry(o, b, key, item);
    if (i == b->count || b->entries[i].item != item || b->entries[i].key != key)
        return false;
    b->count--;
    memmove(b->entries + i, b->entries + i + 1, (b->count - i) * sizeof *b->entries);
    o->count--;
    if (b->count == 0) {
        drop_block(o, at);
    } else if (b->count < BLOCK_ENTRIES / 3) {
        merge(o, at);
        if (at > 0)
            merge(o, at - 1);
    }
    return true;
}

size_t ordered_count(const struct ordered *o)
{
    return o->count;
}

size_t ordered_bytes(const struct ordered *o)
{
    return sizeof *o + o->block_room * sizeof *o->blocks + o->block_count * sizeof(struct block);
}

struct ordered_place ordered_first(void)
{
    return (struct ordered_place){0, 0};
}

const struct ordered_entry *ordered_at(const struct ordered *o, struct ordered_place p)
{
    return p.block < o->block_count ? &o->blocks[p.block]->entries[p.entry] : NULL;
}

void ordered_step(const struct ordered *o, struct ordered_place *p)
{
    if (++p->entry >= o->blocks[p->block]->count)
        *p = (struct ordered_place){p->block + 1, 0};
}

#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

/* Blocks double up to a size, so that what holds little takes little. */
enum { FIRST_BLOCK_BYTES = 2048, BLOCK_BYTES = 64 * 1024, KEPT_BYTES = 1024 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) uint8_t bytes[];
};

static struct arena_block *block_new(const struct arena_block *before, size_t n)
{
    size_t size = !before                          ? FIRST_BLOCK_BYTES
                  : before->size < BLOCK_BYTES / 2 ? 2 * before->size
                                                   : BLOCK_BYTES;
    size = n > size ? n : size;
    struct arena_block *b = size > SIZE_MAX - sizeof *b ? NULL : malloc(sizeof *b + size);
    if (b)
        *b = (struct arena_block){.size = size};
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t align = alignof(max_align_t);
    if (n > SIZE_MAX - align)
        return NULL;
    n = (n + align - 1) / align * align;
    while (a->now && a->now->size - a->now->used < n && a->now->next)
        a->now = a->now->next;
    if (!a->now || a->now->size - a->now->used < n) {
        struct arena_block *b = block_new(a->now, n);
        if (!b)
            return NULL;
        if (a->now)
            a->now->next = b;
        else
            a->first = b;
        a->now = b;
    }
    void *p = a->now->bytes + a->now->used;
    a->now->used += n;
    return p;
}

struct str arena_copy(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (!copy)
        return (struct str){0};
    if (s.len)
        memcpy(copy, s.data, s.len);
    copy[s.len] = 0;
    return (struct str){copy, s.len};
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){a->now, a->now ? a->now->used : 0};
}

void arena_rewind(struct arena *a, struct arena_mark mark)
{
    struct arena_block *b = mark.block ? mark.block->next : a->first;
    for (; b; b = b->next)
        b->used = 0;
    if (mark.block)
        mark.block->used = mark.used;
    a->now = mark.block ? mark.block : a->first;
}

void arena_reset(struct arena *a)
{
    struct arena_block **at = &a->first;
    while (*at) {
        struct arena_block *b = *at;
        if (b->size > KEPT_BYTES) {
            *at = b->next;
            free(b);
        } else {
            b->used = 0;
            at = &b->next;
        }
    }
    a->now = a->first;
}

void arena_free(struct arena *a)
{
    for (struct arena_block *b = a->first, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (struct arena){0};
}

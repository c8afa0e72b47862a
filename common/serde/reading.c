#include "serde/reading.h"

#include <stdio.h>

int reading_start(struct reading *r, struct str bytes, struct arena *a, struct err *e)
{
    r->start = r->at = (const uint8_t *)(bytes.len ? bytes.data : "");
    r->end = r->at + bytes.len;
    r->arena = a;
    r->memory_left = VALUE_MAX_MEMORY;
    r->items_left = VALUE_MAX_ITEMS;
    r->depth = 0;
    r->path[0] = (struct str){0};
    r->e = e;
    return bytes.len <= VALUE_MAX_BYTES
               ? 0
               : err_set(e, ERR_TOO_LARGE, "%zu bytes, at most %d are read", bytes.len,
                         VALUE_MAX_BYTES);
}

int reading_fail(struct reading *r, int code, const char *what)
{
    char path[200];
    size_t n = 0;
    path[0] = 0;
    for (int i = 0; i <= r->depth && n < sizeof path; i++)
        if (r->path[i].data)
            n += (size_t)snprintf(path + n, sizeof path - n, "%s%.*s", n ? "." : "",
                                  STR_ARG(r->path[i]));
    return err_set(r->e, code, "%s%s%sbyte %zu: %s", n ? "field " : "", path, n ? ", " : "",
                   (size_t)(r->at - r->start), what);
}

void *reading_take(struct reading *r, size_t n)
{
    if (n > r->memory_left) {
        reading_fail(r, ERR_TOO_LARGE, "the value takes too much memory");
        return NULL;
    }
    r->memory_left -= n;
    void *p = arena_alloc(r->arena, n + 1);
    if (!p)
        err_nomem(r->e);
    return p;
}

int reading_enter(struct reading *r)
{
    if (r->depth == VALUE_MAX_DEPTH)
        return reading_fail(r, ERR_TOO_LARGE, "the value is nested too deep");
    r->path[++r->depth] = (struct str){0};
    return 0;
}

int reading_items(struct reading *r, uint64_t n)
{
    if (n > r->items_left)
        return reading_fail(r, ERR_TOO_LARGE, "the value has too many items");
    r->items_left -= (size_t)n;
    return 0;
}

int reading_grow(struct reading *r, struct schema_list *list, size_t *room, size_t more,
                 size_t size)
{
    size_t wanted = list->count + more;
    if (wanted <= *room)
        return 0;
    if (list->count && wanted < 2 * *room)
        wanted = 2 * *room;
    char *bigger = reading_take(r, wanted * size);
    if (!bigger)
        return r->e->code;
    if (list->count)
        memcpy(bigger, list->items, list->count * size);
    list->items = bigger;
    *room = wanted;
    return 0;
}

#include "ctl/pending.h"

#include <stdbool.h>
#include <stdlib.h>

static bool before(const struct pending *a, const struct pending *b)
{
    return a->arrival_ms != b->arrival_ms ? a->arrival_ms < b->arrival_ms : a->number < b->number;
}

int pending_push(struct pending_heap *h, const struct pending *p, struct err *e)
{
    if (h->count == h->room) {
        size_t room = h->room ? 2 * h->room : 256;
        struct pending *items = realloc(h->items, room * sizeof *items);
        if (!items)
            return err_nomem(e);
        h->items = items;
        h->room = room;
    }
    size_t i = h->count++;
    for (; i > 0 && before(p, &h->items[(i - 1) / 2]); i = (i - 1) / 2)
        h->items[i] = h->items[(i - 1) / 2];
    h->items[i] = *p;
    return 0;
}

struct pending pending_pop(struct pending_heap *h)
{
    struct pending first = h->items[0];
    struct pending last = h->items[--h->count];
    size_t i = 0;
    for (size_t child = 1; child < h->count; child = 2 * i + 1) {
        if (child + 1 < h->count && before(&h->items[child + 1], &h->items[child]))
            child++;
        if (!before(&h->items[child], &last))
            break;
        h->items[i] = h->items[child];
        i = child;
    }
    h->items[i] = last;
    return first;
}

void pending_free(struct pending_heap *h)
{
    free(h->items);
    *h = (struct pending_heap){0};
}

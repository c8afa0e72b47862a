/*
 * One value being read, from binary or from JSON: where the reader is, what it may still take, and
 * at which field it is, for messages.
 *
 * One thread, on its stack. For plan.c and value_json.c.
 */
#pragma once

#include "base/arena.h"
#include "serde/plan.h"

struct reading {
    const uint8_t *at, *end, *start;
    struct arena *arena;
    size_t memory_left, items_left;
    int depth;
    struct str path[VALUE_MAX_DEPTH + 1]; /* a name for each depth; data NULL: it has none */
    struct err *e;
};

/* Everything but err, which must not be NULL. Fails with ERR_TOO_LARGE. */
int reading_start(struct reading *r, struct str bytes, struct arena *a, struct err *e);

/* Sets the error: "field context.device, byte 17: what". Returns the code. */
int reading_fail(struct reading *r, int code, const char *what);

/* Memory for the value. NULL where the limit forbids it or there is none: the error is set. */
void *reading_take(struct reading *r, size_t n);

/* Goes one deeper, where nothing is named yet. Fails with ERR_TOO_LARGE. The way back is depth--.
 */
int reading_enter(struct reading *r);

/* Counts n more items. Fails with ERR_TOO_LARGE. */
int reading_items(struct reading *r, uint64_t n);

/*
 * Makes room for `more` items of a size; *room is how many there is room for. A list that comes in
 * pieces is copied as rarely as if it grew item by item. Fails with ERR_TOO_LARGE, ERR_NOMEM.
 */
int reading_grow(struct reading *r, struct schema_list *list, size_t *room, size_t more,
                 size_t size);

static inline size_t reading_left(const struct reading *r)
{
    return (size_t)(r->end - r->at);
}

/* As value_read_json, for several values that share a limit: what was taken is subtracted. */
int value_read_within(void *out, const struct schema_node *n, struct str json, struct arena *a,
                      size_t *memory_left, size_t *items_left, struct err *e);

#include "feature/user_cells.h"

#include "feature/user_record.h"

static int corrupt(struct err *e)
{
    return err_set(e, ERR_CORRUPT, "the state of a user is damaged");
}

/* Slots are at most half full; their bits above the mask are of the hash, so that most keys that
 * are not looked for are told apart without looking at them. */
static bool make_index(struct user_cells *u, uint64_t most, struct arena *a)
{
    uint64_t size = 8;
    while (size < most * 2)
        size *= 2;
    u->index = size > UINT32_MAX / 2 ? NULL : arena_alloc(a, size * sizeof *u->index);
    if (!u->index)
        return false;
    memset(u->index, 0, size * sizeof *u->index);
    u->mask = (uint32_t)size - 1;
    return true;
}

static void put_in_index(struct user_cells *u, uint32_t number)
{
    uint64_t hash = u->cells[number].hash;
    uint32_t at = (uint32_t)hash & u->mask;
    while (u->index[at])
        at = (at + 1) & u->mask;
    u->index[at] = ((uint32_t)(hash >> 32) & ~u->mask) | (number + 1);
}

int user_cells_open(struct user_cells *u, struct str section, struct arena *a, struct err *e)
{
    struct cursor c;
    uint64_t count = user_section_start(&c, section);
    *u = (struct user_cells){0};
    if (c.bad)
        return corrupt(e);
    u->cells = arena_alloc(a, count * sizeof *u->cells + 1);
    if (!u->cells || !make_index(u, count, a))
        return err_nomem(e);
    for (uint64_t i = 0; i < count; i++) {
        struct user_key_view v = user_section_next(&c);
        if (c.bad)
            return corrupt(e);
        if (*v.flags & KEY_IS_GONE)
            continue;
        u->cells[u->count] = (struct user_cell){key_hash(v.key), v.cell, NULL};
        put_in_index(u, u->count++);
    }
    return cursor_left(&c) ? corrupt(e) : 0;
}

int user_cell_read(const struct key_contents **out, struct user_cell *cell,
                   const struct scope *scope, int64_t as_of_ms, struct arena *a, struct err *e)
{
    if (!cell->contents) {
        struct key_contents *c = arena_alloc(a, key_contents_bytes(scope));
        if (!c)
            return err_nomem(e);
        key_contents_read(c, scope, cell->cell, as_of_ms);
        cell->contents = c;
    }
    *out = cell->contents;
    return 0;
}

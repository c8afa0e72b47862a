#include "ranker/catalogue.h"

#include "ranker/catalogue_inside.h"

#include <math.h>
#include <stdlib.h>

/* Times beyond it are no times: doubles, by which changes are ordered, are exact up to here. */
#define MOST_MS ((int64_t)1 << 53)

/* A clock that goes back further was wrong before. */
#define BACK_MS 60000

/* Of equal keys the lesser id first. */
static int by_id(void *arg, uint32_t a, uint32_t b)
{
    const struct catalogue *c = arg;
    return str_compare(table_key(table_get(c->table, a)), table_key(table_get(c->table, b)));
}

static void find_attributes(struct catalogue *c)
{
    for (size_t i = 0; i < c->placement_count; i++) {
        const char *name = placements_at(c->opts.placements, i)->diversity;
        size_t k = 0;
        while (name && k < c->attribute_count && strcmp(c->attributes[k], name) != 0)
            k++;
        c->attribute_of[i] = name ? (int)k : -1;
        if (name && k == c->attribute_count)
            c->attributes[c->attribute_count++] = name;
    }
}

int catalogue_new(struct catalogue **out, const struct catalogue_opts *opts, struct err *e)
{
    struct catalogue *c = calloc(1, sizeof *c);
    if (!c)
        return err_nomem(e);
    c->opts = *opts;
    c->placement_count = placements_count(opts->placements);
    c->now_ms = -MOST_MS;
    c->stalest = c->freshest = TABLE_NONE;
    find_attributes(c);
    bool is_whole = (c->table = table_new()) && (c->changes = ordered_new(by_id, c));
    for (size_t i = 0; i < c->placement_count && is_whole; i++)
        is_whole = (c->orders[i] = ordered_new(by_id, c));
    if (!is_whole) {
        catalogue_free(c);
        return err_nomem(e);
    }
    *out = c;
    return 0;
}

void catalogue_free(struct catalogue *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->item_room; i++)
        free(c->items[i]);
    free(c->items);
    for (size_t i = 0; i < c->placement_count; i++)
        ordered_free(c->orders[i]);
    ordered_free(c->changes);
    table_free(c->table);
    arena_free(&c->arena);
    free(c);
}

static struct item *item_at(const struct catalogue *c, struct str id, uint32_t *number)
{
    *number = table_find(c->table, id);
    return *number == TABLE_NONE ? NULL : c->items[*number];
}

/* ------------------------------------------------------------ those to refresh */

static void unlink_item(struct catalogue *c, uint32_t number)
{
    struct item *item = c->items[number];
    if (!item->is_linked)
        return;
    if (item->before == TABLE_NONE)
        c->stalest = item->after;
    else
        c->items[item->before]->after = item->after;
    if (item->after == TABLE_NONE)
        c->freshest = item->before;
    else
        c->items[item->after]->before = item->before;
    item->is_linked = false;
}

static void link_stalest(struct catalogue *c, uint32_t number)
{
    struct item *item = c->items[number];
    item->before = TABLE_NONE;
    item->after = c->stalest;
    if (c->stalest == TABLE_NONE)
        c->freshest = number;
    else
        c->items[c->stalest]->before = number;
    c->stalest = number;
    item->is_linked = true;
}

static void link_freshest(struct catalogue *c, uint32_t number)
{
    struct item *item = c->items[number];
    item->before = c->freshest;
    item->after = TABLE_NONE;
    if (c->freshest == TABLE_NONE)
        c->stalest = number;
    else
        c->items[c->freshest]->after = number;
    c->freshest = number;
    item->is_linked = true;
}

/* ------------------------------------------------------------ orders */

static bool is_in(const struct item *item, size_t placement)
{
    return item->passes >> placement & 1;
}

static void leave(struct catalogue *c, uint32_t number)
{
    struct item *item = c->items[number];
    for (size_t i = 0; item->is_listed && i < c->placement_count; i++)
        if (is_in(item, i))
            ordered_remove(c->orders[i], item->ln_bases[i], number);
    item->is_listed = false;
}

/* Puts an item that is in no order into those where it belongs. */
static int enter(struct catalogue *c, uint32_t number, struct err *e)
{
    struct item *item = c->items[number];
    if (!item->is_active || !item->is_scored || c->now_ms < item->valid_from_ms ||
        c->now_ms >= item->valid_until_ms)
        return 0;
    for (size_t i = 0; i < c->placement_count; i++) {
        if (!is_in(item, i) || ordered_insert(c->orders[i], item->ln_bases[i], number))
            continue;
        while (i > 0)
            if (is_in(item, --i))
                ordered_remove(c->orders[i], item->ln_bases[i], number);
        return err_nomem(e);
    }
    item->is_listed = true;
    return 0;
}

static void unqueue(struct catalogue *c, uint32_t number)
{
    struct item *item = c->items[number];
    if (item->is_queued)
        ordered_remove(c->changes, -(double)item->change_ms, number);
    item->is_queued = false;
}

/* Queues an item for the time at which its validity changes, if it ever does. */
static int queue(struct catalogue *c, uint32_t number, struct err *e)
{
    struct item *item = c->items[number];
    item->change_ms = c->now_ms < item->valid_from_ms ? item->valid_from_ms : item->valid_until_ms;
    if (!item->is_active || item->change_ms <= c->now_ms || item->change_ms > MOST_MS ||
        item->valid_until_ms <= item->valid_from_ms)
        return 0;
    if (!ordered_insert(c->changes, -(double)item->change_ms, number))
        return err_nomem(e);
    item->is_queued = true;
    return 0;
}

/* Everything that follows from an item's fields and the time. */
static int settle(struct catalogue *c, uint32_t number, struct err *e)
{
    struct item *item = c->items[number];
    if (!item->is_active || c->now_ms >= item->valid_until_ms ||
        item->valid_from_ms >= item->valid_until_ms)
        unlink_item(c, number);
    int rc = queue(c, number, e);
    return rc ? rc : enter(c, number, e);
}

/* ------------------------------------------------------------ changes */

static bool make_room(struct catalogue *c, uint32_t number)
{
    if (number < c->item_room)
        return true;
    size_t room = c->item_room ? 2 * c->item_room : 64;
    room = room > number ? room : (size_t)number + 1;
    struct item **longer = realloc(c->items, room * sizeof *longer);
    if (!longer)
        return false;
    memset(longer + c->item_room, 0, (room - c->item_room) * sizeof *longer);
    c->items = longer;
    c->item_room = room;
    return true;
}

static void drop(struct catalogue *c, uint32_t number)
{
    struct item *item = c->items[number];
    leave(c, number);
    unqueue(c, number);
    unlink_item(c, number);
    c->item_bytes -= item->bytes;
    free(item);
    c->items[number] = NULL;
}

/* A number for an id that is not there. */
static int add_number(struct catalogue *c, struct str id, uint32_t *number, struct err *e)
{
    *number = table_insert(c->table, id);
    if (*number != TABLE_NONE && make_room(c, *number))
        return 0;
    if (*number != TABLE_NONE)
        table_remove(c->table, *number);
    return err_nomem(e);
}

int catalogue_put(struct catalogue *c, const struct entity *record, struct err *e)
{
    uint32_t number;
    struct item *item = NULL, *old = item_at(c, record->id, &number);
    if (old && old->timestamp > record->timestamp)
        return 0;
    int rc = item_new(&item, c, record, e);
    if (!rc && !old)
        rc = add_number(c, record->id, &number, e);
    if (rc) {
        free(item);
        return rc;
    }
    if (old) {
        memcpy(item->ln_bases, old->ln_bases, c->placement_count * sizeof *item->ln_bases);
        item->is_scored = old->is_scored;
        drop(c, number);
    }
    item->scored_ms = -MOST_MS;
    c->item_bytes += item->bytes;
    c->items[number] = item;
    link_stalest(c, number);
    return settle(c, number, e);
}

void catalogue_remove(struct catalogue *c, struct str id)
{
    uint32_t number;
    if (!item_at(c, id, &number))
        return;
    drop(c, number);
    table_remove(c->table, number);
}

/* Moves an item within the orders in which its base score is another one. */
static int move(struct catalogue *c, uint32_t number, const double *ln_bases, struct err *e)
{
    struct item *item = c->items[number];
    for (size_t i = 0; i < c->placement_count; i++) {
        double ln_base = isnan(ln_bases[i]) ? -1e300 : ln_bases[i];
        if (ln_base == item->ln_bases[i])
            continue;
        bool is_moving = item->is_listed && is_in(item, i);
        if (is_moving)
            ordered_remove(c->orders[i], item->ln_bases[i], number);
        item->ln_bases[i] = ln_base;
        if (is_moving && !ordered_insert(c->orders[i], ln_base, number)) {
            leave(c, number);
            return err_nomem(e);
        }
    }
    return 0;
}

int catalogue_score(struct catalogue *c, struct str id, const double *ln_bases, int64_t now_ms,
                    struct err *e)
{
    uint32_t number;
    struct item *item = item_at(c, id, &number);
    if (!item)
        return 0;
    int rc = move(c, number, ln_bases, e);
    if (rc)
        return rc;
    item->is_scored = true;
    item->scored_ms = now_ms;
    if (item->is_linked) {
        unlink_item(c, number);
        link_freshest(c, number);
    }
    return item->is_listed ? 0 : enter(c, number, e);
}

struct str catalogue_next_stale(const struct catalogue *c, int64_t now_ms)
{
    if (c->stalest == TABLE_NONE || c->items[c->stalest]->scored_ms > now_ms - c->opts.refresh_ms)
        return (struct str){0};
    return table_key(table_get(c->table, c->stalest));
}

/* The clock was ahead and is not any more: everything is settled anew, and due to be scored. */
static int go_back(struct catalogue *c, int64_t now_ms, struct err *e)
{
    int rc = 0;
    c->now_ms = now_ms;
    for (uint32_t number = table_first(c->table); number != TABLE_NONE && !rc;
         number = table_next(c->table, number)) {
        leave(c, number);
        unqueue(c, number);
        unlink_item(c, number);
        link_stalest(c, number);
        c->items[number]->scored_ms = -MOST_MS;
        rc = settle(c, number, e);
    }
    return rc;
}

int catalogue_advance(struct catalogue *c, int64_t now_ms, struct err *e)
{
    const struct ordered_entry *first;
    now_ms = now_ms < MOST_MS ? now_ms : MOST_MS;
    if (now_ms < c->now_ms - BACK_MS)
        return go_back(c, now_ms, e);
    c->now_ms = now_ms > c->now_ms ? now_ms : c->now_ms;
    while ((first = ordered_at(c->changes, ordered_first())) && -first->key <= (double)c->now_ms) {
        uint32_t number = first->item;
        leave(c, number);
        unqueue(c, number);
        int rc = settle(c, number, e);
        if (rc)
            return rc;
    }
    return 0;
}

/* ------------------------------------------------------------ what is known */

size_t catalogue_count(const struct catalogue *c)
{
    return table_count(c->table);
}

bool catalogue_has(const struct catalogue *c, struct str id)
{
    return table_find(c->table, id) != TABLE_NONE;
}

size_t catalogue_shown(const struct catalogue *c, size_t placement)
{
    return ordered_count(c->orders[placement]);
}

size_t catalogue_bytes(const struct catalogue *c)
{
    enum { ALLOCATOR_BYTES = 16 }; /* that it adds to an item */
    size_t bytes = sizeof *c + table_bytes(c->table) + ordered_bytes(c->changes) + c->item_bytes +
                   catalogue_count(c) * ALLOCATOR_BYTES + c->item_room * sizeof *c->items;
    for (size_t i = 0; i < c->placement_count; i++)
        bytes += ordered_bytes(c->orders[i]);
    return bytes;
}

struct value_hashes catalogue_values(const struct catalogue *c, struct str id, size_t placement)
{
    uint32_t number;
    const struct item *item = item_at(c, id, &number);
    int attribute = c->attribute_of[placement];
    if (!item || attribute < 0)
        return (struct value_hashes){0};
    uint32_t start = item->value_starts[attribute], end = item->value_starts[attribute + 1];
    return (struct value_hashes){item->values + start, end - start};
}

double catalogue_ln_base(const struct catalogue *c, struct str id, size_t placement)
{
    uint32_t number;
    const struct item *item = item_at(c, id, &number);
    return item && item->is_scored ? item->ln_bases[placement] : NAN;
}

#include "feature/scope_reader.h"

#include "feature/user_record.h"

#include <stdlib.h>

/*
 * How far the newest contribution may lie ahead of the time that is read at, for the totals of
 * windows of several keys to add up to that of the merged keys. Merging forgets buckets by the
 * newest of all keys, of which 64 are remembered, and a window has 60: nothing of it is forgotten
 * while the newest bucket is at most 4 ahead. -1: contents of several keys do not add up.
 */
static int64_t slack_of(const struct scope *scope)
{
    int64_t slack_ms = INT64_MAX;
    for (size_t i = 0; i < scope->slot_count; i++) {
        const struct feature *f = scope->slots[i];
        if (f->kind == FEATURE_DISTINCT)
            return -1;
        for (size_t w = 0; w < f->window_count; w++) {
            int64_t ms = (REMEMBERED_BUCKETS - WINDOW_BUCKETS - 1) * f->windows[w].bucket_ms;
            slack_ms = ms < slack_ms ? ms : slack_ms;
        }
    }
    return slack_ms;
}

static bool is_plain(const struct scope *scope)
{
    for (size_t i = 0; i < scope->slot_count; i++)
        if (scope->slots[i]->kind != FEATURE_COUNT && scope->slots[i]->kind != FEATURE_RATE)
            return false;
    return true;
}

static const struct dimension *beside_user(const struct scope *scope)
{
    const struct dimension *d = scope->dimensions;
    if (!scope->has_user || scope->dimension_count != 2)
        return NULL;
    d += d->side == SIDE_USER && !d->field;
    return d->side == SIDE_PROPOSITION ? d : NULL;
}

static int make_missing(struct scope_reader *r, const struct feature_set *set, struct err *e)
{
    size_t most = 0;
    for (size_t i = 0; i < set->scope_count; i++)
        most = set->scopes[i].content_count > most ? set->scopes[i].content_count : most;
    r->missing = malloc(sizeof *r->missing + most * sizeof *r->missing->contents);
    if (!r->missing)
        return err_nomem(e);
    *r->missing = (struct key_contents){.right = CONTENT_ALWAYS, .newest_ms = INT64_MIN};
    for (size_t i = 0; i < most; i++)
        r->missing->contents[i] = (struct content){NAN, NAN, NAN};
    return 0;
}

int scope_reader_init(struct scope_reader *r, const struct candidate_plan *plan, struct err *e)
{
    const struct feature_set *set = plan->set;
    *r = (struct scope_reader){.plan = plan};
    r->ways = malloc((set->scope_count + 1) * sizeof *r->ways);
    r->users = calloc(set->scope_count + 1, sizeof *r->users);
    int rc = r->ways && r->users ? make_missing(r, set, e) : err_nomem(e);
    if (rc) {
        scope_reader_free(r);
        return rc;
    }
    for (size_t i = 0; i < set->scope_count; i++)
        r->ways[i] = (struct scope_way){slack_of(&set->scopes[i]), is_plain(&set->scopes[i]),
                                        beside_user(&set->scopes[i])};
    return 0;
}

void scope_reader_free(struct scope_reader *r)
{
    free(r->ways);
    free(r->users);
    free(r->missing);
    free(r->contents);
    free(r->cells);
    buf_free(&r->scratch);
    *r = (struct scope_reader){0};
}

/* A user's record being opened. */
struct opening {
    struct scope_reader *r;
    struct arena *arena;
};

static int open_scope(void *arg, size_t scope, struct str section, struct err *e)
{
    struct opening *o = arg;
    return user_cells_open(&o->r->users[scope], section, o->arena, e);
}

int scope_reader_open(struct scope_reader *r, struct str record, struct arena *a, struct err *e)
{
    struct opening o = {r, a};
    return user_record_each(r->plan->set, record, open_scope, &o, e);
}

/* ------------------------------------------------------------ several keys of a candidate */

/* Room for as many keys. */
static int make_room(struct scope_reader *r, size_t keys, struct err *e)
{
    if (keys <= r->cap)
        return 0;
    size_t cap = 2 * keys;
    const struct key_contents **contents = realloc(r->contents, cap * sizeof *contents);
    r->contents = contents ? contents : r->contents;
    struct str *cells = contents ? realloc(r->cells, cap * sizeof *cells) : NULL;
    r->cells = cells ? cells : r->cells;
    if (!cells)
        return err_nomem(e);
    r->cap = cap;
    return 0;
}

static bool may_add(const struct scope_reader *r, const struct scope_way *way, size_t count,
                    int64_t as_of_ms)
{
    if (way->slack_ms < 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (time_minus(r->contents[i]->newest_ms, as_of_ms) > way->slack_ms)
            return false;
    return true;
}

static void add_all(struct key_contents *all, const struct scope_reader *r,
                    const struct scope *scope, bool plain, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const struct content *more = r->contents[i]->contents;
        for (size_t at = 0; plain && at < scope->content_count; at++) {
            all->contents[at].a += more[at].a;
            all->contents[at].b += more[at].b;
        }
        for (size_t s = 0, at = 0; !plain && s < scope->slot_count; s++)
            for (size_t w = 0; w < feature_contents(scope->slots[s]); w++, at++)
                content_add(&all->contents[at], &more[at], scope->slots[s]);
    }
}

/* What stands in r->contents together. ids: of shared cells; else of the user's. */
static int merge(const struct key_contents **out, struct scope_reader *r, size_t number,
                 size_t count, const uint32_t *ids, const struct scope_request *q, struct err *e)
{
    const struct scope *scope = &r->plan->set->scopes[number];
    size_t bytes = key_contents_bytes(scope);
    struct key_contents *all = arena_alloc(q->arena, bytes);
    if (!all)
        return err_nomem(e);
    *out = all;
    if (may_add(r, &r->ways[number], count, q->as_of_ms)) {
        memcpy(all, r->contents[0], bytes);
        add_all(all, r, scope, r->ways[number].is_plain, count);
        return 0;
    }
    for (size_t i = 0; i < count && ids; i++)
        r->cells[i] = shared_cells_get(q->shared, ids[i]);
    return cells_contents(all->contents, scope, r->cells, count, q->as_of_ms, &r->scratch, e);
}

/* ------------------------------------------------------------ shared scopes */

static int read_keys(const struct key_contents **out, struct scope_reader *r, size_t number,
                     const uint32_t *ids, size_t count, const struct scope_request *q,
                     struct err *e)
{
    if (count <= 1)
        return shared_cells_read(out, q->shared, number, count ? ids[0] : TABLE_NONE, q->as_of_ms,
                                 e);
    int rc = make_room(r, count, e);
    for (size_t i = 0; i < count && !rc; i++)
        rc = shared_cells_read(&r->contents[i], q->shared, number, ids[i], q->as_of_ms, e);
    return rc ? rc : merge(out, r, number, count, ids, q, e);
}

static int read_shared(const struct key_contents **out, struct scope_reader *r, size_t number,
                       size_t candidates, const struct scope_request *q, struct err *e)
{
    struct shared_cells_changes changes = shared_cells_changes(q->shared, number);
    size_t place = r->plan->scope_places[number];
    int rc = 0;
    for (size_t i = 0; i < candidates && !rc; i++) {
        struct candidate *c = q->candidates[i];
        const uint32_t *ids;
        size_t count, keys;
        if (place != SIZE_MAX && candidate_is_current(c, place, changes)) {
            ids = candidate_ids(c, place);
            count = candidate_scopes(c)[place].count;
            keys = candidate_scopes(c)[place].keys;
        } else {
            rc = candidate_find(&ids, &count, &keys, c, r->plan, number, &q->situations[i],
                                q->shared, q->arena, e);
        }
        out[i] = r->missing;
        if (!rc && keys)
            rc = read_keys(&out[i], r, number, ids, count, q, e);
    }
    return rc;
}

/* ------------------------------------------------------------ scopes with the user */

/* Adds what the user has of a key to r->contents. */
static int take_key(size_t *count, struct scope_reader *r, size_t number, uint64_t hash,
                    const struct scope_request *q, struct err *e)
{
    struct user_cell *cell = user_cells_find(&r->users[number], hash);
    if (!cell)
        return 0;
    r->cells[*count] = cell->cell;
    return user_cell_read(&r->contents[(*count)++], cell, &r->plan->set->scopes[number],
                          q->as_of_ms, q->arena, e);
}

/* The hashes of a candidate's keys: kept with it where the scope has one dimension beside the user,
 * else worked out. */
static int hashes_of(const uint64_t **out, size_t *count, const struct scope_reader *r,
                     size_t number, size_t candidate, const struct scope_request *q, struct err *e)
{
    const struct dimension *d = r->ways[number].beside;
    const struct candidate *c = q->candidates[candidate];
    if (d) {
        struct hash_list list = {0, 1};
        if (d->field)
            list = candidate_lists(c, r->plan)[r->plan->attribute_places[d->attribute]];
        *out = d->field ? candidate_hashes(c, r->plan) + list.first : &c->id_hash;
        *count = list.count;
        return 0;
    }
    struct str_list keys;
    int rc = situation_keys(&keys, &q->situations[candidate], &r->plan->set->scopes[number], true,
                            q->arena, e);
    if (rc)
        return rc;
    uint64_t *hashes = arena_alloc(q->arena, keys.count * sizeof *hashes + 1);
    for (size_t i = 0; i < keys.count && hashes; i++)
        hashes[i] = key_hash(keys.items[i]);
    *out = hashes;
    *count = keys.count;
    return hashes ? 0 : err_nomem(e);
}

static int read_of_user(const struct key_contents **out, struct scope_reader *r, size_t number,
                        size_t candidate, const struct scope_request *q, struct err *e)
{
    const uint64_t *hashes;
    size_t count = 0, keys;
    int rc = hashes_of(&hashes, &keys, r, number, candidate, q, e);
    *out = r->missing;
    if (rc || keys == 0)
        return rc;
    rc = make_room(r, keys, e);
    for (size_t i = 0; i < keys && !rc; i++)
        rc = take_key(&count, r, number, hashes[i], q, e);
    if (rc)
        return rc;
    if (count > 1)
        return merge(out, r, number, count, NULL, q, e);
    if (count == 0)
        return shared_cells_read(out, q->shared, number, TABLE_NONE, q->as_of_ms, e);
    *out = r->contents[0];
    return 0;
}

int scope_reader_read(const struct key_contents **out, size_t *read, struct scope_reader *r,
                      size_t scope, const struct scope_request *q, struct err *e)
{
    const struct scope *s = &r->plan->set->scopes[scope];
    int rc = 0;
    *read = s->has_proposition ? q->count : q->count ? 1 : 0;
    if (!s->has_user)
        return read_shared(out, r, scope, *read, q, e);
    for (size_t i = 0; i < *read && !rc; i++)
        rc = read_of_user(&out[i], r, scope, i, q, e);
    return rc;
}

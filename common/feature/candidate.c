#include "feature/candidate.h"

#include <stdlib.h>

static size_t *places(size_t count)
{
    size_t *p = malloc((count + 1) * sizeof *p);
    for (size_t i = 0; p && i < count; i++)
        p[i] = SIZE_MAX;
    return p;
}

/* Whether a proposition alone decides which keys of a scope it belongs to. */
static bool is_of_proposition(const struct scope *s)
{
    for (size_t i = 0; i < s->dimension_count; i++)
        if (s->dimensions[i].side != SIDE_PROPOSITION)
            return false;
    return s->has_proposition;
}

static bool is_number_of_proposition(const struct feature *f)
{
    return (f->kind == FEATURE_ATTRIBUTE || f->kind == FEATURE_AGE || f->kind == FEATURE_GAP) &&
           f->dimension.side == SIDE_PROPOSITION;
}

static void add_attribute(struct candidate_plan *p, const struct dimension *d)
{
    if (d->side == SIDE_PROPOSITION && d->attribute >= 0 &&
        p->attribute_places[d->attribute] == SIZE_MAX)
        p->attribute_places[d->attribute] = p->attribute_count++;
}

static void make_plan(struct candidate_plan *p)
{
    const struct feature_set *set = p->set;
    for (size_t i = 0; i < set->scope_count; i++) {
        const struct scope *s = &set->scopes[i];
        if (is_of_proposition(s))
            p->scope_places[i] = p->scope_count++;
        for (size_t d = 0; s->has_user && d < s->dimension_count; d++)
            add_attribute(p, &s->dimensions[d]);
    }
    for (size_t i = 0; i < set->feature_count; i++) {
        const struct feature *f = &set->features[i];
        if (is_number_of_proposition(f))
            p->feature_places[i] = p->feature_count++;
        if (f->kind == FEATURE_OVERLAP)
            add_attribute(p, &f->dimension);
    }
}

int candidate_plan_init(struct candidate_plan *p, const struct feature_set *set, struct err *e)
{
    *p = (struct candidate_plan){.set = set};
    p->scope_places = places(set->scope_count);
    p->feature_places = places(set->feature_count);
    p->attribute_places = places(set->attribute_count[SIDE_PROPOSITION]);
    if (!p->scope_places || !p->feature_places || !p->attribute_places) {
        candidate_plan_free(p);
        return err_nomem(e);
    }
    make_plan(p);
    return 0;
}

void candidate_plan_free(struct candidate_plan *p)
{
    free(p->scope_places);
    free(p->feature_places);
    free(p->attribute_places);
    *p = (struct candidate_plan){0};
}

/* ------------------------------------------------------------ one candidate */

/* How many keys of a scope are remembered for a situation. */
static uint16_t remembered_keys(const struct situation *s, const struct scope *scope)
{
    size_t keys = situation_key_count(s, scope);
    return keys < MANY_KEYS ? (uint16_t)keys : MANY_KEYS;
}

/* Lays out the variable parts; c NULL: only counts them. */
static void lay_out(size_t *hashes, size_t *ids, struct candidate *c,
                    const struct candidate_plan *p, const struct situation *s)
{
    *hashes = *ids = 0;
    for (size_t i = 0; i < p->set->scope_count; i++) {
        if (p->scope_places[i] == SIZE_MAX)
            continue;
        uint16_t keys = remembered_keys(s, &p->set->scopes[i]);
        if (c)
            candidate_scopes(c)[p->scope_places[i]] =
                (struct keys_found){.added = UINT64_MAX, .first = (uint32_t)*ids, .keys = keys};
        *ids += keys > 1 && keys < MANY_KEYS ? keys : 0;
    }
    for (size_t i = 0; i < p->set->attribute_count[SIDE_PROPOSITION]; i++) {
        const struct known_value *v = s->proposition ? &s->proposition->values[i] : NULL;
        if (p->attribute_places[i] == SIZE_MAX)
            continue;
        size_t count = v ? v->keys.count : 0;
        if (c)
            candidate_lists(c, p)[p->attribute_places[i]] =
                (struct hash_list){(uint32_t)*hashes, (uint32_t)count};
        if (c && count)
            memcpy(candidate_hashes(c, p) + *hashes, v->hashes, count * sizeof *v->hashes);
        *hashes += count;
    }
}

/* Of the id as a part of keys. */
static int hash_id(uint64_t *out, struct str id, struct arena *a, struct err *e)
{
    char *key = arena_alloc(a, VARINT_BYTES + id.len);
    if (!key)
        return err_nomem(e);
    size_t n = varint_write((uint8_t *)key, id.len);
    if (id.len)
        memcpy(key + n, id.data, id.len);
    *out = key_hash(str_bytes(key, n + id.len));
    return 0;
}

int candidate_of(struct candidate **out, const struct candidate_plan *p, const struct situation *s,
                 struct arena *a, struct err *e)
{
    if (s->proposition && s->proposition->kept) {
        *out = s->proposition->kept;
        return 0;
    }
    size_t hashes, ids;
    uint64_t id_hash = 0;
    int rc = hash_id(&id_hash, s->proposition_id, a, e);
    if (rc)
        return rc;
    lay_out(&hashes, &ids, NULL, p, s);
    size_t ids_at = sizeof(struct candidate) + p->scope_count * sizeof(struct keys_found) +
                    p->feature_count * sizeof(struct request_number) +
                    p->attribute_count * sizeof(struct hash_list) + hashes * sizeof(uint64_t);
    size_t bytes = ids_at + ids * sizeof(uint32_t);
    struct candidate *kept = s->proposition ? malloc(bytes) : NULL;
    struct candidate *c = kept ? kept : arena_alloc(a, bytes);
    if (!c)
        return err_nomem(e);
    *c = (struct candidate){id_hash, UINT64_MAX, ids_at};
    lay_out(&hashes, &ids, c, p, s);
    for (size_t i = 0; i < p->set->feature_count; i++)
        if (p->feature_places[i] != SIZE_MAX)
            candidate_numbers(c, p)[p->feature_places[i]] = request_number(&p->set->features[i], s);
    if (kept)
        *s->proposition->memo = kept;
    *out = c;
    return 0;
}

/* ------------------------------------------------------------ its cells */

/* Where the cells of a scope are remembered; NULL: nowhere. What was found before a key was removed
 * is forgotten in all scopes. */
static struct keys_found *place_of(struct candidate *c, const struct candidate_plan *p,
                                   size_t scope, uint64_t removed)
{
    size_t place = p->scope_places[scope];
    if (place == SIZE_MAX || candidate_scopes(c)[place].keys >= MANY_KEYS)
        return NULL;
    for (size_t i = 0; i < p->scope_count && c->removed != removed; i++) {
        candidate_scopes(c)[i].added = UINT64_MAX;
        candidate_scopes(c)[i].count = 0;
    }
    c->removed = removed;
    return &candidate_scopes(c)[place];
}

int candidate_find(const uint32_t **ids, size_t *count, size_t *keys, struct candidate *c,
                   const struct candidate_plan *p, size_t scope, const struct situation *s,
                   struct shared_cells *shared, struct arena *a, struct err *e)
{
    struct shared_cells_changes changes = shared_cells_changes(shared, scope);
    struct keys_found *f = place_of(c, p, scope, changes.removed);
    struct str_list list;
    int rc = situation_keys(&list, s, &p->set->scopes[scope], false, a, e);
    if (rc)
        return rc;
    uint32_t *found = f ? candidate_ids(c, p->scope_places[scope])
                        : arena_alloc(a, list.count * sizeof *found + 1);
    if (!found)
        return err_nomem(e);
    *count = 0;
    for (size_t i = 0; i < list.count && !rc; i++) {
        rc = shared_cells_find_in(&found[*count], shared, scope, list.items[i], e);
        *count += !rc && found[*count] != TABLE_NONE;
    }
    if (f) {
        f->added = rc ? UINT64_MAX : changes.added;
        f->count = rc ? 0 : (uint16_t)*count;
    }
    *ids = found;
    *keys = list.count;
    return rc;
}

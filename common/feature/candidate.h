/*
 * What reading vectors works out once for a proposition and keeps with its attributes: the numbers
 * that features read of them, and where the cells of its keys are.
 *
 * It belongs to the proposition's struct known and goes with it, so a changed proposition is worked
 * out again; one that is not known has it for the length of a request. One thread; no clock.
 */
#pragma once

#include "feature/contribution.h"
#include "feature/request_time.h"
#include "feature/shared_cells.h"

/* What is kept of any proposition of a set. Places are SIZE_MAX for what nothing is kept of. */
struct candidate_plan {
    const struct feature_set *set;
    size_t *scope_places;     /* of each scope that is the proposition's alone, and shared */
    size_t *feature_places;   /* of each feature that reads a number of the proposition */
    size_t *attribute_places; /* of each attribute of propositions whose values' hashes are read */
    size_t scope_count, feature_count, attribute_count;
};

/* The cells of the keys of one scope. */
struct keys_found {
    uint64_t added;       /* shared_cells_changes() of when they were looked for */
    uint32_t first;       /* a single one's number; of several, the place of theirs in the ids */
    uint16_t count, keys; /* how many are there, of how many it belongs to; keys MANY_KEYS or more
                             are not remembered */
};

enum { MANY_KEYS = 256 };

/* Some hashes of a candidate. */
struct hash_list {
    uint32_t first, count;
};

/* One allocation, in the order that a request reads it. Behind this stand, by their places in the
 * plan: keys_found, request_number, hash_list; then the hashes and the ids. */
struct candidate {
    uint64_t id_hash; /* key_hash() of its id as a part of keys */
    uint64_t removed; /* shared_cells_changes() of when keys were looked for */
    size_t ids_at;    /* where the ids begin, in bytes from here */
};

/* Borrows set. Fails with ERR_NOMEM. */
int candidate_plan_init(struct candidate_plan *p, const struct feature_set *set, struct err *e);
void candidate_plan_free(struct candidate_plan *p);

/* What is kept of the proposition of a situation; worked out now if it was not. What nothing is
 * known of, or for which no memory can be had to keep it, is in the arena. Fails with ERR_NOMEM. */
int candidate_of(struct candidate **out, const struct candidate_plan *p, const struct situation *s,
                 struct arena *a, struct err *e);

static inline struct keys_found *candidate_scopes(const struct candidate *c)
{
    return (struct keys_found *)(uintptr_t)(c + 1);
}

static inline struct request_number *candidate_numbers(const struct candidate *c,
                                                       const struct candidate_plan *p)
{
    return (struct request_number *)(void *)(candidate_scopes(c) + p->scope_count);
}

static inline struct hash_list *candidate_lists(const struct candidate *c,
                                                const struct candidate_plan *p)
{
    return (struct hash_list *)(void *)(candidate_numbers(c, p) + p->feature_count);
}

static inline uint64_t *candidate_hashes(const struct candidate *c, const struct candidate_plan *p)
{
    return (uint64_t *)(void *)(candidate_lists(c, p) + p->attribute_count);
}

/* Whether the cells of a scope (by its place) are as they were found. Numbers stay until keys are
 * removed; a key that was missing may have been added. */
static inline bool candidate_is_current(const struct candidate *c, size_t place,
                                        struct shared_cells_changes changes)
{
    const struct keys_found *f = &candidate_scopes(c)[place];
    return c->removed == changes.removed && (f->count == f->keys || f->added == changes.added);
}

/* The numbers of those cells. */
static inline uint32_t *candidate_ids(const struct candidate *c, size_t place)
{
    struct keys_found *f = &candidate_scopes(c)[place];
    uint32_t *ids = (uint32_t *)(void *)((char *)(uintptr_t)c + c->ids_at);
    return f->keys > 1 ? ids + f->first : &f->first;
}

/*
 * Looks for the cells of the keys of a shared scope that a situation belongs to: numbers of shared
 * cells; keys that are not there are left out. *keys: how many it belongs to. Remembers what is to
 * be remembered. Borrowed from the candidate or the arena. Fails with ERR_TOO_LARGE (more than
 * MAX_KEYS), ERR_NOMEM.
 */
int candidate_find(const uint32_t **ids, size_t *count, size_t *keys, struct candidate *c,
                   const struct candidate_plan *p, size_t scope, const struct situation *s,
                   struct shared_cells *shared, struct arena *a, struct err *e);

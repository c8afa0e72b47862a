/*
 * Attributes of users or propositions, as known now: a table of one side.
 *
 * Keeps only what some feature reads. The newest timestamp wins, of equal ones the later arrival; a
 * record replaces all attributes. One thread; no clock.
 */
#pragma once

#include "base/err.h"
#include "feature/definition.h"
#include "serde/records.h"

struct entities;

/* One attribute of one entity. */
struct known_value {
    enum attribute_type type;
    double number; /* of a number; 0 or 1 of a boolean */
    struct str_list
        keys; /* its values as parts of keys, each once: 1995 of 1995.0; a text as it is */
    const uint64_t
        *hashes; /* of a proposition: of each key with its length before it (key_sized) */
};

/* An entity's values, by feature_set.attributes of its side. Good until the entity is put again or
 * removed. */
struct known {
    int64_t timestamp;
    void **memo; /* &kept */
    void *kept;  /* one allocation in which a reader keeps what it has worked out; NULL at first,
                    freed with this */
    struct known_value values[];
};

/* A key of a known_value with its length before it, as it stands in keys of scopes; and the hash of
 * such bytes. */
struct str key_sized(struct str known_key);
uint64_t key_hash(struct str sized_key);

/* Borrows the set. Fails with ERR_NOMEM. */
int entities_new(struct entities **out, const struct feature_set *set, enum side side,
                 struct err *e);
void entities_free(struct entities *t); /* NULL is fine */

/* Copies what it keeps. Fails with ERR_SCHEMA (a number that is not finite: names the attribute),
 * ERR_NOMEM. */
int entities_put(struct entities *t, const struct entity *record, struct err *e);
void entities_remove(struct entities *t, struct str id);

/* NULL if the entity is not known, or no feature reads attributes of its side. */
const struct known *entities_find(const struct entities *t, struct str id);
size_t entities_count(const struct entities *t);

/* What the record itself must satisfy, whatever features read: the failure of entities_put. */
int entity_check(const struct entity *record, struct err *e);

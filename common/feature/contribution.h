/*
 * What an event adds, and what a vector is read for: a user, a proposition and a context together,
 * and the keys of scopes that they belong to.
 *
 * A key is its dimensions' values in the order of the scope, each with its length before it
 * (buf_put_sized). In a user's record the user's own id is left out. One thread; no clock.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "feature/entities.h"

/* Who, what, in which context. Borrows everything. */
struct situation {
    struct str user_id;
    const struct known *user;        /* NULL: nothing is known */
    struct str proposition_id;       /* data NULL: there is none */
    const struct known *proposition; /* NULL: nothing is known, or there is none */
    const struct text_map *context;
};

/* Times beyond ±2^53 ms are no times: differences of two stay far inside 64 bits. */
#define CONTRIBUTION_MAX_MS ((int64_t)1 << 53)

/* One contribution of an event to a scope: its situation if the scope has a proposition, else all
 * that it lists. */
struct contribution {
    int event; /* id in the feature set */
    int64_t time;
    struct optional_double value;
    const struct situation *situations;
    size_t count;
};

/* A contribution without its situation. */
struct instance {
    int64_t time;
    double value;
    int16_t event;
    bool has_value;
};

/* The values of a dimension, each once; none: the dimension has no value here. Borrowed from the
 * situation. */
struct str_list situation_values(const struct situation *s, const struct dimension *d);

/* An attribute's value; NULL if the side is the context, or nothing is known of it. */
const struct known_value *situation_attribute(const struct situation *s, const struct dimension *d);

/* A context's text; data NULL if it is not there. */
struct str situation_context(const struct situation *s, const char *field);

/* The number of keys of a scope that a situation belongs to; more than MAX_KEYS, or one that may be
 * longer than MAX_KEY_BYTES, is MAX_KEYS + 1. */
enum { MAX_KEYS = 1000000, MAX_KEY_BYTES = 32768 };
size_t situation_key_count(const struct situation *s, const struct scope *scope);

/*
 * All keys of a scope that a situation belongs to (the product of its dimensions' values, the last
 * one fastest), in the arena. in_user_record: without the user's id. Fails with ERR_TOO_LARGE (more
 * than MAX_KEYS), ERR_NOMEM.
 */
int situation_keys(struct str_list *out, const struct situation *s, const struct scope *scope,
                   bool in_user_record, struct arena *a, struct err *e);

/*
 * The same one by one: the values of each dimension of a scope into `values` (of so many as it has
 * dimensions), and the number of keys; 0: there are none. More than MAX_KEYS are MAX_KEYS + 1, and
 * then no key may be asked for. situation_put_key() appends the key of a number below that.
 */
size_t situation_product(struct str_list *values, const struct situation *s,
                         const struct scope *scope);
void situation_put_key(struct buf *out, const struct scope *scope, const struct str_list *values,
                       size_t number, bool in_user_record);

/* The parts of a key, user's id included. A key from a user's record needs user_id. Fails with
 * ERR_CORRUPT, ERR_NOMEM. */
int key_parts(struct str_list *out, const struct scope *scope, struct str key, struct str user_id,
              struct arena *a, struct err *e);

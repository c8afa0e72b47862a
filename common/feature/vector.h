/*
 * Vectors: every feature of each candidate of a request, read from state as of the request's time.
 * And the values of one key, as the topic `features` has them.
 *
 * One thread an object, which only holds memory that is used again; one thread a view too, because
 * reading keeps what it has worked out with the shared cells and with the propositions. No clock.
 */
#pragma once

#include "feature/apply.h"
#include "feature/shared_cells.h"

/*
 * Where state is read from. user: the record of a user, borrowed until the state changes, which it
 * does not while it is read; empty: nothing seen. All of it is of one feature set, and propositions
 * are read together with the same shared cells as long as both live.
 */
struct state_view {
    struct str (*user)(void *arg, struct str user_id);
    void *arg;
    struct shared_cells *shared;
    const struct entities *users;
    const struct entities *propositions;
};

struct vectors;

int vectors_new(struct vectors **out, const struct feature_set *set,
                struct err *e);       /* borrows set */
void vectors_free(struct vectors *v); /* NULL is fine */

/*
 * Writes the vector of each candidate into out (candidates × set->output_count doubles; NaN is
 * missing). positions: the place of each candidate in training (NaN: not shown); NULL when serving.
 * Fails with ERR_TOO_LARGE (a candidate belongs to more than MAX_KEYS keys of a scope), ERR_SCHEMA
 * (timestamp is no time), ERR_CORRUPT, ERR_NOMEM.
 */
int vectors_read(struct vectors *v, const struct state_view *view,
                 const struct rank_request *request, const double *positions, double *out,
                 struct err *e);

/* Puts the values of one key of a scope that is published into a map (arena), read at the cell's
 * newest contribution, which is put into as_of_ms. totals: where global priors are read. Fails with
 * ERR_NOMEM. */
int key_values(struct double_map *out, int64_t *as_of_ms, const struct feature_set *set,
               size_t scope, struct str cell, struct shared_cells *totals, struct arena *a,
               struct err *e);

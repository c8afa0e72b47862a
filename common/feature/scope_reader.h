/*
 * The cells of one scope that each candidate of a request belongs to, opened and taken together.
 *
 * A candidate with one key reads the contents that are kept for it; of several keys the contents
 * are added up, or merged in full where that is not the same. One thread; no clock. The object only
 * holds memory that is used again; what it gives out lives in the caller's arena or with the shared
 * cells.
 */
#pragma once

#include "feature/candidate.h"
#include "feature/user_cells.h"

/* What of a scope decides how it is read. */
struct scope_way {
    int64_t slack_ms;               /* see may_add; -1: never */
    bool is_plain;                  /* only counts and rates: all contents are sums */
    const struct dimension *beside; /* with the user: the proposition's one dimension; NULL: another
                                       number of them, or another side's */
};

struct scope_reader {
    const struct candidate_plan *plan;
    struct scope_way *ways;               /* of each scope */
    struct user_cells *users;             /* of each scope with the user: the request's user's */
    struct key_contents *missing;         /* NaN: reads as missing in every kind */
    const struct key_contents **contents; /* of the keys of a candidate */
    struct str *cells;                    /* likewise; filled only for a full merge */
    size_t cap;                           /* of both */
    struct buf scratch;
};

/* The request, as far as scopes go. Borrows everything; values are read as of as_of_ms. */
struct scope_request {
    const struct situation *situations; /* of each candidate */
    struct candidate *const *candidates;
    size_t count;
    int64_t as_of_ms;
    struct shared_cells *shared;
    struct arena *arena;
};

/* Borrows the plan. Fails with ERR_NOMEM. */
int scope_reader_init(struct scope_reader *r, const struct candidate_plan *plan, struct err *e);
void scope_reader_free(struct scope_reader *r);

/* Opens the record of a request's user. Borrows it. Fails with ERR_CORRUPT, ERR_NOMEM. */
int scope_reader_open(struct scope_reader *r, struct str record, struct arena *a, struct err *e);

/*
 * The contents of a scope for each candidate, or for the first alone where the scope has no
 * proposition: *read of them. Those of a candidate that belongs to no key of it are NaN. Good until
 * state changes or the arena is reset. Fails with ERR_TOO_LARGE (more than MAX_KEYS keys),
 * ERR_NOMEM.
 */
int scope_reader_read(const struct key_contents **out, size_t *read, struct scope_reader *r,
                      size_t scope, const struct scope_request *q, struct err *e);

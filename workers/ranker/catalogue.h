/*
 * The catalogue: all propositions with what placements need of them, and for each placement those
 * that it may show, by the rules' base score.
 *
 * A proposition is in the order of a placement when it is active, valid at the catalogue's time,
 * passes the placement's filters and has a base score. A change costs O(log n) for each placement;
 * validity is kept by a queue of the times at which it changes. Answers walk one order from its
 * best, so what was filtered out or has run out costs nothing.
 *
 * Who uses it, puts records, then gives each proposition its base scores (one for each placement)
 * when they change, and refreshes those that are due (values depend on time).
 *
 * One thread. No I/O; clocks are arguments. Ids that are returned are borrowed until the next put
 * or remove.
 */
#pragma once

#include "ranker/choose.h"
#include "ranker/placement.h"
#include "serde/records.h"

struct catalogue;

struct catalogue_opts {
    const struct placements *placements; /* borrowed */
    int64_t refresh_ms;                  /* base scores are due for refreshing so long after */
};

/* Values of one attribute of a proposition; what it has beyond them is not looked at. */
enum { MAX_DIVERSITY_VALUES = 32 };

/* Copies opts. Fails with ERR_NOMEM. */
int catalogue_new(struct catalogue **out, const struct catalogue_opts *opts, struct err *e);
void catalogue_free(struct catalogue *c); /* NULL is fine */

/*
 * A record replaces what was known, unless that has a later timestamp. A proposition that was not
 * there has no base scores yet, another one keeps those it had; both are due at once. Copies what
 * it keeps. Fails with ERR_NOMEM; the proposition is then as it was, or in no order until it is put
 * or scored again.
 */
int catalogue_put(struct catalogue *c, const struct entity *record, struct err *e);
void catalogue_remove(struct catalogue *c, struct str id); /* unknown is fine */

size_t catalogue_count(const struct catalogue *c);
bool catalogue_has(const struct catalogue *c, struct str id);

/* Of a placement: how many it may show now. */
size_t catalogue_shown(const struct catalogue *c, size_t placement);

/* Bytes of memory held. */
size_t catalogue_bytes(const struct catalogue *c);

/*
 * Base scores as of now_ms: ln_bases[i] of placement i (rules_ln_base). An unknown proposition is
 * none of its business: nothing happens. Fails with ERR_NOMEM (in no order until it is scored
 * again).
 */
int catalogue_score(struct catalogue *c, struct str id, const double *ln_bases, int64_t now_ms,
                    struct err *e);

/* The proposition whose base scores are due by now_ms for longest; data NULL where none is. It is
 * the same one until it is scored. What is not active or has run out is never due. */
struct str catalogue_next_stale(const struct catalogue *c, int64_t now_ms);

/* The base score that a proposition was given for a placement; NaN where it has none. */
double catalogue_ln_base(const struct catalogue *c, struct str id, size_t placement);

/* Moves the catalogue's time: what became valid joins, what has run out leaves. Valid is
 * valid_from <= time < valid_until. A time before the last one moves nothing. Fails with
 * ERR_NOMEM: one proposition then is in no order until it is put or scored again, and the next call
 * goes on. */
int catalogue_advance(struct catalogue *c, int64_t now_ms, struct err *e);

/* Values of a placement's attribute of diversity; none where it has no such attribute, or the
 * proposition is not known. Borrowed like ids. */
struct value_hashes catalogue_values(const struct catalogue *c, struct str id, size_t placement);

struct catalogue_ask {
    size_t placement;
    int64_t as_of_ms;   /* the request's time: what is not valid then is left out, too */
    size_t most;        /* how many are wanted */
    size_t most_scored; /* after so many an end; 0: 10 * most */
    double ln_bound;    /* rules_ln_personal_bound; not read without score */

    /* Whether this user is not to see it; NULL: everything may be seen. */
    bool (*hidden)(void *arg, struct str id);

    /* Writes the full ln(score) of each; called for few at a time, in the order of their base
     * scores. Its failure ends the walk. NULL: the base score is the score. */
    int (*score)(void *arg, const struct str *ids, size_t count, double *ln_scores, struct err *e);
    void *arg;
};

/* Best first, of equal ones the one with the higher base score, then the lesser id. Arrays belong
 * to the catalogue until its next call. */
struct catalogue_answer {
    const struct str *ids;
    const double *ln_scores;
    size_t count;
    size_t scored;  /* how many were looked at for it */
    bool is_proven; /* none of the others is better: not ended by most_scored. As far as base scores
                       are fresh. */
};

/*
 * The best of a placement: the threshold algorithm (Fagin, Lotem, Naor 2003) over one order. It
 * ends when no other can be better (base score + ln_bound at most the least of those found).
 * Fails with what score fails with, ERR_NOMEM.
 */
int catalogue_best(struct catalogue_answer *out, struct catalogue *c,
                   const struct catalogue_ask *ask, struct err *e);

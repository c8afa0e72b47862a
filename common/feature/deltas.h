/*
 * What events add to shared scopes, combined by key.
 *
 * Contributions to scopes whose aggregates follow from event, time and value alone (all but gap,
 * distinct and overlap) are put down as they come, and become a cell when it is asked for: while an
 * epoch is filled, adding one costs what finding its key costs. Contributions to other scopes are
 * cells that are merged at once.
 *
 * One thread; no clock. Keys are shared_key()s.
 */
#pragma once

#include "feature/cell.h"

struct deltas;

/* Borrows set. Fails with ERR_NOMEM. */
int deltas_new(struct deltas **out, const struct feature_set *set, struct err *e);
void deltas_free(struct deltas *d); /* NULL is fine */

/* Adds a contribution to a key of a scope that is_of_instances. Fails with ERR_NOMEM. */
int deltas_put(struct deltas *d, struct str key, const struct contribution *c, struct err *e);

/* Adds a cell to a key of another scope. Fails with ERR_NOMEM. */
int deltas_merge(struct deltas *d, const struct scope *scope, struct str key, struct str cell,
                 struct err *e);

/* How many keys there are, and how many contributions were put down for them. */
size_t deltas_count(const struct deltas *d);
size_t deltas_contributions(const struct deltas *d);

/* Calls each(arg, key, cell) for every key, until one does not return 0: that is returned. Fails
 * with ERR_NOMEM. */
int deltas_each(struct deltas *d,
                int (*each)(void *arg, struct str key, struct str cell, struct err *e), void *arg,
                struct err *e);

void deltas_clear(struct deltas *d);

/*
 * The tables that every copy of the worker tails whole: attributes of users and propositions, and
 * the totals behind global priors. Only those that some definition reads.
 *
 * The processing thread's.
 */
#pragma once

#include "features/features.h"
#include "stream/worker.h"

struct tables;

/* Reads them as far as they were written by now (or until the worker is asked to stop). Borrows f.
 * Fails as tail.h. */
int tables_open(struct tables **out, struct worker_env *env, const struct feature_set *set,
                struct features *f, struct err *e);
void tables_free(struct tables *t); /* NULL is fine */

/* Takes in what is there. Fails as tail.h. */
int tables_poll(struct tables *t, struct err *e);

/*
 * Takes in all attributes that were acknowledged to their producers before the call: called when
 * events were read and are not handled yet, so that what was written before an event is known when
 * it is handled. A cluster that does not answer is waited for, until the worker is asked to stop.
 * Fails as tail.h, with ERR_UNAVAILABLE where attributes wait for the schema registry.
 */
int tables_catch_up(struct tables *t, struct err *e);

/* Whether attributes wait for the schema registry. */
bool tables_wait(const struct tables *t);

/* Whether there are any attributes to be known. */
bool tables_matter(const struct tables *t);

/*
 * The topics that every ranker tails whole: attributes, shared state, totals, rollout plans,
 * models.
 *
 * The processing thread's.
 */
#pragma once

#include "ranker/serving.h"
#include "state/mirror.h"
#include "stream/worker.h"

struct tailed;

/*
 * Reads all as far as they were written by now (or until the worker is asked to stop), the versions
 * of models that plans name included: tried and loaded. Borrows all. Fails as tail.h.
 */
int tailed_open(struct tailed **out, struct worker_env *env, struct mirror *mirror,
                struct serving *serving, struct err *e);
void tailed_free(struct tailed *t); /* NULL is fine */

/* Takes in what is there. Fails as tail.h. */
int tailed_poll(struct tailed *t, struct err *e);

/*
 * Takes in all attributes that were acknowledged to their producers before the call: called when
 * there are events or requests to handle. must false: at most every 20 ms. *is_stale: the cluster
 * did not tell in time, or records wait for the schema registry. Fails as tail.h.
 */
int tailed_catch_up(struct tailed *t, bool must, bool *is_stale, struct err *e);

/* Whether records wait for the schema registry. */
bool tailed_wait(const struct tailed *t);

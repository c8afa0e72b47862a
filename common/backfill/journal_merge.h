/*
 * Sorted runs read as one: the entries of all of them in an order that each of them has.
 *
 * One thread. Holds a block a run.
 */
#pragma once

#include "backfill/journal_run.h"

struct merge;

/* Borrows runs and dir until it is freed. Which part of each run is read: */
enum merge_part { MERGE_ALL, MERGE_ATTRIBUTES, MERGE_TIMED };

/* No run yet. Fails with ERR_NOMEM. */
int merge_new(struct merge **out, entry_order *order, const char *dir, struct err *e);
void merge_free(struct merge *m); /* NULL is fine */

/* Before the first merge_next(). Fails with ERR_NOMEM. */
int merge_add(struct merge *m, const struct run *run, enum merge_part part, struct err *e);

/* The next entry, good until the next call; NULL behind the last. Fails as run_next(). */
int merge_next(struct merge *m, const struct raw_entry **out, struct err *e);

/*
 * Entries in any order become sorted runs: collected in memory up to a bound, then written.
 *
 * One thread.
 */
#pragma once

#include "backfill/journal_merge.h"

/* So many runs are read at once; more are merged into fewer before. */
enum { COLLECT_RUNS = 128 };

struct collector;

struct collector_opts {
    const char *dir; /* borrowed */
    size_t memory_bytes;
    entry_order *order;
    uint32_t first_number; /* of its first run */
};

/* Fails with ERR_NOMEM. */
int collector_new(struct collector **out, const struct collector_opts *opts, struct err *e);
void collector_free(struct collector *c); /* NULL is fine; closes the runs that it still has */

/* Copies the entry, or one of another collection with another time. Fail with ERR_TOO_LARGE (over
 * RUN_ENTRY_BYTES), ERR_IO, ERR_NOMEM. */
int collector_add(struct collector *c, const struct entry *entry, struct err *e);
int collector_add_raw(struct collector *c, const struct raw_entry *raw, int64_t time_ms,
                      struct err *e);

/* Nothing more comes: writes what is in memory, merges until there are COLLECT_RUNS at most, and
 * waits until they are on disk. Fails as collector_add(), with ERR_CORRUPT. */
int collector_end(struct collector *c, struct err *e);

/* Its runs, open, which it keeps until it is freed; and the number that the next one would have. */
size_t collector_runs(const struct collector *c, const struct run **out, uint32_t *next_number);

/* Bytes of its runs on disk. */
uint64_t collector_bytes(const struct collector *c);

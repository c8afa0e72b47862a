/*
 * Two batches: while one is on its way into PostgreSQL, by a thread of its own, the next one fills.
 *
 * One is on its way at a time, so batches are committed in the order in which they were filled, and
 * what is read meanwhile is as much as PostgreSQL takes time for: batches grow by themselves where
 * it is slow. All functions are for the worker's thread; the connection is the other thread's from
 * flight_start() to the flight_land() that says how it ended, and the worker's otherwise.
 */
#pragma once

#include "recorder/partitions.h"
#include "recorder/writer.h"

struct flight;

/* Borrows group, codec and metrics; does not connect. Fails as db_new(), ERR_NOMEM. */
int flight_new(struct flight **out, const struct db_opts *opts, const char *group,
               struct codec *codec, struct metrics *m, struct err *e);

/* Waits for what is on its way. NULL is fine. */
void flight_free(struct flight *f);

/* The connection; nothing may be on its way. */
struct db *flight_db(const struct flight *f);

/* Which database it is, copied: any other is refused from now on; nothing may be on its way. */
void flight_settle_in(struct flight *f, const char *database);

/* The batch that fills. */
struct batch *flight_batch(const struct flight *f);

/* Records of both batches. */
size_t flight_records(const struct flight *f);

/* Whether a batch has been started and did not land; and whether the thread still has it. */
bool flight_is_out(const struct flight *f);
bool flight_is_busy(const struct flight *f);

/* Sends the batch that fills on its way, with where the partitions stand; nothing may be. Fails
 * with ERR_NOMEM: nothing has happened. */
int flight_start(struct flight *f, const struct partitions *p, struct err *e);

/* Once more what flight_land() said had failed; nothing where it did not. */
void flight_retry(struct flight *f);

/* What has arrived. */
struct landing {
    bool landed; /* false: nothing has */
    size_t records;
    int64_t took_us; /* to write them */
};

/*
 * Waits up to wait_ms (-1: until its end) for what is on its way. *l, if wanted: it has
 * arrived, and the partitions know. 0 also where it is still on its way. An error leaves it for
 * flight_retry() or flight_drop(), and is told once; as writer_write().
 */
int flight_land(struct flight *f, struct partitions *p, int wait_ms, struct landing *l,
                struct err *e);

/* Forgets both batches; nothing may be under way but what has failed. */
void flight_drop(struct flight *f);

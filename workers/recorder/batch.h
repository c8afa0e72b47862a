/*
 * The rows of one transaction: gathered from records, then written to PostgreSQL.
 *
 * No record fails a batch: what cannot be decoded or held becomes a row of dead_letters. Of several
 * records of one key in a table of latest values only the last is written. One thread; no clock,
 * and no I/O but in batch_write().
 */
#pragma once

#include "db/connection.h"
#include "recorder/sinks.h"
#include "serde/codec.h"
#include "stream/input.h"

struct batch;

/* What was written, for metrics: each(arg, table, reason, n) for the rows of a table (reason NULL),
 * and for the dead letters of one reason that the recorder made itself (table NULL). */
struct batch_counts {
    void (*each)(void *arg, const char *table, const char *reason, size_t n);
    void *arg;
};

/* Borrows the codec. Fails with ERR_NOMEM. */
int batch_new(struct batch **out, struct codec *codec, struct err *e);
void batch_free(struct batch *b); /* NULL is fine */

/* Copies what it needs. Fails with ERR_NOMEM: the batch is to be cleared then; with
 * ERR_UNAVAILABLE: the codec's registry has to be asked first, the batch is as it was. */
int batch_add(struct batch *b, const struct sink *s, const struct input *in, struct err *e);

/* Records added since the last clear, how many of them became dead letters, and the memory of their
 * rows. */
size_t batch_records(const struct batch *b);
size_t batch_buried(const struct batch *b);
size_t batch_bytes(const struct batch *b);

void batch_clear(struct batch *b);

/* Outside of a transaction, once a session, before batch_write(): makes what a session needs for
 * any batch. Fails as db_run(). */
int batch_prepare(const struct batch *b, struct db *d, struct err *e);

/* In a transaction: all rows. The batch stays as it is. Fails as db_copy(), ERR_NOMEM; with
 * ERR_UNAVAILABLE also where another session has inserted a key of ours meanwhile. */
int batch_write(struct batch *b, struct db *d, struct err *e);

/* Tells what the batch holds. */
void batch_count(const struct batch *b, const struct batch_counts *counts);

/*
 * Batches into PostgreSQL, each in one transaction with how far it brings its partitions.
 *
 * One thread. Monotonic clock.
 */
#pragma once

#include "recorder/batch.h"
#include "recorder/partitions.h"

struct writer {
    struct db *db; /* owned, as is the next */
    struct batch *batch;
    const char *group; /* borrowed */
    struct metrics *metrics;
    struct metric *batches;
    struct histogram *commit_seconds;
};

/* Borrows group, codec and metrics; does not connect. Fails as db_new(). */
int writer_init(struct writer *w, const struct db_opts *opts, const char *group,
                struct codec *codec, struct metrics *m, struct err *e);
void writer_free(struct writer *w);

/*
 * Writes the batch and empties it; the partitions' positions are in PostgreSQL then. An error
 * leaves batch and partitions as they are, for the same call to be repeated: if an attempt whose
 * end is not known was committed after all, the repetition finds that out. Fails with
 * ERR_UNAVAILABLE, ERR_FENCED, ERR_FATAL, ERR_NOMEM.
 */
int writer_commit(struct writer *w, struct partitions *p, struct err *e);

/*
 * Batches into PostgreSQL, each in one transaction with how far it brings its partitions.
 *
 * One thread at a time. Monotonic clock.
 */
#pragma once

#include "db/offsets.h"
#include "recorder/batch.h"
#include "recorder/home.h"

/* What one transaction writes. */
struct load {
    struct batch *batch;         /* owned, as is the next */
    struct offset_claim *claims; /* partitions that it moves, from next_offset to advance_to */
    size_t claim_count;
    int64_t took_us; /* to write it */
};

struct writer {
    struct db *db;     /* owned */
    const char *group; /* borrowed */
    uint64_t session;  /* that was prepared */
    struct home home;  /* which database it may be */
};

/* Borrows group; does not connect. Fails as db_new(). */
int writer_init(struct writer *w, const struct db_opts *opts, const char *group, struct err *e);
void writer_free(struct writer *w);

/*
 * Writes a load, which stays as it is: after an error the same call is to be repeated. If an
 * attempt whose end is not known was committed after all, the repetition finds that out. Fails with
 * ERR_UNAVAILABLE, ERR_FENCED, ERR_FATAL (also where another database stands at the address),
 * ERR_NOMEM.
 */
int writer_write(struct writer *w, struct load *l, struct err *e);

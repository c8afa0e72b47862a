/*
 * How far topics are recorded: one row a partition in the table consumer_offsets, moved in the
 * transaction that records the rows, and so as durable as they are.
 *
 * A partition is claimed before it is read; each claim has a higher epoch than the one before and
 * ends it. Whoever lost a claim unnoticed cannot commit any more. One thread a connection.
 */
#pragma once

#include "db/connection.h"

#define OFFSET_NONE INT64_C(-1)

struct offset_claim {
    const char *topic; /* borrowed */
    int partition;
    int64_t epoch;       /* ours, by offsets_claim() */
    int64_t next_offset; /* in the table as we know it: the first that is not recorded; OFFSET_NONE:
                            nothing ever was */
    int64_t advance_to;  /* for offsets_advance() */
    bool fenced;         /* set by offsets_advance() */
};

/* Claims a partition, which ends the claim of anybody else: fills in epoch and next_offset. Outside
 * of a transaction. An owner whose transaction holds the partition is waited for, up to
 * PostgreSQL's lock_timeout (ERR_UNAVAILABLE, to be tried again); the next attempt ends its
 * session, if it has our role: it may be frozen. Fails as db_query(). */
int offsets_claim(struct db *d, const char *group, struct offset_claim *c, struct err *e);

/*
 * In a transaction, before the rows: moves the partitions from next_offset to advance_to, and locks
 * them until the transaction ends. *already is true where all of them stand at advance_to: the same
 * batch was committed before, by a COMMIT whose answer was lost; nothing is to be done. Fails with
 * ERR_FENCED (a claim was lost: `fenced` says which), ERR_FATAL (an offset that is neither; or as
 * db_query()), ERR_UNAVAILABLE. next_offset is the caller's to move once the COMMIT succeeded.
 */
int offsets_advance(struct db *d, const char *group, struct offset_claim *claims, size_t n,
                    bool *already, struct err *e);

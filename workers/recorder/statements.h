/*
 * The SQL of a sink: how rows get into its table.
 *
 * Rows of history are COPYed into the table. Those of latest values are COPYed into a temporary
 * table, since COPY cannot replace rows, and go on from there by MERGE. MERGE and not INSERT ... ON
 * CONFLICT: that one locks a row before it replaces it and confirms each row that it inserts, both
 * of them with a record of their own in PostgreSQL's log, and takes 1.4 times as long for rows that
 * are there. What it would spare us cannot come about while each key has one partition; where a
 * producer has put one into two partitions, and two recorders insert it at the same moment, one of
 * them fails with UNIQUE_VIOLATION and is to try again.
 *
 * No I/O, no clock. One thread.
 */
#pragma once

#include "recorder/sinks.h"

#define UNIQUE_VIOLATION "23505"

/* Terminated texts; empty where there is nothing to do. */
struct statements {
    struct buf prepare;  /* once a session */
    struct buf copy;     /* COPY ... FROM STDIN */
    struct buf merge;    /* for rows of which none says that its key is removed */
    struct buf removing; /* the same for others; empty if the sink knows no such rows */
};

/*
 * For sessions that merge, before the first temporary table. The planner knows nothing of what is
 * in the temporary table: each of its rows is looked up in the index of the real one, whatever the
 * sizes of both are; a plan of any other kind reads all of a table that may have any size. A batch
 * stays in memory.
 */
extern const char statements_session[];

/* Out of memory shows in buf_ok(). */
void statements_make(struct statements *out, const struct sink *s);
void statements_free(struct statements *t);

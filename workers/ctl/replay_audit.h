/*
 * What is on record of replays, in PostgreSQL: who ran one, and what became of each dead letter.
 *
 * A row stands there before its record may be in Kafka: 'sending', with where the log ended. A run
 * that is not the newest of its fleet any more writes no row. Together with the fence in Kafka,
 * which each run puts up after its own row and before the first of others, this leaves nothing to
 * chance: rows of an older run that say 'sending' are of records that are in the log by the time of
 * the fence, or never will be.
 *
 * A server that is away is waited for, two minutes at most, and so is a row that a frozen replay
 * has locked. One thread.
 */
#pragma once

#include "replay_item.h"

struct replay_run {
    struct db *db;     /* borrowed, as is the next */
    const char *fleet; /* the prefix of its topics */
    char number[24];
};

/* Begins a run and ends all others of the fleet. Fails as db_query(). */
int replay_run_begin(struct replay_run *r, struct db *d, const char *fleet, const char *command,
                     const char *filter, struct err *e);

/*
 * Puts items on record, all or none: 'sending' those that are to be sent, 'left' the others. Sets
 * taken where another run has sent it or is about to. Fails with ERR_FENCED (this run is not the
 * newest any more), and as db_query().
 */
int replay_run_claim(struct replay_run *r, struct replay_item *items, size_t n, struct err *e);

/* What became of them: 'sent' where they have a target_offset, 'left' where they were refused.
 * Fails as db_query(): the next run finds it out. */
int replay_run_mark(struct replay_run *r, struct replay_item *items, size_t n, struct err *e);

/* Up to `most` rows of topics (an array as PostgreSQL writes one) that older runs have left
 * 'sending'. Fails as db_query(). */
int replay_run_unsettled(struct replay_run *r, const char *topics, struct replay_item *items,
                         size_t most, size_t *n, struct err *e);

/* Settles them: 'sent' where they have a target_offset, else 'left'. Fails with ERR_FENCED and as
 * db_query(). */
int replay_run_settle(struct replay_run *r, struct replay_item *items, size_t n, struct err *e);

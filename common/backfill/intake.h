/*
 * What fills a journal: records of Kafka's topics, or JSON lines; and what of them is of no use, by
 * reason.
 *
 * Left out and counted, each reason with the first example: what cannot be decoded, what the
 * features worker sends to dead letters (feature/apply.h), events that repeat an id among the last
 * 64 accepted ones of their user in order of arrival (each partition on its own, as the worker
 * reads them), requests behind the range, events too late for any label. What is before the range
 * is kept: events are state, and requests say whose impressions the first ones in the range are. An
 * accepted event's id is replaced by where it stands (partition and offset, or 0 and the number of
 * its line), since in order of time a repeat may stand elsewhere.
 *
 * One thread. The clock is read to bound the waiting for servers only.
 */
#pragma once

#include "backfill/journal.h"
#include "base/buf.h"
#include "base/conf.h"
#include "serde/codec.h"

struct intake_opts {
    struct codec *codec;     /* borrowed */
    int64_t to_ms;           /* requests from here on are left out */
    int64_t label_window_ms; /* and events from two of these behind it */
    int64_t max_clock_skew_ms;

    /* How far it is, now and then: `done` of about `of` records (-1: not known). False: stop. */
    bool (*progress)(void *arg, int64_t done, int64_t of); /* NULL: nobody asks */
    void *arg;
};

struct intake;

/* Borrows the journal, unsealed; copies opts. Fails with ERR_NOMEM. */
int intake_new(struct intake **out, struct journal *j, const struct intake_opts *opts,
               struct err *e);
void intake_free(struct intake *in); /* NULL is fine */

/*
 * Reads users, propositions, events, rank.requests and score.log, all partitions from the first
 * record to where they stood at the call. rank.requests and score.log need not exist. Borrows conf
 * and client_id (the worker's name before a '/' is its group). Fails with ERR_NOT_FOUND (another
 * topic is missing), ERR_UNAVAILABLE (Kafka, or the schema registry for over 10 s), ERR_ABORTED
 * (progress said stop), as journal_add().
 */
int intake_kafka(struct intake *in, const struct conf *conf, const char *client_id, struct err *e);

/*
 * One line of a file: a record of that kind, or, where kind is ENTRY_KINDS, a line that says what
 * it is (intake_line.h). A line that cannot be used is counted. Fails as journal_add().
 */
int intake_line(struct intake *in, enum entry_kind kind, struct str line, const char *file,
                int64_t number, struct err *e);

/* Seals the journal with the counts. Fails as journal_seal(). */
int intake_seal(struct intake *in, struct err *e);

/*
 * Appends the counts, a JSON object:
 *
 *   {"read": {"users": n, "propositions": n, "scored": n, "requests": n, "events": n},
 *    "kept": {the same},
 *    "left_out": [{"kind": "events", "reason": "repeated_event_id", "count": n,
 *                  "example": "events partition 2 offset 17", "detail": "..."}],
 *    "partitions": [{"topic": t, "partition": p, "first": offset, "end": offset}]}
 *
 * first over 0: records before it are gone, by retention: features know nothing of such events. Of
 * compacted topics that is as it should be. partitions is empty where files were read.
 */
void intake_counts(const struct intake *in, struct buf *out);

/*
 * What a journal is made of, for journal_opts.identity: of Kafka the brokers, the topics' names and
 * the range, without offsets, so that a sealed journal stays good when records are added; of files
 * their paths, sizes and times of change. "-" is never the same twice. Fail with ERR_IO, ERR_NOMEM.
 */
int intake_kafka_identity(struct buf *out, const struct conf *conf, const struct intake_opts *opts,
                          struct err *e);
int intake_files_identity(struct buf *out, const char *const *paths, size_t count,
                          const struct intake_opts *opts, struct err *e);

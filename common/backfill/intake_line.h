/*
 * A line of JSON as files have them: a record of a kind that is known, or one of a stream, which
 * says what it is:
 *
 *   {"event": {...}, "kafka_timestamp": 1700000000000}     or "request", "user", "proposition",
 *                                                         "scored" (a record of score.log)
 *
 * Any thread; no I/O.
 */
#pragma once

#include "backfill/journal.h"
#include "serde/codec.h"

/* A line as it was read: kind, and the record in the union, are set. */
struct intake_record {
    struct entry entry;
    int64_t kafka_ms; /* APPLY_NO_TIME (feature/apply.h): the line has none */
};

/*
 * kind ENTRY_KINDS: the line is of a stream. What is read borrows from the line or lives in the
 * arena. The kind is set also where the record cannot be read, as far as it is known. Fails with
 * ERR_CORRUPT (no JSON), ERR_SCHEMA (no such record), ERR_TOO_LARGE, ERR_NOMEM.
 */
int intake_line_read(struct intake_record *out, enum entry_kind kind, struct str line,
                     const struct codec *codec, struct arena *a, struct err *e);

/* "users", "events", ...: what counts call them; ENTRY_KINDS is "lines", which do not say what they
 * are. */
const char *entry_kind_name(enum entry_kind kind);

/*
 * A journal: everything that a backfill reads, on disk, in order of time.
 *
 * Records come in any order and number; they are kept encoded in sorted runs of bounded size and
 * merged when read. The order is features.md's: by time; at equal times attributes, then requests,
 * then what was logged when requests were scored, then events; then by arrival. Attributes: of an
 * entity's records the one with the oldest timestamp counts from the beginning of time (users and
 * propositions are loaded before events are), others from their timestamps. A tombstone removes
 * from its time on, and what arrives behind it counts no earlier.
 *
 * A directory; a sealed journal is kept and can be read again by another process, so that a killed
 * backfill need not read Kafka again. One thread an object, and a journal and its cursors are one.
 * No clock.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "serde/records.h"

#include <stdbool.h>
#include <stdint.h>

/* In the order in which they come at equal times; users and propositions are one class. */
enum entry_kind {
    ENTRY_USER,
    ENTRY_PROPOSITION,
    ENTRY_REQUEST,
    ENTRY_SCORED, /* of score.log: comes right behind the requests of its time */
    ENTRY_EVENT,
    ENTRY_KINDS
};

/* Its place among entries of the same time and class: of Kafka the record's timestamp, partition
 * and offset; of files 0, 0 and a number that grows. */
struct arrival {
    int64_t time_ms;
    int32_t source;
    int64_t number;
};

/* Texts and lists live in the arena that it was read into. */
struct entry {
    enum entry_kind kind;
    bool removed;    /* of attributes: a tombstone; only the id is there */
    int64_t time_ms; /* of an event: min(timestamp, Kafka's); of others their timestamp, of a
                        tombstone Kafka's. Attributes are read with the time that they count from:
                        INT64_MIN is the beginning */
    struct arrival arrival;
    union {
        struct entity entity;
        struct rank_request request;
        struct score_log scored; /* without the shadows */
        struct event event;
    };
};

struct journal;

struct journal_opts {
    const char *dir;
    size_t memory_bytes; /* of a run while it is collected; 0: 256 MiB */
    struct str identity; /* what it is made of (topics or files, and the range): a sealed journal of
                            another identity is thrown away and made anew */
};

/*
 * Opens or makes it. *sealed: all of it is there already, nothing is to be added. An unsealed one
 * that was left begins anew. Copies opts. Fails with ERR_INVALID (the directory holds other files:
 * they are not touched), ERR_CORRUPT (a sealed one is damaged: says which file, and what to do),
 * ERR_IO, ERR_NOMEM.
 */
int journal_open(struct journal **out, const struct journal_opts *opts, bool *sealed,
                 struct err *e);
void journal_free(struct journal *j); /* NULL is fine; the directory stays; cursors first */

/* Adds an entry, copied; in any order. Fails with ERR_IO (disk full: says so, and how much there is
 * already), ERR_TOO_LARGE (an entry over 64 MiB), ERR_NOMEM. */
int journal_add(struct journal *j, const struct entry *entry, struct err *e);

/* counts: a JSON object that comes back from journal_counts(): what was read and what was left out.
 * Nothing is added behind it. Fails as journal_add(), with ERR_CORRUPT. */
int journal_seal(struct journal *j, struct str counts, struct err *e);
struct str journal_counts(const struct journal *j); /* of a sealed one; borrowed */

/* How many entries of a kind there are; bytes on disk. */
uint64_t journal_count(const struct journal *j, enum entry_kind kind);
uint64_t journal_bytes(const struct journal *j);

/* The time of a kind's newest entry, as it was added; INT64_MIN: there is none. */
int64_t journal_newest_ms(const struct journal *j, enum entry_kind kind);

/* Goes through a sealed journal in order; several at the same time are fine. Each holds 128 KiB
 * a run, of which there are at most 256. */
struct journal_cursor;
int journal_read(struct journal_cursor **out, struct journal *j, struct err *e);
void journal_cursor_free(struct journal_cursor *c); /* NULL is fine */

/* The next entry, into the arena, which the caller resets when it likes; *more is false behind the
 * last. Fails with ERR_IO, ERR_CORRUPT (names file and place), ERR_NOMEM. */
int journal_next(struct journal_cursor *c, struct arena *a, struct entry *out, bool *more,
                 struct err *e);

/* Removes the directory and the journal in it. None there is fine. Fails with ERR_INVALID (another
 * process works in it, or it has other files), ERR_IO. */
int journal_remove(const char *dir, struct err *e);

/*
 * Backfill: a journal replayed with the library that the workers use, and written as a training
 * set.
 *
 * The journal is gone through three times at once: ahead, where requests are joined with what came
 * of them (join.h); where each is ranked; and behind, where records become state. A request's
 * vectors are read when everything before its time is state and nothing else: attributes of its
 * time are, events of its time are not, its own impression least of all. Where score.log has the
 * request, the values that were scored then are taken, and compared with those of the replay
 * (comparison.h says what may differ).
 *
 * What a request needs to be used: it is in the range, in the sample, has candidates; something of
 * it was shown, and its label window is over (the last two unless told otherwise). A row has a
 * label if its proposition was shown: 0 where nothing happened. One that was not shown has none
 * (NaN), and neither have the rows of a request whose vectors cannot be read, which stays in the
 * set with nothing but its ids.
 *
 * Memory: the state, rankings whose label window is open, and some bytes a user and proposition.
 * One thread. No clock: records bring their times.
 */
#pragma once

#include "backfill/comparison.h"
#include "backfill/join.h"
#include "backfill/journal.h"
#include "backfill/labels.h"
#include "base/buf.h"
#include "feature/definition.h"

enum backfill_only { BACKFILL_BOTH, BACKFILL_REQUESTS, BACKFILL_IMPRESSIONS };

/* Everything is borrowed. */
struct backfill_opts {
    const struct feature_set *features;
    struct str definitions; /* the text that they were read from */
    int64_t max_clock_skew_ms;
    uint32_t max_keys_per_user;
    struct journal *journal; /* sealed */
    const char *dir;         /* of the set */
    struct labels labels;
    struct str labels_text;
    struct str source; /* what the journal is made of: a set is gone on with from the same */
    int64_t label_window_ms;
    int64_t log_end_ms;     /* the newest event's time, of those too, that the journal left out */
    int64_t from_ms, to_ms; /* of rankings: from <= time < to */
    enum backfill_only only;
    double sample;         /* share of rankings, by a hash of their ids: above 0, 1 at most */
    uint64_t part_rows;    /* of a part of the set, about; 0: as set_writer does */
    bool keeps_unshown;    /* requests without an impression, too */
    bool keeps_incomplete; /* those whose label window is open at the end of the log, too */

    /* How far it is, now and then; false: stop. NULL: nobody asks. */
    bool (*progress)(void *arg, uint64_t vectors, uint64_t done, uint64_t of);
    void *arg;
};

enum backfill_unused {
    UNUSED_OUT_OF_RANGE,
    UNUSED_KIND, /* not asked for: backfill_only */
    UNUSED_NO_CANDIDATES,
    UNUSED_NOT_SHOWN,
    UNUSED_EARLY, /* clocks differ: its impression stands before it, and for it (join.h) */
    UNUSED_INCOMPLETE,
    UNUSED_SAMPLE,
    UNUSED_REASONS,
};

/* As in set.json: out_of_range, ... */
const char *backfill_unused_name(enum backfill_unused reason);

struct backfill_counts {
    uint64_t rankings; /* requests, logged ones, impressions without a request */
    uint64_t unused[UNUSED_REASONS];
    uint64_t used, used_logged, used_impressions;
    uint64_t unreadable; /* of those used: their vectors could not be read */
    char why_unreadable[256];
    uint64_t kept;                   /* of those used: they were in the set already */
    uint64_t rows, shown, positives; /* positives: a label above 0 */
    uint64_t computed;               /* vectors */
    uint64_t events, refused_events; /* refused: an event that the worker refuses, too */
    uint64_t entities, refused_entities;
    uint64_t later_entities;        /* whose first record is of later than the first ranking */
    uint64_t happened[LABELS_MOST]; /* rows by label */
    struct join_counts join;
};

struct backfill;

/* Fails with ERR_NOMEM. */
int backfill_new(struct backfill **out, const struct backfill_opts *opts, struct err *e);
void backfill_free(struct backfill *b); /* NULL is fine */

/*
 * Makes the set, or goes on where it was left. Fails with ERR_INVALID (the directory is another
 * set's, or nothing is left to train on: says why), ERR_ABORTED (progress said stop: what is whole
 * stays), as journal_next(), set_writer_put().
 */
int backfill_make(struct backfill *b, struct err *e);

/* Afterwards. */
const struct backfill_counts *backfill_counts(const struct backfill *b);
const struct comparison *backfill_comparison(const struct backfill *b);

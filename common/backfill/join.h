/*
 * Requests joined with what came of them: what was shown where, and what the user did with it.
 *
 * Records are put in order of time, as a journal has them; what became of each request comes out in
 * the order of the requests, as soon as nothing can be added to it. No vectors are kept: memory
 * grows only with requests whose window is open, about 12 bytes a candidate, and once with each
 * different proposition. One thread. No clock: records bring their times.
 *
 * The rules:
 * - What is ranked is a request; a record of score.log, which stands for its request (and is one
 *   where the request itself is not there); or an impression whose request is not known: then what
 *   it showed are the candidates, each once.
 * - The first impression with a request's id, of the same user, is its impression, if it comes
 *   within the window after the request; others with that id change nothing.
 * - Where clocks differ, an impression may stand before its request. What is read at the request's
 *   time knows the impression then, and perhaps the labels: so the impression stays the ranking of
 *   these, and the request is one without labels, of which only the places are known. But what was
 *   logged was read before anything was shown: it takes the impression's place and labels over.
 * - A label is an event of the same user on a proposition that the impression shows, from the
 *   impression's time to `window_ms` after it, both included. With a request id it belongs to that
 *   request; without one, to the user's newest impression that shows the proposition. Others are
 *   lost, and counted.
 * - It is complete once the log has events later than its window: `window_ms` after the impression,
 *   or after the request where none came.
 */
#pragma once

#include "backfill/labels.h"
#include "base/err.h"
#include "serde/records.h"

#include <stdbool.h>
#include <stdint.h>

struct join;

struct join_opts {
    const struct labels *labels; /* borrowed */
    int64_t window_ms;
    int64_t log_end_ms; /* time of the newest event there is; INT64_MIN: none */
};

/* What became of a ranking. Belongs to the join until it is taken off. */
struct joined {
    uint64_t number;    /* what join_request() and its like were given */
    bool is_impression; /* an impression whose request is not known */
    bool is_shown;      /* there was an impression, whose labels these are */
    bool is_early;      /* the impression stands before the request */
    bool has_request;   /* logged, and the request is there as well */
    bool is_close;      /* logged, and the user did something so soon behind it that what ranked may
                           have known it */
    bool is_complete;
    size_t count;                 /* of the candidates */
    const uint32_t *propositions; /* see join_proposition() */
    const int32_t *places;        /* the first place of each in the impression; -1: not shown */
    const uint32_t *happened;     /* bits of the labels of each */
};

struct join_counts {
    uint64_t repeated_requests;    /* the id was there already */
    uint64_t replaced_requests;    /* score.log stands for it */
    uint64_t early_impressions;    /* shown before they were asked for: clocks differ */
    uint64_t repeated_impressions; /* of a request that had one */
    uint64_t unknown_shown;        /* propositions shown that were no candidates */
    uint64_t labels;               /* label events that met a proposition which was shown */
    uint64_t lost_labels;          /* that met none: no such impression, or its window was over */
};

/* Copies opts. Fails with ERR_NOMEM. */
int join_new(struct join **out, const struct join_opts *opts, struct err *e);
void join_free(struct join *j); /* NULL is fine */

/*
 * The next record, in the order of the journal; number: any that grows. A request without
 * candidates has those that its impression shows. until_ms: what the user did until then may have
 * been known to what ranked. Fail with ERR_NOMEM.
 */
int join_request(struct join *j, uint64_t number, const struct rank_request *request,
                 struct err *e);
int join_scored(struct join *j, uint64_t number, const struct score_log *scored, int64_t until_ms,
                struct err *e);
int join_event(struct join *j, uint64_t number, const struct event *event, int64_t time_ms,
               struct err *e);

/* There are no more records: all windows end. Fails with ERR_NOMEM. */
int join_end(struct join *j, struct err *e);

/* The first ranking that was not taken off yet, if nothing can be added to it any more; else NULL.
 */
const struct joined *join_first(struct join *j);
void join_take(struct join *j); /* takes it off */

/* The id of a proposition; good until the next record is put. */
struct str join_proposition(const struct join *j, uint32_t proposition);

struct join_counts join_counts(const struct join *j);

/* How many rankings it holds. */
size_t join_open(const struct join *j);

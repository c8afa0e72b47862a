/*
 * Logged vectors against replayed ones: each value that both have, as float32, exactly.
 *
 * What may differ, and what may not:
 * - Values of the user's own scopes, of the context and of the request's time are a function of the
 *   user's events and of the request. They must be equal, but where events came late, or happened
 *   so close to the request that what ranked may have seen them or not: those are counted apart.
 * - Values of shared scopes, and all that hangs on attributes of users and propositions, reach a
 *   ranker by way of other topics: a commit and a checkpoint later. The replay knows them at once,
 *   and of compacted topics it knows the newest record alone. They may lag.
 * - Of a scope of the user's with several keys, the oldest ones are dropped in the order of
 * arrival, where the replay goes by time: of a user whose events came out of order, it may differ.
 * - A feature that was added to a running fleet began from nothing, where the replay knows its
 * past: until the longest of its windows has passed since the log first had it, differences are
 * counted apart, too; those of a feature without a window always.
 * - `position` is where it was shown, in training, and a constant when serving: never compared.
 *
 * One thread. No clock.
 */
#pragma once

#include "base/buf.h"
#include "feature/definition.h"
#include "serde/records.h"

#include <stdbool.h>
#include <stdint.h>

enum comparison_class { COMPARED_EXACT, COMPARED_SHARED, COMPARED_NEVER };

struct compared_column {
    enum comparison_class class;
    uint64_t values;            /* that both have */
    uint64_t different;         /* of these, with no event of the user to explain it */
    uint64_t late;              /* different, and an event came late, or close to the request */
    uint64_t missing;           /* rows of logged requests whose log does not have it: computed */
    bool is_keyed;              /* the user may have several keys in its scope */
    int64_t span_ms;            /* of its longest window; INT64_MAX: it forgets nothing */
    bool was_there, was_absent; /* in a record of the log so far */
    int64_t since_ms; /* when the log first had it, having been without it; INT64_MIN: always */
};

enum { COMPARISON_EXAMPLES = 20, COMPARISON_ID_BYTES = 80 };

struct compared_example {
    size_t column;
    char request[COMPARISON_ID_BYTES], proposition[COMPARISON_ID_BYTES]; /* cut, if longer */
    float logged, replayed;
};

struct comparison {
    const struct feature_set *set; /* borrowed */
    struct compared_column *columns;
    struct compared_example examples[COMPARISON_EXAMPLES]; /* of exact columns before shared ones */
    size_t example_count;
    uint64_t requests;
    uint64_t unusable; /* logged records whose parts do not fit together: not used */

    /* Of the log's columns those of the last record: mostly they are the next one's, too. */
    struct buf known;
    int32_t *places; /* by column: where the log has it; -1: nowhere */
    size_t logged_columns;
};

/* Fails with ERR_NOMEM. */
int comparison_init(struct comparison *c, const struct feature_set *set, struct err *e);
void comparison_free(struct comparison *c);

/*
 * Puts the logged values that there are over the replayed ones (candidates * outputs), and counts
 * where they differed. came_late: an event of the user did, or was close;
 * out_of_order: events of the user were at some time. *usable false: the
 * record's sizes do not fit, or it has no column of these; nothing is changed. Fails with
 * ERR_NOMEM.
 */
int comparison_take(struct comparison *c, const struct score_log *logged, bool came_late,
                    bool out_of_order, float *vectors, bool *usable, struct err *e);

/* Of a record that is not taken: which columns the log had by then. Fails with ERR_NOMEM. */
int comparison_note(struct comparison *c, const struct score_log *logged, struct err *e);

/* Whether the last record that was taken has every column, but those that are never compared. */
bool comparison_is_whole(const struct comparison *c);

/* Values of exact columns that differ without a reason; of shared columns. */
uint64_t comparison_defects(const struct comparison *c);
uint64_t comparison_lags(const struct comparison *c);

/* A JSON object: requests, unusable, columns that were compared, examples. */
void comparison_write(const struct comparison *c, struct buf *out);

/*
 * A backfill under way: what its files share. One thread.
 */
#pragma once

#include "backfill/backfill.h"
#include "backfill/seen.h"
#include "base/arena.h"
#include "feature/replay.h"
#include "set/set.h"

/* What happens so close to a request may be known to what ranks it, or not: requests and events
 * have clocks of their own, and stay some time in a producer. */
enum { CLOSE_MS = 1000 };

/* The columns of one ranking's rows, used again for the next. */
struct backfill_rows {
    size_t cap;
    double *values, *positions, *propensities;
    float *vectors, *labels, *scores;
    struct str *propositions, *segments;
    uint32_t *seen;
};

/* A ranking as the replay meets it; texts are the journal's. */
struct ranking_entry {
    struct str id, user_id, placement;
    int64_t time_ms, arrival_ms; /* arrival: of the record of score.log; 0: not known */
    bool has_id;                 /* the id is the application's */
    const struct text_map *context;
    const struct str_list *candidates; /* count 0: those that were shown */
    const struct score_log *scored;    /* NULL: it was not logged */
    bool is_impression;
};

struct backfill {
    struct backfill_opts opts;
    struct backfill_counts counts;
    struct comparison comparison;
    struct replay *replay;
    struct seen seen;
    struct join *join;
    struct set_writer *writer;

    /* Three ways through the journal: what comes of rankings, the rankings, what becomes state. */
    struct journal_cursor *ahead, *ranked, *state;
    struct arena ahead_arena, ranked_arena, state_arena, arena; /* arena: of one ranking */
    uint64_t ahead_number, ranked_number;
    bool is_ahead_done;
    struct entry state_next; /* not state yet */
    bool has_state_next;

    uint64_t to_keep; /* rankings that the set had when this run began */
    uint64_t put;     /* rankings of the set so far, those kept among them */
    struct backfill_rows rows;
    struct buf segments; /* of the ranking, then of its candidates */
};

static inline int64_t later_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/*
 * Everything that was before a ranking of this time becomes state: events of earlier times, and
 * attributes up to it. So an impression that is ranked knows no event of its own time, wherever it
 * stands among them. backfill_next() fetches the first entry, once. They fail as journal_next(),
 * replay_event().
 */
int backfill_next(struct backfill *b, struct err *e);
int backfill_advance(struct backfill *b, int64_t time_ms, struct err *e);

/* Makes the ranking's rows and puts them into the set, if they are not there already. Fails as
 * set_writer_put(), replay_request(). */
int backfill_put(struct backfill *b, const struct ranking_entry *r, const struct joined *joined,
                 struct err *e);
void backfill_rows_free(struct backfill_rows *rows);

/* The counts of set.json, a JSON object. */
void backfill_write_counts(const struct backfill *b, struct buf *out);

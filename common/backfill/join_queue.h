/*
 * The rankings that a join holds, in the order in which they came; found again by request and user,
 * and by user, the newest impression first.
 *
 * A ranking's place in the queue is a number that grows and never comes again. Of the impressions
 * of one user, none ends after one that was shown later, since all have the same window: where one
 * was taken off, those before it have ended as well. One thread. No clock.
 */
#pragma once

#include "backfill/join.h"
#include "base/buf.h"
#include "base/table.h"

/* A ranking and what became of it. */
struct asked {
    struct joined out;
    int64_t end_ms; /* of its window */
    int64_t shown_ms;
    bool is_scored, is_dropped;
    uint64_t request; /* of an impression: place + 1 of the request that came behind it; or 0 */
    int64_t until_ms; /* of a logged one: see join_scored() */
    uint64_t logged_before; /* the user's logged ranking before this one: place + 1; or 0 */
    uint64_t older;    /* the user's impression before this one: its place in the queue + 1; or 0 */
    uint32_t id, user; /* in `ids`, in `users`; TABLE_NONE: not there, or not any more */
    uint32_t logged;   /* in `logged`; TABLE_NONE */
    uint32_t lists[][3]; /* out.count propositions, then as many places, then as many labels */
};

struct join_queue {
    struct asked **rankings; /* a ring */
    size_t cap;
    uint64_t first, next; /* places: of the first held, and of the one to come */
    struct table *ids;    /* of rankings that are held, with the user: place + 1 */
    struct table *users;  /* place + 1 of the newest impression */
    struct table *logged; /* by user: place + 1 of the newest logged ranking */
    struct buf key;
    int64_t window_ms;
};

static inline struct asked *queue_at(const struct join_queue *q, uint64_t at)
{
    return q->rankings[at & (q->cap - 1)];
}

static inline struct asked *queue_newest(const struct join_queue *q)
{
    return queue_at(q, q->next - 1);
}

static inline uint32_t *propositions_of(struct asked *r)
{
    return r->lists[0];
}

static inline int32_t *places_of(struct asked *r)
{
    return (int32_t *)r->lists[0] + r->out.count;
}

static inline uint32_t *happened_of(struct asked *r)
{
    return r->lists[0] + 2 * r->out.count;
}

/* All fail with ERR_NOMEM. */
int join_queue_init(struct join_queue *q, int64_t window_ms, struct err *e);
void join_queue_free(struct join_queue *q);

/* A ranking at the end, whose window begins at this time; nothing of it was shown. */
int queue_add(struct join_queue *q, uint64_t number, const uint32_t *propositions, size_t count,
              int64_t time_ms, struct err *e);

/* The candidates of a ranking that had none. */
int queue_set_candidates(struct join_queue *q, uint64_t at, const uint32_t *propositions,
                         size_t count, struct err *e);

/* *held: place + 1 of the ranking with this id; 0: none. queue_name() gives the newest ranking the
 * id that was asked for last. */
int queue_find(struct join_queue *q, struct str request_id, struct str user_id, uint64_t *held,
               struct err *e);
int queue_name(struct join_queue *q, struct err *e);

/* The ranking becomes its user's newest that was shown; its window begins at this time. */
int queue_show(struct join_queue *q, uint64_t at, struct str user_id, int64_t time_ms,
               struct err *e);

/* The newest ranking stands among its user's impressions where this one stood, and has its window.
 */
void queue_stand_in(struct join_queue *q, uint64_t at);

/* Place + 1 of the user's newest impression; 0: none is held. One further back is `older`, which is
 * held if it is greater than `first`. */
uint64_t queue_shown(const struct join_queue *q, struct str user_id);

/* The newest ranking was logged: events of the user are close to it until then. */
int queue_log(struct join_queue *q, struct str user_id, int64_t until_ms, struct err *e);

/* The user did something: marks the logged rankings that it is close to, but for the one that it
 * followed from (place + 1; 0: none is known): that was there before it, whatever clocks say. */
void queue_mark_close(struct join_queue *q, struct str user_id, int64_t time_ms, uint64_t from);

/* Takes the first off. */
void queue_take(struct join_queue *q);

/*
 * Visits to the simulated shop whose pages are asked for: a user opens a page and asks what to show
 * (a request), is shown what was answered (an impression with the request's id), and does with it
 * what shop_looks.h says. So the loop is closed: what ranks decides what is seen and clicked.
 *
 * Each request opens the next page of a visit whose turn has come, or else the first page of
 * another user, as often as they come. A home page asks without candidates, a genre's page and a
 * search name the most popular of the genre. A page whose answer is empty, or never comes, ends its
 * visit.
 *
 * Since the truth is known, each list is told with the clicks it brings on average, and those of
 * the best list there could be. A request may have a twin: the same question, at the same time, to
 * another placement. Its answer is shown to nobody, and told beside the list that was shown.
 *
 * One thread. No Kafka, no clock: time is an argument, in milliseconds since the epoch. Memory
 * grows with what is under way.
 */
#pragma once

#include "base/arena.h"
#include "ctl/shop.h"
#include "serde/records.h"

#include <stdint.h>

struct visits; /* opaque */

enum {
    VISITS_CANDIDATES_MOST = 100,
    VISITS_OPEN_MOST = 65536, /* requests that an answer is expected for; the oldest are given up */
};

struct visits_opts {
    const struct shop *shop; /* borrowed */
    uint64_t seed;           /* with start_ms: of the random numbers, and of all ids */
    int64_t start_ms;
    uint32_t list_size;  /* 1 to PAGE_LIST_MOST */
    int64_t patience_ms; /* from a request to its deadline */
    const char *twins;   /* behind a placement's name is that of its twins; NULL: there are none */
};

/* Fails with ERR_NOMEM. */
int visits_new(struct visits **out, const struct visits_opts *opts, struct err *e);
void visits_free(struct visits *v); /* NULL is fine */

/* The next request. sent is the caller's, for visits_show(). Texts and lists live in the arena.
 * Fails with ERR_NOMEM. */
int visits_ask(struct visits *v, int64_t now_ms, int64_t sent, struct arena *a,
               struct rank_request *out, struct err *e);

/* The twin of the request that visits_ask() wrote last, if there are twins. Fails with ERR_NOMEM.
 */
int visits_twin(const struct visits *v, const struct rank_request *request, struct arena *a,
                struct rank_request *out, struct err *e);

/* Both answers to the same question. Clicks are expected ones, of the truth. */
struct visits_pair {
    uint32_t user;
    double shown, twin, best;
    bool by_model;   /* what was shown */
    int64_t version; /* of the model */
};

struct visits_shown {
    bool is_expected; /* it answers a request of these visits, for the first time */
    bool is_seen;     /* it has items of this shop: impression holds the event */
    bool is_pair;     /* with this answer, a request and its twin both have theirs */
    int64_t sent;     /* as given with the request */
    struct event impression;
    uint32_t user;
    uint32_t clicks; /* that this user will make on the list */
    struct visits_pair pair;
};

/* Shows its user an answer. Fails with ERR_NOMEM. */
int visits_show(struct visits *v, const struct ranking *answer, int64_t now_ms, struct arena *a,
                struct visits_shown *out, struct err *e);

/* The next event that is due: a search, or what came of an impression. *due is false where there is
 * none. Fails with ERR_NOMEM. */
int visits_next(struct visits *v, int64_t now_ms, struct arena *a, bool *due, struct event *out,
                struct err *e);

/* When the next event is due; INT64_MAX: none is under way. */
int64_t visits_next_ms(const struct visits *v);

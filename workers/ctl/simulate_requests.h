/*
 * The closed loop of a simulation: requests go to rank.requests, rankings are read, shown to the
 * users who asked, and what these do with them goes to events (shop_visits.h decides all of that).
 * Prints every few seconds on standard output how many were answered, how fast and by what, and
 * what came of it (simulate_gain.h).
 *
 * One thread. Uses the machine's clocks. Answers to others on the same topic are passed over.
 */
#pragma once

#include "ctl/shop.h"
#include "simulate_out.h"

struct requests; /* opaque */

struct requests_opts {
    const struct ctl *ctl; /* borrowed, as are these three */
    const struct shop *shop;
    struct simulate_out *out; /* live */
    uint64_t seed;
    int64_t start_ms; /* as in shop_visits.h */
    int64_t per_s;    /* above 0 */
    uint32_t list_size;
    const char *twins; /* as in shop_visits.h; NULL: none are asked */
};

/* Answers are read from where `rankings` ends at this call. Fails with ERR_NOT_FOUND (no such
 * topic), ERR_UNAVAILABLE, ERR_INVALID, ERR_NOMEM. */
int requests_new(struct requests **out, const struct requests_opts *opts, struct err *e);
void requests_free(struct requests *r); /* NULL is fine */

/*
 * Does what is due, and waits for what comes due or comes in, until the monotonic time or until
 * asked to stop. Fails with ERR_CORRUPT and the like (a ranking cannot be read: says which), and as
 * simulate_out_put().
 */
int requests_turn(struct requests *r, int64_t until_us, struct err *e);

/* Waits a moment for the last answers, then prints the totals. Fails as requests_turn(). */
int requests_end(struct requests *r, struct err *e);

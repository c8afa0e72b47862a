/*
 * What a user of the simulated shop does with a list of propositions: looks at places, clicks by
 * taste (shop.h has the truth), sometimes converts or dismisses.
 *
 * No clock: time is an argument. Any thread with a generator of its own.
 */
#pragma once

#include "ctl/pending.h"
#include "ctl/shop.h"

#include <stddef.h>

/* A list before a user's eyes; borrows the propositions. */
struct shop_look {
    uint32_t user;
    unsigned device;
    const uint32_t *propositions; /* in the order shown */
    size_t count;
    int64_t shown_ms;
};

/* One thing that the user will do: a PENDING_CLICK, PENDING_CONVERT or PENDING_DISMISS. An error
 * ends the looking. */
typedef int shop_act(void *arg, enum pending_kind kind, uint32_t proposition, int64_t time_ms,
                     struct err *e);

/* Decides all of it at once, in the order of the list. Fails as the callback does. */
int shop_look(const struct shop *s, struct prng *r, const struct shop_look *at, shop_act *act,
              void *arg, struct err *e);

/* Adds to *acts how many things are done with a list, on average. */
void shop_look_mean(double *acts, const struct shop *s, const struct shop_look *at);

/* Whether the user opens one more page of the same visit, and when, counted from what was shown. */
bool shop_goes_on(struct prng *r, int64_t shown_ms, int64_t *next_ms);

/* How likely that is. */
extern const double shop_page_again;

/*
 * How many clicks a list of the simulated shop brings on average, and how many the best list would:
 * examination falls with the place, so the best has the highest attraction first (the rearrangement
 * inequality).
 *
 * Any thread, no state. Time is an argument.
 */
#pragma once

#include "ctl/shop_looks.h"

/* What can be shown to a user at a moment. */
struct shop_choice {
    uint32_t user;
    unsigned device;
    const uint32_t *candidates; /* NULL: all active propositions */
    uint32_t count;
    uint32_t places; /* at most PAGE_LIST_MOST */
    int64_t time_ms;
};

/* Clicks on a list, on average. */
double shop_list_mean(const struct shop *s, const struct shop_look *at);

/* Clicks on the best list of the candidates, on average: the oracle's. */
double shop_best_mean(const struct shop *s, const struct shop_choice *of);

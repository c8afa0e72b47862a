/*
 * What a model is worth in the simulated shop, as it happens: clicks a page of the users whom it
 * ranked for beside those whom rules ranked for, and, since the truth is known, how much of what
 * could be gained over rules it gains.
 *
 *     clicks a page   what users did, with 95 % intervals by user
 *     gain            (model - rules) / (best - rules) in clicks expected by the truth, on the same
 *                     requests: the list that was shown, the one rules would have shown, the best
 *
 * Only pages since the newest version first ranked one are counted, and those ranked by others than
 * it or rules are not, so that both sides had the same time. One thread. No clock, no I/O.
 */
#pragma once

#include "base/buf.h"
#include "ctl/shop_visits.h"

struct gain; /* opaque */

/* 48 bytes a user. Fails with ERR_NOMEM. */
int gain_new(struct gain **out, uint32_t users, struct err *e);
void gain_free(struct gain *g); /* NULL is fine */

/* What visits_show() said of an answer. */
void gain_add(struct gain *g, const struct visits_shown *shown);

/*
 * Appends a line or two; nothing where nothing was counted:
 *
 *     clicks      model v2 1.310 a page [1.254, 1.366], rules 1.012 [0.968, 1.056]: 0.298 more
 * [0.227, 0.369] gain        model v2 78.1 % [76.0, 80.2] of what is possible: expected clicks a
 * page 1.305, rules 0.998, best 1.391 (412 pages)
 */
void gain_print(const struct gain *g, struct buf *out);

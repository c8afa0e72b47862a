/*
 * Choosing among n with given weights, in constant time: Walker's alias method, built as Vose does
 * (IEEE Transactions on Software Engineering 17, 1991). Read-only once built. 8 bytes for each of
 * the n.
 */
#pragma once

#include "base/err.h"
#include "base/prng.h"

#include <stdint.h>

struct weighted {
    struct weighted_slot *slots; /* owned */
    uint32_t count;
};

/* Weights are finite, none is negative, one is positive; n is not 0. Borrows weights for the call.
 * Fails with ERR_NOMEM. */
int weighted_init(struct weighted *w, const double *weights, uint32_t n, struct err *e);
void weighted_free(struct weighted *w);

uint32_t weighted_choose(const struct weighted *w, struct prng *r);

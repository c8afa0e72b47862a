/*
 * What a user is not to be shown: propositions that they did something with lately, as a placement
 * says. Read from the user's record.
 *
 * One thread an object, which holds memory that is used again; no clock.
 */
#pragma once

#include "feature/vector.h"
#include "ranker/placement.h"

struct hidden {
    const struct feature_set *set;
    const struct placement *placement;
    int64_t as_of_ms;
    struct str *ids; /* sorted */
    size_t count, cap;
    size_t scope; /* at hand */
};

void hidden_free(struct hidden *h);

/* Fills it for a user's record, from which ids are borrowed. Fails with ERR_CORRUPT, ERR_NOMEM. */
int hidden_read(struct hidden *h, const struct feature_set *set, const struct placement *p,
                struct str record, int64_t as_of_ms, struct err *e);

bool hidden_has(const struct hidden *h, struct str id);

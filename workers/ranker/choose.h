/*
 * From scores to the order that is shown, and the probability of it.
 *
 * Without exploration: by utility, highest first, equal ones in the order of the candidates.
 * Diversity: among the first `first` places at most `most` of each value of an attribute: at each
 * place stands the best candidate that is still allowed. Where none is, or behind those places, the
 * rest follows in order.
 *
 * Exploration (off-policy evaluation needs to know how likely what was shown was): with probability
 * `share` the whole answer is drawn place by place (Plackett 1975, Luce 1959), each candidate that
 * is allowed at the place with probability proportional to exp(utility / temperature); else it is
 * the order above. The propensity of place j is
 *
 *     P(the first j places) / P(the first j - 1 places)
 *
 * under the mixture of both: the probability that this item stood at this place, given those above
 * it. Their product is the probability of the whole answer. Without exploration all are 1.
 *
 * Draws are by exponential races (Gumbel's trick), drawn again where the allowed candidates grow;
 * utilities are only ever compared as differences to one another, so that any range and temperature
 * is fine. NaN counts as -INFINITY, and infinities as ±1e300.
 *
 * Randomness comes from the seed alone (a hash of the request's id: the same request gets the same
 * answer). No clock. One thread an object, which holds memory that is used again.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

/* Values of the attribute of diversity, each once, hashed (XXH3, 64 bits). Borrowed. */
struct value_hashes {
    const uint64_t *items;
    size_t count;
};

struct choose_request {
    const struct str *ids;
    const double *utilities; /* a model's margins, or ln of the rules' scores */
    size_t count;
    const struct value_hashes *values; /* of each candidate; NULL: no diversity */
    size_t limit;
    size_t most, first; /* most 0: no diversity */
    double share;       /* of exploration; 0: none */
    double temperature; /* above 0 */
    uint64_t seed;
};

/* Good until the next call. */
struct choice {
    const uint32_t *places;     /* in the order shown: which candidate */
    const double *propensities; /* of each place shown */
    size_t count;
    bool explored; /* the answer was drawn */
};

struct chooser;

int chooser_new(struct chooser **out, struct err *e); /* ERR_NOMEM */
void chooser_free(struct chooser *c);                 /* NULL is fine */

/* An id that is repeated counts once, at its first place. Fails with ERR_TOO_LARGE (more than 2^24
 * candidates), ERR_NOMEM. */
int choose(struct choice *out, struct chooser *c, const struct choose_request *r, struct err *e);

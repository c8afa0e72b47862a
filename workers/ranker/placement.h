/*
 * Placements: where rankings are shown, and what is wanted there. The section `placements` of
 * flotilla.yaml:
 *
 *     placements:
 *       default:                   # the one that requests name where they name none
 *         model: home              # whose rollout plan; absent: rules rank
 *         candidates: 200          # taken from the catalogue where the request has none
 *         filters:
 *           - {attribute: country, equals: de}
 *           - {attribute: genres, in: [drama, comedy]}
 *           - {attribute: price, from: 0, to: 20}          # or one of the two
 *         hide:                    # what this user did that with, so long ago or less
 *           - {event: dismiss, within: 30d}
 *         diversity: {attribute: genres, most: 2, first: 10}
 *         exploration: {share: 0.05, temperature: 1}
 *         log: 1                   # share of requests in score.log
 *         rules:                   # see rules.h; a kind that is not named has weight 1
 *           popularity: {value: prop_ctr_7d, weight: 1}
 *           recency: {value: age, half_life: 30d, weight: 0.3}
 *           taste: [{value: taste}, {value: genre_ctr_30d, weight: 0.5, missing: 0.05}]
 *           match: {weight: 0}
 *
 * Filters and hide hold for candidates from the catalogue only: a request's own candidates are the
 * application's choice. Diversity, exploration and rules hold for both.
 *
 * `hide` is read from the user's state, so it needs a feature of scope user*proposition with
 * recency of the event. The state of a user keeps max_keys_per_user propositions in a scope: who
 * dismissed more than that sees the oldest again.
 *
 * Made once at start, then constant: any thread. No clock.
 */
#pragma once

#include "base/yaml_tree.h"
#include "model/rules.h"
#include "ranker/filter.h"

struct placement_hide {
    const char *event;
    int64_t within_ms;
    size_t output; /* of the feature set: seconds since the user did it; NaN: never */
};

struct placement {
    const char *name;  /* "" of the one for names that are not declared */
    const char *model; /* NULL: rules rank */
    size_t candidates;
    struct filter *filters;
    size_t filter_count;
    struct placement_hide *hides;
    size_t hide_count;
    const char *diversity; /* an attribute of propositions; NULL: none */
    size_t most, first;    /* at most so many of a value among the first ones */
    double explored_share; /* 0 to 1 */
    double temperature;    /* above 0 */
    double logged_share;   /* 0 to 1 */
    struct rules *rules;
};

struct placements;

enum { MAX_PLACEMENTS = 64, MAX_PLACEMENT_CANDIDATES = 10000 };

/*
 * Reads the section (NULL: none is declared); file is its name for messages. Borrows the set;
 * copies the rest. Fails with ERR_INVALID (FILE:LINE, what is wrong and what would be right; all
 * problems at once), ERR_NOMEM.
 */
int placements_parse(struct placements **out, const struct yaml_node *section, const char *file,
                     const struct feature_set *set, struct err *e);
void placements_free(struct placements *p); /* NULL is fine */

/* Place 0 is the one without any line, for names that are not declared; then those declared, in the
 * order of the file. */
size_t placements_count(const struct placements *p);
const struct placement *placements_at(const struct placements *p, size_t place);

/* The place of a name; 0 where it is not declared. */
size_t placements_find(const struct placements *p, struct str name);

/* Whether a candidate of the catalogue with this vector is hidden from its user. Only the outputs
 * of p->hides are read. */
bool placement_hides(const struct placement *p, const double *vector);

/*
 * The rollout plan of one model: who is served by which version.
 *
 * A user's place in an experiment is u = (h >> 11) / 2^53 with h the XXH3_64bits of salt U+001F
 * model U+001F challenger U+001F user_id: uniform in [0, 1), and independent from one challenger to
 * the next. In the order of the plan, a challenger takes the users that none before it has taken
 * and whose u < share / (1 - sum of the shares before it). So shares are exact shares of all users,
 * a challenger whose share grows keeps every user that it had, and nobody remembers anything.
 *
 * Made once, then constant: any thread. No clock, no I/O.
 */
#pragma once

#include "base/err.h"
#include "serde/records.h"

enum {
    ROLLOUT_MAX_CHALLENGERS = 64,
    ROLLOUT_MAX_VERSIONS = ROLLOUT_MAX_CHALLENGERS + 2,
    ROLLOUT_STEPS = 3,
    ROLLOUT_CHAMPION = -1, /* in place of a challenger's number */
    ROLLOUT_NAME_BYTES = 64,
};

enum rollout_mode { ROLLOUT_SHADOW, ROLLOUT_CANARY, ROLLOUT_AB };

struct rollout_challenger {
    const char *name;
    int64_t version;
    enum rollout_mode mode;
    double share; /* of all users; of a shadow 0 */
};

struct rollout {
    const char *model;
    const char *salt;
    int64_t champion; /* 0: none, rules rank */
    int64_t previous; /* 0: none */
    bool pinned;
    const struct rollout_challenger *challengers; /* in the order of the plan */
    size_t challenger_count;
    struct rollout_memory *memory;
};

/* What ranks, best first; behind the last step stand the rules. */
struct rollout_step {
    const char *variant; /* the challenger's name, champion or previous */
    int64_t version;
};

/*
 * Whether a plan can be followed. Fails with ERR_INVALID: says which part of it is wrong and what
 * would be right (names, versions, modes, shares that are no shares or over 1 together, two
 * challengers of one name, too many).
 */
int rollout_check(const struct rollout_plan *plan, struct err *e);

/* Checks and copies a plan. Fails with ERR_INVALID as rollout_check(), ERR_NOMEM. */
int rollout_new(struct rollout **out, const struct rollout_plan *plan, struct err *e);
void rollout_free(struct rollout *r); /* NULL is fine */

/* The number of the challenger that has this user, or ROLLOUT_CHAMPION. Never a shadow. */
int rollout_assign(const struct rollout *r, struct str user_id);

/* What serves a user who was assigned so, in the order of falling back, no version twice; returns
 * how many. */
size_t rollout_steps(const struct rollout *r, int assigned,
                     struct rollout_step steps[ROLLOUT_STEPS]);

/* Every version that the plan names, each once; returns how many. */
size_t rollout_versions(const struct rollout *r, int64_t versions[ROLLOUT_MAX_VERSIONS]);

/* shadow, canary, ab; false: it is none of them. */
bool rollout_mode_parse(enum rollout_mode *out, struct str text);
const char *rollout_mode_name(enum rollout_mode mode);

/* Whether a text may be the name of a model: 1 to 128 bytes of letters, digits, '.', '-' and '_',
 * and not "rules". */
bool rollout_model_name_is_good(struct str name);

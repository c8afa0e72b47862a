/*
 * A change of one model's rollout plan, from the plan in force to the one acknowledged by Kafka.
 *
 * The order is what makes it safe to stop at any point: versions that the plan names are on the
 * topic model.artifacts before the plan is on the topic models, and versions that no plan names any
 * more are taken away after it. A plan of versions that the one in force names too, as after a
 * rollback, goes first. PostgreSQL is asked only for versions that are not on the topic.
 * Of two changes at the same time the later one counts.
 *
 * One thread.
 */
#pragma once

#include "plans.h"

struct plan_change {
    const struct ctl *ctl;
    const char *model;
    struct plans plans;
    const struct rollout_plan *before; /* NULL: the model has no plan */
    struct rollout_plan after;         /* for the caller to change; what it names is borrowed, or in
                                          plans.arena */
};

/* Reads the plan in force into before and after. plan_change_free() in any case; model is borrowed.
 * Fails as plans_read(), with ERR_INVALID (no model has such a name), ERR_NOMEM. */
int plan_change_begin(struct plan_change *x, const struct ctl *c, const char *model, struct err *e);
void plan_change_free(struct plan_change *x);

/* Adds a challenger to after, or puts it in the place of the one of its name. ERR_NOMEM. */
int plan_change_challenge(struct plan_change *x, const struct challenger *c, struct err *e);

/* Takes one away; false: there is none of that name. */
bool plan_change_remove(struct plan_change *x, struct str name);

/*
 * Puts the plan in force and prints what has changed; a plan that is the same as before is not
 * written again. Fails with ERR_INVALID (as rollout_check()), ERR_NOT_FOUND (the registry has no
 * such version), ERR_UNAVAILABLE (Kafka, or PostgreSQL where a version is not on the topic), and as
 * sender_put().
 */
int plan_change_commit(struct plan_change *x, struct err *e);

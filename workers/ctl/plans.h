/*
 * Rollout plans as the topic `models` has them: the newest of each model.
 *
 * One thread.
 */
#pragma once

#include "ctl.h"

#include "base/arena.h"
#include "stream/tail.h"

struct plans {
    const struct ctl *ctl;
    struct rollout_plan *items;
    size_t count;
    struct arena arena; /* all they borrow */
};

/*
 * Reads the topic to its end. plans_free() in any case. Fails with ERR_NOT_FOUND (no such topic),
 * ERR_UNAVAILABLE, ERR_CORRUPT and ERR_SCHEMA (a record that is no plan: says which), ERR_NOMEM.
 */
int plans_read(struct plans *p, const struct ctl *c, struct err *e);
void plans_free(struct plans *p);

/* NULL: the model has none. Belongs to p. */
const struct rollout_plan *plans_find(const struct plans *p, const char *model);

/* Reads a topic from its beginning to its end. Fails as the callback does, with ERR_NOT_FOUND,
 * ERR_UNAVAILABLE (also when asked to stop), ERR_FATAL, ERR_NOMEM. */
int topic_read(const struct ctl *c, const char *topic, tail_record *each, void *arg, struct err *e);

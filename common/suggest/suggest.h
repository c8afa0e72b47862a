/*
 * Feature definitions that a newcomer starts from, suggested by a sample of records.
 *
 * Records in, one at a time; a commented YAML out, which feature_set_parse() takes whatever the
 * records hold. What is found is told with each feature; what cannot be used is told too, with the
 * reason. The same records in the same order give the same text.
 *
 * One thread an object. No clock: time is the records' own. Memory is bounded, about 200 MB at
 * worst: of more entities, fields or values than are kept, the first count.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "feature/definition.h"
#include "serde/records.h"

struct suggest;

struct suggest_opts {
    uint32_t
        max_keys_per_user; /* the setting of that name: what a user's record holds of a scope */
};

/* Copies opts. Fails with ERR_NOMEM. */
int suggest_new(struct suggest **out, const struct suggest_opts *opts, struct err *e);
void suggest_free(struct suggest *s); /* NULL is fine */

/* Records, in any order; events and requests rather in that of time, so that what follows what can
 * be seen. They are copied as far as they are needed. Fail with ERR_NOMEM. */
int suggest_entity(struct suggest *s, enum side side, const struct entity *entity, struct err *e);
int suggest_event(struct suggest *s, const struct event *event, struct err *e);
int suggest_request(struct suggest *s, const struct rank_request *request, struct err *e);

/* Where the sample has only the newest events: there are others since this time. */
void suggest_reaches_back(struct suggest *s, int64_t oldest_ms);

/*
 * Appends the YAML. Fails with ERR_NOT_FOUND (nothing was seen that a feature can be made of: says
 * what to bring), ERR_NOMEM.
 */
int suggest_write(const struct suggest *s, struct buf *out, struct err *e);

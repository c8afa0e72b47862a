/*
 * A client of a schema registry over HTTP (Confluent's REST API): schemas by id, and ids of schemas
 * that are registered.
 *
 * One thread, and it never blocks: what is asked for and not known is looked up by registry_turn(),
 * and the question is asked again after it. What the registry answered is kept: schemas for ever
 * (an id is never given to another schema), "no such id" for a while that doubles from 1 s to 60 s
 * with each answer. A registry that is away, slow, or refuses us is no error: it is asked again
 * with a growing pause, and registry_waiting() says so. Of several URLs, the next one is asked when
 * one is away.
 *
 * Nothing grows without bounds: answers are limited in size (registry_answer.h,
 * registry_references.h), 8 are waited for at a time (one while the registry is away), 1,000
 * questions stand in line (what is asked beyond is asked again anyway), 10,000 refusals are
 * remembered, and REGISTRY_MAX_SCHEMAS and REGISTRY_MAX_BYTES of schemas.
 */
#pragma once

#include "base/conf.h"
#include "base/err.h"
#include "net/metrics.h"
#include "serde/schema.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REGISTRY_MAX_SCHEMAS = 10000,
    REGISTRY_MAX_BYTES = 32 * 1024 * 1024, /* of the texts of all schemas, references included */
};

struct registry;

/*
 * Reads the settings schema_registry.*; conf and metrics (NULL: none) are borrowed. *out is NULL,
 * and 0 returned, where schema_registry.url is empty. Fails with ERR_INVALID (no URL that can be
 * used, a file of certificates that is not there), ERR_NOMEM.
 */
int registry_new(struct registry **out, const struct conf *conf, struct metrics *m, struct err *e);
void registry_free(struct registry *r); /* NULL is fine */

/*
 * The schema of an id, with all its references; it lives as long as the registry, or until it is
 * evicted (below). Fails with ERR_UNAVAILABLE (not looked up yet, or it cannot be now: ask again
 * after a turn), ERR_NOT_FOUND (the registry knows no such id), ERR_SCHEMA (it has one that is of
 * no use here: no Avro, broken, too large, references without end; or it is one too many),
 * ERR_NOMEM. Messages say why and leave the id to the caller.
 */
int registry_schema(struct registry *r, uint32_t id, const struct schema **out, struct err *e);

/*
 * The id under which a schema is registered for a subject; it is registered if it is not yet and
 * schema_registry.register is 1. Text and subject are copied. Fails with ERR_UNAVAILABLE (as
 * above), ERR_INVALID (the registry refuses it, or does not have it: says why, incompatible with an
 * earlier version for one; asked again after a while, as for ids), ERR_NOMEM.
 */
int registry_register(struct registry *r, const char *subject, struct str text, uint32_t *id,
                      struct err *e);

/* Moves what was asked for on, waiting for answers at most wait_ms. */
void registry_turn(struct registry *r, int wait_ms);

/* Why something cannot be looked up now, for a person; "" where nothing is wrong. Belongs to the
 * registry until its next turn. */
const char *registry_waiting(const struct registry *r);

/*
 * Lets schemas go that were not asked for in the longest time, once there are too many: each is
 * offered to evict() during a turn, which returns true when nobody needs it any more (false: it is
 * kept and the next one is offered). Without this, all are kept, and one too many is ERR_SCHEMA.
 */
void registry_on_evict(struct registry *r, bool (*evict)(void *arg, uint32_t id), void *arg);

/* Another clock than the machine's for pauses and back-off, so that tests need not wait:
 * microseconds that only ever grow. */
void registry_set_clock(struct registry *r, int64_t (*now_us)(void));

/*
 * Records replayed in one process: the same library, state in memory, no servers. For vectors and
 * values of files, as the oracle computes them, and for tests.
 *
 * One thread; no clock: records bring their times.
 */
#pragma once

#include "feature/vector.h"

struct replay;

struct replay_opts {
    const struct feature_set *set; /* borrowed */
    int64_t max_clock_skew_ms;
    uint32_t max_keys_per_user;
};

int replay_new(struct replay **out, const struct replay_opts *opts, struct err *e);
void replay_free(struct replay *r); /* NULL is fine */

/* Fails with ERR_SCHEMA, ERR_NOMEM. */
int replay_entity(struct replay *r, enum side side, const struct entity *record, struct err *e);

/* Nothing is known of the entity any more; unknown is fine. */
void replay_remove(struct replay *r, enum side side, struct str id);

/* kafka_ms: APPLY_NO_TIME stands for the event's own time. Repeats and events too far ahead change
 * nothing (*accepted tells). Fails with ERR_SCHEMA (values that make no sense), ERR_TOO_LARGE,
 * ERR_NOMEM. */
int replay_event(struct replay *r, const struct event *event, int64_t kafka_ms, bool *accepted,
                 struct err *e);

/* As vectors_read. */
int replay_request(struct replay *r, const struct rank_request *request, const double *positions,
                   double *out, struct err *e);

/* Values of every key that is published, in no order: calls each. Stops at the first non-zero
 * return. */
int replay_each_key(struct replay *r,
                    int (*each)(void *arg, const struct feature_values *values, struct err *e),
                    void *arg, struct err *e);

/* Bytes of memory that users' records hold, keys and all overhead included, and how many users
 * there are. */
size_t replay_user_bytes(const struct replay *r, size_t *users);

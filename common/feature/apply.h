/*
 * An event becomes state: what it does to its user's record, and what it adds to shared scopes.
 *
 * One thread; the time of the event is an argument. The object only holds memory that is used
 * again; everything it needs to know is in its arguments, so state is a function of the log.
 */
#pragma once

#include "feature/deltas.h"
#include "feature/entities.h"
#include "feature/user_record.h"
#include "serde/records.h"

/* The Kafka timestamp of a record that has none. */
#define APPLY_NO_TIME INT64_MIN

struct apply;

enum applied { APPLY_DONE, APPLY_REPEATED };

/* Borrows set, users and propositions. tells_dropped: keys that a user drops stay in the record
 * until that is published (user_record.h). Fails with ERR_NOMEM. */
int apply_new(struct apply **out, const struct feature_set *set, const struct entities *users,
              const struct entities *propositions, uint32_t max_keys_per_user, bool tells_dropped,
              struct err *e);
void apply_free(struct apply *p); /* NULL is fine */

/*
 * What every event must satisfy, and its time: min(timestamp, kafka_ms); kafka_ms may be
 * APPLY_NO_TIME. Returns 0, or ERR_SCHEMA with the dead letter's reason in *reason (borrowed for
 * ever) and the detail in e.
 */
int apply_check(const struct event *event, int64_t kafka_ms, int64_t max_clock_skew_ms,
                int64_t *time_ms, const char **reason, struct err *e);

/*
 * Puts the user's record after the event into `after` (from its beginning; not for a repeat) and
 * adds what the event is to shared scopes to `deltas`. deltas NULL: this was done before, only the
 * user's record is wanted. Fails with ERR_TOO_LARGE (more than
 * MAX_KEYS keys; nothing was changed), ERR_CORRUPT, ERR_NOMEM.
 */
int apply_event(struct apply *p, const struct event *event, int64_t time_ms, struct str before,
                struct buf *after, struct deltas *deltas, enum applied *outcome, struct err *e);

/* A key of a shared scope in memory: the scope's index as varint, then the key. */
void shared_key(struct buf *out, size_t scope, struct str key);

/* Takes it apart. False: it is none of the set's. */
bool shared_key_parse(const struct feature_set *set, struct str shared, size_t *scope,
                      struct str *key);

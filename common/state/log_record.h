/*
 * Records of `events`, `users` and `propositions`, taken in: the checks that everybody who keeps
 * state must make alike, so that what one passes over nobody counts.
 *
 * One thread; no I/O; the clock's skew is an argument.
 */
#pragma once

#include "serde/codec.h"
#include "stream/input.h"

/*
 * An event and its time, min(timestamp, Kafka's). Returns 0, or why it is not to be counted: then
 * *reason is the dead letter's (borrowed for ever) and e the detail. ERR_NOT_FOUND: its schema is
 * not known. No fault of the record's (log_record_is_well): ERR_UNAVAILABLE (the schema registry
 * has to be asked, come again), ERR_NOMEM.
 */
int log_record_event(struct event *out, int64_t *time_ms, const char **reason, struct codec *codec,
                     const struct input *in, int64_t max_clock_skew_ms, struct arena *a,
                     struct err *e);

/* Attributes of one user or proposition; the record has a key and a value. The same failures. */
int log_record_entity(struct entity *out, const char **reason, struct codec *codec,
                      const struct input *in, struct arena *a, struct err *e);

/* Whether a failure is none of the record's: memory is short, or the schema registry has to be
 * asked first. */
static inline bool log_record_is_well(int code)
{
    return code == ERR_NOMEM || code == ERR_UNAVAILABLE;
}

/*
 * Records on their way out, and which of them have arrived: an offset of rank.requests is committed
 * only when all that was sent for the requests before it is acknowledged.
 *
 * At least once, in the order sent for a key. One thread; delivery is told inside of
 * answers_poll() and answers_send().
 */
#pragma once

#include "stream/outbox.h"
#include "stream/worker.h"

#include <librdkafka/rdkafka.h>

struct answers;

/* Kafka takes no larger record from us. */
enum { ANSWERS_MAX_BYTES = 16 << 20 };

/* Borrows env. Fails with ERR_INVALID, ERR_FATAL, ERR_NOMEM. */
int answers_new(struct answers **out, struct worker_env *env, struct err *e);
void answers_free(struct answers *a); /* NULL is fine; waits at most 10 s for what is under way */

/*
 * Sends all records of an outbox (to rankings, score.log, dead-letters), which is the caller's and
 * stays as it is. A record that is too large is left out, and logged. Where too much is under way
 * it waits: so a cluster that is away holds requests up instead of filling memory. Fails with
 * ERR_UNAVAILABLE (the worker is to stop while it waits), ERR_FATAL (Kafka refuses one for good).
 */
int answers_send(struct answers *a, const struct outbox *o, struct err *e);

/* Tells what has arrived. Fails with ERR_FATAL (a record could not be delivered). */
int answers_poll(struct answers *a, int wait_ms, struct err *e);

/* Closes the generation that is sent: answers_settled() tells when all of it, and all before, has
 * arrived. Only when the one before is settled. */
void answers_close(struct answers *a);
bool answers_settled(const struct answers *a);

/* Whether nothing is under way. */
bool answers_is_idle(const struct answers *a);

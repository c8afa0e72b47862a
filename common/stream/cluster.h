/*
 * Waiting for Kafka before a worker starts.
 *
 * A cluster that is away, a password that is not (or not yet) right, a certificate that is not to
 * be trusted: all of these can be put right while the worker waits, and it says what it waits for.
 * The worker's thread.
 */
#pragma once

#include "base/err.h"
#include "stream/worker.h"

/* Returns 0 once a broker has answered. Until then it says the reason on /readyz and, whenever that
 * changes, in the log. Fails with ERR_UNAVAILABLE (asked to stop meanwhile), ERR_INVALID (settings
 * that librdkafka cannot use), ERR_FATAL, ERR_NOMEM. */
int cluster_wait(struct worker_env *env, struct err *e);

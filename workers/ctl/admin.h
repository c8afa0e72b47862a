/*
 * Questions to Kafka about topics and groups: a client, and waiting for the answer.
 *
 * One thread.
 */
#pragma once

#include "base/conf.h"
#include "base/err.h"

#include <librdkafka/rdkafka.h>

enum { ADMIN_TIMEOUT_MS = 10000 };

struct admin {
    rd_kafka_t *rk;
    rd_kafka_queue_t *answers;
    rd_kafka_AdminOptions_t *options; /* of the question at hand */
};

/* Does not connect yet. Fails with ERR_INVALID, ERR_FATAL, ERR_NOMEM. admin_close() in any case. */
int admin_open(struct admin *a, const struct conf *conf, struct err *e);
void admin_close(struct admin *a);

/* Before a question: its options, with the timeout set. Belong to a. */
rd_kafka_AdminOptions_t *admin_ask(struct admin *a, rd_kafka_admin_op_t what);

/* The answer, to be destroyed by the caller. Fails with ERR_UNAVAILABLE, ERR_FATAL. */
int admin_answer(rd_kafka_event_t **out, struct admin *a, const char *what, struct err *e);

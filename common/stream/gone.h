/*
 * Topics that were deleted under their readers.
 *
 * A topic that is deleted and made anew has the same name and other records. Kafka's clients before
 * topic ids, librdkafka 2.0 among them, go on reading it at their old offset as if nothing had
 * happened. But brokers do say that a topic is not there, and librdkafka tells it to its error
 * callback alone: that is kept here, and ends the worker. Its successor compares committed offsets,
 * which Kafka has deleted with the topic, with its state. Any thread.
 */
#pragma once

#include "base/err.h"

#include <librdkafka/rdkafka.h>

/* An error of a client; kept if it says that a topic is not there. */
void gone_note(rd_kafka_resp_err_t code, const char *reason);

/* Fails with ERR_FATAL once one was kept: names the topic and says what to do. */
int gone_check(struct err *e);

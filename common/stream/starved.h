/*
 * Clients of Kafka that could not start a thread.
 *
 * librdkafka has a thread for each broker. Where one cannot be started, for want of memory or of
 * threads, it says so in its log and goes on without: that broker is then away for ever, however
 * well it is. So what it says is kept here, and ends the worker. Any thread.
 */
#pragma once

#include "base/err.h"

/*
 * Whether the threads with which a client begins can be had: it starts as many and ends them. To be
 * asked before a client is made, because rd_kafka_new() of librdkafka 2.0.2 never returns where it
 * gets the first of them and not the second. Fails with ERR_NOMEM.
 */
int starved_probe(struct err *e);

/* A line of a client's log; kept if it says that a thread could not be started. */
void starved_note(const char *facility, const char *text);

/* Fails with ERR_NOMEM once one was kept. */
int starved_check(struct err *e);

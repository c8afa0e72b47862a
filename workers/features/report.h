/*
 * What is seen of the worker from outside: gauges, and its part of /status.
 *
 * Made and updated by the processing thread; report_print() is for any thread.
 */
#pragma once

#include "features/assignment.h"
#include "net/metrics.h"

struct report;

/* What the assignment does not know. */
struct report_facts {
    int64_t epochs;
    int64_t last_commit_ms; /* 0: none yet */
};

/* Borrows metrics. */
int report_new(struct report **out, struct metrics *m, struct err *e);
void report_free(struct report *r); /* NULL is fine */

/* Reads the state of all lanes; consumer tells how far their partitions reach. */
void report_update(struct report *r, struct assignment *a, rd_kafka_t *consumer,
                   const struct report_facts *facts);

/* Lanes that go to others lose their series. */
void report_forget(struct report *r, struct assignment *a);

/* Appends members of a JSON object. */
void report_print(struct report *r, struct buf *json);

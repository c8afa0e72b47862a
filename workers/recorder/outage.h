/*
 * A server that a worker waits for, told once: in the log when it starts, when its reason changes
 * and when it is over, and in /readyz and a metric as long as it lasts.
 *
 * One thread. Monotonic clock. Borrows all it is given.
 */
#pragma once

#include "stream/worker.h"

struct outage {
    struct worker_env *env;
    const char *server;     /* "PostgreSQL" */
    const char *event;      /* of the log: "postgres" becomes postgres_away and postgres_back */
    struct metric *waiting; /* 1 while it lasts; NULL: none */
    int64_t since_us;       /* 0: all is well */
    struct err reason;
};

void outage_goes_on(struct outage *o, const struct err *why);

/* Nothing if all was well. */
void outage_ends(struct outage *o);

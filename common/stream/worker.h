/*
 * What every worker has in common: command line, configuration, logging, signals, life cycle, the
 * window to the outside, and the loop that calls its turn.
 *
 *   INIT → RESTORE → RUN → DRAIN → STOP, back from RUN to RESTORE when partitions move; ready means
 * RUN.
 *
 * SIGTERM and SIGINT ask for DRAIN. A fatal error is logged and ends the process with status 1,
 * wrong usage or configuration with 2; one that has no memory left ends at once, without DRAIN.
 * From DRAIN on a watchdog ends the process after 30 s if it hangs. The clock is read once a turn.
 */
#pragma once

#include "base/conf.h"
#include "base/err.h"
#include "net/metrics.h"
#include "serde/codec.h"

#include <stdbool.h>
#include <stdint.h>

enum worker_state { WORKER_INIT, WORKER_RESTORE, WORKER_RUN, WORKER_DRAIN, WORKER_STOP };

/* What a worker is given; lives as long as the process. */
struct worker_env {
    const struct conf *conf;
    struct metrics *metrics;
    const char *name;     /* features */
    const char *instance; /* setting `instance`, or one made up at this start */
    bool static_member;   /* `instance` was set */
    char client_id[256];  /* for Kafka: name/instance@http-port, where `flotilla status` finds the
                             window */
    void *life;           /* worker_become() */
    struct codec *codec;  /* of the processing thread; turned once a turn */
};

struct worker {
    const char *name;
    const char *purpose; /* one line for --help */
    /* Whether the configuration can work, without connecting to anything: called by --check and
     * before start. NULL: nothing to check beyond what every worker checks. */
    int (*check)(const struct conf *conf, struct err *e);
    /* Connects and makes *self. */
    int (*start)(void **self, struct worker_env *env, struct err *e);
    /* One turn: polls (at most 100 ms), handles, publishes, commits what is due. Any error ends the
     * process. */
    int (*turn)(void *self, int64_t now_ms, struct err *e);
    /* After the last turn: commits what was handled. */
    int (*drain)(void *self, struct err *e);
    void (*free)(void *self); /* NULL is fine; bounded by the watchdog */
    /* Appends members of the JSON object of /status, without braces: "\"partitions\":[…]". Called
     * from another thread. */
    void (*status)(void *self, struct buf *json);
};

/* Moves to a state; a move that the life cycle does not allow is a broken invariant. */
void worker_become(struct worker_env *env, enum worker_state state);
enum worker_state worker_state(const struct worker_env *env);

/* Why the worker is not ready or waits, for /readyz and /status; "" when nothing is to be said.
 * Copies (to 255 bytes). */
void worker_say(struct worker_env *env, const char *reason);

/* A turn that waits for a server says so once in a while: /healthz counts it as turning. */
void worker_alive(struct worker_env *env);

/*
 * codec_declare() for a topic of the configuration, waiting for the schema registry, and saying so,
 * until it answers. Fails with ERR_UNAVAILABLE (asked to stop), ERR_INVALID, ERR_NOMEM.
 */
int worker_declare(struct worker_env *env, const char *topic, const struct record_type *type,
                   struct err *e);

/* Whether SIGTERM or SIGINT came, or a client of Kafka lacks a thread: long waits in start and turn
 * end then. */
bool worker_stopping(void);

/* The whole main(): returns the exit status. */
int worker_main(const struct worker *w, int argc, char **argv);

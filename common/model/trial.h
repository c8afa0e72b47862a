/*
 * A model file tried in a child process: one that crashes, hangs or swallows all memory does so
 * there.
 *
 * The child is a program of this fleet, started anew with one argument. Its standard input is a
 * file in memory with the parts, its standard output takes one line with a code and a reason.
 * Any thread. Monotonic clock.
 */
#pragma once

#include "model/model.h"

enum {
    TRIAL_MEMORY_BYTES = INT32_MAX, /* of address space, the program itself included */
    TRIAL_REFUSED = 3,              /* exit status: the reason is on standard output */
};

struct trial_opts {
    const char *program;
    const char *argument;
    int limit_ms;
    int stop_fd; /* an eventfd: readable, it ends the child */
};

/*
 * Starts the child and waits for it. shared: for each column named in the parts, as for
 * model_check(), which the child does. Fails with what model_check() said there; with ERR_CORRUPT
 * where the child was ended by a signal (says which) or by the time limit; with ERR_UNAVAILABLE
 * where it could not be started, ended without a reason, or was stopped.
 */
int trial_run(const struct trial_opts *opts, const struct model_parts *parts, const bool *shared,
              struct err *e);

/* The main of the child. Returns its exit status. */
int trial_main(void);

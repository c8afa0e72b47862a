/*
 * The life cycle of a worker as others see it: its state, why it waits, when it last turned. What
 * worker_become() and worker_say() change and the HTTP server reads.
 *
 * Any thread.
 */
#pragma once

#include "base/err.h"
#include "net/http_server.h"
#include "stream/worker.h"

struct life;

/* Borrows w and env; makes the metrics that every worker has. Fails with ERR_NOMEM. */
int life_new(struct life **out, const struct worker *w, const struct worker_env *env,
             struct err *e);
void life_free(struct life *l); /* NULL is fine */

/* Called while a turn waits for a server: the process is well, but what it does stands still. */
void life_alive(struct life *l);

/* Called once a turn, before it. Reads how much memory and time the process has used, about once a
 * second. */
void life_turn(struct life *l);

/* Whose status() is asked; NULL: nobody's. */
void life_set_self(struct life *l, void *self);

/* For http_server_start(). */
struct http_handlers life_handlers(struct life *l);

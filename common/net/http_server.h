/*
 * The window of a worker to the outside: /metrics, /healthz, /readyz and /status over HTTP, on a
 * thread of its own.
 *
 * Only GET and HEAD of these four; anything else is 404 or 405. /healthz is 200 while the process
 * turns (its last turn is at most 30 s ago), /readyz 200 once ready, else 503 with the reason as
 * text. At most 16 connections, 5 s each.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "net/metrics.h"

#include <stdbool.h>

struct http_server;

struct http_handlers {
    /* Called from the server's thread. ready/healthy append a reason (one line, for a person) and
     * return whether. */
    bool (*healthy)(void *arg, struct buf *reason);
    bool (*ready)(void *arg, struct buf *reason);
    void (*status)(void *arg, struct buf *json); /* one JSON object */
    void *arg;
};

/* Listens on address:port (port 0: any free one). Borrows metrics and handlers. Fails with
 * ERR_INVALID (address), ERR_IO (port taken: says so and what to set), ERR_NOMEM (memory or its
 * thread could not be had). */
int http_server_start(struct http_server **out, const char *address, int port, struct metrics *m,
                      const struct http_handlers *handlers, struct err *e);
int http_server_port(const struct http_server *s);
void http_server_stop(struct http_server *s); /* NULL is fine */

/*
 * Requests over HTTP and HTTPS that nobody waits for (libcurl).
 *
 * One thread; nothing blocks but http_client_turn(), and that no longer than it is told to. Only
 * http and https are spoken. Redirects are not followed: they are answers like any other, so
 * nothing is ever sent to a host that was not named. Connections are kept for the next request.
 * Certificates are always checked against the host's name. A proxy is taken from the environment,
 * as everywhere (https_proxy, no_proxy).
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct http_client;

/* Texts may be NULL or empty. Files are PEM, and read at each new connection: they may be renewed
 * at any time. */
struct http_client_options {
    const char *ca_file; /* the only ones that may sign servers; without: those of the system */
    const char *certificate_file; /* what this client shows */
    const char *key_file;         /* its key, not locked; without: in the same file */
    int64_t timeout_ms;           /* of a request, from the name's resolution to the last byte */
    size_t max_answer_bytes;      /* of a body */
    int max_connections;
};

struct http_request {
    const char *url;          /* without user and password */
    const char *user;         /* basic authentication; NULL or empty: none */
    const char *password;     /* NULL: an empty one */
    const char *accept;       /* NULL: anything */
    const char *content_type; /* of the body */
    struct str body;          /* data NULL: GET, else POST */
};

/*
 * How a request ended, called once from http_client_turn(). status is that of the answer, whatever
 * it is; 0: there was none, and *e says why: ERR_UNAVAILABLE (no connection, no such host, TLS, too
 * slow), ERR_TOO_LARGE (the answer is over the limit), ERR_NOMEM. The body and *e are good until
 * this returns. New requests may be made in it.
 */
typedef void http_done(void *arg, int status, struct str body, const struct err *e);

/* Copies options. Fails with ERR_NOMEM. */
int http_client_new(struct http_client **out, const struct http_client_options *options,
                    struct err *e);

/* NULL is fine. Requests that are under way end without a word. */
void http_client_free(struct http_client *c);

/* Sends a request; everything is copied. Fails with ERR_INVALID (no URL), ERR_NOMEM: done is not
 * called then. */
int http_client_send(struct http_client *c, const struct http_request *request, http_done *done,
                     void *arg, struct err *e);

/* Moves all requests on; waits at most wait_ms for the first one to end, or just so long if there
 * are none. Returns how many ended. */
int http_client_turn(struct http_client *c, int wait_ms);

/*
 * The servers of a schema registry: which one is asked, and when again after one could not answer.
 *
 * The first one that answers is stayed with. When one fails, the next is asked at once; when all
 * have failed, after a pause that doubles from 100 ms to 10 s. One thread, no I/O but the log; time
 * is an argument.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { SERVER_LEAST_PAUSE_MS = 100, SERVER_MOST_PAUSE_MS = 10000, SERVERS_MAX = 16 };

struct server {
    char *url;             /* without user and password, without a slash at its end */
    char *user, *password; /* those of the URL, else those that were given; NULL: none */
};

struct servers;

/*
 * Several URLs, comma-separated; user and password for those that have none of their own (empty:
 * none). Everything is copied. Fails with ERR_INVALID (not a URL of http or https: says which one,
 * without its password), ERR_NOMEM.
 */
int servers_new(struct servers **out, const char *urls, const char *user, const char *password,
                struct err *e);
void servers_free(struct servers *s); /* NULL is fine */

/* The one to be asked now. Belongs to s. */
const struct server *servers_current(const struct servers *s);

/* Milliseconds until it may be asked; 0: now. */
int64_t servers_pause_ms(const struct servers *s, int64_t now_ms);

/* Whether the last answer was none: one question at a time is enough then. */
bool servers_are_away(const struct servers *s);

/* How many there are. */
size_t servers_count(const struct servers *s);

/* Grows with each failure: what was asked before one says nothing new when it fails as well. */
uint64_t servers_epoch(const struct servers *s);

/*
 * The current server answered; or it did not, in an epoch: why is a whole sentence that names it.
 * The first failure and the end of an outage are logged.
 */
void servers_succeeded(struct servers *s);
void servers_failed(struct servers *s, uint64_t epoch, int64_t now_ms, const char *why);

/* A pause of about ms: from half of it to all of it, so that many do not come back at once. */
int64_t servers_jitter(struct servers *s, int64_t ms);

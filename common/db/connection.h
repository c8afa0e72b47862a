/*
 * A connection to PostgreSQL that may be lost and comes back.
 *
 * No call waits longer than the timeout for a server that does not answer: a frozen one is noticed
 * as well as one that is gone. Whenever a call fails with ERR_UNAVAILABLE, the connection is
 * dropped (the server rolls an open transaction back; whether a COMMIT in flight took effect is not
 * known), and the next db_connect() waits: 100 ms at first, doubling up to 5 s. Messages never hold
 * a password.
 *
 * Errors of the server, wherever a call says "the server's":
 *   ERR_UNAVAILABLE  lost, refused, starting up, shutting down, read-only, too many connections,
 * out of disk or memory, a lock or statement that took too long, a deadlock ERR_FATAL        a
 * table or column is missing (run `flotilla migrate`), a right is missing (says which role to
 * grant), anything else
 *
 * One thread a connection. Monotonic clock.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

struct db;

struct db_opts {
    const char *url; /* URI or key=value string of libpq; what it says wins over our defaults */
    const char *application; /* shown in pg_stat_activity */
    int timeout_ms;          /* the longest wait for an answer; 0: without end (migrations) */
    bool (*stopping)(void);  /* ends waits with ERR_UNAVAILABLE; NULL: nothing does */
    bool migrating;          /* makes the tables itself: missing ones call for no advice */
};

/* Does not connect yet. Copies opts. Fails with ERR_INVALID (the URL cannot be read), ERR_NOMEM. */
int db_new(struct db **out, const struct db_opts *opts, struct err *e);
void db_free(struct db *d); /* NULL is fine */

/* Whether a URL can be read; the reason is not told, since it may quote the password. ERR_INVALID.
 */
int db_check_url(const char *url, struct err *e);

/*
 * One attempt, if it is due; nothing where there is a connection already. Fails with
 * ERR_UNAVAILABLE (also for a wrong password or database: they can be put right meanwhile), with
 * the reason of the last attempt as long as the next one is not due.
 */
int db_connect(struct db *d, struct err *e);

/* Attempts until there is a connection or limit_ms are over. Fails with ERR_UNAVAILABLE. */
int db_wait(struct db *d, int limit_ms, struct err *e);

/* Says that the work got done: the next wait starts at 100 ms again. */
void db_settle(struct db *d);

/* A new number for each connection made: what a session held before (temporary tables) is gone. */
uint64_t db_session(const struct db *d);

/* Statements without parameters, separated by semicolons; results are dropped. Fails with
 * ERR_UNAVAILABLE (also when not connected), ERR_FATAL: the server's. */
int db_run(struct db *d, const char *sql, struct err *e);

/* One statement with text parameters (NULL is null); *out, if wanted, is the caller's to PQclear().
 * The same failures. */
int db_query(struct db *d, PGresult **out, const char *sql, int n, const char *const *values,
             struct err *e);

/* A COPY ... FROM STDIN and all its bytes. The same failures. */
int db_copy(struct db *d, const char *sql, struct str bytes, struct err *e);

/* The SQLSTATE of the last statement that failed with one of the server's errors; "" before.
 * Belongs to the connection. */
const char *db_sqlstate(const struct db *d);

/* Ends a transaction that is not to be committed; a connection that cannot do that is dropped. */
void db_rollback(struct db *d);

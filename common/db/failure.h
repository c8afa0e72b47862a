/*
 * What went wrong in PostgreSQL, in our terms: one line, no password, and what to do about it.
 * Inside of common/db.
 *
 * Any thread, no state.
 */
#pragma once

#include "base/err.h"

#include <libpq-fe.h>
#include <stdbool.h>

/* "at host:port, database name" of a connection, made or tried. */
struct failure_place {
    char text[160];
};
struct failure_place failure_where(const PGconn *conn);

/* A connection that could not be made or broke: ERR_UNAVAILABLE. */
int failure_of_connection(const PGconn *conn, struct err *e);

/* A result that is an error: ERR_UNAVAILABLE or ERR_FATAL, by its SQLSTATE. advise: add what to run
 * or grant. */
int failure_of_result(const PGconn *conn, const PGresult *r, bool advise, struct err *e);

/* ERR_UNAVAILABLE where the same statement may succeed later. state is a SQLSTATE; "": there is
 * none. */
int failure_class(const char *state);

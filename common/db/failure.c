#include "db/failure.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* SQLSTATEs, or the classes of two letters, of what passes. */
static const char *const passing[] = {
    "08",    /* connection */
    "53",    /* out of disk, memory, connections */
    "57P",   /* shutting down, starting up, crashed, idle for too long */
    "57014", /* statement_timeout */
    "55P03", /* lock_timeout */
    "40001", /* serialization */
    "40P01", /* deadlock */
    "25006", /* read-only */
    "25P03", /* a transaction that stood idle */
    "58",    /* the server's files or system */
};

int failure_class(const char *state)
{
    if (!*state)
        return ERR_UNAVAILABLE; /* It ends sessions without one when it goes away. */
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (strncmp(state, passing[i], strlen(passing[i])) == 0)
            return ERR_UNAVAILABLE;
    return ERR_FATAL;
}

struct failure_place failure_where(const PGconn *conn)
{
    struct failure_place place;
    const char *host = PQhost(conn), *port = PQport(conn), *name = PQdb(conn);
    snprintf(place.text, sizeof place.text, "at %.80s:%.8s, database %.40s",
             host && *host ? host : "?", port && *port ? port : "?", name && *name ? name : "?");
    return place;
}

/* On one line, without the line feed that ends libpq's messages. */
static void one_line(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; *text && n + 1 < size; text++) {
        bool space = isspace((unsigned char)*text);
        if (!space)
            out[n++] = *text;
        else if (n && out[n - 1] != ' ')
            out[n++] = ' ';
    }
    while (n && out[n - 1] == ' ')
        n--;
    out[n] = 0;
}

/* libpq begins with the address that it tried, which stands before the message already. */
static const char *without_address(const char *text)
{
    const char *failed = strstr(text, "failed: ");
    return failed && strncmp(text, "connection to server at ", 24) == 0 ? failed + 8 : text;
}

static const char *connection_advice(const char *text)
{
    static const struct {
        const char *part, *advice;
    } remedies[] = {
        {"certificate verify failed", ": sslrootcert of postgres.url must be the authority that "
                                      "signed the server's certificate"},
        {"does not match host name", ": write the name that it is of in postgres.url"},
        {"password authentication failed", ": check user and password of postgres.url"},
        {"no encryption", ": postgres.url needs sslmode=verify-full&sslrootcert=FILE"},
    };
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (strstr(text, remedies[i].part))
            return remedies[i].advice;
    return "";
}

int failure_of_connection(const PGconn *conn, struct err *e)
{
    char text[320];
    one_line(text, sizeof text, PQerrorMessage(conn));
    return err_set(e, ERR_UNAVAILABLE, "PostgreSQL %s: %s%s", failure_where(conn).text,
                   *text ? without_address(text) : "no connection", connection_advice(text));
}

static const char *advice_for(const char *state)
{
    if (strcmp(state, "42P01") == 0 || strcmp(state, "42703") == 0 || strcmp(state, "3F000") == 0)
        return ": run `flotilla migrate`";
    if (strcmp(state, "42501") == 0)
        return ": let an administrator run GRANT flotilla_recorder TO this user (or "
               "flotilla_reader, to read only; flotilla_operator, to replay dead letters)";
    return "";
}

int failure_of_result(const PGconn *conn, const PGresult *r, bool advise, struct err *e)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE),
               *said = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *context = PQresultErrorField(r, PG_DIAG_CONTEXT), *user = PQuser(conn);
    char text[240], where[96];
    if (PQstatus(conn) == CONNECTION_BAD || !state)
        return failure_of_connection(conn, e);
    one_line(text, sizeof text, said ? said : PQresultErrorMessage(r));
    one_line(where, sizeof where, context ? context : "");
    return err_set(e, failure_class(state), "PostgreSQL %s, user %.40s: %s (%s%s%s)%s",
                   failure_where(conn).text, user ? user : "?", text, state, *where ? ", " : "",
                   where, advise ? advice_for(state) : "");
}

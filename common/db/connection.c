#include "db/connection.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "db/failure.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_DELAY_MS = 100,
    LONGEST_DELAY_MS = 5000,
    SLICE_MS = 50,
    DEFAULT_CONNECT_MS = 10000,
    COPY_CHUNK_BYTES = 64 * 1024,
};

struct db {
    struct db_opts opts;
    char *url; /* owned, as is the next */
    char *application;
    PGconn *conn; /* NULL: not connected */
    uint64_t session;
    char sqlstate[6];
    int delay_ms;    /* before the next attempt, once one has failed */
    int64_t due_us;  /* of the next attempt */
    struct err last; /* why the last attempt failed */
};

/* libpq ends a password at its first @ or /, takes the rest for host, port or database, and quotes
 * those in messages. Whether that has happened: an @ behind the one that ends the user part, or one
 * behind the address. */
static bool has_stray_at(const char *url)
{
    const char *scheme = strstr(url, "://");
    if (!scheme)
        return false;
    const char *at = scheme + 3 + strcspn(scheme + 3, "@/");
    at += *at == '@';
    return memchr(at, '@', strcspn(at, "?"));
}

static bool has_bad_port(const PQconninfoOption *options)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, "port") == 0 && options->val)
            return options->val[strspn(options->val, "0123456789,")];
    return false;
}

int db_check_url(const char *url, struct err *e)
{
    char *ignored = NULL;
    PQconninfoOption *parsed = PQconninfoParse(url, &ignored);
    PQfreemem(ignored);
    if (!parsed)
        return err_set(
            e, ERR_INVALID,
            "postgres.url cannot be read: write postgresql://user@host:port/database (it is not "
            "shown, since it may hold a password)");
    bool wrong = has_stray_at(url) || has_bad_port(parsed);
    PQconninfoFree(parsed);
    return wrong ? err_set(e, ERR_INVALID,
                           "postgres.url has no host, port and database where they belong: in its "
                           "password, write %%40 for @, %%3A for :, %%2F for / (it is not shown, "
                           "since it may hold a password)")
                 : 0;
}

int db_new(struct db **out, const struct db_opts *opts, struct err *e)
{
    int rc = db_check_url(opts->url, e);
    if (rc)
        return rc;
    struct db *d = calloc(1, sizeof *d);
    if (!d)
        return err_nomem(e);
    d->opts = *opts;
    d->url = strdup(opts->url);
    d->application = strdup(opts->application);
    if (!d->url || !d->application) {
        db_free(d);
        return err_nomem(e);
    }
    *out = d;
    return 0;
}

static void drop(struct db *d)
{
    PQfinish(d->conn);
    d->conn = NULL;
}

void db_free(struct db *d)
{
    if (!d)
        return;
    drop(d);
    free(d->url);
    free(d->application);
    free(d);
}

/* The connection is of no use any more: the next attempt waits longer than the one before. */
static void lose(struct db *d, const struct err *why)
{
    drop(d);
    d->last = *why;
    d->delay_ms = d->delay_ms ? d->delay_ms * 2 : FIRST_DELAY_MS;
    if (d->delay_ms > LONGEST_DELAY_MS)
        d->delay_ms = LONGEST_DELAY_MS;
    d->due_us = clock_monotonic_us() + d->delay_ms * 1000L;
}

/* Hands an error on, having dropped the connection if it is one that another connection may not
 * have. */
static int fail(struct db *d, const struct err *why, struct err *e)
{
    if (why->code == ERR_UNAVAILABLE)
        lose(d, why);
    if (e)
        *e = *why;
    return why->code;
}

static int64_t deadline_us(const struct db *d, int standard_ms)
{
    int limit = d->opts.timeout_ms ? d->opts.timeout_ms : standard_ms;
    return limit ? clock_monotonic_us() + limit * 1000L : INT64_MAX;
}

/* Waits until the socket is as wanted. Fails with ERR_UNAVAILABLE: it is not until the deadline. */
static int wait_for(struct db *d, short events, int64_t until_us, struct err *e)
{
    for (;;) {
        struct pollfd fd = {.fd = PQsocket(d->conn), .events = events};
        int64_t left_ms = (until_us - clock_monotonic_us()) / 1000;
        if (left_ms <= 0)
            return err_set(e, ERR_UNAVAILABLE, "PostgreSQL %s does not answer",
                           failure_where(d->conn).text);
        if (poll(&fd, 1, left_ms < 1000 ? (int)left_ms : 1000) > 0)
            return 0;
    }
}

static int shake_hands(struct db *d, struct err *e)
{
    int64_t until_us = deadline_us(d, DEFAULT_CONNECT_MS);
    PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;
    while (wanted == PGRES_POLLING_READING || wanted == PGRES_POLLING_WRITING) {
        int rc = wait_for(d, wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_us, e);
        if (rc)
            return rc;
        wanted = PQconnectPoll(d->conn);
    }
    return wanted == PGRES_POLLING_OK ? 0 : failure_of_connection(d->conn, e);
}

/* Sends what libpq still holds. */
static int flush(struct db *d, int64_t until_us, struct err *e)
{
    int left;
    while ((left = PQflush(d->conn)) > 0) {
        int rc = wait_for(d, POLLIN | POLLOUT, until_us, e);
        if (rc)
            return rc;
        if (!PQconsumeInput(d->conn))
            return failure_of_connection(d->conn, e);
    }
    return left == 0 ? 0 : failure_of_connection(d->conn, e);
}

/* The next result of what was sent; *out is NULL behind the last. */
static int next_result(struct db *d, PGresult **out, struct err *e)
{
    int64_t until_us = deadline_us(d, 0);
    int rc = flush(d, until_us, e);
    while (!rc && PQisBusy(d->conn)) {
        rc = wait_for(d, POLLIN, until_us, e);
        if (!rc && !PQconsumeInput(d->conn))
            rc = failure_of_connection(d->conn, e);
    }
    *out = rc ? NULL : PQgetResult(d->conn);
    return rc;
}

/* Reads all results. The last good one is for the caller if wanted; the first bad one is the error.
 * A COPY is left open for its data. */
static int collect(struct db *d, PGresult **out, struct err *e)
{
    PGresult *r = NULL, *kept = NULL;
    int rc = 0, lost;
    bool copying = false;
    while (!(lost = next_result(d, &r, rc ? NULL : e)) && r && !copying) {
        ExecStatusType status = PQresultStatus(r);
        copying = status == PGRES_COPY_IN;
        if (!rc && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
            status != PGRES_EMPTY_QUERY && !copying) {
            const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
            snprintf(d->sqlstate, sizeof d->sqlstate, "%s", state ? state : "");
            rc = failure_of_result(d->conn, r, !d->opts.migrating, e);
        }
        PQclear(kept);
        kept = r;
        if (copying)
            break;
    }
    if (lost)
        rc = lost;
    if (out && !rc)
        *out = kept;
    else
        PQclear(kept);
    return rc;
}

static int not_connected(struct db *d, struct err *e)
{
    if (e)
        *e = d->last;
    return d->last.code ? d->last.code
                        : err_set(e, ERR_UNAVAILABLE, "not connected to PostgreSQL yet");
}

static int run(struct db *d, const char *sql, struct err *why)
{
    if (!PQsendQuery(d->conn, sql))
        return failure_of_connection(d->conn, why);
    return collect(d, NULL, why);
}

/* The server gives up before we do, so that it does not go on with what nobody waits for; and it
 * ends the transaction of a session that froze with it open. */
static int set_limits(struct db *d, struct err *e)
{
    char sql[256];
    int ms = d->opts.timeout_ms;
    if (!ms)
        return 0;
    snprintf(sql, sizeof sql,
             "SET statement_timeout = %d; SET lock_timeout = %d; SET "
             "idle_in_transaction_session_timeout = %d",
             ms * 4 / 5, ms / 2, ms * 4);
    return run(d, sql, e);
}

/* Ours stand before the URL, which replaces what it names itself. */
static PGconn *dial(const struct db *d)
{
    char timeout[16];
    snprintf(timeout, sizeof timeout, "%d",
             d->opts.timeout_ms ? d->opts.timeout_ms : DEFAULT_CONNECT_MS);
    const char *names[] = {
        "fallback_application_name", "keepalives_idle", "keepalives_interval", "keepalives_count",
        "tcp_user_timeout",          "dbname",          "client_encoding",     NULL};
    const char *values[] = {d->application, "5", "5", "3", timeout, d->url, "UTF8", NULL};
    return PQconnectStartParams(names, values, 1);
}

static void no_notices(void *arg, const PGresult *r)
{
    (void)arg, (void)r;
}

int db_connect(struct db *d, struct err *e)
{
    struct err why = {0};
    if (d->conn && PQstatus(d->conn) == CONNECTION_OK)
        return 0;
    if (d->last.code && clock_monotonic_us() < d->due_us)
        return not_connected(d, e);
    drop(d);
    d->conn = dial(d);
    if (!d->conn)
        return err_nomem(e);
    int rc = PQstatus(d->conn) == CONNECTION_BAD ? failure_of_connection(d->conn, &why)
                                                 : shake_hands(d, &why);
    if (!rc) {
        PQsetNoticeReceiver(d->conn, no_notices, NULL);
        PQsetnonblocking(d->conn, 1);
        rc = set_limits(d, &why);
    }
    if (rc)
        return fail(d, &why, e);
    d->session++;
    return 0;
}

int db_wait(struct db *d, int limit_ms, struct err *e)
{
    int64_t until_us = clock_monotonic_us() + limit_ms * 1000L;
    int rc;
    while ((rc = db_connect(d, e)) == ERR_UNAVAILABLE) {
        if (clock_monotonic_us() >= until_us || (d->opts.stopping && d->opts.stopping()))
            break;
        clock_sleep_ms(SLICE_MS);
    }
    return rc;
}

void db_settle(struct db *d)
{
    d->delay_ms = 0;
    d->last = (struct err){0};
}

uint64_t db_session(const struct db *d)
{
    return d->session;
}

const char *db_sqlstate(const struct db *d)
{
    return d->sqlstate;
}

int db_run(struct db *d, const char *sql, struct err *e)
{
    struct err why = {0};
    if (!d->conn)
        return not_connected(d, e);
    int rc = run(d, sql, &why);
    return rc ? fail(d, &why, e) : 0;
}

int db_query(struct db *d, PGresult **out, const char *sql, int n, const char *const *values,
             struct err *e)
{
    struct err why = {0};
    if (!d->conn)
        return not_connected(d, e);
    int rc = PQsendQueryParams(d->conn, sql, n, NULL, values, NULL, NULL, 0)
                 ? collect(d, out, &why)
                 : failure_of_connection(d->conn, &why);
    return rc ? fail(d, &why, e) : 0;
}

static int send_bytes(struct db *d, struct str bytes, struct err *e)
{
    while (bytes.len) {
        int n = bytes.len < COPY_CHUNK_BYTES ? (int)bytes.len : COPY_CHUNK_BYTES;
        FAILPOINT("db.copy.before_piece");
        int sent = PQputCopyData(d->conn, bytes.data, n);
        if (sent < 0)
            return failure_of_connection(d->conn, e);
        /* Each piece has the whole timeout: what matters is that the server goes on reading. */
        int rc = flush(d, deadline_us(d, 0), e);
        FAILPOINT("db.copy.piece_sent");
        if (rc)
            return rc;
        if (sent > 0)
            bytes = str_bytes(bytes.data + n, bytes.len - (size_t)n);
    }
    FAILPOINT("db.copy.before_end");
    int ended = PQputCopyEnd(d->conn, NULL);
    FAILPOINT("db.copy.end_sent");
    return ended < 0 ? failure_of_connection(d->conn, e) : 0;
}

int db_copy(struct db *d, const char *sql, struct str bytes, struct err *e)
{
    struct err why = {0};
    if (!d->conn)
        return not_connected(d, e);
    int rc = run(d, sql, &why);
    if (!rc)
        rc = send_bytes(d, bytes, &why);
    if (!rc)
        rc = collect(d, NULL, &why);
    FAILPOINT("db.copy.ended");
    return rc ? fail(d, &why, e) : 0;
}

void db_rollback(struct db *d)
{
    if (!d->conn || PQtransactionStatus(d->conn) == PQTRANS_IDLE)
        return;
    struct err why = {0};
    if (PQtransactionStatus(d->conn) == PQTRANS_ACTIVE || run(d, "ROLLBACK", &why))
        drop(d);
}

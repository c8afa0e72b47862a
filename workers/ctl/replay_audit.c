#include "replay_audit.h"

#include "base/clock.h"
#include "base/failpoint.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

/* A lock of the fleet: whoever begins a run has it alone, whoever writes rows shares it. */
#define LOCK_KEYS "(hashtext('flotilla dead-letters replay'), hashtext($1))"

/* A PostgreSQL that restarts, or a replay that was frozen with rows locked, is waited for so long:
 * the server ends the latter's session after four times postgres.timeout_ms. */
enum { PATIENCE_MS = 120000, RETRY_MS = 100 };

/* What is done in a transaction. */
typedef int replay_work(struct replay_run *r, void *arg, struct err *e);

static int end(struct replay_run *r, int rc, struct err *e)
{
    FAILPOINT("replay.audit.before_commit");
    if (!rc)
        rc = db_run(r->db, "COMMIT", e);
    FAILPOINT("replay.audit.committed");
    if (rc)
        db_rollback(r->db);
    return rc;
}

/* Each of these may be done twice: whether a COMMIT in flight took effect is not known. */
static int do_patiently(struct replay_run *r, replay_work *work, void *arg, struct err *e)
{
    int64_t until_us = clock_monotonic_us() + PATIENCE_MS * INT64_C(1000);
    for (;;) {
        int rc = db_connect(r->db, e);
        FAILPOINT("replay.audit.before_begin");
        if (!rc)
            rc = db_run(r->db, "BEGIN", e);
        FAILPOINT("replay.audit.begun");
        if (!rc)
            rc = end(r, work(r, arg, e), e);
        else
            db_rollback(r->db);
        if (!rc)
            db_settle(r->db);
        if (rc != ERR_UNAVAILABLE || ctl_stopping() || clock_monotonic_us() >= until_us)
            return rc;
        clock_sleep_ms(RETRY_MS);
    }
}

/* ---- Runs ---- */

static int write_run(struct replay_run *r, void *arg, struct err *e)
{
    const char *const *given = arg;
    const char *values[] = {r->fleet, ctl_user(), given[0], given[1]};
    PGresult *row = NULL;
    int rc = db_query(r->db, NULL, "SELECT pg_advisory_xact_lock" LOCK_KEYS, 1, values, e);
    if (!rc)
        rc = db_query(r->db, &row,
                      "INSERT INTO dead_letter_replay_runs (fleet, os_user, command, filter) "
                      "VALUES ($1, $2, $3, $4) RETURNING run",
                      4, values, e);
    if (!rc)
        snprintf(r->number, sizeof r->number, "%s", PQgetvalue(row, 0, 0));
    PQclear(row);
    return rc;
}

int replay_run_begin(struct replay_run *r, struct db *d, const char *fleet, const char *command,
                     const char *filter, struct err *e)
{
    const char *given[] = {command, filter};
    *r = (struct replay_run){.db = d, .fleet = fleet};
    return do_patiently(r, write_run, given, e);
}

/* Until the end of the transaction, no other run can begin. */
static int stay_newest(struct replay_run *r, struct err *e)
{
    PGresult *row = NULL;
    int rc =
        db_query(r->db, NULL, "SELECT pg_advisory_xact_lock_shared" LOCK_KEYS, 1, &r->fleet, e);
    /* A statement of its own: it sees what was committed before the lock was had. */
    if (!rc)
        rc = db_query(r->db, &row, "SELECT max(run) FROM dead_letter_replay_runs WHERE fleet = $1",
                      1, &r->fleet, e);
    if (!rc && strcmp(PQgetvalue(row, 0, 0), r->number) != 0)
        rc = err_set(e, ERR_FENCED,
                     "another replay has begun (run %s) and goes on in place of this one (run %s)",
                     PQgetvalue(row, 0, 0), r->number);
    PQclear(row);
    return rc;
}

/* ---- Items ---- */

struct items {
    struct replay_item *list;
    size_t count;
};

/* The texts of an item's columns. */
struct columns {
    char partition[16], offset[32], target_partition[16], log_end[32], target_offset[32], bytes[32];
    char sha256[2 * SHA256_DIGEST_LENGTH + 1];
};

static void put_columns(struct columns *c, const struct replay_item *i)
{
    snprintf(c->partition, sizeof c->partition, "%d", i->place.partition);
    snprintf(c->offset, sizeof c->offset, "%" PRId64, i->place.offset);
    snprintf(c->target_partition, sizeof c->target_partition, "%d", i->target_partition);
    snprintf(c->log_end, sizeof c->log_end, "%" PRId64, i->log_end);
    snprintf(c->target_offset, sizeof c->target_offset, "%" PRId64, i->target_offset);
}

static void put_digest(struct columns *c, struct str value)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256((const uint8_t *)value.data, value.len, digest);
    snprintf(c->bytes, sizeof c->bytes, "%zu", value.len);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(c->sha256 + 2 * i, 3, "%02x", digest[i]);
}

/* A row that says 'left' may be tried again, and one of this run is the one that was just written;
 * any other is somebody's. */
static int claim(struct replay_run *r, struct replay_item *i, struct err *e)
{
    static const char sql[] =
        "INSERT INTO dead_letter_replays AS p (topic, partition, \"offset\", run, state, note, "
        "target_partition, log_end, sent_bytes, sent_sha256) VALUES ($1, $2::integer, $3::bigint, "
        "$4::bigint, $5, $6, $7::integer, $8::bigint, $9::integer, decode($10, 'hex')) "
        "ON CONFLICT (topic, partition, \"offset\") DO UPDATE SET run = excluded.run, "
        "state = excluded.state, note = excluded.note, "
        "target_partition = excluded.target_partition, log_end = excluded.log_end, "
        "sent_bytes = excluded.sent_bytes, sent_sha256 = excluded.sent_sha256, "
        "target_offset = NULL, attempts = p.attempts + 1, changed_at = now() "
        "WHERE p.state = 'left' OR p.run = excluded.run RETURNING 1";
    struct columns c;
    struct str value = item_value(i);
    PGresult *row = NULL;
    put_columns(&c, i);
    if (i->send && value.data)
        put_digest(&c, value);
    bool digest = i->send && value.data;
    const char *values[] = {i->place.topic,
                            c.partition,
                            c.offset,
                            r->number,
                            i->send ? "sending" : "left",
                            i->send ? NULL : i->note,
                            i->send ? c.target_partition : NULL,
                            i->send ? c.log_end : NULL,
                            digest ? c.bytes : NULL,
                            digest ? c.sha256 : NULL};
    int rc = db_query(r->db, &row, sql, 10, values, e);
    i->taken = !rc && PQntuples(row) == 0;
    PQclear(row);
    return rc;
}

static int claim_all(struct replay_run *r, void *arg, struct err *e)
{
    const struct items *items = arg;
    int rc = stay_newest(r, e);
    for (size_t i = 0; i < items->count && !rc; i++)
        rc = claim(r, &items->list[i], e);
    return rc;
}

int replay_run_claim(struct replay_run *r, struct replay_item *items, size_t n, struct err *e)
{
    return do_patiently(r, claim_all, &(struct items){items, n}, e);
}

/* Of a row that is still as it was found: another run may have settled it meanwhile. */
static int close_row(struct replay_run *r, const struct replay_item *i, const char *condition,
                     const char *note, struct err *e)
{
    struct columns c;
    bool sent = i->target_offset >= 0;
    char sql[512];
    put_columns(&c, i);
    snprintf(sql, sizeof sql,
             "UPDATE dead_letter_replays SET state = $5, note = $6, target_offset = $7::bigint, "
             "changed_at = now() WHERE topic = $1 AND partition = $2::integer AND \"offset\" = "
             "$3::bigint AND state = 'sending' AND run %s $4::bigint",
             condition);
    const char *values[] = {i->place.topic,
                            c.partition,
                            c.offset,
                            r->number,
                            sent ? "sent" : "left",
                            note,
                            sent ? c.target_offset : NULL};
    return db_query(r->db, NULL, sql, 7, values, e);
}

static int mark_all(struct replay_run *r, void *arg, struct err *e)
{
    const struct items *items = arg;
    int rc = 0;
    for (size_t i = 0; i < items->count && !rc; i++) {
        const struct replay_item *item = &items->list[i];
        if (!item->taken && (item->target_offset >= 0 || !item->send))
            rc = close_row(r, item, "=", item->target_offset >= 0 ? NULL : item->note, e);
    }
    return rc;
}

int replay_run_mark(struct replay_run *r, struct replay_item *items, size_t n, struct err *e)
{
    return do_patiently(r, mark_all, &(struct items){items, n}, e);
}

/* ---- What older runs have left ---- */

int replay_run_unsettled(struct replay_run *r, const char *topics, struct replay_item *items,
                         size_t most, size_t *n, struct err *e)
{
    char limit[24];
    PGresult *rows = NULL;
    snprintf(limit, sizeof limit, "%zu", most);
    *n = 0;
    int rc = db_query(r->db, &rows,
                      "SELECT topic, partition, \"offset\", target_partition, log_end FROM "
                      "dead_letter_replays WHERE state = 'sending' AND topic = ANY ($1::text[]) "
                      "AND run < $2::bigint ORDER BY 1, 2, 3 LIMIT $3::bigint",
                      3, (const char *const[]){topics, r->number, limit}, e);
    for (; !rc && *n < (size_t)PQntuples(rows); ++*n) {
        struct replay_item *i = &items[*n];
        int row = (int)*n;
        *i = (struct replay_item){.target_offset = -1};
        snprintf(i->place.topic, sizeof i->place.topic, "%s", PQgetvalue(rows, row, 0));
        i->place.partition = atoi(PQgetvalue(rows, row, 1));
        i->place.offset = strtoll(PQgetvalue(rows, row, 2), NULL, 10);
        i->target_partition = atoi(PQgetvalue(rows, row, 3));
        i->log_end = strtoll(PQgetvalue(rows, row, 4), NULL, 10);
    }
    PQclear(rows);
    return rc;
}

static int settle_all(struct replay_run *r, void *arg, struct err *e)
{
    const struct items *items = arg;
    int rc = stay_newest(r, e);
    for (size_t i = 0; i < items->count && !rc; i++)
        rc = close_row(r, &items->list[i], "<",
                       items->list[i].target_offset >= 0
                           ? "its replay was ended before it knew: found in the topic"
                           : "its replay was ended before it was sent: not in the topic",
                       e);
    return rc;
}

int replay_run_settle(struct replay_run *r, struct replay_item *items, size_t n, struct err *e)
{
    return do_patiently(r, settle_all, &(struct items){items, n}, e);
}

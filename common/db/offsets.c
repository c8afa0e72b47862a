#include "db/offsets.h"

#include "base/buf.h"
#include "base/failpoint.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t number_at(const PGresult *r, int row, int column, int64_t null)
{
    return PQgetisnull(r, row, column) ? null : strtoll(PQgetvalue(r, row, column), NULL, 10);
}

/*
 * Ends the session of a former owner that holds the row for longer than anybody waits for a lock:
 * a process that froze in its transaction. PostgreSQL ends it by itself only where it idles between
 * two statements, never in the middle of a COPY. The row's xmax is the transaction that holds it.
 */
static int end_frozen_owner(struct db *d, const char *const *group_topic_partition, struct err *e)
{
    static const char sql[] =
        "SELECT pg_terminate_backend(a.pid) FROM consumer_offsets o "
        "JOIN pg_locks l ON l.locktype = 'transactionid' AND l.granted AND l.transactionid = "
        "o.xmax "
        "JOIN pg_stat_activity a ON a.pid = l.pid AND a.usesysid = (SELECT usesysid FROM "
        "pg_stat_activity WHERE pid = pg_backend_pid()) "
        "WHERE o.group_name = $1 AND o.topic = $2 AND o.partition = $3::integer "
        "AND now() - a.xact_start > current_setting('lock_timeout')::interval";
    return db_query(d, NULL, sql, 3, group_topic_partition, e);
}

int offsets_claim(struct db *d, const char *group, struct offset_claim *c, struct err *e)
{
    static const char sql[] =
        "INSERT INTO consumer_offsets AS o (group_name, topic, partition, epoch) "
        "VALUES ($1, $2, $3::integer, 1) "
        "ON CONFLICT (group_name, topic, partition) "
        "DO UPDATE SET epoch = o.epoch + 1, updated_at = now() "
        "RETURNING next_offset, epoch";
    PGresult *r = NULL;
    char partition[16];
    snprintf(partition, sizeof partition, "%d", c->partition);
    const char *values[] = {group, c->topic, partition};
    int rc = end_frozen_owner(d, values, e);
    if (!rc)
        rc = db_query(d, &r, sql, 3, values, e);
    if (rc) {
        err_wrap(e, "claim topic %s partition %d", c->topic, c->partition);
        return rc;
    }
    c->next_offset = number_at(r, 0, 0, OFFSET_NONE);
    c->epoch = number_at(r, 0, 1, 0);
    c->fenced = false;
    PQclear(r);
    return 0;
}

/* The claims as arrays in PostgreSQL's text form; names of topics need no quoting. */
struct arrays {
    struct buf topics, partitions, offsets;
};

static int make_arrays(struct arrays *a, const struct offset_claim *claims, size_t n, struct err *e)
{
    *a = (struct arrays){0};
    for (size_t i = 0; i < n; i++) {
        char before = i ? ',' : '{';
        buf_printf(&a->topics, "%c%s", before, claims[i].topic);
        buf_printf(&a->partitions, "%c%d", before, claims[i].partition);
        buf_printf(&a->offsets, "%c%lld", before, (long long)claims[i].advance_to);
    }
    buf_put(&a->topics, "}", 2);
    buf_put(&a->partitions, "}", 2);
    buf_put(&a->offsets, "}", 2);
    return buf_ok(&a->topics) && buf_ok(&a->partitions) && buf_ok(&a->offsets) ? 0 : err_nomem(e);
}

static void free_arrays(struct arrays *a)
{
    buf_free(&a->topics);
    buf_free(&a->partitions);
    buf_free(&a->offsets);
}

/* Compares what the table says (in the order of claims, locked) with what we think. */
static int compare(const PGresult *r, struct offset_claim *claims, size_t n, bool *already,
                   struct err *e)
{
    size_t moved = 0, fenced = 0;
    if ((size_t)PQntuples(r) != n)
        return err_set(e, ERR_FATAL,
                       "rows of consumer_offsets are gone while their partitions are being "
                       "recorded: restart to begin again "
                       "at the first offset");
    for (size_t i = 0; i < n; i++) {
        struct offset_claim *c = &claims[i];
        int64_t stored = number_at(r, (int)i, 0, OFFSET_NONE);
        c->fenced = number_at(r, (int)i, 1, 0) != c->epoch;
        fenced += c->fenced;
        moved += stored == c->advance_to && stored != c->next_offset;
        if (!c->fenced && stored != c->advance_to && stored != c->next_offset)
            return err_set(e, ERR_FATAL,
                           "topic %s partition %d stands at %lld in consumer_offsets, expected was "
                           "%lld: somebody else changed "
                           "it; restart to go on from there",
                           c->topic, c->partition, (long long)stored, (long long)c->next_offset);
    }
    if (fenced)
        return err_set(e, ERR_FENCED, "%zu partitions were claimed by another recorder", fenced);
    *already = moved > 0;
    return 0;
}

int offsets_advance(struct db *d, const char *group, struct offset_claim *claims, size_t n,
                    bool *already, struct err *e)
{
    /* Rows are locked in one order everywhere, so that two recorders cannot wait for each other. */
    static const char lock[] =
        "SELECT o.next_offset, o.epoch FROM consumer_offsets o "
        "JOIN unnest($2::text[], $3::integer[]) WITH ORDINALITY AS n (topic, partition, i) "
        "ON o.group_name = $1 AND o.topic = n.topic AND o.partition = n.partition ORDER BY n.i FOR "
        "UPDATE OF o";
    static const char move[] =
        "UPDATE consumer_offsets o SET next_offset = n.next_offset, updated_at = now() "
        "FROM unnest($2::text[], $3::integer[], $4::bigint[]) AS n (topic, partition, next_offset) "
        "WHERE o.group_name = $1 AND o.topic = n.topic AND o.partition = n.partition";
    struct arrays a;
    PGresult *r = NULL;
    *already = false;
    int rc = make_arrays(&a, claims, n, e);
    const char *values[] = {group, (const char *)a.topics.data, (const char *)a.partitions.data,
                            (const char *)a.offsets.data};
    if (!rc)
        rc = db_query(d, &r, lock, 3, values, e);
    if (!rc)
        rc = compare(r, claims, n, already, e);
    FAILPOINT("offsets.locked");
    if (!rc && !*already)
        rc = db_query(d, NULL, move, 4, values, e);
    FAILPOINT("offsets.moved");
    PQclear(r);
    free_arrays(&a);
    return rc;
}

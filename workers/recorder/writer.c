#include "recorder/writer.h"

#include "base/clock.h"
#include "base/log.h"

int writer_init(struct writer *w, const struct db_opts *opts, const char *group,
                struct codec *codec, struct metrics *m, struct err *e)
{
    static const double seconds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
    *w = (struct writer){.group = group, .metrics = m};
    w->batches = metric_get(m, METRIC_COUNTER, "flotilla_recorder_batches_total",
                            "Transactions committed.", NULL, NULL);
    w->commit_seconds =
        metric_histogram(m, "flotilla_recorder_commit_seconds", "Time to write and commit a batch.",
                         seconds, sizeof seconds / sizeof *seconds);
    int rc = db_new(&w->db, opts, e);
    return rc ? rc : batch_new(&w->batch, codec, e);
}

void writer_free(struct writer *w)
{
    batch_free(w->batch);
    db_free(w->db);
}

static int write_rows(struct writer *w, struct partitions *p, struct err *e)
{
    bool already = false;
    int rc = db_run(w->db, "BEGIN", e);
    if (!rc)
        rc = partitions_advance(p, w->db, w->group, &already, e);
    if (!rc && already) {
        LOG_INFO("batch_was_committed", LOG_INT("records", batch_records(w->batch)));
        db_rollback(w->db);
        return 0;
    }
    if (!rc)
        rc = batch_write(w->batch, w->db, e);
    return rc ? rc : db_run(w->db, "COMMIT", e);
}

static void count(void *arg, const char *table, const char *reason, size_t n)
{
    struct metrics *m = arg;
    struct metric *s =
        table ? metric_get(m, METRIC_COUNTER, "flotilla_recorder_rows_total",
                           "Rows written to a table.", "table", table)
              : metric_get(m, METRIC_COUNTER, "flotilla_recorder_dead_letters_total",
                           "Records that could not be recorded, by reason.", "reason", reason);
    metric_add(s, (double)n);
}

int writer_commit(struct writer *w, struct partitions *p, struct err *e)
{
    int64_t started_us = clock_monotonic_us();
    struct batch_counts counts = {count, w->metrics};
    int rc = db_connect(w->db, e);
    if (!rc)
        rc = batch_prepare(w->batch, w->db, e);
    if (!rc)
        rc = write_rows(w, p, e);
    if (rc) {
        db_rollback(w->db);
        return rc;
    }
    db_settle(w->db);
    partitions_advanced(p);
    metric_add(w->batches, 1);
    histogram_observe(w->commit_seconds, (double)(clock_monotonic_us() - started_us) / 1e6);
    batch_count(w->batch, &counts);
    batch_clear(w->batch);
    return 0;
}

#include "recorder/writer.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"

int writer_init(struct writer *w, const struct db_opts *opts, const char *group, struct err *e)
{
    *w = (struct writer){.group = group};
    return db_new(&w->db, opts, e);
}

void writer_free(struct writer *w)
{
    db_free(w->db);
}

static int write_rows(struct writer *w, struct load *l, struct err *e)
{
    bool already = false;
    FAILPOINT("recorder.commit.before_begin");
    int rc = db_run(w->db, "BEGIN", e);
    FAILPOINT("recorder.commit.begun");
    if (!rc && l->claim_count)
        rc = offsets_advance(w->db, w->group, l->claims, l->claim_count, &already, e);
    FAILPOINT("recorder.commit.offsets_written");
    if (!rc && already) {
        LOG_INFO("batch_was_committed", LOG_INT("records", batch_records(l->batch)));
        db_rollback(w->db);
        return 0;
    }
    if (!rc)
        rc = batch_write(l->batch, w->db, e);
    FAILPOINT("recorder.commit.before_commit");
    if (!rc)
        rc = db_run(w->db, "COMMIT", e);
    FAILPOINT("recorder.commit.committed");
    return rc;
}

static int prepare(struct writer *w, const struct batch *b, struct err *e)
{
    int rc = db_connect(w->db, e);
    if (rc || w->session == db_session(w->db))
        return rc;
    /* While there was no connection, the server may have become another one. */
    rc = home_check(&w->home, w->db, "", e);
    if (!rc)
        rc = batch_prepare(b, w->db, e);
    if (!rc)
        w->session = db_session(w->db);
    return rc;
}

int writer_write(struct writer *w, struct load *l, struct err *e)
{
    int64_t started_us = clock_monotonic_us();
    int rc = prepare(w, l->batch, e);
    if (!rc)
        rc = write_rows(w, l, e);
    if (rc) {
        db_rollback(w->db);
        return rc;
    }
    db_settle(w->db);
    l->took_us = clock_monotonic_us() - started_us;
    return 0;
}

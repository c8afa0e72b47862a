#include "recorder/flight.h"

#include "base/clock.h"
#include "base/failpoint.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Of the load that was started last. */
enum stage {
    STAGE_NONE,
    STAGE_OUT,   /* the thread has it, and the connection */
    STAGE_ENDED, /* rc and why say how; nobody has been told */
    STAGE_FAILED,
};

struct flight {
    struct writer writer;
    struct load loads[2];
    struct load *filling, *out; /* either */
    struct metrics *metrics;
    struct metric *batches;
    struct histogram *commit_seconds;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum stage stage; /* guarded by lock, as are the next */
    bool ending;
    int rc;
    struct err why;
};

static void *run(void *arg)
{
    struct flight *f = arg;
    pthread_mutex_lock(&f->lock);
    for (;;) {
        while (f->stage != STAGE_OUT && !f->ending)
            pthread_cond_wait(&f->changed, &f->lock);
        if (f->stage != STAGE_OUT)
            break;
        pthread_mutex_unlock(&f->lock);
        struct err why = {0};
        int rc = writer_write(&f->writer, f->out, &why);
        pthread_mutex_lock(&f->lock);
        f->rc = rc;
        f->why = why;
        f->stage = STAGE_ENDED;
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static void make_metrics(struct flight *f, struct metrics *m)
{
    static const double seconds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
    f->metrics = m;
    f->batches = metric_get(m, METRIC_COUNTER, "flotilla_recorder_batches_total",
                            "Transactions committed.", NULL, NULL);
    f->commit_seconds =
        metric_histogram(m, "flotilla_recorder_commit_seconds", "Time to write and commit a batch.",
                         seconds, sizeof seconds / sizeof *seconds);
}

int flight_new(struct flight **out, const struct db_opts *opts, const char *group,
               struct codec *codec, struct metrics *m, struct err *e)
{
    struct flight *f = calloc(1, sizeof *f);
    pthread_condattr_t monotonic;
    if (!f)
        return err_nomem(e);
    pthread_mutex_init(&f->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&f->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    make_metrics(f, m);
    f->filling = &f->loads[0];
    f->out = &f->loads[1];
    int rc = writer_init(&f->writer, opts, group, e);
    for (int i = 0; i < 2 && !rc; i++)
        rc = batch_new(&f->loads[i].batch, codec, e);
    int why = rc ? 0 : pthread_create(&f->thread, NULL, run, f);
    if (why)
        rc = err_set(e, why == EAGAIN ? ERR_NOMEM : ERR_FATAL,
                     "cannot start the thread that writes to PostgreSQL: %s", strerror(why));
    f->has_thread = !rc;
    if (rc)
        flight_free(f);
    else
        *out = f;
    return rc;
}

static void set_stage(struct flight *f, enum stage stage, bool ending)
{
    pthread_mutex_lock(&f->lock);
    f->stage = stage;
    f->ending = ending;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static enum stage stage_of(const struct flight *f)
{
    struct flight *locked = (struct flight *)(uintptr_t)f;
    pthread_mutex_lock(&locked->lock);
    enum stage stage = f->stage;
    pthread_mutex_unlock(&locked->lock);
    return stage;
}

void flight_free(struct flight *f)
{
    if (!f)
        return;
    if (f->has_thread) {
        set_stage(f, stage_of(f), true);
        pthread_join(f->thread, NULL);
    }
    for (int i = 0; i < 2; i++) {
        batch_free(f->loads[i].batch);
        free(f->loads[i].claims);
    }
    writer_free(&f->writer);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

struct db *flight_db(const struct flight *f)
{
    return f->writer.db;
}

void flight_settle_in(struct flight *f, const char *database)
{
    struct home_note *note = f->writer.home.notes;
    snprintf(note->id, sizeof note->id, "%s", database);
    snprintf(note->partition, sizeof note->partition, "what is at hand");
}

struct batch *flight_batch(const struct flight *f)
{
    return f->filling->batch;
}

size_t flight_records(const struct flight *f)
{
    return batch_records(f->filling->batch) + (flight_is_out(f) ? batch_records(f->out->batch) : 0);
}

bool flight_is_out(const struct flight *f)
{
    return stage_of(f) != STAGE_NONE;
}

bool flight_is_busy(const struct flight *f)
{
    return stage_of(f) == STAGE_OUT;
}

int flight_start(struct flight *f, const struct partitions *p, struct err *e)
{
    struct load *l = f->filling;
    free(l->claims);
    l->claims = NULL;
    int rc = partitions_claims(p, &l->claims, &l->claim_count, e);
    if (rc)
        return rc;
    f->filling = f->out;
    f->out = l;
    FAILPOINT("recorder.flight.before_start");
    set_stage(f, STAGE_OUT, false);
    FAILPOINT("recorder.flight.started");
    return 0;
}

void flight_retry(struct flight *f)
{
    if (stage_of(f) == STAGE_FAILED)
        set_stage(f, STAGE_OUT, false);
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

static void arrive(struct flight *f, struct partitions *p)
{
    struct load *l = f->out;
    struct batch_counts counts = {count, f->metrics};
    partitions_advanced(p, l->claims, l->claim_count);
    metric_add(f->batches, 1);
    histogram_observe(f->commit_seconds, (double)l->took_us / 1e6);
    batch_count(l->batch, &counts);
    batch_clear(l->batch);
    set_stage(f, STAGE_NONE, false);
    FAILPOINT("recorder.commit.known");
}

/* Whether it has ended, and nobody has been told. */
static bool has_ended(struct flight *f, int wait_ms)
{
    struct timespec until;
    int64_t until_us = clock_monotonic_us() + (int64_t)wait_ms * 1000;
    until.tv_sec = until_us / 1000000;
    until.tv_nsec = until_us % 1000000 * 1000;
    int late = 0;
    pthread_mutex_lock(&f->lock);
    while (f->stage == STAGE_OUT && wait_ms && !late) {
        if (wait_ms < 0)
            pthread_cond_wait(&f->changed, &f->lock);
        else
            late = pthread_cond_timedwait(&f->changed, &f->lock, &until);
    }
    bool ended = f->stage == STAGE_ENDED;
    pthread_mutex_unlock(&f->lock);
    return ended;
}

int flight_land(struct flight *f, struct partitions *p, int wait_ms, struct landing *l,
                struct err *e)
{
    if (l)
        *l = (struct landing){0};
    if (!has_ended(f, wait_ms))
        return 0;
    if (f->rc) {
        if (e)
            *e = f->why;
        set_stage(f, STAGE_FAILED, false);
        return f->rc;
    }
    struct landing arrived = {
        .landed = true, .records = batch_records(f->out->batch), .took_us = f->out->took_us};
    arrive(f, p);
    if (l)
        *l = arrived;
    return 0;
}

void flight_drop(struct flight *f)
{
    batch_clear(f->filling->batch);
    batch_clear(f->out->batch);
    set_stage(f, STAGE_NONE, false);
}

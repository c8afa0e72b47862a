/* What a backfill reads: a journal of Kafka's records, or of files'. */
#include "backfill.h"
#include "log_files.h"

#include "base/clock.h"

#include <jansson.h>

/* librdkafka wants a group, which stands before the slash, even where none is joined; this one is
 * of those that `status` needs a right to. */
static const char CLIENT_ID[] = "recorder/flotilla-backfill";

struct filling {
    struct backfill_job *job;
    struct intake *intake;
};

static int is_stopped(struct err *e)
{
    return err_set(e, ERR_ABORTED, "stopped while reading; the same command begins anew");
}

static bool on_records(void *arg, int64_t done, int64_t of)
{
    struct backfill_job *job = arg;
    progress_show(&job->progress, done, done, of);
    return !ctl_stopping();
}

static int on_line(void *arg, enum entry_kind kind, struct str line, const struct lines *l,
                   struct err *e)
{
    struct filling *f = arg;
    progress_show(&f->job->progress, l->number, l->read_bytes, l->total_bytes);
    return intake_line(f->intake, kind, line, l->name, l->number, e);
}

static bool is_from_files(const struct ctl *c)
{
    return ctl_option(c, "stream") || ctl_option(c, "events");
}

static int files_identity(struct buf *out, const struct ctl *c, const struct intake_opts *opts,
                          struct err *e)
{
    struct log_file files[LOG_FILES];
    const char *paths[LOG_FILES];
    size_t count = 0;
    int rc = log_files_find(c, files, &count, e);
    for (size_t i = 0; i < count; i++)
        paths[i] = files[i].path;
    return rc ? rc : intake_files_identity(out, paths, count, opts, e);
}

static int collect(struct backfill_job *job, const struct intake_opts *opts, struct err *e)
{
    struct filling f = {.job = job};
    int rc = intake_new(&f.intake, job->journal, opts, e);
    progress_start(&job->progress, is_from_files(job->ctl) ? "lines" : "records");
    if (!rc)
        rc = is_from_files(job->ctl) ? log_files_read(job->ctl, on_line, &f, e)
                                     : intake_kafka(f.intake, job->ctl->conf, CLIENT_ID, e);
    if (!rc && ctl_stopping())
        rc = is_stopped(e);
    if (!rc)
        rc = intake_seal(f.intake, e);
    progress_end(&job->progress);
    intake_free(f.intake);
    return rc;
}

/* Events that retention has removed. */
static int64_t count_gone(const json_t *counts)
{
    const json_t *partitions = json_object_get(counts, "partitions");
    int64_t gone = 0;
    for (size_t i = 0; i < json_array_size(partitions); i++) {
        const json_t *p = json_array_get(partitions, i);
        const char *topic = json_string_value(json_object_get(p, "topic"));
        if (topic && strcmp(topic, "events") == 0)
            gone += json_integer_value(json_object_get(p, "first"));
    }
    return gone;
}

/* Whether there were events behind all label windows: the journal has none of them. */
static bool any_behind(const json_t *counts)
{
    const json_t *left = json_object_get(counts, "left_out");
    bool any = false;
    for (size_t i = 0; i < json_array_size(left) && !any; i++) {
        const json_t *l = json_array_get(left, i);
        const char *kind = json_string_value(json_object_get(l, "kind"));
        const char *reason = json_string_value(json_object_get(l, "reason"));
        any = kind && reason && strcmp(kind, "events") == 0 && strcmp(reason, "after_range") == 0;
    }
    return any;
}

/* When the first event happened; INT64_MIN: there is none. */
static int find_first(int64_t *out, struct journal *j, struct err *e)
{
    struct journal_cursor *c = NULL;
    struct arena a = {0};
    struct entry entry = {0};
    bool more = true;
    *out = INT64_MIN;
    int rc = journal_read(&c, j, e);
    while (!rc && more && *out == INT64_MIN) {
        arena_reset(&a);
        rc = journal_next(c, &a, &entry, &more, e);
        if (!rc && more && entry.kind == ENTRY_EVENT)
            *out = entry.time_ms;
    }
    arena_free(&a);
    journal_cursor_free(c);
    return rc;
}

/* How far the log goes. Of a short one, most label windows of the usual length would be open at its
 * end: where none was asked for, it is a tenth of what events span, at most. */
static int find_end(struct backfill_job *job, struct err *e)
{
    enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS };
    int64_t first_ms, last_ms = journal_newest_ms(job->journal, ENTRY_EVENT);
    struct str text = journal_counts(job->journal);
    json_t *counts = json_loadb(text.data, text.len, 0, NULL);
    bool goes_on = any_behind(counts);
    job->gone = count_gone(counts);
    json_decref(counts);
    job->opts.log_end_ms = goes_on ? INT64_MAX : last_ms;
    if (goes_on || ctl_option(job->ctl, "label-window"))
        return 0;
    int rc = find_first(&first_ms, job->journal, e);
    if (rc || first_ms == INT64_MIN)
        return rc;
    int64_t tenth_ms = (last_ms - first_ms) / 10;
    tenth_ms -= tenth_ms % (tenth_ms >= MINUTE_MS ? MINUTE_MS : SECOND_MS);
    tenth_ms = tenth_ms > SECOND_MS ? tenth_ms : SECOND_MS;
    if (tenth_ms < job->opts.label_window_ms) {
        job->opts.label_window_ms = tenth_ms;
        job->is_window_fitted = true;
    }
    return 0;
}

int backfill_fill(struct backfill_job *job, struct err *e)
{
    const struct backfill_opts *o = &job->opts;
    struct intake_opts opts = {.codec = job->ctl->codec,
                               .to_ms = o->to_ms,
                               .label_window_ms = o->label_window_ms,
                               .max_clock_skew_ms = o->max_clock_skew_ms,
                               .progress = on_records,
                               .arg = job};
    int64_t started_us = clock_monotonic_us();
    int rc = is_from_files(job->ctl)
                 ? files_identity(&job->identity, job->ctl, &opts, e)
                 : intake_kafka_identity(&job->identity, job->ctl->conf, &opts, e);
    struct journal_opts journal = {.dir = (const char *)job->journal_dir.data,
                                   .identity = buf_str(&job->identity)};
    if (!rc)
        rc = journal_open(&job->journal, &journal, &job->was_sealed, e);
    if (!rc && !job->was_sealed)
        rc = collect(job, &opts, e);
    job->opts.source = buf_str(&job->identity);
    if (!rc)
        rc = find_end(job, e);
    job->read_us = clock_monotonic_us() - started_us;
    return rc;
}

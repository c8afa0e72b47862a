/* What a backfill is asked for. */
#include "backfill.h"

#include "base/duration.h"
#include "base/file.h"
#include "base/number.h"
#include "feature/instant.h"

#include <errno.h>
#include <stdlib.h>

enum { MOST_DEFINITIONS_BYTES = 16 * 1024 * 1024, LABEL_WINDOW_MS = 30 * 60 * 1000 };

/* A number below that is rather a year, or seconds (5138 as a year). */
static const int64_t LEAST_MOMENT_MS = 100000000000;

int backfill_moment(int64_t *out, const struct ctl *c, const char *option, int64_t standard,
                    struct err *e)
{
    const char *text = ctl_option(c, option);
    char *end;
    int64_t us;
    *out = standard;
    if (!text)
        return 0;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (*text && !*end && !errno) {
        if (*out > -LEAST_MOMENT_MS && *out < LEAST_MOMENT_MS)
            return err_set(e, ERR_INVALID,
                           "--%s is \"%s\", which as milliseconds lies in the first years behind "
                           "1970: is it a year, or are they seconds? Give a time as "
                           "2025-01-01T12:00:00Z, or milliseconds",
                           option, text);
        return 0;
    }
    if (!instant_parse_us(&us, str_of(text)))
        return err_set(e, ERR_INVALID,
                       "--%s is \"%s\": give a time as 2025-01-01T12:00:00Z, or milliseconds "
                       "since 1970",
                       option, text);
    *out = us / 1000;
    return 0;
}

static int read_range(struct backfill_opts *o, const struct ctl *c, struct err *e)
{
    int rc = backfill_moment(&o->from_ms, c, "from", INT64_MIN, e);
    if (!rc)
        rc = backfill_moment(&o->to_ms, c, "to", INT64_MAX, e);
    if (!rc && o->from_ms >= o->to_ms)
        rc = err_set(e, ERR_INVALID, "--from is not before --to: nothing lies between them");
    return rc;
}

static int read_labels(struct backfill_opts *o, const struct ctl *c, struct err *e)
{
    const char *labels = ctl_option(c, "labels"), *window = ctl_option(c, "label-window");
    const char *name;
    labels = labels ? labels : "click=1";
    o->labels_text = str_of(labels);
    o->label_window_ms = LABEL_WINDOW_MS;
    int rc = labels_parse(&o->labels, labels, e);
    for (int at = 0; !rc && (name = ctl_next(c, "impression", &at));)
        rc = labels_add_impression(&o->labels, name, e);
    if (!rc)
        rc = labels_check(&o->labels, e);
    if (rc)
        return err_wrap(e, "--labels, --impression");
    if (window && !duration_parse(&o->label_window_ms, window))
        return err_set(e, ERR_INVALID, "--label-window is \"%s\": give " DURATION_FORM, window);
    return 0;
}

static int read_choice(struct backfill_opts *o, const struct ctl *c, struct err *e)
{
    const char *only = ctl_option(c, "only"), *sample = ctl_option(c, "sample");
    int64_t part_rows;
    o->only = !only                              ? BACKFILL_BOTH
              : strcmp(only, "requests") == 0    ? BACKFILL_REQUESTS
              : strcmp(only, "impressions") == 0 ? BACKFILL_IMPRESSIONS
                                                 : BACKFILL_BOTH;
    if (only && o->only == BACKFILL_BOTH && strcmp(only, "both") != 0)
        return err_set(e, ERR_INVALID, "--only is \"%s\": give requests, impressions or both",
                       only);
    o->sample = 1;
    if (sample && (!number_parse(&o->sample, sample) || !(o->sample > 0) || o->sample > 1))
        return err_set(e, ERR_INVALID,
                       "--sample is \"%s\": give a share above 0, 1 at most, as 0.1", sample);
    o->keeps_unshown = ctl_option(c, "with-unshown") != NULL;
    o->keeps_incomplete = ctl_option(c, "incomplete") != NULL;
    int rc = ctl_number(&part_rows, c, "part-rows", 0, 1, 1000000000, e);
    o->part_rows = (uint64_t)part_rows;
    return rc;
}

static int read_source(const struct ctl *c, struct err *e)
{
    static const char *const beside[] = {"requests", "users", "propositions", "scored"};
    if (ctl_option(c, "stream") && ctl_option(c, "events"))
        return err_set(e, ERR_INVALID, "give --stream or --events, not both");
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
        if (ctl_option(c, beside[i]) && !ctl_option(c, "events"))
            return err_set(e, ERR_INVALID,
                           "--%s is a file beside --events FILE: without that, records come from "
                           "Kafka or --stream",
                           beside[i]);
    return 0;
}

static int read_features(struct backfill_job *job, struct err *e)
{
    const char *file = ctl_option(job->ctl, "features");
    file = file ? file : conf_text(job->ctl->conf, "features.file");
    if (!*file)
        return err_set(e, ERR_INVALID,
                       "which features are wanted is not said: give --features FILE, which "
                       "`flotilla features suggest` writes a first one of");
    int rc = file_read(&job->definitions, file, MOST_DEFINITIONS_BYTES, e);
    if (!rc)
        rc = feature_set_parse(&job->features, file, buf_str(&job->definitions), e);
    job->opts.features = job->features;
    job->opts.definitions = buf_str(&job->definitions);
    return rc;
}

void backfill_job_free(struct backfill_job *job)
{
    journal_free(job->journal);
    feature_set_free(job->features);
    buf_free(&job->journal_dir);
    buf_free(&job->definitions);
    buf_free(&job->identity);
    buf_free(&job->text);
}

int backfill_job_init(struct backfill_job *job, const struct ctl *c, const char *dir, struct err *e)
{
    const char *journal = ctl_option(c, "journal");
    *job = (struct backfill_job){.ctl = c, .dir = dir};
    job->opts.dir = dir;
    job->opts.max_clock_skew_ms = conf_int(c->conf, "max_clock_skew_ms");
    job->opts.max_keys_per_user = (uint32_t)conf_int(c->conf, "max_keys_per_user");
    int rc = read_source(c, e);
    if (!rc)
        rc = read_range(&job->opts, c, e);
    if (!rc)
        rc = read_labels(&job->opts, c, e);
    if (!rc)
        rc = read_choice(&job->opts, c, e);
    if (!rc)
        rc = read_features(job, e);
    if (rc)
        return rc;
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    if (journal)
        buf_put_text(&job->journal_dir, journal);
    else
        buf_printf(&job->journal_dir, "%.*s.journal", (int)n, dir);
    buf_put_u8(&job->journal_dir, 0);
    return buf_ok(&job->journal_dir) ? 0 : err_nomem(e);
}

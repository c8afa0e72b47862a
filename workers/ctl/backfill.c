/* flotilla backfill: a training set from what happened. */
#include "backfill.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool on_progress(void *arg, uint64_t vectors, uint64_t done, uint64_t of)
{
    struct backfill_job *job = arg;
    progress_show(&job->progress, (int64_t)vectors, (int64_t)done, (int64_t)of);
    return !ctl_stopping();
}

/* Whether a set's writer makes files of this name. */
static bool is_of_set(const char *name)
{
    return *name == '.' || strncmp(name, "part-", 5) == 0 || strncmp(name, "unfinished", 10) == 0 ||
           strncmp(name, "set.json", 8) == 0;
}

/* What another run was killed over at its very end. */
static int remove_left_journal(const struct backfill_job *job, struct err *e)
{
    const struct ctl *c = job->ctl;
    bool is_own = !ctl_option(c, "journal") && !ctl_option(c, "keep-journal");
    return is_own ? journal_remove((const char *)job->journal_dir.data, e) : 0;
}

/* Reading takes long: what cannot be written is said before it. */
static int check_dir(const struct backfill_job *job, struct err *e)
{
    DIR *d = opendir(job->dir);
    const struct dirent *entry;
    int rc = 0;
    if (!d)
        return errno == ENOENT ? 0
                               : err_set(e, ERR_INVALID, "--out %s: %s", job->dir, strerror(errno));
    while (!rc && (entry = readdir(d))) {
        if (strcmp(entry->d_name, "set.json") == 0) {
            rc = remove_left_journal(job, e);
            if (!rc)
                rc = err_set(e, ERR_INVALID,
                             "%s is a finished set: give another directory, or remove it first",
                             job->dir);
        } else if (!is_of_set(entry->d_name)) {
            rc = err_set(e, ERR_INVALID,
                         "%s holds other files (%s): give a directory of the set's own", job->dir,
                         entry->d_name);
        }
    }
    closedir(d);
    return rc;
}

static int make(struct backfill_job *job, struct backfill **b, struct err *e)
{
    int64_t started_us = clock_monotonic_us();
    job->opts.journal = job->journal;
    job->opts.progress = on_progress;
    job->opts.arg = job;
    int rc = backfill_new(b, &job->opts, e);
    progress_start(&job->progress, "vectors");
    if (!rc)
        rc = backfill_make(*b, e);
    progress_end(&job->progress);
    job->made_us = clock_monotonic_us() - started_us;
    return rc;
}

/* What was read is of no use any more once the set is there. */
static int clean_up(struct backfill_job *job, struct err *e)
{
    if (ctl_option(job->ctl, "keep-journal"))
        return 0;
    journal_free(job->journal);
    job->journal = NULL;
    return journal_remove((const char *)job->journal_dir.data, e);
}

static int run(struct backfill_job *job, const struct ctl *c, const char *dir,
               enum ctl_status *status, struct err *e)
{
    struct backfill *b = NULL;
    int rc = backfill_job_init(job, c, dir, e);
    if (!rc)
        rc = check_dir(job, e);
    if (!rc)
        rc = backfill_fill(job, e);
    if (!rc)
        rc = make(job, &b, e);
    if (!rc) {
        const struct comparison *cmp = backfill_comparison(b);
        bool is_wrong = (comparison_defects(cmp) && !job->gone) ||
                        (ctl_option(c, "strict") && comparison_lags(cmp));
        *status = is_wrong ? CTL_WRONG : CTL_OK;
        backfill_print(job, b, &job->text);
    }
    backfill_free(b);
    return rc;
}

enum ctl_status backfill_run(const struct ctl *c, const char *dir, struct err *e)
{
    struct backfill_job job;
    enum ctl_status status = CTL_OK;
    int rc = run(&job, c, dir, &status, e);
    if (!rc)
        rc = ctl_print(&job.text, e);
    if (!rc)
        rc = clean_up(&job, e);
    backfill_job_free(&job);
    return rc == 0 ? status : rc == ERR_INVALID ? CTL_USAGE : CTL_FAILED;
}

static enum ctl_status backfill(const struct ctl *c, struct err *e)
{
    const char *dir = ctl_option(c, "out");
    if (!dir || !*dir) {
        err_set(e, ERR_INVALID, "where the set is to be is not said: give --out DIR");
        return CTL_USAGE;
    }
    enum ctl_status status = backfill_run(c, dir, e);
    if (status == CTL_OK || status == CTL_WRONG)
        printf("next       flotilla train --data %s\n", dir);
    return status;
}

const struct command backfill_command = {
    .name = "backfill",
    .arguments = "--out DIR",
    .purpose = "a training set from what happened: requests, their vectors as of then, and labels",
    .example =
        "flotilla backfill --out sets/march --from 2025-03-01 --to 2025-04-01 "
        "--labels click=1,convert=5 --label-window 1h\n"
        "         flotilla backfill --out set --features features.yaml --events events.jsonl "
        "--propositions propositions.jsonl\n\n"
        "Every request is read against what had happened before it, with the library that serves. "
        "What was shown gets a label: the weights of the\n"
        "--labels that the user had on it within --label-window after the impression, each counted "
        "once; 0 if none; no label at all where it was\n"
        "not shown. A label event with a request_id belongs to that request, one without to the "
        "user's newest impression of the proposition. The\n"
        "first impression with a request's id counts. Impressions whose request is not known serve "
        "as requests themselves.\n"
        "Where score.log has a request, what was scored then is taken and compared with what is "
        "computed: the user's own values must be equal to\n"
        "the bit (exit status 3 if not), shared ones may lag.\n"
        "A run that was ended, in whatever way, goes on when the same command is given again.\n"
        "The set is files of HDF5: see common/set/set.h and deploy/examples/training_set.py",
    .options = {{"out", "DIR", "the set; is made"}, BACKFILL_SOURCE_OPTIONS},
    .run = backfill,
};

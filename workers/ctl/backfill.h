/*
 * Making a training set, as `flotilla backfill` does and `flotilla train` where it has no set yet.
 *
 * One thread. Problems and progress go to standard error, the summary to standard output.
 */
#pragma once

#include "backfill/backfill.h"
#include "backfill/intake.h"
#include "ctl.h"
#include "lines.h"

/* What a command must have among its options to call backfill_run(). */
#define BACKFILL_SOURCE_OPTIONS                                                                    \
    {"features", "FILE", "definitions (default: the setting features.file)"},                      \
        {"from", "TIME",                                                                           \
         "use requests from then on (2025-01-01T12:00:00Z, or milliseconds since 1970); what was " \
         "before is state"},                                                                       \
        {"to", "TIME", "and before then"},                                                         \
        {"stream", "FILE",                                                                         \
         "instead of Kafka: JSON lines {\"event\"|\"request\"|\"user\"|\"proposition\"|"           \
         "\"scored\": ...}; - is standard input"},                                                 \
        {"events", "FILE", "instead of Kafka: events, one a line, with the four below"},           \
        {"requests", "FILE", "requests; without them impressions serve as requests"},              \
        {"users", "FILE", "users' attributes"},                                                    \
        {"propositions", "FILE", "propositions' attributes"},                                      \
        {"scored", "FILE", "records of score.log"},                                                \
        {"impression", "NAME",                                                                     \
         "the event that says what was shown, in the order shown (impression); may be given "      \
         "several times"},                                                                         \
        {"labels", "NAME=WEIGHT,...",                                                              \
         "events that a user has on what was shown; weights add up (click=1)"},                    \
        {"label-window", "DURATION",                                                               \
         "for so long after the impression (30m, but a tenth of the log at most)"},                \
        {"only", "KIND", "requests, or impressions: those whose request is not known"},            \
        {"sample", "SHARE", "of requests, the same ones each time: 0.1"},                          \
        {"with-unshown", NULL, "requests that have no impression, too: without any label"},        \
        {"incomplete", NULL, "requests whose label window is open at the end of the log, too"},    \
        {"part-rows", "N", "rows of a file of the set; what is in whole files is kept (1000000)"}, \
        {"strict", NULL,                                                                           \
         "exit status 3 for values of shared state that differ from score.log, too"},              \
        {"journal", "DIR",                                                                         \
         "where what was read lies sorted meanwhile (the set's name with .journal)"},              \
    {                                                                                              \
        "keep-journal", NULL, "leave it there: other sets of the same records need not read again" \
    }

/*
 * Makes the set in `dir` by the options of the command that c runs, or goes on where a run with the
 * same options was ended, and prints what it found. CTL_OK; CTL_WRONG: the set is there, but what
 * was logged differs from what was computed; else the reason in e.
 */
enum ctl_status backfill_run(const struct ctl *c, const char *dir, struct err *e);

/* A moment from an option: as 2025-01-01T12:00:00Z, or milliseconds since 1970; standard if it was
 * not given. Fails with ERR_INVALID. */
int backfill_moment(int64_t *out, const struct ctl *c, const char *option, int64_t standard,
                    struct err *e);

/* ---- Its parts ---- */

struct backfill_job {
    const struct ctl *ctl;
    const char *dir;
    struct buf journal_dir, definitions, identity, text;
    struct feature_set *features;
    struct journal *journal;
    struct backfill_opts opts;
    struct progress progress;
    int64_t read_us, made_us;
    int64_t gone;          /* events that retention removed before they could be read */
    bool was_sealed;       /* the journal was there already */
    bool is_window_fitted; /* to a log that is short for the usual one */
};

/* Reads the options. Fails with ERR_INVALID, as feature_set_load(). */
int backfill_job_init(struct backfill_job *job, const struct ctl *c, const char *dir,
                      struct err *e);
void backfill_job_free(struct backfill_job *job);

/* Opens the journal and fills it if it is not whole; settles the label window, if none was asked
 * for. Fails as intake_kafka(), journal_add(), and
 * with ERR_IO (a file cannot be read). */
int backfill_fill(struct backfill_job *job, struct err *e);

/* The summary. */
void backfill_print(const struct backfill_job *job, const struct backfill *b, struct buf *out);

/*
 * The parts of `flotilla train` that know each other: what it is given and has, and what it does
 * with the model that came out.
 *
 * One thread.
 */
#pragma once

#include "ctl.h"
#include "lines.h"

#include "training/fit.h"
#include "training/judged.h"

struct train {
    const struct ctl *ctl;
    const char *model;
    struct space_point given;
    struct fit_opts opts;
    char *temporary, *temporary_set; /* a directory of its own, removed at the end; in it the set */
    struct set *set;
    struct feature_set *definitions;
    struct fit *fit;
    struct judged judged;
    struct report_trial *trials;
    struct report_data data;
    struct report *report;
    struct model_metric *rows; /* of the report, for the registry */
    struct buf parameters, labels, calibration, text, trial_texts;
    struct progress progress;
};

/* A temporary directory for a set. Fails with ERR_IO, ERR_NOMEM. */
int train_temporary(struct train *t, struct err *e);

/* Whether the registry answers, where it is to be written to. Fails as ctl_open_db(): says what to
 * do. */
int train_check_registry(struct train *t, struct err *e);

/* Whether a file can be written, as far as that can be known before; and writing it: whole or not
 * at all, through links, and into what is no file (a device, a pipe) as it is. Fail with ERR_IO
 * (why), ERR_NOMEM. */
int train_check_file(const char *path, struct err *e);
int train_write_file(const char *path, const struct buf *b, struct err *e);

/* Scores, the report. Fails as judged_make(), model_report_new(). */
int train_judge(struct train *t, struct err *e);

/* Describes the version as a ranker will load it, and writes it into the registry unless it was
 * said not to, or the search was asked to stop: t->data.version is then its number. Warns of
 * rankers that have other definitions. Fails as registration_prepare(), registration_write(). */
int train_register(struct train *t, struct err *e);

/* The model into a file and the registry as was said, the report into a file and the terminal, and
 * the next step. Fails with ERR_IO, as train_register(). */
int train_publish(struct train *t, struct err *e);

/* Frees all, and removes what is temporary. */
void train_finish(struct train *t);

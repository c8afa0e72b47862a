/* flotilla train: a training set becomes a model that serves, with a report on it. */
#include "ctl.h"

#include "backfill.h"
#include "registration.h"
#include "train_parts.h"
#include "train_say.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/number.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The first of those that say how a set is made. */
#define SOURCE_OPTION "work"

enum { STANDARD_TRIALS = 10, STANDARD_ROUNDS = 2000, STANDARD_K = 10 };

/* ---- Options ---- */

static int read_share(double *out, const struct ctl *c, const char *name, double standard,
                      struct err *e)
{
    const char *text = ctl_option(c, name);
    *out = standard;
    if (text && (!number_parse(out, text) || !(*out > 0 && *out < 1)))
        return err_set(e, ERR_INVALID, "--%s is \"%s\": give a number above 0 and below 1", name,
                       text);
    return 0;
}

static int read_split(struct train *t, struct err *e)
{
    struct split_opts *s = &t->opts.split;
    int rc = read_share(&s->test_share, t->ctl, "test-share", 0.2, e);
    if (!rc)
        rc = read_share(&s->validation_share, t->ctl, "validation-share", 0.125, e);
    if (!rc)
        rc = backfill_moment(&s->test_from_ms, t->ctl, "test-from", SPLIT_BY_SHARE, e);
    s->regression = t->opts.objective->kind == INSTANCES_REGRESSION;
    return rc;
}

static int read_objective(struct train *t, struct err *e)
{
    const char *name = ctl_option(t->ctl, "objective");
    const char *calibration = ctl_option(t->ctl, "calibration");
    static const char *const kinds[] = {[FIT_AUTO] = "auto",
                                        [FIT_NONE] = "none",
                                        [FIT_PLATT] = "platt",
                                        [FIT_ISOTONIC] = "isotonic"};
    int kind = FIT_AUTO;
    t->opts.objective = fit_objective_find(name ? name : "binary:logistic");
    if (!t->opts.objective)
        return err_set(e, ERR_INVALID, "--objective is \"%s\": give %s", name, FIT_OBJECTIVES);
    while (calibration && kind <= FIT_ISOTONIC && strcmp(kinds[kind], calibration) != 0)
        kind++;
    if (kind > FIT_ISOTONIC)
        return err_set(e, ERR_INVALID,
                       "--calibration is \"%s\": give auto, none, platt or isotonic", calibration);
    if (kind > FIT_NONE && t->opts.objective->kind != INSTANCES_BINARY)
        return err_set(e, ERR_INVALID,
                       "--calibration makes probabilities of a binary:logistic model, and %s gives "
                       "no probability: leave it out",
                       t->opts.objective->name);
    t->opts.calibration = (enum fit_calibration)kind;
    return 0;
}

static int read_budget(struct train *t, struct err *e)
{
    const char *time = ctl_option(t->ctl, "time");
    int64_t trials, time_ms = 0;
    int rc =
        ctl_number(&trials, t->ctl, "trials", time ? 0 : STANDARD_TRIALS, 1, SEARCH_MOST_TRIALS, e);
    if (rc)
        return rc;
    if (time && !duration_parse(&time_ms, time))
        return err_set(e, ERR_INVALID, "--time is \"%s\": give %s", time, DURATION_FORM);
    t->opts.trials = (size_t)trials;
    t->opts.time_us = time_ms * 1000;
    return 0;
}

static int read_numbers(struct train *t, struct err *e)
{
    int64_t seed, threads, rounds, patience, k;
    const struct ctl *c = t->ctl;
    int rc = ctl_number(&seed, c, "seed", 1, 0, INT32_MAX, e);
    if (!rc)
        rc = ctl_number(&threads, c, "threads", 1, 1, 1024, e);
    if (!rc)
        rc = ctl_number(&rounds, c, "rounds", STANDARD_ROUNDS, 1, FIT_MOST_ROUNDS, e);
    if (!rc)
        rc = ctl_number(&patience, c, "patience", 0, 1, FIT_MOST_ROUNDS, e);
    if (!rc)
        rc = ctl_number(&k, c, "k", STANDARD_K, 1, 1000, e);
    if (rc)
        return rc;
    t->opts.seed = (uint64_t)seed;
    t->opts.threads = (int)threads;
    t->opts.rounds = (uint32_t)rounds;
    t->opts.patience = (uint32_t)patience;
    t->opts.k = (int)k;
    t->opts.no_propensities = ctl_option(c, "no-propensity") != NULL;
    return 0;
}

/* What says how a set is made is of no use where there is one. */
static int check_source(const struct train *t, struct err *e)
{
    const struct command *c = t->ctl->command;
    if (!ctl_option(t->ctl, "data"))
        return 0;
    for (int i = command_option(c, SOURCE_OPTION); i < COMMAND_OPTIONS && c->options[i].name; i++)
        if (t->ctl->values[i])
            return err_set(e, ERR_INVALID,
                           "--%s says how a training set is made, and --data gives one that is "
                           "there: leave out one of them",
                           c->options[i].name);
    return 0;
}

static int read_options(struct train *t, struct err *e)
{
    const char *name = ctl_option(t->ctl, "model"), *text;
    int at = 0, rc;
    if (!name)
        return err_set(e, ERR_INVALID, "--model NAME is needed: what the model is to be called");
    if ((rc = check_source(t, e)) || (rc = registration_check_name(name, e)) ||
        (rc = read_objective(t, e)) || (rc = read_split(t, e)) || (rc = read_budget(t, e)) ||
        (rc = read_numbers(t, e)))
        return rc;
    if ((text = ctl_option(t->ctl, "note")) && !utf8_is_valid(str_of(text)))
        return err_set(e, ERR_INVALID, "--note is no UTF-8");
    while (!rc && (text = ctl_next(t->ctl, "param", &at)))
        rc = space_give(&t->given, text, e);
    t->opts.given = &t->given;
    t->model = name;
    return rc ? err_wrap(e, "--param") : 0;
}

/* ---- Hooks ---- */

static int64_t now_us(void *arg)
{
    (void)arg;
    return clock_monotonic_us();
}

static bool stopping(void *arg)
{
    (void)arg;
    return ctl_stopping();
}

static void on_found(void *arg, const struct split *split, const struct survey *survey,
                     const struct instances *train)
{
    struct train *t = arg;
    struct err ignored;
    train_say_found(&t->text, set_info(t->set), split, survey, train, t->opts.split.regression);
    ctl_print(&t->text, &ignored); /* a closed pipe is noticed when the report is printed */
    progress_start(&t->progress, "trees");
}

static void on_round(void *arg, size_t trial, uint32_t round)
{
    struct train *t = arg;
    (void)trial;
    progress_show(&t->progress, round, round, -1);
}

static void on_trial(void *arg, size_t trial, const struct search_trial *s, enum metric_kind metric,
                     bool is_best)
{
    struct train *t = arg;
    progress_end(&t->progress);
    train_say_trial(&t->text, trial, s, metric, t->opts.k, is_best);
    if (buf_ok(&t->text))
        fwrite(t->text.data, 1, t->text.len, stderr);
    buf_reset(&t->text);
    progress_start(&t->progress, "trees");
}

/* ---- The whole ---- */

/* The set that is given, or one made from the log. */
static enum ctl_status find_set(struct train *t, struct err *e)
{
    const char *dir = ctl_option(t->ctl, "data"), *work = ctl_option(t->ctl, "work");
    struct err ignored;
    if (dir)
        return set_open(&t->set, dir, e) ? CTL_FAILED : CTL_OK;
    if (work && !set_open(&t->set, work, &ignored)) {
        err_set(e, ERR_INVALID,
                "%s has a training set from before: train on it with --data %s, or give --work "
                "another directory",
                work, work);
        return CTL_USAGE;
    }
    if (!work && train_temporary(t, e))
        return CTL_FAILED;
    dir = work ? work : t->temporary_set;
    enum ctl_status status = backfill_run(t->ctl, dir, e);
    if (status == CTL_WRONG)
        err_set(e, ERR_CORRUPT,
                "what was logged differs from what was computed, so nothing is trained; to train "
                "all the same, make the set with flotilla backfill, and give it with --data");
    if (status != CTL_OK)
        return status;
    return set_open(&t->set, dir, e) ? CTL_FAILED : CTL_OK;
}

/* The definitions that the set was made by, as they are understood here. */
static int read_definitions(struct train *t, struct err *e)
{
    const struct set_info *info = set_info(t->set);
    int rc = feature_set_parse(&t->definitions, "the set's definitions", info->definitions, e);
    t->opts.definitions = t->definitions;
    for (size_t o = 0; !rc && o < t->definitions->output_count; o++)
        for (size_t i = 0; !rc && i < info->columns.count; i++)
            if (str_is(info->columns.items[i], t->definitions->outputs[o].name) &&
                memcmp(info->fingerprints.data + i * FINGERPRINT_BYTES,
                       t->definitions->outputs[o].feature->fingerprint, FINGERPRINT_BYTES) != 0)
                rc = err_set(e, ERR_CORRUPT,
                             "column %.*s of the set is another than its definitions say: make the "
                             "set again with flotilla backfill",
                             STR_ARG(info->columns.items[i]));
    return rc;
}

static enum ctl_status work(struct train *t, struct err *e)
{
    enum ctl_status status = find_set(t, e);
    if (status != CTL_OK)
        return status;
    int rc = read_definitions(t, e);
    if (!rc)
        rc = fit_make(&t->fit, t->set, &t->opts, e);
    progress_end(&t->progress);
    if (!rc)
        rc = train_judge(t, e);
    if (!rc)
        rc = train_publish(t, e);
    return rc == ERR_INVALID ? CTL_WRONG : rc ? CTL_FAILED : CTL_OK;
}

static int check_files(const struct ctl *c, struct err *e)
{
    static const char *const names[] = {"out", "report"};
    int rc = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names && !rc; i++) {
        const char *path = ctl_option(c, names[i]);
        if (path && (rc = train_check_file(path, e)))
            rc = err_wrap(e, "--%s", names[i]);
    }
    return rc;
}

static enum ctl_status run(const struct ctl *c, struct err *e)
{
    struct train t = {.ctl = c};
    if (read_options(&t, e))
        return CTL_USAGE;
    t.opts.hooks = (struct fit_hooks){.arg = &t,
                                      .now_us = now_us,
                                      .stopping = stopping,
                                      .found = on_found,
                                      .round = on_round,
                                      .trial = on_trial};
    /* Before hours of work: is there anybody to take it? */
    bool is_taken = !check_files(c, e) && !train_check_registry(&t, e);
    enum ctl_status status = is_taken ? work(&t, e) : CTL_FAILED;
    train_finish(&t);
    return status;
}

const struct command train_command = {
    .name = "train",
    .arguments = "",
    .purpose = "train a model on a training set or straight from Kafka, judge it, register it",
    .example = "flotilla train --data training --model shop --trials 20 --report report.html",
    .options = {{"data", "DIR",
                 "a training set (flotilla backfill --out DIR); without it one is made first"},
                {"model", "NAME", "the model's name"},
                {"objective", "NAME", FIT_OBJECTIVES " (default: binary:logistic)"},
                {"trials", "N", "settings to try; the first is the standard one (default: 10)"},
                {"time", "DURATION", "instead of a number: as many as are done in this time"},
                {"seed", "N", "of all that is random (default: 1): the same gives the same model"},
                {"threads", "N", "XGBoost's (default: 1)"},
                {"rounds", "N", "most trees of a trial (default: 2000)"},
                {"patience", "N",
                 "trees without a better loss on the validation part before a "
                 "trial ends (default: 2.5 / eta, from 20 to 200)"},
                {"param", "NAME=VALUE",
                 "a parameter of XGBoost, not to be searched for; may be "
                 "given several times"},
                {"test-share", "SHARE", "of the requests, the newest, to judge by (default: 0.2)"},
                {"test-from", "TIME", "instead of a share: requests from this time on"},
                {"validation-share", "SHARE",
                 "of the others, the newest, to stop and choose by "
                 "(default: 0.125)"},
                {"calibration", "KIND",
                 "auto, none, platt or isotonic; auto: isotonic where the "
                 "validation part has 1,000 positive rows, else platt"},
                {"no-propensity", NULL, "do not weigh rows by the probability of their place"},
                {"k", "N", "of NDCG@k and the like (default: 10)"},
                {"report", "FILE", "the report as one HTML page"},
                {"out", "FILE", "the model file (UBJ)"},
                {"no-register", NULL, "leave the registry alone"},
                {"note", "TEXT", "for people"},
                {"work", "DIR",
                 "where that one is made and kept, so that a stopped one goes on; "
                 "default: a temporary directory"},
                BACKFILL_SOURCE_OPTIONS},
    .run = run,
};

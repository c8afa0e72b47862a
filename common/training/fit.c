#include "training/fit.h"

#include "training/fit_parts.h"
#include "training/scoring.h"

#include <math.h>
#include <stdlib.h>

static const struct fit_objective objectives[] = {
    {"binary:logistic", INSTANCES_BINARY, "logloss", false},
    {"rank:ndcg", INSTANCES_RANKING, "ndcg", true},
    {"rank:pairwise", INSTANCES_RANKING, "ndcg", true},
    {"reg:squarederror", INSTANCES_REGRESSION, "rmse", false},
};

const struct fit_objective *fit_objective_find(const char *name)
{
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++)
        if (strcmp(objectives[i].name, name) == 0)
            return &objectives[i];
    return NULL;
}

/* ---- What there is to learn from ---- */

static int check_train(const struct fit *f, const struct fit_opts *o, struct err *e)
{
    const struct instances *t = &f->train;
    if (o->objective->kind == INSTANCES_BINARY && t->positives == t->count)
        return err_set(e, ERR_INVALID,
                       "all %zu labelled rows of the train part have a label above 0: there is "
                       "nothing to tell apart; an item that was shown and not chosen needs the "
                       "label 0, so see that impressions are in the events",
                       t->count);
    if (o->objective->kind == INSTANCES_RANKING && !t->unequal)
        return err_set(e, ERR_INVALID,
                       "in each of %zu requests of the train part all labels are the same: a "
                       "ranking has nothing to learn there; take binary:logistic",
                       t->group_count);
    if (o->objective->kind == INSTANCES_REGRESSION && !(t->least < t->most))
        return err_set(e, ERR_INVALID,
                       "the label of all %zu rows of the train part is %g: there is nothing to "
                       "learn",
                       t->count, t->mean);
    return 0;
}

static int read_instances(struct fit *f, const struct fit_opts *o, struct err *e)
{
    const struct set_rows *rows = set_rows(f->memory->set);
    const struct split_range *train = &f->split.parts[SPLIT_TRAIN],
                             *valid = &f->split.parts[SPLIT_VALIDATION];
    struct instances_opts opts = {o->objective->kind, o->no_propensities, false};
    int rc = instances_make(&f->train, rows, train->first, train->count, &opts, e);
    if (!rc)
        rc = check_train(f, o, e);
    if (!rc)
        rc = instances_make(&f->valid, rows, valid->first, valid->count, &opts, e);
    if (!rc && o->objective->kind == INSTANCES_RANKING && !f->valid.unequal)
        rc = err_set(e, ERR_INVALID,
                     "in each of %zu requests of the validation part all labels are the same: "
                     "nothing says when to stop growing trees; give a larger --validation-share",
                     f->valid.group_count);
    return rc;
}

static int find_out(struct fit *f, const struct fit_opts *o, struct err *e)
{
    struct set *set = f->memory->set;
    const struct split_range *train = &f->split.parts[SPLIT_TRAIN];
    const struct str_list *columns = &set_info(set)->columns;
    f->fixed = malloc((columns->count + 1) * sizeof *f->fixed);
    if (!f->fixed)
        return err_nomem(e);
    f->fixed_count = scoring_served(f->fixed, columns, o->definitions);
    int rc = split_make(&f->split, set_rows(set), &o->split, e);
    if (!rc)
        rc = read_instances(f, o, e);
    if (!rc)
        rc = survey_make(&f->survey, set, train->first, train->count, e);
    if (!rc && o->hooks.found)
        o->hooks.found(o->hooks.arg, &f->split, &f->survey, &f->train);
    return rc;
}

/* How much the rows tell: see space_standard(). */
static double evidence(const struct instances *t, const struct fit_objective *o)
{
    double n = (double)t->count, p = (double)t->positives / n;
    return o->kind == INSTANCES_REGRESSION ? n : n * p * (1 - p);
}

static void choose_standard(struct fit *f, const struct fit_opts *o)
{
    struct space_point *p = &f->memory->standard;
    space_standard(p, evidence(&f->train, o->objective), f->survey.used_count);
    for (int i = 0; i < SPACE_PARAMETERS; i++) {
        if (!o->given->is_given[i])
            continue;
        p->values[i] = o->given->values[i];
        p->is_given[i] = true;
    }
}

/* ---- Matrices ---- */

static int next_rows(void *arg, float **values, size_t *count, struct err *e)
{
    return labelled_next(arg, values, count, e);
}

static void rewind_rows(void *arg)
{
    labelled_rewind(arg);
}

static int make_matrix(struct boosting_matrix **out, const struct labelled_opts *what,
                       const struct instances *told, const struct fit *f, struct err *e)
{
    const struct fit_opts *o = f->memory->opts;
    const bool grouped = o->objective->kind == INSTANCES_RANKING;
    const int bins = (int)f->memory->standard.values[SPACE_MAX_BIN];
    struct labelled *l = NULL;
    int rc = labelled_new(&l, what, e);
    struct boosting_source source = {what->column_count, next_rows, rewind_rows, l};
    if (!rc)
        rc = told == &f->train ? boosting_matrix_new(out, &source, o->threads, bins, e)
                               : boosting_matrix_plain(out, &source, told->count, o->threads, e);
    if (!rc)
        rc = boosting_matrix_tell(*out, told->targets, grouped ? told->groups : NULL,
                                  told->group_count, told->weights, e);
    labelled_free(l);
    return rc;
}

int fit_matrices(struct fit *f, struct err *e)
{
    struct fit_memory *m = f->memory;
    const struct split_range *train = &f->split.parts[SPLIT_TRAIN],
                             *valid = &f->split.parts[SPLIT_VALIDATION];
    struct labelled_opts what = {.set = m->set,
                                 .first = train->first,
                                 .count = train->count,
                                 .columns = f->survey.used,
                                 .column_count = f->survey.used_count,
                                 .bounded = true};
    /* The order of what was shown is no loss of a ranking that is served. */
    bool wants_shown = f->fixed_count && m->opts->objective->kind != INSTANCES_RANKING;
    int rc = make_matrix(&m->train, &what, &f->train, f, e);
    what.first = valid->first;
    what.count = valid->count;
    if (!rc && wants_shown)
        rc = make_matrix(&m->shown, &what, &f->valid, f, e);
    what.fixed = f->fixed;
    what.fixed_count = f->fixed_count;
    if (!rc)
        rc = make_matrix(&m->served, &what, &f->valid, f, e);
    instances_forget_rows(&f->train); /* XGBoost has them */
    return rc;
}

static void forget_matrices(struct fit_memory *m)
{
    boosting_matrix_free(m->served);
    boosting_matrix_free(m->shown);
    boosting_matrix_free(m->train);
    m->train = m->shown = m->served = NULL;
}

/* ---- The whole ---- */

static int run(struct fit *f, const struct fit_opts *o, struct err *e)
{
    struct fit_memory *m = f->memory;
    int rc = find_out(f, o, e);
    if (rc)
        return rc;
    choose_standard(f, o);
    rc = search_new(&m->search, &m->standard, o->seed, e);
    if (!rc)
        rc = fit_matrices(f, e);
    if (!rc)
        rc = fit_search(f, e);
    forget_matrices(m);
    if (!rc)
        rc = ensemble_read(&f->ensemble, buf_str(&f->bytes), e);
    if (!rc)
        rc = fit_calibrate(f, e);
    m->opts = NULL;
    return rc;
}

int fit_make(struct fit **out, struct set *set, const struct fit_opts *opts, struct err *e)
{
    struct fit *f = calloc(1, sizeof *f);
    struct fit_memory *m = calloc(1, sizeof *m);
    *out = NULL;
    if (!f || !m) {
        free(f);
        free(m);
        return err_nomem(e);
    }
    f->memory = m;
    m->set = set;
    m->opts = opts;
    m->started_us = opts->hooks.now_us(opts->hooks.arg);
    int rc = run(f, opts, e);
    if (rc)
        fit_free(f);
    else
        *out = f;
    return rc;
}

void fit_free(struct fit *f)
{
    if (!f)
        return;
    struct fit_memory *m = f->memory;
    forget_matrices(m);
    search_free(m->search);
    calibration_free(m->calibration);
    free(m->valid_first);
    free(m->valid_scores);
    free(m->standard_scores);
    free(m);
    survey_free(&f->survey);
    instances_free(&f->train);
    instances_free(&f->valid);
    ensemble_free(f->ensemble);
    buf_free(&f->bytes);
    free(f->fixed);
    free(f);
}

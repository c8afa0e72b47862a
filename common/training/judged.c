#include "training/judged.h"

#include "stats/drift_reference.h"
#include "training/scoring.h"

#include <stdlib.h>

/* Requests from..to of the set with the model's columns, as they are served. */
static struct labelled_opts rows_of(struct set *set, const struct fit *f, enum split_part part)
{
    return (struct labelled_opts){.set = set,
                                  .first = f->split.parts[part].first,
                                  .count = f->split.parts[part].count,
                                  .columns = f->survey.used,
                                  .column_count = f->survey.used_count,
                                  .fixed = f->fixed,
                                  .fixed_count = f->fixed_count,
                                  .all = true};
}

static size_t row_count(struct set *set, const struct labelled_opts *what)
{
    const struct set_rows *rows = set_rows(set);
    return (size_t)(rows->first[what->first + what->count] - rows->first[what->first]);
}

static int add_scorer(struct judged *j, const char *name, size_t rows, float **scores,
                      struct err *e)
{
    struct report_scorer *s = &j->scorers[j->scorer_count];
    *scores = j->owned[j->scorer_count] = malloc((rows + 1) * sizeof **scores);
    if (!*scores)
        return err_nomem(e);
    *s = (struct report_scorer){.name = name, .scores = *scores};
    j->scorer_count++;
    return 0;
}

/* The last scorer was none. */
static void drop_scorer(struct judged *j)
{
    j->scorer_count--;
    free(j->owned[j->scorer_count]);
    j->owned[j->scorer_count] = NULL;
}

static int score_model(struct judged *j, struct set *set, const struct fit *f, struct err *e)
{
    struct labelled_opts what = rows_of(set, f, SPLIT_TEST);
    size_t n = row_count(set, &what);
    float *published;
    int rc = add_scorer(j, "model", n, &published, e);
    if (rc)
        return rc;
    j->scorers[0].is_probability = f->ensemble->objective == OBJECTIVE_LOGISTIC;
    j->margins = malloc((n + 1) * sizeof *j->margins);
    j->uncalibrated = malloc((n + 1) * sizeof *j->uncalibrated);
    if (!j->margins || !j->uncalibrated)
        return err_nomem(e);
    rc = scoring_model(&what, f->ensemble, buf_str(&f->bytes), j->margins, j->uncalibrated, e);
    for (size_t i = 0; i < n && !rc; i++)
        published[i] = calibration_apply(f->calibration, j->margins[i], j->uncalibrated[i]);
    return rc;
}

static int score_others(struct judged *j, struct set *set, const struct fit *f,
                        const struct feature_set *definitions, struct err *e)
{
    static const char *const names[] = {"rules", "popularity"};
    struct labelled_opts what = rows_of(set, f, SPLIT_TEST);
    size_t n = row_count(set, &what);
    float *scores;
    for (int kind = SCORING_RULES; kind <= SCORING_POPULARITY; kind++) {
        bool found = false;
        int rc = add_scorer(j, names[kind], n, &scores, e);
        if (!rc)
            rc = scoring_by_rules(&what, definitions, (enum scoring_rules)kind, &found, scores, e);
        if (rc)
            return rc;
        if (!found)
            drop_scorer(j);
    }
    int rc = add_scorer(j, "as shown", n, &scores, e);
    if (!rc && !scoring_as_shown(set_rows(set), what.first, what.count, scores))
        drop_scorer(j);
    return rc;
}

/* ---- Contributions ---- */

static int contribute(const struct fit *f, const float *row, double *wide, float *out,
                      struct err *e)
{
    size_t n = f->survey.used_count;
    int rc = ensemble_contributions(f->ensemble, row, wide, e);
    for (size_t c = 0; c <= n && !rc; c++)
        out[c] = (float)wide[c];
    return rc;
}

static int take_sample(struct judged *j, struct set *set, const struct fit *f, struct err *e)
{
    struct labelled_opts what = rows_of(set, f, SPLIT_TEST);
    size_t rows = row_count(set, &what), n = f->survey.used_count, done = 0;
    size_t count = rows < JUDGED_SAMPLE ? rows : JUDGED_SAMPLE;
    struct labelled *l = NULL;
    float *values = malloc((count * n + 1) * sizeof *values);
    float *contributions = malloc((count * (n + 1) + 1) * sizeof *contributions);
    double *wide = malloc((n + 1) * sizeof *wide);
    j->sample = (struct report_sample){
        .columns = n, .values = values, .contributions = contributions, .names = j->names};
    int rc = values && contributions && wide ? labelled_new(&l, &what, e) : err_nomem(e);
    float *batch;
    size_t got;
    for (size_t at = 0; !rc && !(rc = labelled_next(l, &batch, &got, e)) && got; at += got) {
        /* Sampled row i of the part is row i * rows / count. */
        for (size_t row; !rc && done < count && (row = done * rows / count) < at + got; done++) {
            memcpy(values + done * n, batch + (row - at) * n, n * sizeof *values);
            rc = contribute(f, values + done * n, wide, contributions + done * (n + 1), e);
        }
    }
    j->sample.rows = done;
    labelled_free(l);
    free(wide);
    return rc;
}

/* ---- The drift reference ---- */

static int put_part(struct drift_reference *r, uint64_t at, struct set *set, const struct fit *f,
                    const struct labelled_opts *what, struct err *e)
{
    struct labelled *l = NULL;
    float *batch;
    size_t got, done = 0, n = row_count(set, what);
    float *margins = malloc((n + 1) * sizeof *margins);
    float *scores = malloc((n + 1) * sizeof *scores);
    int rc = margins && scores ? labelled_new(&l, what, e) : err_nomem(e);
    if (!rc)
        rc = scoring_model(what, f->ensemble, buf_str(&f->bytes), margins, scores, e);
    for (size_t i = 0; i < n && !rc; i++)
        scores[i] = calibration_apply(f->calibration, margins[i], scores[i]);
    while (!rc && !(rc = labelled_next(l, &batch, &got, e)) && got) {
        drift_reference_put(r, at + done, batch, scores + done, got);
        done += got;
    }
    labelled_free(l);
    free(margins);
    free(scores);
    return rc;
}

static int refer(struct judged *j, struct set *set, const struct fit *f, struct err *e)
{
    struct labelled_opts valid = rows_of(set, f, SPLIT_VALIDATION),
                         test = rows_of(set, f, SPLIT_TEST);
    size_t before = row_count(set, &valid);
    struct drift_reference *r = NULL;
    int rc =
        drift_reference_new(&r, j->names, f->survey.used_count, before + row_count(set, &test), e);
    if (!rc)
        rc = put_part(r, 0, set, f, &valid, e);
    if (!rc)
        rc = put_part(r, before, set, f, &test, e);
    if (!rc)
        rc = drift_reference_finish(r, e);
    if (!rc)
        drift_reference_write(r, &j->drift);
    drift_reference_free(r);
    return rc || buf_ok(&j->drift) ? rc : err_nomem(e);
}

int judged_make(struct judged *out, struct set *set, const struct fit *f,
                const struct feature_set *definitions, struct err *e)
{
    const struct str_list *columns = &set_info(set)->columns;
    size_t n = f->survey.used_count;
    *out = (struct judged){0};
    if (!(out->names = malloc((n + 1) * sizeof *out->names)))
        return err_nomem(e);
    for (size_t i = 0; i < n; i++)
        out->names[i] = columns->items[f->survey.used[i]];
    int rc = score_model(out, set, f, e);
    if (!rc)
        rc = score_others(out, set, f, definitions, e);
    if (!rc)
        rc = take_sample(out, set, f, e);
    if (!rc)
        rc = refer(out, set, f, e);
    return rc;
}

void judged_free(struct judged *j)
{
    for (size_t i = 0; i < JUDGED_SCORERS; i++)
        free(j->owned[i]);
    free(j->margins);
    free(j->uncalibrated);
    free((float *)(uintptr_t)j->sample.values);
    free((float *)(uintptr_t)j->sample.contributions);
    free(j->names);
    buf_free(&j->drift);
    *j = (struct judged){0};
}

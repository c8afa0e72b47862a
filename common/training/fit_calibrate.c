/* The calibration of fit_make(), and the threshold. */
#include "training/fit_parts.h"

#include "training/scoring.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Isotonic calibration follows the rows; with few of them it follows their noise. */
enum { ISOTONIC_POSITIVES = 1000 };

static const struct calibration none = {.kind = CALIBRATION_NONE};

static enum calibration_kind kind_of(const struct fit *f)
{
    uint64_t positives = f->valid.positives, negatives = f->valid.count - positives;
    switch (f->memory->opts->calibration) {
    case FIT_NONE:
        return CALIBRATION_NONE;
    case FIT_PLATT:
        return CALIBRATION_PLATT;
    case FIT_ISOTONIC:
        return CALIBRATION_ISOTONIC;
    case FIT_AUTO:
        break;
    }
    return positives >= ISOTONIC_POSITIVES && negatives >= ISOTONIC_POSITIVES ? CALIBRATION_ISOTONIC
                                                                              : CALIBRATION_PLATT;
}

/* A positive row is one, whatever its label: what is published is a probability, and of the rows as
 * they come, not of a world in which all places are drawn alike. */
static int weights_of(double **out, const struct fit *f, struct err *e)
{
    const struct fit_memory *m = f->memory;
    const struct split_range *valid = &f->split.parts[SPLIT_VALIDATION];
    struct instances_opts opts = {INSTANCES_BINARY, true, true};
    struct instances flat;
    int rc = instances_make(&flat, set_rows(m->set), valid->first, valid->count, &opts, e);
    *out = NULL;
    if (!rc && flat.weights && !(*out = malloc((flat.count + 1) * sizeof **out)))
        rc = err_nomem(e);
    for (size_t i = 0; *out && i < flat.count; i++)
        (*out)[i] = (double)flat.weights[i];
    instances_free(&flat);
    return rc;
}

static int fit_it(struct fit *f, const float *margins, struct err *e)
{
    struct fit_memory *m = f->memory;
    enum calibration_kind kind = kind_of(f);
    double *weights = NULL;
    struct err why;
    if (kind == CALIBRATION_NONE || m->opts->objective->kind != INSTANCES_BINARY)
        return 0;
    int rc = weights_of(&weights, f, e);
    if (!rc && (rc = calibration_fit(&m->calibration, kind, margins, f->valid.targets, weights,
                                     f->valid.count, &why))) {
        /* Rows that are too few for it are no reason to have no model. */
        if (rc == ERR_INVALID && m->opts->calibration == FIT_AUTO) {
            snprintf(f->no_calibration, sizeof f->no_calibration, "%.*s",
                     (int)sizeof f->no_calibration - 1, why.msg);
            rc = 0;
        } else {
            err_set(e, rc, "calibration on the validation rows: %s", why.msg);
        }
    }
    free(weights);
    if (m->calibration)
        f->calibration = m->calibration;
    return rc;
}

static int choose_threshold(struct fit *f, const float *published, struct err *e)
{
    const struct fit_memory *m = f->memory;
    struct metric_rows rows = {
        .request_count = f->valid.group_count, .first = m->valid_first, .labels = f->valid.labels};
    struct metric_scorer scorer = {
        .name = "model", .scores = published, .is_probability = true, .threshold = NAN};
    struct metric_opts opts = {.k = m->opts->k, .level = 0.95, .seed = m->opts->seed};
    struct metric_results results;
    f->threshold = 0;
    if (m->opts->objective->kind != INSTANCES_BINARY)
        return 0;
    int rc = metrics_of(&results, &rows, &scorer, 1, &opts, e);
    if (!rc && isfinite(results.threshold))
        f->threshold = results.threshold;
    return rc;
}

int fit_calibrate(struct fit *f, struct err *e)
{
    struct fit_memory *m = f->memory;
    const struct split_range *valid = &f->split.parts[SPLIT_VALIDATION];
    struct labelled_opts what = {.set = m->set,
                                 .first = valid->first,
                                 .count = valid->count,
                                 .columns = f->survey.used,
                                 .column_count = f->survey.used_count,
                                 .fixed = f->fixed,
                                 .fixed_count = f->fixed_count};
    float *margins = malloc((f->valid.count + 1) * sizeof *margins);
    float *scores = m->valid_scores;
    f->calibration = &none;
    int rc = margins ? 0 : err_nomem(e);
    if (!rc)
        rc = scoring_model(&what, f->ensemble, buf_str(&f->bytes), margins, scores, e);
    if (!rc)
        rc = fit_it(f, margins, e);
    for (size_t i = 0; i < f->valid.count && !rc; i++)
        scores[i] = calibration_apply(f->calibration, margins[i], scores[i]);
    if (!rc)
        rc = choose_threshold(f, scores, e);
    free(margins);
    return rc;
}

/* What `flotilla train` says of the model that came out: its scores, and the report on them. */
#include "train_parts.h"

#include "base/clock.h"
#include "base/json.h"
#include "training/boosting.h"

#include <stdlib.h>

static int describe_trials(struct train *t, struct err *e)
{
    size_t n = t->fit->trial_count;
    t->trials = calloc(n + 1, sizeof *t->trials);
    size_t *starts = calloc(n + 1, sizeof *starts);
    if (!t->trials || !starts) {
        free(starts);
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++) {
        starts[i] = t->trial_texts.len;
        space_put_text(&t->trial_texts, &t->fit->trials[i].point);
    }
    starts[n] = t->trial_texts.len;
    for (size_t i = 0; i < n && buf_ok(&t->trial_texts); i++) {
        const struct search_trial *s = &t->fit->trials[i];
        t->trials[i] = (struct report_trial){
            .parameters = str_bytes(t->trial_texts.data + starts[i], starts[i + 1] - starts[i]),
            .score = s->score,
            .trees = s->trees,
            .stopped = s->stopped,
            .seconds = s->seconds};
    }
    free(starts);
    return buf_ok(&t->trial_texts) ? 0 : err_nomem(e);
}

/* All that it takes to train the same again, and what the validation part said. */
static int describe_parameters(struct train *t, struct err *e)
{
    const struct fit *f = t->fit;
    const struct search_trial *best = &f->trials[f->best];
    struct buf *b = &t->parameters;
    char version[32];
    buf_printf(b, "{\"objective\":\"%s\",", t->opts.objective->name);
    space_put_json(b, &best->point);
    buf_printf(b,
               ",\"trees\":%u,\"rounds\":%u,\"patience\":%u,\"seed\":%llu,\"threads\":%d,"
               "\"trials\":%zu,\"best_trial\":%zu,\"k\":%d,\"propensities\":%s,"
               "\"calibration\":\"%s\",\"validation\":{\"metric\":\"%s\",\"value\":",
               best->trees, t->opts.rounds, t->opts.patience, (unsigned long long)t->opts.seed,
               t->opts.threads, f->trial_count, f->best, t->opts.k,
               f->train.explored ? "true" : "false", calibration_name(f->calibration->kind),
               metric_name(f->score));
    json_put_number(b, metric_sign(f->score) * best->score);
    buf_printf(b, "},\"threshold\":");
    json_put_number(b, f->threshold);
    buf_printf(b, ",\"xgboost\":\"%s\",\"flotilla\":\"%s\"}", boosting_version(version),
               FLOTILLA_VERSION);
    buf_put_u8(b, 0);
    return buf_ok(b) ? 0 : err_nomem(e);
}

int train_judge(struct train *t, struct err *e)
{
    const struct fit *f = t->fit;
    const struct split_range *parts = f->split.parts;
    int rc = judged_make(&t->judged, t->set, f, t->definitions, e);
    if (!rc)
        rc = describe_trials(t, e);
    if (!rc)
        rc = describe_parameters(t, e);
    if (rc)
        return rc;
    t->data = (struct report_data){
        .model = t->model,
        .objective = t->opts.objective->name,
        .regression = t->opts.split.regression,
        .info = set_info(t->set),
        .rows = set_rows(t->set),
        .train_requests = parts[SPLIT_TRAIN].count,
        .valid_requests = parts[SPLIT_VALIDATION].count,
        .test_first = parts[SPLIT_TEST].first,
        .test_requests = parts[SPLIT_TEST].count,
        .scorers = t->judged.scorers,
        .scorer_count = t->judged.scorer_count,
        .margins = t->judged.margins,
        .calibration = f->calibration,
        .uncalibrated = t->judged.uncalibrated,
        .trials = t->trials,
        .trial_count = f->trial_count,
        .sample = t->judged.sample,
        .parameters = str_bytes(t->parameters.data, t->parameters.len - 1),
        .threshold = f->threshold,
        .seed = t->opts.seed,
        .made_ms = clock_now_ms(),
        .k = t->opts.k,
        .version_text = FLOTILLA_VERSION,
    };
    return model_report_new(&t->report, &t->data, e);
}

/* `flotilla train` and the registry. */
#include "train_parts.h"

#include "registration.h"

#include <stdio.h>
#include <stdlib.h>

/* Rankers score with the fleet's definitions, and only if they are the model's. */
static void compare_definitions(const struct train *t)
{
    const char *path = conf_text(t->ctl->conf, "features.file");
    struct feature_set *own = NULL;
    struct err ignored;
    if (feature_set_load(&own, path, &ignored))
        return;
    for (size_t i = 0; i < t->fit->survey.used_count; i++) {
        struct str name = t->judged.names[i];
        const struct feature *trained = NULL, *served = NULL;
        for (size_t o = 0; o < t->definitions->output_count; o++)
            if (str_is(name, t->definitions->outputs[o].name))
                trained = t->definitions->outputs[o].feature;
        for (size_t o = 0; o < own->output_count; o++)
            if (str_is(name, own->outputs[o].name))
                served = own->outputs[o].feature;
        if (trained && served &&
            memcmp(trained->fingerprint, served->fingerprint, FINGERPRINT_BYTES) == 0)
            continue;
        fprintf(stderr,
                "flotilla train: warning: %s, the setting features.file, %s %.*s, which the "
                "training set has: rankers with that file will not use this model\n",
                path, served ? "defines otherwise" : "does not define", STR_ARG(name));
        break;
    }
    feature_set_free(own);
}

/* Whether this role may write what train_register() will. Fails by itself where a table is missing.
 */
static int check_rights(struct db *d, struct err *e)
{
    PGresult *r = NULL;
    int rc = db_query(d, &r,
                      "SELECT has_table_privilege('model_versions', 'INSERT') AND "
                      "has_table_privilege('model_metrics', 'INSERT'), "
                      "(SELECT count(test_from) FROM model_versions)",
                      0, NULL, e);
    if (!rc && strcmp(PQgetvalue(r, 0, 0), "t") != 0)
        rc = err_set(e, ERR_INVALID,
                     "this role may not write model_versions and model_metrics: take one that is "
                     "granted flotilla_operator");
    PQclear(r);
    return rc;
}

int train_check_registry(struct train *t, struct err *e)
{
    struct db *d = NULL;
    if (ctl_option(t->ctl, "no-register"))
        return 0;
    int rc = ctl_open_db(&d, t->ctl, e);
    if (!rc)
        rc = check_rights(d, e);
    db_free(d);
    return rc ? err_wrap(e, "the registry, where the model is to go (or say --no-register and "
                            "--out FILE)")
              : 0;
}

static int describe_rows(struct train *t, struct model_entry *entry, struct err *e)
{
    size_t n = model_report_row_count(t->report);
    const struct report_row *from = model_report_rows(t->report);
    t->rows = calloc(n + 1, sizeof *t->rows);
    if (!t->rows)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++)
        t->rows[i] = (struct model_metric){.scorer = from[i].scorer,
                                           .segment = from[i].segment,
                                           .metric = from[i].metric,
                                           .value = from[i].value,
                                           .low = from[i].low,
                                           .high = from[i].high,
                                           .n = from[i].rows};
    entry->report = t->rows;
    entry->report_count = n;
    return 0;
}

static int describe_entry(struct train *t, struct model_entry *entry, struct err *e)
{
    const struct fit *f = t->fit;
    const struct split_range *parts = f->split.parts;
    const struct set_info *info = set_info(t->set);
    calibration_write(f->calibration, &t->calibration);
    buf_put_str(&t->labels, info->labels);
    buf_put_u8(&t->labels, 0);
    buf_put_u8(&t->judged.drift, 0);
    if (!buf_ok(&t->calibration) || !buf_ok(&t->labels) || !buf_ok(&t->judged.drift))
        return err_nomem(e);
    entry->parts.name = str_of(t->model);
    entry->parts.calibration = buf_str(&t->calibration);
    entry->note = ctl_option(t->ctl, "note");
    entry->parameters = (const char *)t->parameters.data;
    entry->drift_reference = (const char *)t->judged.drift.data;
    entry->training = (struct model_training){
        .from_ms = parts[SPLIT_TRAIN].from_ms,
        .to_ms = parts[SPLIT_TEST].to_ms,
        .validation_from_ms = parts[SPLIT_VALIDATION].from_ms,
        .test_from_ms = parts[SPLIT_TEST].from_ms,
        .labels = (const char *)t->labels.data,
        .label_window_ms = info->label_window_ms,
    };
    for (int p = 0; p < SPLIT_PARTS; p++) {
        entry->training.requests += parts[p].count;
        entry->training.rows += parts[p].labelled;
        entry->training.positives += parts[p].positives;
    }
    return describe_rows(t, entry, e);
}

static int write_entry(struct train *t, struct registration *r, struct err *e)
{
    struct db *d = NULL;
    int rc = ctl_open_db(&d, t->ctl, e);
    if (!rc)
        rc = model_registry_champion(d, t->model, &r->entry.parent, e);
    if (!rc)
        rc = model_registry_insert(d, &r->entry, &t->data.version, e);
    db_free(d);
    return rc;
}

int train_register(struct train *t, struct err *e)
{
    struct registration r = {.set = t->definitions,
                             .bytes = buf_str(&t->fit->bytes),
                             .columns = {t->judged.names, t->fit->survey.used_count}};
    int rc = describe_entry(t, &r.entry, e);
    if (!rc)
        rc = registration_prepare(&r, e);
    /* What was asked to stop leaves nothing behind that nobody has looked at. */
    if (!rc && !t->fit->was_stopped && !ctl_option(t->ctl, "no-register")) {
        compare_definitions(t);
        rc = write_entry(t, &r, e);
    }
    registration_free(&r);
    return rc;
}

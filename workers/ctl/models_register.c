/* flotilla models register: a model file becomes a version. What cannot be served is refused here,
 * by its name. */
#include "registration.h"

#include "base/file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { METRICS_MAX_BYTES = 1 << 20 };

/* What the command line says, read. */
struct given {
    const struct ctl *ctl;
    struct feature_set *set;
    struct buf file, metrics;
    struct str_list columns;
    struct registration registration;
};

static void finish(struct given *g)
{
    registration_free(&g->registration);
    feature_set_free(g->set);
    buf_free(&g->file);
    buf_free(&g->metrics);
    free(g->columns.items);
}

/* Names from --columns. */
static int split_columns(struct given *g, struct err *e)
{
    const char *text = ctl_option(g->ctl, "columns");
    struct str_list *names = &g->columns;
    size_t most = 1;
    for (const char *c = text; c && *c; c++)
        most += *c == ',';
    if (!text)
        return 0;
    if (!(names->items = malloc(most * sizeof *names->items)))
        return err_nomem(e);
    for (const char *at = text;; at++) {
        size_t n = strcspn(at, ",");
        names->items[names->count++] = str_bytes(at, n);
        at += n;
        if (!*at)
            return 0;
    }
}

static int read_metrics(struct given *g, struct err *e)
{
    const char *path = ctl_option(g->ctl, "metrics");
    json_error_t where;
    int rc = path ? file_read(&g->metrics, path, METRICS_MAX_BYTES, e) : 0;
    if (rc || !path)
        return rc;
    json_t *j = json_loadb((const char *)g->metrics.data, g->metrics.len, 0, &where);
    bool is_object = json_is_object(j);
    json_decref(j);
    if (!is_object)
        return err_set(e, ERR_SCHEMA, "%s is no JSON object%s%s", path, *where.text ? ": " : "",
                       where.text);
    buf_put_u8(&g->metrics, 0);
    g->registration.entry.metrics = (const char *)g->metrics.data;
    return buf_ok(&g->metrics) ? 0 : err_nomem(e);
}

/* The file first: what cannot be served is refused whatever else was given. */
static int read_model(struct given *g, struct err *e)
{
    const char *path = ctl_option(g->ctl, "file");
    struct ensemble *m = NULL;
    int rc = file_read(&g->file, path, ENSEMBLE_MAX_BYTES, e);
    if (rc)
        return rc;
    rc = ensemble_read(&m, buf_str(&g->file), e);
    ensemble_free(m);
    return rc ? err_wrap(e, "%s", path) : 0;
}

static int read_definitions(struct given *g, struct err *e)
{
    const char *path = ctl_option(g->ctl, "features");
    return feature_set_load(&g->set, path ? path : conf_text(g->ctl->conf, "features.file"), e);
}

/* Nothing of this needs a server. */
static int prepare(struct given *g, struct err *e)
{
    struct registration *r = &g->registration;
    int rc = read_model(g, e);
    if (!rc)
        rc = read_definitions(g, e);
    if (!rc)
        rc = split_columns(g, e);
    if (!rc)
        rc = read_metrics(g, e);
    if (rc)
        return rc;
    r->set = g->set;
    r->bytes = buf_str(&g->file);
    r->columns = g->columns;
    r->entry.parts.name = str_of(ctl_option(g->ctl, "model"));
    r->entry.note = ctl_option(g->ctl, "note");
    return registration_prepare(r, e);
}

static int check_options(const struct ctl *c, struct err *e)
{
    const char *name = ctl_option(c, "model");
    if (!name || !ctl_option(c, "file"))
        return err_set(e, ERR_INVALID, "--model and --file are needed");
    return registration_check_name(name, e);
}

static enum ctl_status run(const struct ctl *c, struct err *e)
{
    struct given g = {.ctl = c};
    const struct model_entry *entry = &g.registration.entry;
    int64_t version = 0;
    if (check_options(c, e))
        return CTL_USAGE;
    int rc = prepare(&g, e);
    bool is_refused = rc == ERR_INVALID || rc == ERR_SCHEMA || rc == ERR_CORRUPT ||
                      (rc == ERR_TOO_LARGE && g.file.len);
    if (!rc)
        rc = registration_write(&g.registration, c, &version, e);
    if (!rc)
        printf("registered %s version %lld: %lld trees, depth %lld, %zu columns, %s; nobody is "
               "served by it before flotilla models promote\n",
               ctl_option(c, "model"), (long long)version, (long long)entry->trees,
               (long long)entry->depth, entry->parts.features.count, entry->objective);
    finish(&g);
    return is_refused ? CTL_WRONG : rc ? CTL_FAILED : CTL_OK;
}

const struct command models_register_command = {
    .name = "models register",
    .arguments = "",
    .purpose = "put a model file of XGBoost into the registry as the next version of its name",
    .example = "flotilla models register --model shop --file model.ubj --note 'first try'",
    .options = {{"model", "NAME", "the model's name"},
                {"file", "FILE", "as XGBoost has saved it: UBJ or JSON"},
                {"features", "FILE", "definitions (default: the setting features.file)"},
                {"columns", "A,B,C",
                 "the value that each column is; default: the names in the file, else all values "
                 "in their order"},
                {"note", "TEXT", "for people"},
                {"metrics", "FILE", "a JSON object: what is known of its quality"}},
    .run = run,
};

/* flotilla models register: a model file becomes a version. What cannot be served is refused here,
 * by its name. */
#include "ctl.h"

#include "base/file.h"
#include "db/model_registry.h"
#include "model/model_check.h"
#include "model/rollout.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { METRICS_MAX_BYTES = 1 << 20 };

/* A model on its way into the registry. */
struct registration {
    const struct ctl *ctl;
    struct feature_set *set;
    struct buf file, metrics, fingerprints, rows, margins;
    struct ensemble *ensemble;
    uint8_t sha256[MODEL_SHA256_BYTES];
    const char *columns; /* what --columns says; the names borrow from it */
    struct str_list names;
    struct model_entry entry;
};

static void finish(struct registration *r)
{
    feature_set_free(r->set);
    ensemble_free(r->ensemble);
    buf_free(&r->file);
    buf_free(&r->metrics);
    buf_free(&r->fingerprints);
    buf_free(&r->rows);
    buf_free(&r->margins);
    free(r->names.items);
}

/* ---- Columns ---- */

/* Names from --columns; those of a file that has none. */
static size_t split(struct str_list *names, const char *text)
{
    for (const char *at = text; names->items; at++) {
        size_t n = strcspn(at, ",");
        names->items[names->count++] = str_bytes(at, n);
        at += n;
        if (!*at)
            break;
    }
    return names->count;
}

static int wrong_number(const struct registration *r, size_t have, const char *whose, struct err *e)
{
    return err_set(e, ERR_SCHEMA,
                   "the model has %zu columns, and %s %zu: name them in their order with --columns",
                   r->ensemble->column_count, whose, have);
}

static int name_columns(struct registration *r, struct err *e)
{
    const struct ensemble *m = r->ensemble;
    size_t n = m->column_count, most = n;
    for (const char *c = r->columns; c && *c; c++)
        most += *c == ',';
    if (!(r->names.items = malloc((most + 1) * sizeof *r->names.items)))
        return err_nomem(e);
    if (r->columns && split(&r->names, r->columns) != n)
        return wrong_number(r, r->names.count, "--columns has", e);
    if (!r->columns && !m->column_names && r->set->output_count != n)
        return wrong_number(r, r->set->output_count, "the definitions have", e);
    for (size_t i = 0; i < n; i++) {
        const char *own = m->column_names ? m->column_names[i] : NULL;
        if (r->columns && own && !str_is(r->names.items[i], own))
            return err_set(e, ERR_SCHEMA, "column %zu is %s in the file, and %.*s in --columns", i,
                           own, STR_ARG(r->names.items[i]));
        if (!r->columns)
            r->names.items[i] = str_of(own ? own : r->set->outputs[i].name);
    }
    r->names.count = n;
    return 0;
}

static int take_fingerprints(struct registration *r, struct err *e)
{
    for (size_t i = 0; i < r->names.count; i++) {
        size_t o = 0;
        while (o < r->set->output_count && !str_is(r->names.items[i], r->set->outputs[o].name))
            o++;
        if (o == r->set->output_count)
            return err_set(e, ERR_SCHEMA,
                           "column %zu is %.*s, which is no value of these definitions: see "
                           "flotilla features list",
                           i, STR_ARG(r->names.items[i]));
        buf_put(&r->fingerprints, r->set->outputs[o].feature->fingerprint, FINGERPRINT_BYTES);
    }
    return buf_ok(&r->fingerprints) ? 0 : err_nomem(e);
}

/* ---- The rest of it ---- */

static int read_metrics(struct registration *r, struct err *e)
{
    const char *path = ctl_option(r->ctl, "metrics");
    json_error_t where;
    int rc = path ? file_read(&r->metrics, path, METRICS_MAX_BYTES, e) : 0;
    if (rc || !path)
        return rc;
    json_t *j = json_loadb((const char *)r->metrics.data, r->metrics.len, 0, &where);
    bool is_object = json_is_object(j);
    json_decref(j);
    if (!is_object)
        return err_set(e, ERR_SCHEMA, "%s is no JSON object%s%s", path, *where.text ? ": " : "",
                       where.text);
    buf_put_u8(&r->metrics, 0);
    r->entry.metrics = (const char *)r->metrics.data;
    return buf_ok(&r->metrics) ? 0 : err_nomem(e);
}

static int read_model(struct registration *r, struct err *e)
{
    const char *path = ctl_option(r->ctl, "file");
    int rc = file_read(&r->file, path, ENSEMBLE_MAX_BYTES, e);
    if (rc)
        return rc;
    rc = ensemble_read(&r->ensemble, buf_str(&r->file), e);
    if (rc)
        return err_wrap(e, "%s", path);
    return model_sha256(r->sha256, buf_str(&r->file), e);
}

static int read_definitions(struct registration *r, struct err *e)
{
    const char *path = ctl_option(r->ctl, "features");
    return feature_set_load(&r->set, path ? path : conf_text(r->ctl->conf, "features.file"), e);
}

static void describe(struct registration *r)
{
    const struct ensemble *m = r->ensemble;
    struct model_entry *n = &r->entry;
    model_canaries(m, &r->rows, &r->margins);
    n->parts.name = str_of(ctl_option(r->ctl, "model"));
    n->parts.sha256 = str_bytes(r->sha256, sizeof r->sha256);
    n->parts.features = r->names;
    n->parts.fingerprints = buf_str(&r->fingerprints);
    n->parts.canary_rows = buf_str(&r->rows);
    n->parts.canary_margins = buf_str(&r->margins);
    n->parts.bytes = buf_str(&r->file);
    n->bytes_size = r->file.len;
    n->objective = m->objective_name;
    n->trees = (int64_t)m->tree_count;
    for (size_t i = 0; i < m->tree_count; i++)
        n->depth = m->trees[i].depth > n->depth ? m->trees[i].depth : n->depth;
    n->note = ctl_option(r->ctl, "note");
    n->os_user = ctl_user();
}

/* As a ranker will do it. */
static int try_it(struct registration *r, struct err *e)
{
    struct model *m = NULL;
    if (!buf_ok(&r->rows) || !buf_ok(&r->margins))
        return err_nomem(e);
    int rc = model_new(&m, r->set, &r->entry.parts, e);
    model_free(m);
    return rc;
}

/* Nothing of this needs a server. */
static int prepare(struct registration *r, struct err *e)
{
    int rc = read_model(r, e);
    if (!rc)
        rc = read_definitions(r, e);
    if (!rc)
        rc = name_columns(r, e);
    if (!rc)
        rc = take_fingerprints(r, e);
    if (!rc)
        rc = read_metrics(r, e);
    if (rc)
        return rc;
    describe(r);
    return try_it(r, e);
}

static int write_it(struct registration *r, int64_t *version, struct err *e)
{
    struct db *d = NULL;
    int rc = ctl_open_db(&d, r->ctl, e);
    if (!rc)
        rc = model_registry_insert(d, &r->entry, version, e);
    db_free(d);
    return rc;
}

static int check_options(const struct ctl *c, struct err *e)
{
    const char *name = ctl_option(c, "model");
    if (!name || !ctl_option(c, "file"))
        return err_set(e, ERR_INVALID, "--model and --file are needed");
    if (!rollout_model_name_is_good(str_of(name)))
        return err_set(e, ERR_INVALID,
                       "--model is \"%s\": a name has 1 to %d letters, digits, '.', '-' or '_', "
                       "and is not rules",
                       name, MODEL_NAME_BYTES);
    return 0;
}

static enum ctl_status run(const struct ctl *c, struct err *e)
{
    struct registration r = {.ctl = c};
    int64_t version = 0;
    if (check_options(c, e))
        return CTL_USAGE;
    r.columns = ctl_option(c, "columns");
    int rc = prepare(&r, e);
    bool is_refused = rc == ERR_INVALID || rc == ERR_SCHEMA || rc == ERR_CORRUPT ||
                      (rc == ERR_TOO_LARGE && r.file.len);
    if (!rc)
        rc = write_it(&r, &version, e);
    if (!rc)
        printf("registered %s version %lld: %lld trees, depth %lld, %zu columns, %s; nobody is "
               "served by it before flotilla models promote\n",
               ctl_option(c, "model"), (long long)version, (long long)r.entry.trees,
               (long long)r.entry.depth, r.names.count, r.entry.objective);
    finish(&r);
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

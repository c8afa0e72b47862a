#include "registration.h"

#include "model/model_check.h"
#include "model/rollout.h"

#include <stdlib.h>

void registration_free(struct registration *r)
{
    ensemble_free(r->ensemble);
    buf_free(&r->fingerprints);
    buf_free(&r->rows);
    buf_free(&r->margins);
    free(r->names.items);
    r->ensemble = NULL;
    r->names = (struct str_list){0};
}

int registration_check_name(const char *name, struct err *e)
{
    if (rollout_model_name_is_good(str_of(name)))
        return 0;
    return err_set(e, ERR_INVALID,
                   "--model is \"%s\": a name has 1 to %d letters, digits, '.', '-' or '_', and is "
                   "not rules",
                   name, MODEL_NAME_BYTES);
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
    size_t n = m->column_count;
    bool given = r->columns.items != NULL;
    if (!(r->names.items = malloc((n + 1) * sizeof *r->names.items)))
        return err_nomem(e);
    if (given && r->columns.count != n)
        return wrong_number(r, r->columns.count, "--columns has", e);
    if (!given && !m->column_names && r->set->output_count != n)
        return wrong_number(r, r->set->output_count, "the definitions have", e);
    for (size_t i = 0; i < n; i++) {
        const char *own = m->column_names ? m->column_names[i] : NULL;
        if (given && own && !str_is(r->columns.items[i], own))
            return err_set(e, ERR_SCHEMA, "column %zu is %s in the file, and %.*s in --columns", i,
                           own, STR_ARG(r->columns.items[i]));
        r->names.items[i] =
            given ? r->columns.items[i] : str_of(own ? own : r->set->outputs[i].name);
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

static void describe(struct registration *r)
{
    const struct ensemble *m = r->ensemble;
    struct model_entry *n = &r->entry;
    model_canaries(m, &r->rows, &r->margins);
    n->parts.sha256 = str_bytes(r->sha256, sizeof r->sha256);
    n->parts.features = r->names;
    n->parts.fingerprints = buf_str(&r->fingerprints);
    n->parts.canary_rows = buf_str(&r->rows);
    n->parts.canary_margins = buf_str(&r->margins);
    n->parts.bytes = r->bytes;
    n->bytes_size = r->bytes.len;
    n->objective = m->objective_name;
    n->trees = (int64_t)m->tree_count;
    for (size_t i = 0; i < m->tree_count; i++)
        n->depth = m->trees[i].depth > n->depth ? m->trees[i].depth : n->depth;
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

int registration_prepare(struct registration *r, struct err *e)
{
    int rc = ensemble_read(&r->ensemble, r->bytes, e);
    if (!rc)
        rc = model_sha256(r->sha256, r->bytes, e);
    if (!rc)
        rc = name_columns(r, e);
    if (!rc)
        rc = take_fingerprints(r, e);
    if (rc)
        return rc;
    describe(r);
    return try_it(r, e);
}

int registration_write(struct registration *r, const struct ctl *c, int64_t *version, struct err *e)
{
    struct db *d = NULL;
    int rc = ctl_open_db(&d, c, e);
    if (!rc)
        rc = model_registry_insert(d, &r->entry, version, e);
    db_free(d);
    return rc;
}

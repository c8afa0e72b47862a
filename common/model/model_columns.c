#include "model/model_columns.h"

#include "feature/fingerprint.h"

bool model_output_is_shared(const struct feature_set *set, const struct output *o)
{
    const struct feature *f = o->feature;
    if (f->kind == FEATURE_TIME || f->kind == FEATURE_POSITION)
        return true; /* serving, a position is the same constant for all */
    if (f->kind == FEATURE_STANDING || feature_needs_candidate(f->kind))
        return false;
    if (!feature_is_aggregate(f->kind))
        return f->dimension.side != SIDE_PROPOSITION;
    return !set->scopes[f->scope].has_proposition;
}

static const struct output *find_output(const struct feature_set *set, struct str name)
{
    for (size_t i = 0; i < set->output_count; i++)
        if (str_is(name, set->outputs[i].name))
            return &set->outputs[i];
    return NULL;
}

static int check_fingerprint(const struct output *o, const uint8_t *registered, struct err *e)
{
    char theirs[2 * FINGERPRINT_BYTES + 1], ours[2 * FINGERPRINT_BYTES + 1];
    if (memcmp(o->feature->fingerprint, registered, FINGERPRINT_BYTES) == 0)
        return 0;
    fingerprint_text(theirs, registered);
    fingerprint_text(ours, o->feature->fingerprint);
    return err_set(e, ERR_NOT_FOUND,
                   "%s: the model was trained on fingerprint %s, this fleet has %s", o->name,
                   theirs, ours);
}

int model_find_columns(struct model_columns *c, const struct feature_set *set,
                       const struct model_parts *parts, struct arena *a, struct err *e)
{
    size_t n = parts->features.count;
    int rc = 0;
    if (n == 0 || n > ENSEMBLE_MAX_COLUMNS || parts->fingerprints.len != n * FINGERPRINT_BYTES)
        return err_set(e, ERR_CORRUPT, "%zu columns are named, with %zu bytes of fingerprints", n,
                       parts->fingerprints.len);
    c->outputs = arena_alloc(a, n * sizeof *c->outputs);
    c->shared = arena_alloc(a, n * sizeof *c->shared);
    c->names = arena_alloc(a, n * sizeof *c->names);
    if (!c->outputs || !c->shared || !c->names)
        return err_nomem(e);
    for (size_t i = 0; i < n && !rc; i++) {
        struct str name = parts->features.items[i];
        const struct output *o = find_output(set, name);
        if (!o)
            return err_set(e, ERR_NOT_FOUND, "%.*s: this fleet has no such feature", STR_ARG(name));
        c->outputs[i] = (size_t)(o - set->outputs);
        c->shared[i] = model_output_is_shared(set, o);
        c->names[i] = arena_copy(a, name).data;
        const uint8_t *registered =
            (const uint8_t *)parts->fingerprints.data + i * FINGERPRINT_BYTES;
        rc = c->names[i] ? check_fingerprint(o, registered, e) : err_nomem(e);
    }
    return rc;
}

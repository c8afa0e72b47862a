#include "state/wire.h"

#include "feature/apply.h"

#include <stdlib.h>

int wire_init(struct wire *w, const struct feature_set *set, struct err *e)
{
    *w = (struct wire){.set = set};
    w->scope_layouts = calloc(set->scope_count + 1, sizeof *w->scope_layouts);
    if (!w->scope_layouts)
        return err_nomem(e);
    bool ok = true;
    user_record_fingerprints(&w->user_layout, set);
    for (size_t i = 0; i < set->scope_count; i++) {
        cell_fingerprints(&w->scope_layouts[i], &set->scopes[i]);
        ok &= buf_ok(&w->scope_layouts[i]);
    }
    return ok && buf_ok(&w->user_layout) ? 0 : err_nomem(e);
}

void wire_free(struct wire *w)
{
    for (size_t i = 0; w->scope_layouts && i < w->set->scope_count; i++)
        buf_free(&w->scope_layouts[i]);
    free(w->scope_layouts);
    buf_free(&w->user_layout);
    buf_free(&w->key);
    buf_free(&w->converted);
}

void wire_put_key(struct buf *out, const struct feature_set *set, struct str shared)
{
    size_t scope;
    struct str key;
    if (!shared_key_parse(set, shared, &scope, &key))
        return;
    buf_put_text(out, set->scopes[scope].text);
    buf_put_u8(out, 0);
    buf_put_str(out, key);
}

int wire_read_key(struct wire *w, struct str wire, struct arena *a)
{
    const char *zero = wire.len ? memchr(wire.data, 0, wire.len) : NULL;
    if (!zero)
        return WIRE_DAMAGED;
    int scope = feature_set_scope(w->set, str_bytes(wire.data, (size_t)(zero - wire.data)));
    if (scope < 0 || w->set->scopes[scope].has_user)
        return WIRE_UNKNOWN;
    struct str key = {zero + 1, wire.len - (size_t)(zero + 1 - wire.data)}, user = {0};
    struct str_list parts;
    if (key_parts(&parts, &w->set->scopes[scope], key, user, a, NULL))
        return WIRE_DAMAGED;
    buf_reset(&w->key);
    shared_key(&w->key, (size_t)scope, key);
    return scope;
}

int wire_read_cell(struct wire *w, int scope, struct str fingerprints, struct str *cell,
                   struct err *e)
{
    const struct scope *s = &w->set->scopes[scope];
    if (!wire_matches(fingerprints, &w->scope_layouts[scope])) {
        buf_reset(&w->converted);
        *cell = cell_convert(&w->converted, s, fingerprints, *cell) ? buf_str(&w->converted)
                                                                    : (struct str){0};
        return buf_ok(&w->converted) ? 0 : err_nomem(e);
    }
    return cell_is_sound(s, *cell)
               ? 0
               : err_set(e, ERR_CORRUPT, "the cell of scope %s is damaged", s->text);
}

/* A walk over a user's record, for what may be damaged in it. */
struct walk {
    const struct feature_set *set;
    size_t scope;
};

static int check_key(void *arg, const struct user_key_view *k, struct err *e)
{
    const struct walk *w = arg;
    bool gone = *k->flags & KEY_IS_GONE;
    return gone || cell_is_sound(&w->set->scopes[w->scope], k->cell)
               ? 0
               : err_set(e, ERR_CORRUPT, "a cell is damaged");
}

static int check_section(void *arg, size_t scope, struct str section, struct err *e)
{
    struct walk *w = arg;
    w->scope = scope;
    return user_section_each(section, check_key, w, e);
}

int wire_read_user(struct wire *w, struct str fingerprints, struct str *record, struct err *e)
{
    struct walk walk = {.set = w->set};
    if (!wire_matches(fingerprints, &w->user_layout)) {
        buf_reset(&w->converted);
        int rc = user_record_convert(&w->converted, w->set, fingerprints, *record, e);
        if (rc)
            return rc;
        *record = buf_str(&w->converted);
    }
    return user_record_each(w->set, *record, check_section, &walk, e);
}

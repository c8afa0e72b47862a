/* How state and deltas stand on topics. */
#include "features/inside.h"

bool wire_matches(struct str fingerprints, const struct buf *layout)
{
    return str_equal(fingerprints, buf_str(layout));
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

int wire_read_key(struct features *f, struct str wire)
{
    const char *zero = wire.len ? memchr(wire.data, 0, wire.len) : NULL;
    if (!zero)
        return WIRE_DAMAGED;
    int scope = feature_set_scope(f->opts.set, str_bytes(wire.data, (size_t)(zero - wire.data)));
    if (scope < 0 || f->opts.set->scopes[scope].has_user)
        return WIRE_UNKNOWN;
    struct str key = {zero + 1, wire.len - (size_t)(zero + 1 - wire.data)}, user = {0};
    struct str_list parts;
    if (key_parts(&parts, &f->opts.set->scopes[scope], key, user, &f->arena, NULL))
        return WIRE_DAMAGED;
    buf_reset(&f->key);
    shared_key(&f->key, (size_t)scope, key);
    return scope;
}

int wire_read_cell(struct features *f, int scope, struct str fingerprints, struct str *cell,
                   struct err *e)
{
    const struct scope *s = &f->opts.set->scopes[scope];
    if (!wire_matches(fingerprints, &f->scope_layouts[scope])) {
        buf_reset(&f->converted);
        *cell = cell_convert(&f->converted, s, fingerprints, *cell) ? buf_str(&f->converted)
                                                                    : (struct str){0};
        return buf_ok(&f->converted) ? 0 : err_nomem(e);
    }
    return cell_is_sound(s, *cell)
               ? 0
               : err_set(e, ERR_CORRUPT, "the cell of scope %s is damaged", s->text);
}

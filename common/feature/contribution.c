#include "feature/contribution.h"

#include "base/buf.h"

#include <stdint.h>

/* NULL: the context does not have the field. */
static const struct str *find_context(const struct situation *s, const char *field)
{
    for (size_t i = s->context ? s->context->count : 0; i > 0; i--)
        if (str_is(s->context->items[i - 1].name, field))
            return &s->context->items[i - 1].value;
    return NULL;
}

struct str situation_context(const struct situation *s, const char *field)
{
    const struct str *text = find_context(s, field);
    return text ? *text : (struct str){0};
}

const struct known_value *situation_attribute(const struct situation *s, const struct dimension *d)
{
    const struct known *k = d->side == SIDE_USER          ? s->user
                            : d->side == SIDE_PROPOSITION ? s->proposition
                                                          : NULL;
    return k && d->attribute >= 0 ? &k->values[d->attribute] : NULL;
}

/* A list of one text, or of none. */
static struct str_list one(const struct str *text)
{
    return (struct str_list){(struct str *)(uintptr_t)text, text && text->data ? 1 : 0};
}

struct str_list situation_values(const struct situation *s, const struct dimension *d)
{
    if (d->side == SIDE_CONTEXT)
        return one(find_context(s, d->field));
    if (!d->field)
        return one(d->side == SIDE_USER ? &s->user_id : &s->proposition_id);
    const struct known_value *v = situation_attribute(s, d);
    return v ? v->keys : (struct str_list){0};
}

static size_t longest(const struct str_list *values)
{
    size_t n = 0;
    for (size_t i = 0; i < values->count; i++)
        n = values->items[i].len > n ? values->items[i].len : n;
    return n;
}

size_t situation_key_count(const struct situation *s, const struct scope *scope)
{
    size_t count = 1, bytes = 0;
    for (size_t i = 0; i < scope->dimension_count; i++) {
        struct str_list values = situation_values(s, &scope->dimensions[i]);
        size_t n = values.count;
        if (n == 0)
            return 0;
        bytes += longest(&values);
        count = count > MAX_KEYS || n > MAX_KEYS / count ? MAX_KEYS + 1 : count * n;
    }
    return bytes > MAX_KEY_BYTES ? MAX_KEYS + 1 : count;
}

static bool is_user(const struct dimension *d)
{
    return d->side == SIDE_USER && !d->field;
}

size_t situation_product(struct str_list *values, const struct situation *s,
                         const struct scope *scope)
{
    size_t count = 1;
    for (size_t i = 0; i < scope->dimension_count; i++) {
        values[i] = situation_values(s, &scope->dimensions[i]);
        if (values[i].count == 0)
            return 0;
        count = count > MAX_KEYS || values[i].count > MAX_KEYS / count ? MAX_KEYS + 1
                                                                       : count * values[i].count;
    }
    return count;
}

void situation_put_key(struct buf *out, const struct scope *scope, const struct str_list *values,
                       size_t number, bool in_user_record)
{
    size_t repeat = 1;
    for (size_t i = scope->dimension_count; i > 1; i--)
        repeat *= values[i - 1].count;
    for (size_t i = 0; i < scope->dimension_count; i++) {
        struct str v = values[i].items[number / repeat % values[i].count];
        if (!in_user_record || !is_user(&scope->dimensions[i]))
            buf_put_sized(out, v);
        if (i + 1 < scope->dimension_count)
            repeat /= values[i + 1].count;
    }
}

int situation_keys(struct str_list *out, const struct situation *s, const struct scope *scope,
                   bool in_user_record, struct arena *a, struct err *e)
{
    struct str_list *values = arena_alloc(a, scope->dimension_count * sizeof *values + 1);
    *out = (struct str_list){0};
    if (!values)
        return err_nomem(e);
    size_t count = situation_product(values, s, scope), bytes = 0;
    if (count > MAX_KEYS)
        return err_set(e, ERR_TOO_LARGE, "belongs to more than %d keys of scope %s", MAX_KEYS,
                       scope->text);
    if (count == 0)
        return 0;
    for (size_t i = 0; i < scope->dimension_count; i++)
        bytes += longest(&values[i]) + VARINT_BYTES;
    out->items = arena_alloc(a, count * sizeof *out->items);
    if (!out->items)
        return err_nomem(e);
    for (; out->count < count; out->count++) {
        struct buf room = {.data = arena_alloc(a, bytes + 1), .cap = bytes + 1};
        if (!room.data)
            return err_nomem(e);
        situation_put_key(&room, scope, values, out->count, in_user_record);
        out->items[out->count] = buf_str(&room);
    }
    return 0;
}

int key_parts(struct str_list *out, const struct scope *scope, struct str key, struct str user_id,
              struct arena *a, struct err *e)
{
    struct cursor c = cursor_of(key.data, key.len);
    *out = (struct str_list){arena_alloc(a, scope->dimension_count * sizeof *out->items + 1), 0};
    if (!out->items)
        return err_nomem(e);
    for (; out->count < scope->dimension_count; out->count++) {
        bool inserted = user_id.data && is_user(&scope->dimensions[out->count]);
        out->items[out->count] = inserted ? user_id : cursor_sized(&c);
    }
    return c.bad || cursor_left(&c)
               ? err_set(e, ERR_CORRUPT, "a key of scope %s is damaged", scope->text)
               : 0;
}

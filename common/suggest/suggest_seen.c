#include "suggest/suggest_seen.h"

#include <math.h>
#include <stdio.h>

static const char *const looks[] = {
    [LOOK_NOTHING] = "nothing to learn from",
    [LOOK_MIXED] = "of several types",
    [LOOK_NUMBER] = "number",
    [LOOK_FLAG] = "true or false",
    [LOOK_INSTANT] = "date",
    [LOOK_CATEGORY] = "category",
    [LOOK_REFERENCE] = "text that comes back",
    [LOOK_TEXT] = "words",
    [LOOK_LIST] = "list",
};

void seen_say(struct suggestion *g, const struct seen *x, const char *whose, const char *remark)
{
    char name[QUOTED_BYTES], values[THOUSANDS_BYTES], range[96] = "";
    const struct field *f = x->field;
    if (x->look == LOOK_NUMBER)
        snprintf(range, sizeof range, ", %.6g to %.6g", f->least, f->most);
    else if (x->look == LOOK_LIST)
        snprintf(range, sizeof range, ", %.1f in each", (double)f->items / (double)f->lists);
    if (!*remark && field_is_numeral(f))
        remark = ": as a number, not a text, it would be read by its size";
    draft_comment(&g->d, "%s: %s, %s%s value%s%s, %.0f %% of %s%s",
                  draft_quoted(&g->d, name, f->name), looks[x->look], f->left_out ? "over " : "",
                  draft_thousands(values, field_different(f)), field_different(f) == 1 ? "" : "s",
                  range, x->of ? fmin(100, 100 * (double)f->count / (double)x->of) : 0, whose,
                  remark);
}

const char *seen_why_not(const struct seen *x, size_t used)
{
    if (x->field->count == 0)
        return ": never a value";
    if (x->look == LOOK_NOTHING && field_different(x->field) <= 1)
        return ": always the same";
    if (x->look == LOOK_NOTHING)
        return ": a value of its own nearly everywhere";
    if (x->look == LOOK_MIXED)
        return ": give it one type";
    if (x->field->count * 100 < x->of)
        return ": too rare to learn from";
    return used >= FIELDS_SUGGESTED ? ": left out, there are enough before it" : NULL;
}

size_t seen_choose(struct suggestion *g, struct seen *out, const struct fields *fields, uint64_t of,
                   const char *whose)
{
    size_t count = 0;
    uint64_t unusable = fields->left_out > 0;
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->items[i];
        struct seen x = {f, field_look(f, of), of};
        const char *reason = seen_why_not(&x, count);
        if (!is_usable_name(f->name))
            unusable++;
        else if (reason)
            seen_say(g, &x, whose, reason);
        else
            out[count++] = x;
    }
    if (unusable)
        draft_comment(&g->d,
                      "and fields that have no name for a definition, or for which there was "
                      "no room");
    return count;
}

bool seen_is_key(const struct seen *x)
{
    return (x->look == LOOK_CATEGORY || x->look == LOOK_REFERENCE || x->look == LOOK_LIST) &&
           !memchr(x->field->name.data, '*', x->field->name.len);
}

bool fields_share_values(const struct field *a, const struct field *b)
{
    size_t shared = 0;
    for (uint32_t id = table_first(a->values); id != TABLE_NONE; id = table_next(a->values, id))
        shared += table_find(b->values, table_key(table_get(a->values, id))) != TABLE_NONE;
    return shared * 2 > field_different(a);
}

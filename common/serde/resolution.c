#include "serde/resolution.h"

#include "serde/schema_name.h"

static bool names_match(const struct schema_node *w, const struct schema_node *r)
{
    struct str name = schema_name_last(w->name);
    if (str_equal(name, schema_name_last(r->name)))
        return true;
    for (size_t i = 0; i < r->aliases.count; i++)
        if (str_equal(name, schema_name_last(r->aliases.items[i])))
            return true;
    return false;
}

enum step_code resolution_step(enum schema_type w, enum schema_type r)
{
    static const struct {
        enum schema_type from, to;
        enum step_code code;
    } all[] = {
        {SCHEMA_NULL, SCHEMA_NULL, STEP_NULL},
        {SCHEMA_BOOLEAN, SCHEMA_BOOLEAN, STEP_BOOLEAN},
        {SCHEMA_INT, SCHEMA_INT, STEP_INT},
        {SCHEMA_INT, SCHEMA_LONG, STEP_INT_TO_LONG},
        {SCHEMA_INT, SCHEMA_FLOAT, STEP_INT_TO_FLOAT},
        {SCHEMA_INT, SCHEMA_DOUBLE, STEP_INT_TO_DOUBLE},
        {SCHEMA_LONG, SCHEMA_LONG, STEP_LONG},
        {SCHEMA_LONG, SCHEMA_FLOAT, STEP_LONG_TO_FLOAT},
        {SCHEMA_LONG, SCHEMA_DOUBLE, STEP_LONG_TO_DOUBLE},
        {SCHEMA_FLOAT, SCHEMA_FLOAT, STEP_FLOAT},
        {SCHEMA_FLOAT, SCHEMA_DOUBLE, STEP_FLOAT_TO_DOUBLE},
        {SCHEMA_DOUBLE, SCHEMA_DOUBLE, STEP_DOUBLE},
        {SCHEMA_BYTES, SCHEMA_BYTES, STEP_BYTES},
        {SCHEMA_BYTES, SCHEMA_STRING, STEP_TEXT},
        {SCHEMA_STRING, SCHEMA_STRING, STEP_TEXT},
        {SCHEMA_STRING, SCHEMA_BYTES, STEP_BYTES},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].from == w && all[i].to == r)
            return all[i].code;
    return STEP_REFUSE;
}

bool resolution_matches(const struct schema_node *w, const struct schema_node *r)
{
    if (w->type != r->type)
        return resolution_step(w->type, r->type) != STEP_REFUSE;
    switch (w->type) {
    case SCHEMA_RECORD:
    case SCHEMA_ENUM:
        return names_match(w, r);
    case SCHEMA_FIXED:
        return names_match(w, r) && w->fixed_bytes == r->fixed_bytes;
    default:
        return true;
    }
}

/* How well a branch fits: the very type, the same type under another namespace or an alias, or one
 * that it can be promoted to. */
enum fit { FIT_EXACT, FIT_SAME_TYPE, FIT_PROMOTED, FIT_NONE };

static enum fit fit_of(const struct schema_node *w, const struct schema_node *r)
{
    if (!resolution_matches(w, r))
        return FIT_NONE;
    if (w->type != r->type)
        return FIT_PROMOTED;
    return str_equal(w->name, r->name) ? FIT_EXACT : FIT_SAME_TYPE;
}

size_t resolution_branch(const struct schema_node *w, const struct schema_node *r)
{
    size_t best = r->branch_count;
    enum fit best_fit = FIT_NONE;
    for (size_t i = 0; i < r->branch_count; i++) {
        enum fit fit = fit_of(w, r->branches[i]);
        if (fit < best_fit) {
            best_fit = fit;
            best = i;
        }
    }
    return best;
}

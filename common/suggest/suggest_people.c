/* Users: what they are, and what users of a kind like. */
#include "suggest/suggest_seen.h"

enum {
    CROSSED_MOST = 2,        /* kinds of propositions for each kind of users */
    KINDS_OF_USERS_MOST = 4, /* beside those that share values with kinds of propositions */
    KINDS_MOST = 50,         /* of users, with every proposition */
    PAIRS_MOST = 50000,      /* kinds of users and of propositions, in one scope */
    SHARED_WEIGHT = 20,
};

/* What users of a kind think of a kind of propositions. */
static void suggest_crossed_kinds(struct suggestion *g, const struct seen *x, const struct field *y)
{
    struct buf scope = {0};
    buf_printf(&scope, "user.%.*s*proposition.%.*s", STR_ARG(x->field->name), STR_ARG(y->name));
    scope_is(g, "", buf_str(&scope));
    suggest_rate(g, false, WORDS(x->field->name, y->name, str_of("rate")),
                 &(struct rate){g->f.responses[0], g->f.impression, SHARED_WEIGHT, false},
                 &g->f.long_window);
    g->d.failed |= scope.failed;
    buf_free(&scope);
}

/* Whether the attribute `i` of propositions can stand in a scope beside one of users. */
static bool can_cross(const struct suggestion *g, const struct seen *x, size_t i)
{
    const struct field *f = &g->s->attributes[SIDE_PROPOSITION].items[i];
    struct seen y = {f, field_look(f, g->s->entities[SIDE_PROPOSITION]),
                     g->s->entities[SIDE_PROPOSITION]};
    return is_usable_name(f->name) && seen_is_key(&y) && !seen_why_not(&y, 0) && f->left_out == 0 &&
           field_different(x->field) * field_different(f) <= PAIRS_MOST;
}

/* Whether what users are is said in the values of what propositions are: likes and genres. */
static bool is_shared(const struct suggestion *g, const struct seen *x)
{
    const struct fields *theirs = &g->s->attributes[SIDE_PROPOSITION];
    for (size_t i = 0; i < theirs->count; i++)
        if (can_cross(g, x, i) && fields_share_values(x->field, &theirs->items[i]))
            return true;
    return false;
}

/* What users of a kind think of a proposition, and of kinds of them: of those that have the same
 * values first, then of others. */
static void suggest_crossed(struct suggestion *g, const struct seen *x)
{
    const struct facts *f = &g->f;
    const struct fields *theirs = &g->s->attributes[SIDE_PROPOSITION];
    size_t done = 0;
    struct buf scope = {0};
    buf_printf(&scope, "user.%.*s*proposition", STR_ARG(x->field->name));
    scope_is(g, "", buf_str(&scope));
    g->d.failed |= scope.failed;
    buf_free(&scope);
    if (field_different(x->field) <= KINDS_MOST)
        suggest_rate(g, false, WORDS(x->field->name, str_of("prop"), str_of("rate")),
                     &(struct rate){f->responses[0], f->impression, SHARED_WEIGHT, false},
                     &f->long_window);
    for (int shared = 1; shared >= 0; shared--) {
        for (size_t i = 0; i < theirs->count && done < CROSSED_MOST; i++) {
            if (!can_cross(g, x, i) ||
                fields_share_values(x->field, &theirs->items[i]) != (shared == 1))
                continue;
            suggest_crossed_kinds(g, x, &theirs->items[i]);
            done++;
        }
    }
}

int suggest_user_attributes(struct suggestion *g, struct err *e)
{
    struct seen fields[FIELDS_SUGGESTED];
    size_t crossed = 0;
    int rc = 0;
    if (g->s->entities[SIDE_USER] == 0)
        return 0;
    buf_put_text(g->d.out, "\n  # ---- Users: what they are ----\n");
    size_t count =
        seen_choose(g, fields, &g->s->attributes[SIDE_USER], g->s->entities[SIDE_USER], "users");
    for (size_t i = 0; i < count && !rc; i++) {
        seen_say(g, &fields[i], "users", "");
        rc = suggest_attribute(g, &fields[i], "user", "user", e);
        if (!seen_is_key(&fields[i]) || !g->f.impression || g->f.response_count == 0)
            continue;
        bool few = field_different(fields[i].field) <= KINDS_MOST;
        if (is_shared(g, &fields[i]) || (few && crossed++ < KINDS_OF_USERS_MOST))
            suggest_crossed(g, &fields[i]);
    }
    return rc;
}

/* What propositions are, and who likes that. */
#include "suggest/suggest_seen.h"

#include <math.h>
#include <stdlib.h>

enum {
    VALUES_LISTED = 24,
    TASTES_MOST = 8, /* attributes that have rates of their own */
    GAPS_MOST = 6,
    SHARED_WEIGHT = 20, /* of rates that many users share, and of one user's own */
    OWN_WEIGHT = 5,
    KEYS_TO_LIST = 50,
    CODES_MOST = 50, /* different ones, with so many records each */
    CODE_RECORDS = 5,
    TIMES_OVER = 8, /* a user's keys over those that are kept: beyond, too many go too soon */
};

/* ---- Values that are read as they stand ---- */

void parameter_field(struct suggestion *g, const char *parameter, struct str name)
{
    buf_printf(&g->parameters, "%s: ", parameter);
    draft_scalar(&g->parameters, name);
}

void suggest_put(struct suggestion *g, const char *name, const char *kind)
{
    draft_feature(&g->d, false, name, &g->scope, kind, &g->parameters);
    buf_reset(&g->parameters);
}

static int list_values(struct suggestion *g, const struct field *f, size_t *listed, struct err *e)
{
    struct field_value *top = NULL;
    size_t count = 0;
    int rc = field_top(&top, &count, f, VALUES_LISTED, e);
    *listed = count;
    buf_put_text(&g->parameters, ", values: [");
    for (size_t i = 0; i < count && !rc; i++) {
        buf_put_text(&g->parameters, i ? ", " : "");
        draft_scalar(&g->parameters, top[i].text);
    }
    buf_put_u8(&g->parameters, ']');
    free(top);
    return rc;
}

/* A standing is made of numbers of propositions. */
int suggest_attribute(struct suggestion *g, const struct seen *x, const char *side,
                      const char *prefix, struct err *e)
{
    char name[SUGGESTED_NAME_BYTES];
    size_t listed = 1;
    bool by_text = x->look == LOOK_CATEGORY || x->look == LOOK_LIST;
    if (x->look == LOOK_TEXT || x->look == LOOK_REFERENCE ||
        (x->look == LOOK_LIST && field_different(x->field) > KEYS_TO_LIST))
        return 0;
    if (*prefix)
        draft_name(&g->d, name, WORDS(str_of(prefix), x->field->name));
    else
        draft_name(&g->d, name, WORDS(x->field->name));
    scope_is(g, side, (struct str){0});
    parameter_field(g, "field", x->field->name);
    int rc = by_text ? list_values(g, x->field, &listed, e) : 0;
    if (listed == 0) { /* all too long to be listed */
        g->d.failed |= g->parameters.failed;
        buf_reset(&g->parameters);
        return rc;
    }
    suggest_put(g, name, x->look == LOOK_INSTANT ? "age" : "attribute");
    if (!rc && strcmp(side, "proposition") == 0 &&
        (x->look == LOOK_NUMBER || x->look == LOOK_INSTANT))
        suggest_standing(g, name, NULL);
    return rc;
}

/* ---- Tastes ---- */

/* Keys that a typical user has in user*proposition.X: at most. */
static double keys_of_user(const struct suggestion *g, const struct seen *x)
{
    double each = x->field->lists ? (double)x->field->items / (double)x->field->lists : 1;
    return fmin((double)field_different(x->field), g->f.contributions_per_user * each);
}

/* The answers to what has the same value: everybody's, and the user's own. */
static void suggest_rates_of(struct suggestion *g, const struct seen *x)
{
    const struct facts *f = &g->f;
    const struct seen_event *answer = f->responses[0];
    struct str field = x->field->name, rate = str_of("rate"), user = str_of("user");
    double keys = keys_of_user(g, x), most = (double)g->s->opts.max_keys_per_user;
    bool too_many = keys > TIMES_OVER * most;
    scope_is(g, "proposition.", field);
    suggest_rate(g, false, WORDS(field, answer->name, rate),
                 &(struct rate){answer, f->impression, SHARED_WEIGHT, false}, &f->long_window);
    if (keys > most)
        draft_comment(
            &g->d,
            "a user of the sample meets up to %.0f values of it, %.0f are kept: the least recent "
            "go%s",
            keys, most, too_many ? ", too soon to tell anything" : "");
    scope_is(g, "user*proposition.", field);
    suggest_rate(g, too_many, WORDS(user, field, rate),
                 &(struct rate){answer, f->impression, OWN_WEIGHT, true}, &f->long_window);
    scope_is(g, "user*proposition.", field);
    suggest_windowed(g, too_many, WORDS(user, field, answer->name), "count", answer,
                     &f->long_window);
    suggest_windowed(g, too_many, WORDS(user, field, f->impression->name), "count", f->impression,
                     &f->long_window);
}

static void suggest_overlap(struct suggestion *g, const struct seen *x)
{
    char name[SUGGESTED_NAME_BYTES];
    draft_name(&g->d, name, WORDS(str_of("taste"), x->field->name));
    scope_is(g, "user", (struct str){0});
    parameter_field(g, "event", g->f.responses[0]->name);
    parameter_field(g, ", attribute", x->field->name);
    buf_printf(&g->parameters, ", last: 50, within: %s", g->f.long_window.items[0].text);
    suggest_put(g, name, "overlap");
}

static void suggest_gap(struct suggestion *g, const struct seen *x)
{
    char name[SUGGESTED_NAME_BYTES];
    draft_name(&g->d, name, WORDS(x->field->name, str_of("gap")));
    scope_is(g, "user", (struct str){0});
    parameter_field(g, "event", g->f.responses[0]->name);
    parameter_field(g, ", attribute", x->field->name);
    buf_put_text(&g->parameters, ", windows: ");
    draft_windows(&g->parameters, &g->f.long_window);
    suggest_put(g, name, "gap");
}

/* Whole numbers that are few and come back: rather a code of a kind than a size. */
static bool is_code(const struct seen *x)
{
    const struct field *f = x->field;
    return x->look == LOOK_NUMBER && f->wholes == f->count && field_different(f) <= CODES_MOST &&
           f->count >= CODE_RECORDS * (uint64_t)field_different(f) &&
           !memchr(f->name.data, '*', f->name.len);
}

/* ---- The parts ---- */

int suggest_proposition_attributes(struct suggestion *g, struct err *e)
{
    struct seen fields[FIELDS_SUGGESTED];
    const struct field *query = suggest_query(g);
    size_t tastes = 0, gaps = 0;
    int rc = 0;
    buf_put_text(g->d.out, "\n  # ---- Propositions: what they are, and who likes that ----\n");
    size_t count = seen_choose(g, fields, &g->s->attributes[SIDE_PROPOSITION],
                               g->s->entities[SIDE_PROPOSITION], "propositions");
    for (size_t i = 0; i < count && !rc; i++) {
        const struct seen *x = &fields[i];
        bool answered = g->f.response_count > 0;
        bool has_texts = seen_is_key(x) || x->look == LOOK_TEXT;
        seen_say(g, x, "propositions",
                 x->look == LOOK_TEXT && !query
                     ? ": for the kind match, where the context has a query"
                     : "");
        rc = suggest_attribute(g, x, "proposition", "", e);
        if (has_texts)
            suggest_matches(g, x, query);
        if ((seen_is_key(x) || is_code(x)) && answered && g->f.impression && tastes++ < TASTES_MOST)
            suggest_rates_of(g, x);
        if (seen_is_key(x) && answered && x->look != LOOK_CATEGORY)
            suggest_overlap(g, x);
        bool is_number = x->look == LOOK_NUMBER ||
                         (x->look == LOOK_INSTANT && x->field->numbers > x->field->texts);
        if (is_number && answered && gaps++ < GAPS_MOST)
            suggest_gap(g, x);
    }
    return rc;
}

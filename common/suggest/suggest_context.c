/* The context of requests: attributes, what is asked for, times. */
#include "suggest/suggest_seen.h"

enum { CONTEXT_RATES_MOST = 2, SHARED_WEIGHT = 20 };

/* The context that requests have, as far as it was seen; without any requests, that of what was
 * shown. */
static const struct fields *request_context(const struct suggestion *g)
{
    return g->s->requests == 0 && g->f.impression ? &g->f.impression->context : &g->s->context;
}

/* The field that a person has typed words into. */
const struct field *suggest_query(const struct suggestion *g)
{
    static const char *const names[] = {"query",       "q",        "search", "search_query",
                                        "search_term", "keywords", "term",   "text"};
    const struct fields *context = request_context(g);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (fields_find(context, str_of(names[i])))
            return fields_find(context, str_of(names[i]));
    for (size_t i = 0; i < context->count; i++) {
        const struct field *f = &context->items[i];
        enum field_look look = field_look(f, f->count);
        if (is_usable_name(f->name) && (look == LOOK_TEXT || look == LOOK_REFERENCE) &&
            f->words * 4 > f->texts * 5)
            return f;
    }
    return NULL;
}

static void suggest_match(struct suggestion *g, const struct seen *x, const struct field *query)
{
    char name[SUGGESTED_NAME_BYTES];
    draft_name(&g->d, name, WORDS(query->name, str_of("in"), x->field->name));
    scope_is(g, "proposition", (struct str){0});
    parameter_field(g, "context", query->name);
    parameter_field(g, ", attribute", x->field->name);
    suggest_put(g, name, "match");
}

void suggest_matches(struct suggestion *g, const struct seen *x, const struct field *query)
{
    const struct fields *context = request_context(g);
    if (query)
        suggest_match(g, x, query);
    for (size_t i = 0; i < context->count; i++) {
        const struct field *f = &context->items[i];
        if (f != query && is_usable_name(f->name) && x->look != LOOK_TEXT &&
            field_different(f) > 1 && fields_share_values(f, x->field))
            suggest_match(g, x, f);
    }
}

static void suggest_times(struct suggestion *g)
{
    static const struct {
        const char *part;
        int64_t least_ms;
    } parts[] = {{"hour_of_day", INT64_C(86400000)}, {"day_of_week", INT64_C(604800000)}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char name[SUGGESTED_NAME_BYTES];
        if (g->f.span.to_ms - g->f.span.oldest_ms < parts[i].least_ms)
            continue;
        if (i == 0)
            draft_comment(&g->d, "the users' own time zone is better, as zone: Europe/Berlin");
        draft_name(&g->d, name, WORDS(str_of(parts[i].part)));
        scope_is(g, "context", (struct str){0});
        buf_printf(&g->parameters, "part: %s, zone: UTC", parts[i].part);
        suggest_put(g, name, "time");
    }
}

int suggest_context(struct suggestion *g, struct err *e)
{
    struct seen fields[FIELDS_SUGGESTED];
    const struct facts *f = &g->f;
    bool asked = g->s->requests > 0 || !f->impression;
    const char *whose = asked ? "requests" : "impressions";
    const struct fields *context = request_context(g);
    size_t crossed = 0;
    int rc = 0;
    buf_put_text(g->d.out, "\n  # ---- The context: where and when ----\n");
    if (context->count == 0)
        draft_comment(&g->d, "nothing was seen in it");
    size_t count =
        seen_choose(g, fields, context, asked ? g->s->requests : f->impression->count, whose);
    for (size_t i = 0; i < count && !rc; i++) {
        const struct seen *x = &fields[i];
        seen_say(g, x, whose, "");
        if (x->look == LOOK_CATEGORY)
            rc = suggest_attribute(g, x, "context", "", e);
        /* Events must have the field too, or nothing is counted. */
        if (x->look != LOOK_CATEGORY || !seen_is_key(x) || !f->impression ||
            f->response_count == 0 || !fields_find(&f->impression->context, x->field->name) ||
            !fields_find(&f->responses[0]->context, x->field->name) ||
            crossed++ >= CONTEXT_RATES_MOST)
            continue;
        scope_is(g, "proposition*context.", x->field->name);
        suggest_rate(g, false, WORDS(str_of("prop"), x->field->name, str_of("rate")),
                     &(struct rate){f->responses[0], f->impression, SHARED_WEIGHT, false},
                     &f->long_window);
    }
    suggest_times(g);
    return rc;
}

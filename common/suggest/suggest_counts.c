/* What users did and what happened to propositions: counts, rates, times. */
#include "suggest/suggest_draft.h"

#include <stdio.h>

enum { PROPOSITION_WEIGHT = 10, PAIR_WEIGHT = 1, USER_WEIGHT = 5 };

/* ---- One feature ---- */

void scope_is(struct suggestion *g, const char *text, struct str field)
{
    struct buf whole = {0};
    buf_put_text(&whole, text);
    buf_put_str(&whole, field);
    buf_reset(&g->scope);
    draft_scalar(&g->scope, buf_str(&whole));
    g->d.failed |= whole.failed;
    buf_free(&whole);
}

static void parameter_event(struct suggestion *g, const char *parameter,
                            const struct seen_event *event)
{
    buf_printf(&g->parameters, "%s: ", parameter);
    draft_scalar(&g->parameters, event->name);
}

void suggest_rate(struct suggestion *g, bool commented_out, const struct str *words,
                  const struct rate *rate, const struct suggested_windows *windows)
{
    char name[SUGGESTED_NAME_BYTES];
    draft_name(&g->d, name, words);
    parameter_event(g, "of", rate->of);
    parameter_event(g, ", per", rate->per);
    buf_put_text(&g->parameters, ", windows: ");
    draft_windows(&g->parameters, windows);
    buf_printf(&g->parameters, ", weight: %d, prior: global", rate->weight);
    draft_feature(&g->d, commented_out, name, &g->scope, "rate", &g->parameters);
    buf_reset(&g->parameters);
    if (rate->is_placed && !commented_out)
        suggest_standing(g, name, &windows->items[windows->count - 1]);
}

void suggest_windowed(struct suggestion *g, bool commented_out, const struct str *words,
                      const char *kind, const struct seen_event *event,
                      const struct suggested_windows *windows)
{
    char name[SUGGESTED_NAME_BYTES];
    draft_name(&g->d, name, words);
    parameter_event(g, "event", event);
    buf_put_text(&g->parameters, ", windows: ");
    draft_windows(&g->parameters, windows);
    draft_feature(&g->d, commented_out, name, &g->scope, kind, &g->parameters);
    buf_reset(&g->parameters);
}

void suggest_recency(struct suggestion *g, const struct str *words, const struct seen_event *event)
{
    char name[SUGGESTED_NAME_BYTES];
    draft_name(&g->d, name, words);
    parameter_event(g, "event", event);
    suggest_put(g, name, "recency");
}

void suggest_standing(struct suggestion *g, const char *of, const struct suggested_window *window)
{
    char name[SUGGESTED_NAME_BYTES];
    draft_name(&g->d, name, WORDS(str_of(of), str_of("standing")));
    scope_is(g, "candidate", (struct str){0});
    buf_printf(&g->parameters, "of: %s%s%s", of, window ? "_" : "", window ? window->text : "");
    suggest_put(g, name, "standing");
}

static void suggest_decay(struct suggestion *g, const struct str *words,
                          const struct seen_event *event)
{
    char name[SUGGESTED_NAME_BYTES];
    double span = (double)g->f.span.to_ms - (double)g->f.span.oldest_ms;
    draft_name(&g->d, name, words);
    parameter_event(g, "event", event);
    buf_printf(&g->parameters, ", half_life: %s", suggest_window_of(span / 10).text);
    suggest_put(g, name, "decay");
}

static void suggest_distinct(struct suggestion *g, const struct str *words, const char *of,
                             const struct seen_event *event)
{
    char name[SUGGESTED_NAME_BYTES];
    draft_name(&g->d, name, words);
    parameter_event(g, "event", event);
    buf_printf(&g->parameters, ", of: %s, window: %s", of, g->f.long_window.items[0].text);
    suggest_put(g, name, "distinct");
}

/* ---- The parts ---- */

static void say_event(struct suggestion *g, const char *as, const struct seen_event *event)
{
    char name[QUOTED_BYTES], count[THOUSANDS_BYTES];
    draft_comment(&g->d, "%s: %s events, %s", draft_quoted(&g->d, name, event->name),
                  draft_thousands(count, event->count), as);
}

static void suggest_values(struct suggestion *g, const char *whose, const char *scope,
                           const struct seen_event *event)
{
    if (event->valued * 20 < event->count)
        return;
    draft_comment(&g->d, "%.0f %% of them have a value: how much, and how much each",
                  100 * (double)event->valued / (double)event->count);
    scope_is(g, scope, (struct str){0});
    suggest_windowed(g, false, WORDS(str_of(whose), event->name, str_of("value")), "sum", event,
                     &g->f.long_window);
    suggest_windowed(g, false, WORDS(str_of(whose), event->name, str_of("mean")), "mean", event,
                     &g->f.long_window);
}

void suggest_users(struct suggestion *g)
{
    const struct facts *f = &g->f;
    const struct str none = {0}, user = str_of("user");
    buf_put_text(g->d.out, "\n  # ---- Users: what they did ----\n");
    if (f->impression) {
        say_event(g, "how much a user was shown", f->impression);
        scope_is(g, "user", none);
        suggest_windowed(g, false, WORDS(user, f->impression->name), "count", f->impression,
                         &f->user_windows);
    }
    for (size_t i = 0; i < f->response_count; i++) {
        const struct seen_event *event = f->responses[i];
        say_event(g, "how often, how long ago, of how many propositions", event);
        scope_is(g, "user", none);
        suggest_windowed(g, false, WORDS(user, event->name), "count", event, &f->user_windows);
        suggest_recency(g, WORDS(str_of("since_user"), event->name), event);
        if (i == 0)
            suggest_distinct(g, WORDS(user, str_of("variety")), "proposition", event);
        if (i == 0 && f->impression)
            suggest_rate(g, false, WORDS(user, event->name, str_of("rate")),
                         &(struct rate){event, f->impression, USER_WEIGHT, false}, &f->long_window);
        suggest_values(g, "user", "user", event);
    }
    for (size_t i = 0; i < f->other_count; i++) {
        say_event(g, "without propositions", f->others[i]);
        scope_is(g, "user", none);
        suggest_windowed(g, false, WORDS(user, f->others[i]->name), "count", f->others[i],
                         &f->user_windows);
    }
}

/* What answers a proposition gets: the share of those it was shown to, else how many. */
static void suggest_answers(struct suggestion *g, const struct seen_event *event, bool is_first)
{
    const struct facts *f = &g->f;
    const struct str none = {0}, whose = str_of("prop");
    scope_is(g, "proposition", none);
    if (f->impression)
        suggest_rate(g, false, WORDS(whose, event->name, str_of("rate")),
                     &(struct rate){event, f->impression, PROPOSITION_WEIGHT, is_first},
                     &f->proposition_windows);
    scope_is(g, "proposition", none);
    suggest_windowed(g, false, WORDS(whose, event->name), "count", event, &f->long_window);
    if (is_first) {
        suggest_decay(g, WORDS(whose, str_of("heat")), event);
        suggest_recency(g, WORDS(str_of("since_prop"), event->name), event);
        suggest_distinct(g, WORDS(whose, str_of("audience")), "user", event);
    }
    suggest_values(g, "prop", "proposition", event);
}

void suggest_propositions(struct suggestion *g)
{
    const struct facts *f = &g->f;
    char count[THOUSANDS_BYTES];
    if (!f->impression && f->response_count == 0)
        return;
    buf_put_text(g->d.out, "\n  # ---- Propositions: what answers they get ----\n");
    draft_comment(&g->d, "%s propositions were seen in events and requests",
                  draft_thousands(count, f->named_propositions));
    for (size_t i = 0; i < f->response_count; i++)
        suggest_answers(g, f->responses[i], i == 0);
    scope_is(g, "proposition", (struct str){0});
    if (f->impression) {
        suggest_windowed(g, false, WORDS(str_of("prop"), f->impression->name), "count",
                         f->impression, &f->long_window);
        suggest_recency(g, WORDS(str_of("since_prop"), f->impression->name), f->impression);
    }
    draft_comment(&g->d, "a user and a proposition: the %u newest are kept of each user",
                  (unsigned)g->s->opts.max_keys_per_user);
    scope_is(g, "user*proposition", (struct str){0});
    if (f->impression && f->response_count) {
        suggest_rate(g, false, WORDS(str_of("pair"), f->responses[0]->name, str_of("rate")),
                     &(struct rate){f->responses[0], f->impression, PAIR_WEIGHT, false},
                     &f->long_window);
        suggest_windowed(g, false, WORDS(str_of("pair"), f->impression->name), "count",
                         f->impression, &f->long_window);
    } else if (f->response_count) {
        suggest_windowed(g, false, WORDS(str_of("pair"), f->responses[0]->name), "count",
                         f->responses[0], &f->long_window);
    }
}

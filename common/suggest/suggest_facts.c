#include "suggest/suggest_facts.h"

#include "base/utf8.h"

#include <ctype.h>

enum { LONGEST_NAME = 200, SHOWN_TO_TELL = 10, GAPS_TO_TELL = 4 };

bool is_usable_name(struct str name)
{
    return name.len > 0 && name.len <= LONGEST_NAME && !memchr(name.data, '\0', name.len) &&
           utf8_is_valid(name);
}

static double per_listing(const struct seen_event *event)
{
    return event->listing ? (double)event->listed / (double)event->listing : 0;
}

/* `impression` by name, where it lists anything; else the event with the longest lists, which are
 * longer than one, or of two that list one thing each, the commoner. */
static const struct seen_event *find_impression(const struct suggest *s)
{
    const struct seen_event *longest = NULL, *commonest = NULL;
    size_t listing = 0;
    for (size_t i = 0; i < s->event_count; i++) {
        const struct seen_event *event = &s->events[i];
        if (event->listing * 2 < event->count || !is_usable_name(event->name))
            continue;
        if (str_is(event->name, "impression"))
            return event;
        listing++;
        if (!longest || per_listing(event) > per_listing(longest))
            longest = event;
        if (!commonest || event->count > commonest->count)
            commonest = event;
    }
    if (longest && per_listing(longest) >= 1.5)
        return longest;
    return listing > 1 ? commonest : NULL;
}

/* Names that say that a user does not want a thing. */
static bool says_no(struct str name)
{
    static const char *const words[] = {"dislike", "dismiss", "hide",       "skip",   "unlike",
                                        "remove",  "reject",  "report",     "refund", "return",
                                        "cancel",  "block",   "unsubscribe"};
    char lower[64] = "";
    for (size_t i = 0; i < name.len && i + 1 < sizeof lower; i++)
        lower[i] = (char)tolower((unsigned char)name.data[i]);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(lower, words[i]))
            return true;
    return false;
}

/* Puts an event into a list by frequency, the least frequent one falls off. */
static void keep_commonest(const struct seen_event **list, size_t *count, size_t most,
                           const struct seen_event *event)
{
    size_t at = *count;
    while (at > 0 && list[at - 1]->count < event->count)
        at--;
    if (at == most)
        return;
    *count += *count < most;
    for (size_t i = *count - 1; i > at; i--)
        list[i] = list[i - 1];
    list[at] = event;
}

static void find_events(struct facts *f, const struct suggest *s)
{
    const struct seen_event *wanted[RESPONSES_MOST], *refused[RESPONSES_MOST];
    size_t wanted_count = 0, refused_count = 0;
    f->impression = find_impression(s);
    for (size_t i = 0; i < s->event_count; i++) {
        const struct seen_event *event = &s->events[i];
        if (event == f->impression || !is_usable_name(event->name))
            continue;
        if (event->listing * 2 < event->count)
            keep_commonest(f->others, &f->other_count, OTHERS_MOST, event);
        else if (says_no(event->name))
            keep_commonest(refused, &refused_count, 1, event);
        else
            keep_commonest(wanted, &wanted_count, RESPONSES_MOST - 1, event);
    }
    for (size_t i = 0; i < wanted_count; i++)
        f->responses[f->response_count++] = wanted[i];
    for (size_t i = 0; i < refused_count; i++) {
        f->is_refusal[f->response_count] = true;
        f->responses[f->response_count++] = refused[i];
    }
}

/* Long enough for nearly all answers that the sample has, and as long again; but of what was shown
 * in the last window nothing can be learned yet, so it is a tenth of the span at most. */
static int find_label_window(struct facts *f, struct err *e)
{
    int64_t longest = 0;
    for (size_t i = 0; i < f->response_count; i++) {
        int64_t delay;
        int rc = sample_quantile(&delay, &f->responses[i]->delays, 0.99, e);
        if (rc)
            return rc;
        longest = delay > longest ? delay : longest;
    }
    double span = (double)f->span.to_ms - (double)f->span.from_ms;
    f->label_window = suggest_window_within(longest ? 2 * (double)longest : 1800e3, span / 10);
    return 0;
}

static void find_windows(struct facts *f)
{
    double span = (double)f->span.to_ms - (double)f->span.from_ms;
    const struct seen_event *most = f->impression ? f->impression : f->responses[0];
    double contributions = most ? (double)most->listed : 0;
    double least = contributions > 0
                       ? span * SHOWN_TO_TELL * (double)f->named_propositions / contributions
                       : span;
    suggest_windows(&f->proposition_windows, &f->span, least);
    suggest_windows(&f->user_windows, &f->span, GAPS_TO_TELL * (double)f->span.gap_ms);
    f->long_window.items[f->long_window.count++] = f->user_windows.items[f->user_windows.count - 1];
}

int facts_of(struct facts *f, const struct suggest *s, struct err *e)
{
    *f = (struct facts){0};
    int rc = suggest_span(&f->span, s, e);
    if (rc)
        return rc;
    for (uint32_t id = table_first(s->propositions); id != TABLE_NONE;
         id = table_next(s->propositions, id)) {
        const struct table_entry *entry = table_get(s->propositions, id);
        bool named = table_has(entry, PROPOSITION_NAMED);
        f->named_propositions += named;
        f->known_propositions += named && table_has(entry, PROPOSITION_KNOWN);
    }
    find_events(f, s);
    find_windows(f);
    const struct seen_event *most = f->impression ? f->impression : f->responses[0];
    size_t users = table_count(s->users);
    if (most && users)
        f->contributions_per_user = (double)most->listed / (double)users;
    return find_label_window(f, e);
}

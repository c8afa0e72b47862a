/* The file: what was read, what to do with it, and its parts in order. */
#include "suggest/suggest_draft.h"

#include "feature/instant.h"

#include <math.h>
#include <stdio.h>

enum { RARE = 3, RARE_WEIGHT = 5 };

/* ---- The head ---- */

static void put_time(struct buf *out, int64_t ms)
{
    int64_t seconds = ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000), year;
    int64_t days = seconds >= 0 ? seconds / 86400 : -((-seconds + 86399) / 86400);
    int month, day, second = (int)(seconds - days * 86400);
    instant_date(days, &year, &month, &day);
    buf_printf(out, "%04lld-%02d-%02dT%02d:%02d:%02dZ", (long long)year, month, day, second / 3600,
               second / 60 % 60, second % 60);
}

static void put_span(struct buf *out, double ms)
{
    static const struct {
        double ms;
        const char *unit;
    } units[] = {{86400e3, "days"}, {3600e3, "hours"}, {60e3, "minutes"}, {1e3, "seconds"}};
    size_t i = 0;
    while (i < 3 && ms < 2 * units[i].ms)
        i++;
    buf_printf(out, "%.1f %s", ms / units[i].ms, units[i].unit);
}

static void put_event_line(struct buf *out, struct suggestion *g, const struct seen_event *event)
{
    char name[QUOTED_BYTES], count[THOUSANDS_BYTES];
    buf_printf(out, "#   %s: %s", draft_quoted(&g->d, name, event->name),
               draft_thousands(count, event->count));
    if (event->listing)
        buf_printf(out, ", with %.1f propositions each",
                   (double)event->listed / (double)event->listing);
    if (event->valued)
        buf_printf(out, ", %.0f %% with a value",
                   100 * (double)event->valued / (double)event->count);
    if (event == g->f.impression)
        buf_put_text(out, ": taken for what was shown");
    else if (event->following)
        buf_printf(out, ", %.0f %% after another event of their request",
                   100 * (double)event->following / (double)event->count);
    if (!is_usable_name(event->name))
        buf_put_text(out, "; no name for a definition: not used");
    buf_put_u8(out, '\n');
}

static void put_seen(struct buf *out, struct suggestion *g)
{
    const struct suggest *s = g->s;
    const struct time_span *span = &g->f.span;
    char a[THOUSANDS_BYTES], b[THOUSANDS_BYTES], c[THOUSANDS_BYTES];
    buf_printf(out, "# Seen: %s events of %s%s users", draft_thousands(a, s->event_records),
               draft_thousands(b, table_count(s->users)),
               table_count(s->users) == IDS_MOST ? " or more" : "");
    if (s->times.seen) {
        buf_put_text(out, ",\n# from ");
        put_time(out, span->from_ms);
        buf_put_text(out, " to ");
        put_time(out, span->to_ms);
        buf_put_text(out, " (");
        put_span(out, (double)span->to_ms - (double)span->from_ms);
        if (span->oldest_ms < span->from_ms) {
            buf_put_text(out, "),\n# the newest of those since ");
            put_time(out, span->oldest_ms);
            buf_put_text(out, " (");
            put_span(out, (double)span->to_ms - (double)span->oldest_ms);
        }
        buf_put_text(out, "),\n# half of a user's steps within ");
        put_span(out, (double)span->gap_ms);
    }
    buf_printf(out, ";\n# records of %s propositions and %s users; %s requests",
               draft_thousands(a, s->entities[SIDE_PROPOSITION]),
               draft_thousands(b, s->entities[SIDE_USER]), draft_thousands(c, s->requests));
    if (s->requests)
        buf_printf(out, " with %.1f candidates each", (double)s->candidates / (double)s->requests);
    buf_put_text(out, ".\n");
    for (size_t i = 0; i < s->event_count; i++)
        put_event_line(out, g, &s->events[i]);
    if (s->other_events)
        buf_printf(out, "#   and %s events of other names\n", draft_thousands(a, s->other_events));
    if (g->f.known_propositions < g->f.named_propositions)
        buf_printf(out, "# %s of %s propositions in events and requests have no record.\n",
                   draft_thousands(a, g->f.named_propositions - g->f.known_propositions),
                   draft_thousands(b, g->f.named_propositions));
}

/* ---- What to do with it ---- */

/* Whether a name can stand in a comment that is pasted into a shell: on one line, as any reader of
 * YAML counts lines. */
static bool is_argument(struct str name)
{
    static const char *const breaks[] = {"\xc2\x85",     "\xe2\x80\xa8", "\xe2\x80\xa9",
                                         "\xef\xbb\xbf", "\xef\xbf\xbe", "\xef\xbf\xbf"};
    if (name.data[0] == ' ' || name.data[name.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c < 0x20 || c == 0x7f)
            return false;
        /* The second set of control characters is C2 80 to C2 9F. */
        if (c == 0xc2 && (unsigned char)name.data[i + 1] < 0xa0)
            return false;
        for (size_t k = 0; k < sizeof breaks / sizeof *breaks; k++)
            if (name.len - i >= strlen(breaks[k]) &&
                memcmp(name.data + i, breaks[k], strlen(breaks[k])) == 0)
                return false;
    }
    return true;
}

/* A word of a shell: in single quotes unless it is plain. */
static void put_argument(struct buf *out, struct str text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.=,";
    size_t same = 0;
    while (same < text.len && strchr(plain, text.data[same]))
        same++;
    if (same == text.len) {
        buf_put_str(out, text);
        return;
    }
    buf_put_u8(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\'')
            buf_put_text(out, "'\\''");
        else
            buf_put_u8(out, (uint8_t)text.data[i]);
    }
    buf_put_u8(out, '\'');
}

/* The commonest answer is worth 1; rare ones, as a purchase after clicks, more. Names with what
 * separates names cannot be said. */
static void put_labels(struct buf *out, const struct facts *f)
{
    for (size_t i = 0; i < f->response_count; i++) {
        const struct seen_event *event = f->responses[i];
        if (f->is_refusal[i] || !is_argument(event->name) ||
            memchr(event->name.data, '=', event->name.len) ||
            memchr(event->name.data, ',', event->name.len))
            continue;
        bool rare = event->count * RARE < f->responses[0]->count;
        buf_printf(out, "%s%.*s=%d", out->len ? "," : "", STR_ARG(event->name),
                   rare ? RARE_WEIGHT : 1);
    }
}

/* What was shown one by one: in pieces, of which all but the first of a request are lost; or with
 * nothing beside it. */
static void put_doubts(struct buf *out, const struct seen_event *impression)
{
    if (impression->following * 10 > impression->count)
        buf_printf(out,
                   "#\n# %.0f %% of what was shown names a request that an event before it has "
                   "named: of a request the first\n# impression counts. Send one event for a whole "
                   "list, with its propositions in the order shown.\n",
                   100 * (double)impression->following / (double)impression->count);
    else if (impression->listed * 2 < impression->listing * 3)
        buf_put_text(out,
                     "#\n# What was shown lists one proposition mostly: a model of it can tell "
                     "what is answered, and nothing is\n# known of what was beside it.\n");
}

/* Whoever reads only the line that begins with "#   flotilla backfill" finds all that it needs. */
static void put_next(struct buf *out, const struct facts *f)
{
    struct buf labels = {0};
    put_labels(&labels, f);
    if (labels.len && f->impression && is_argument(f->impression->name)) {
        buf_put_text(out, "#\n# Next (what a label is worth is yours to say):\n"
                          "#   flotilla features check FILE\n"
                          "#   flotilla backfill --features FILE");
        if (!str_is(f->impression->name, "impression")) {
            buf_put_text(out, " --impression ");
            put_argument(out, f->impression->name);
        }
        buf_put_text(out, " --labels ");
        put_argument(out, buf_str(&labels));
        buf_printf(out,
                   " --label-window %s --out DIR\n#   flotilla train --data DIR --model NAME\n",
                   f->label_window.text);
    } else if (f->impression && f->response_count) {
        buf_put_text(out,
                     "#\n# The names of these events cannot be said to `flotilla backfill`: they "
                     "have \"=\", \",\", spaces at an end or\n# control characters; or no answer "
                     "is one to learn from.\n");
    } else {
        buf_put_text(out, "#\n# To learn from events, there must be one that lists what was shown "
                          "(impression), and others on\n# the propositions that a user chose "
                          "(click), best with the same request_id.\n");
    }
    if (f->impression)
        put_doubts(out, f->impression);
    out->failed |= labels.failed;
    buf_free(&labels);
}

/* ---- The end ---- */

/* Within a request's candidates: the first answer's rate against the others', and places. */
static void suggest_places(struct suggestion *g)
{
    const struct facts *f = &g->f;
    char name[SUGGESTED_NAME_BYTES];
    if (!f->impression)
        return;
    buf_put_text(g->d.out, "\n  # ---- Among the candidates ----\n");
    draft_comment(&g->d, "the place on the page as shown; served as the first, so that what was "
                         "put high is not taken for good");
    draft_name(&g->d, name, WORDS(str_of("position")));
    scope_is(g, "candidate", (struct str){0});
    buf_put_text(&g->parameters, "at_serving: 0");
    suggest_put(g, name, "position");
}

static int write_parts(struct suggestion *g, struct err *e)
{
    struct buf *out = g->d.out;
    buf_put_text(out, "# Feature definitions to start from, suggested by `flotilla features "
                      "suggest`.\n#\n");
    put_seen(out, g);
    put_next(out, &g->f);
    buf_put_text(out, "features:\n");
    suggest_users(g);
    int rc = suggest_user_attributes(g, e);
    suggest_propositions(g);
    if (!rc)
        rc = suggest_proposition_attributes(g, e);
    if (!rc)
        rc = suggest_context(g, e);
    suggest_places(g);
    if (!rc && g->d.features == 0)
        rc = err_set(
            e, ERR_NOT_FOUND,
            "nothing that a feature can be made of was seen in %llu events, %llu users and "
            "%llu propositions: bring events that list propositions, and propositions "
            "with attributes",
            (unsigned long long)g->s->event_records, (unsigned long long)g->s->entities[SIDE_USER],
            (unsigned long long)g->s->entities[SIDE_PROPOSITION]);
    return rc;
}

int suggest_write(const struct suggest *s, struct buf *out, struct err *e)
{
    struct suggestion g = {.s = s};
    draft_start(&g.d, out);
    int rc = facts_of(&g.f, s, e);
    if (!rc)
        rc = write_parts(&g, e);
    if (!rc && (g.d.failed || g.scope.failed || g.parameters.failed || !buf_ok(out)))
        rc = err_nomem(e);
    draft_free(&g.d);
    buf_free(&g.scope);
    buf_free(&g.parameters);
    return rc;
}

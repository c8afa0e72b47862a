/*
 * Joins that are fed by hand, and what comes out of them as one text a ranking. Include after
 * unit.h.
 */
#pragma once

#include "backfill/join.h"

#include <string.h>

/* One join, fed by hand: times in milliseconds, a window of 100, click=1 and convert=5. */
struct story {
    struct join *join;
    struct labels labels;
    uint64_t number;
};

static inline void begin(struct story *s, int64_t log_end_ms)
{
    struct err e = {0};
    *s = (struct story){0};
    assert_int_equal(labels_parse(&s->labels, "click=1,convert=5", &e), 0);
    struct join_opts opts = {.labels = &s->labels, .window_ms = 100, .log_end_ms = log_end_ms};
    assert_int_equal(join_new(&s->join, &opts, &e), 0);
}

/* "a,b,c" as a list; good until the next call. */
static inline struct str_list list_of(const char *text)
{
    static struct str items[16];
    struct str_list list = {items, 0};
    while (*text) {
        size_t n = strcspn(text, ",");
        items[list.count++] = (struct str){text, n};
        text += n + (text[n] == ',');
    }
    return list;
}

static inline void ask_as(struct story *s, const char *id, const char *user, int64_t time_ms,
                          const char *candidates)
{
    struct err e = {0};
    struct rank_request q = {.request_id = str_of(id),
                             .user_id = str_of(user),
                             .timestamp = time_ms,
                             .candidates = list_of(candidates)};
    assert_int_equal(join_request(s->join, s->number++, &q, &e), 0);
}

static inline void ask(struct story *s, const char *id, int64_t time_ms, const char *candidates)
{
    ask_as(s, id, "u", time_ms, candidates);
}

static inline void log_scored(struct story *s, const char *id, int64_t time_ms,
                              const char *candidates)
{
    struct err e = {0};
    struct score_log logged = {.request_id = str_of(id),
                               .user_id = str_of("u"),
                               .timestamp = time_ms,
                               .candidates = list_of(candidates)};
    assert_int_equal(join_scored(s->join, s->number++, &logged, time_ms + 10, &e), 0);
}

/* id NULL: the event carries none. */
static inline void event_of_user(struct story *s, const char *name, const char *user,
                                 const char *id, int64_t time_ms, const char *propositions)
{
    struct err e = {0};
    struct event event = {.event_id = str_of("e"),
                          .event = str_of(name),
                          .user_id = str_of(user),
                          .timestamp = time_ms,
                          .propositions = list_of(propositions),
                          .request_id = str_of(id)};
    assert_int_equal(join_event(s->join, s->number++, &event, time_ms, &e), 0);
}

static inline void happen(struct story *s, const char *name, const char *id, int64_t time_ms,
                          const char *propositions)
{
    event_of_user(s, name, "u", id, time_ms, propositions);
}

static inline void end(struct story *s)
{
    struct err e = {0};
    assert_int_equal(join_end(s->join, &e), 0);
}

/* "a@0=1 b@1 c": what comes out next, each candidate with its place and its label, if any. */
static inline void assert_next(struct story *s, const char *text)
{
    struct buf got = {0};
    const struct joined *j = join_first(s->join);
    if (!j) {
        assert_string_equal("nothing", text);
        return;
    }
    for (size_t i = 0; i < j->count; i++) {
        struct str id = join_proposition(s->join, j->propositions[i]);
        buf_printf(&got, "%s%.*s", i ? " " : "", STR_ARG(id));
        if (j->places[i] >= 0)
            buf_printf(&got, "@%d", j->places[i]);
        if (j->happened[i])
            buf_printf(&got, "=%g", (double)labels_value(&s->labels, j->happened[i]));
    }
    buf_printf(&got, "%s%s", j->is_impression ? " impression" : "",
               j->is_complete ? "" : " incomplete");
    assert_buf_is(&got, text);
    buf_free(&got);
    join_take(s->join);
}

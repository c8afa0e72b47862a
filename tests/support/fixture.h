/*
 * Small makers for tests of features: definitions, contributions, events, and random numbers that
 * are the same in every run.
 *
 * Include after unit.h. Texts are borrowed.
 */
#pragma once

#include "feature/cell.h"
#include "feature/definition.h"
#include "feature/replay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---------------------------------------------------------- random numbers (splitmix64) */

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 ... n - 1 */
static inline int64_t random_below(struct random *r, int64_t n)
{
    return (int64_t)(random_next(r) % (uint64_t)n);
}

static inline double random_unit(struct random *r)
{
    return (double)(random_next(r) >> 11) / 9007199254740992.0;
}

/* ---------------------------------------------------------- definitions */

static inline struct feature_set *definitions(const char *text)
{
    struct feature_set *set = NULL;
    struct err e = {0};
    if (feature_set_parse(&set, "t.yaml", str_of(text), &e))
        fail_msg("%s", e.msg);
    return set;
}

/* A set of one feature, named f. */
static inline struct feature_set *definition(const char *entry)
{
    char text[2048];
    snprintf(text, sizeof text, "features:\n  - {name: f, %s}\n", entry);
    return definitions(text);
}

/* ---------------------------------------------------------- parts */

/* A part that owns its body. All zero: nothing seen. */
struct kept {
    struct part part;
    struct buf body;
};

static inline void kept_free(struct kept *k)
{
    buf_free(&k->body);
    *k = (struct kept){0};
}

static inline void kept_set(struct kept *k, bool seen, int64_t newest_ms, struct buf *body)
{
    assert_true(buf_ok(body));
    buf_free(&k->body);
    k->body = *body;
    /* What was read past its end would be another allocation's: the sanitizer sees it. */
    struct str exact = buf_str(&k->body);
    k->part = (struct part){seen, newest_ms, exact.data ? exact : str_of("")};
}

/* Merges b into a; either may have seen nothing. */
static inline void kept_merge(struct kept *a, const struct feature *f, struct part b)
{
    struct buf body = {0};
    if (!b.seen)
        return;
    if (!a->part.seen) {
        buf_put_str(&body, b.body);
        kept_set(a, true, b.newest_ms, &body);
        return;
    }
    int64_t newest_ms = a->part.newest_ms > b.newest_ms ? a->part.newest_ms : b.newest_ms;
    aggregate_merge(&body, f, a->part, b);
    kept_set(a, true, newest_ms, &body);
}

static inline void kept_add(struct kept *a, const struct feature *f, const struct contribution *c)
{
    struct buf body = {0};
    struct arena arena = {0};
    bool seen = aggregate_of(&body, f, c, &arena);
    assert_true(buf_ok(&body));
    kept_merge(a, f, (struct part){seen, c->time, buf_str(&body)});
    buf_free(&body);
    arena_free(&arena);
}

static inline void kept_add_one(struct kept *a, const struct feature *f, int event, int64_t time_ms,
                                struct optional_double value, const char *proposition)
{
    struct situation s = {.user_id = str_of("u"), .proposition_id = str_of(proposition)};
    struct contribution c = {event, time_ms, value, &s, 1};
    kept_add(a, f, &c);
}

/* The value of a part; of a rate, with the feature's own prior. */
static inline double part_value(struct part p, const struct feature *f, size_t window,
                                int64_t as_of_ms)
{
    struct content *contents = calloc(feature_contents(f) + 1, sizeof *contents);
    assert_non_null(contents);
    struct content_range right = CONTENT_ALWAYS;
    content_read(contents, &right, f, p, p.newest_ms, as_of_ms);
    double value = content_value(&contents[window], f, f->prior, as_of_ms);
    free(contents);
    return value;
}

static inline double kept_value(const struct kept *k, const struct feature *f, size_t window,
                                int64_t as_of_ms)
{
    return part_value(k->part, f, window, as_of_ms);
}

/* Equal to a relative 1e-12, or both missing. */
static inline void assert_value(double got, double expected)
{
    if (isnan(got) && isnan(expected))
        return;
    if (!(fabs(got - expected) <= 1e-12 * fmax(1, fabs(expected))))
        fail_msg("expected %.17g, got %.17g", expected, got);
}

/* ---------------------------------------------------------- events */

static inline struct str_list list_of(struct str *items, size_t count)
{
    return (struct str_list){items, count};
}

/* An event about one proposition (NULL: none); borrows `place` for the list. */
static inline struct event event_of(struct str *place, const char *id, const char *name,
                                    const char *user, int64_t time_ms, const char *proposition)
{
    *place = str_of(proposition);
    return (struct event){.event_id = str_of(id),
                          .event = str_of(name),
                          .user_id = str_of(user),
                          .timestamp = time_ms,
                          .propositions = list_of(place, proposition != NULL)};
}

static inline struct replay *replay_of(const struct feature_set *set, uint32_t most_keys)
{
    struct replay *r = NULL;
    struct err e = {0};
    struct replay_opts opts = {set, 300000, most_keys};
    if (replay_new(&r, &opts, &e))
        fail_msg("%s", e.msg);
    return r;
}

/* Replays an event at its own time; it must be accepted. */
static inline void replay_one(struct replay *r, const struct event *event)
{
    struct err e = {0};
    bool accepted = false;
    if (replay_event(r, event, APPLY_NO_TIME, &accepted, &e))
        fail_msg("%s", e.msg);
    assert_true(accepted);
}

/* An entity with one attribute. */
static inline struct entity entity_of(struct attribute *place, const char *id, int64_t time_ms,
                                      struct attribute a)
{
    *place = a;
    return (struct entity){
        .id = str_of(id), .timestamp = time_ms, .active = true, .attributes = {place, 1}};
}

static inline struct attribute number_attribute(const char *name, double number)
{
    return (struct attribute){.name = str_of(name), .type = ATTRIBUTE_NUMBER, .number = number};
}

static inline struct attribute text_attribute(const char *name, const char *text)
{
    return (struct attribute){.name = str_of(name), .type = ATTRIBUTE_TEXT, .text = str_of(text)};
}

static inline struct attribute list_attribute(const char *name, struct str *items, size_t count)
{
    return (struct attribute){
        .name = str_of(name), .type = ATTRIBUTE_LIST, .list = list_of(items, count)};
}

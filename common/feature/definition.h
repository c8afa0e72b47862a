/*
 * Feature definitions: a YAML file, checked and resolved into what the rest of the library works
 * with.
 *
 * features.md says what each kind means. A feature_set is made once and then constant: any thread.
 * Everything in it belongs to the set.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "base/zone.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WINDOW_BUCKETS = 60,     /* in every window */
    REMEMBERED_BUCKETS = 64, /* of an aggregate, the newest among them */
    FINGERPRINT_BYTES = 8,
    MAX_EVENTS = 256, /* different names in one file */
    MAX_OVERLAP_LAST = 10000,
};

enum feature_kind {
    FEATURE_COUNT,
    FEATURE_SUM,
    FEATURE_MEAN,
    FEATURE_MIN,
    FEATURE_MAX,
    FEATURE_RATE, /* windows */
    FEATURE_GAP,
    FEATURE_RECENCY,
    FEATURE_DECAY,
    FEATURE_DISTINCT,
    FEATURE_OVERLAP,
    FEATURE_ATTRIBUTE,
    FEATURE_AGE,
    FEATURE_TIME,
    FEATURE_MATCH,
    FEATURE_STANDING,
    FEATURE_POSITION, /* at request time */
    FEATURE_KINDS,
};

static inline bool feature_is_aggregate(enum feature_kind kind)
{
    return kind <= FEATURE_OVERLAP;
}

/* Read against a candidate, so not in the topic `features`. */
static inline bool feature_needs_candidate(enum feature_kind kind)
{
    return kind == FEATURE_GAP || kind == FEATURE_OVERLAP;
}

/* Whether an aggregate follows from event, time and value of its contributions alone. */
static inline bool feature_is_of_instances(enum feature_kind kind)
{
    return kind <= FEATURE_RATE || kind == FEATURE_RECENCY || kind == FEATURE_DECAY;
}

enum side { SIDE_USER, SIDE_PROPOSITION, SIDE_CONTEXT };

/* One factor of a scope, or what `distinct` counts, or where a request-time value stands. */
struct dimension {
    enum side side;
    const char *field; /* NULL: the user or the proposition itself */
    int attribute; /* its place in feature_set.attributes[side]; -1 for the context and for ids */
};

struct window {
    const char *text; /* as written: 5m */
    int64_t ms;
    int64_t bucket_ms; /* ceil(ms / 60) */
};

enum time_part { TIME_HOUR_OF_DAY, TIME_DAY_OF_WEEK, TIME_DAY_OF_MONTH, TIME_MONTH };

struct feature {
    const char *name;
    int line;
    enum feature_kind kind;
    const char *scope_text;
    int scope;      /* index in feature_set.scopes; -1: at request time */
    size_t slot;    /* place among the aggregates of its scope */
    size_t content; /* place of the first of its contents (content.h) among those of its scope */
    const char *event_name, *per_name;
    int event;              /* id of the event; of a rate, of `of` */
    int per;                /* id of a rate's `per` */
    struct window *windows; /* of a distinct, its one window */
    size_t window_count;
    double weight, prior; /* prior NaN: global */
    int total;            /* prior global: scope with the total over all keys; else -1 */
    size_t total_slot, total_content; /* as slot and content, there */
    int64_t half_life_ms, within_ms;
    size_t last;
    struct dimension dimension; /* distinct: what is counted; gap, overlap: the proposition's
                                   attribute; attribute, age, match: the value's place */
    const char *context;        /* match: the field with the query */
    const char **values;        /* attribute: listed texts */
    size_t value_count;
    bool has_values;
    enum time_part part;
    const char *zone_name;
    struct zone *zone;
    size_t standing_of; /* output */
    double at_serving;
    uint8_t fingerprint[FINGERPRINT_BYTES];
    size_t first_output;
};

/* How many contents an aggregate has: one a window; an overlap none. */
static inline size_t feature_contents(const struct feature *f)
{
    return f->kind == FEATURE_OVERLAP    ? 0
           : f->kind == FEATURE_DISTINCT ? 1
           : f->window_count             ? f->window_count
                                         : 1;
}

/* One value of the vector. */
struct output {
    const char *name;
    const struct feature *feature;
    size_t window;
};

/*
 * A scope with the aggregates that live in it. Behind the scopes of the file stand the totals of
 * scopes that have a rate with `prior: global`: one key, every contribution to any key of the
 * scope.
 */
struct scope {
    const char *text; /* user*proposition.genres; of a total: total(user*proposition.genres) */
    struct dimension *dimensions;
    size_t dimension_count;
    bool has_user;        /* lives in the user's record */
    bool has_proposition; /* one contribution for each proposition listed */
    bool is_total;
    bool is_published;    /* has a value that the topic `features` has */
    bool is_of_instances; /* all its aggregates are */
    int total;            /* scope with its totals, or -1 */
    const struct feature **slots;
    size_t slot_count;
    size_t content_count;
    bool events[MAX_EVENTS];
};

struct feature_set {
    struct feature *features;
    size_t feature_count;
    struct output *outputs;
    size_t output_count;
    struct scope *scopes;
    size_t scope_count;
    const char **events; /* id to name */
    size_t event_count;
    const char **attributes[2]; /* SIDE_USER, SIDE_PROPOSITION: fields that some feature reads */
    size_t attribute_count[2];
    struct feature_set_memory *memory;
};

/* Reads a file (or a text; name stands for the file in messages). Fails with ERR_INVALID:
 * FILE:LINE, what is wrong and what would be right; ERR_IO, ERR_NOMEM, ERR_TOO_LARGE. */
int feature_set_load(struct feature_set **out, const char *path, struct err *e);
int feature_set_parse(struct feature_set **out, const char *name, struct str text, struct err *e);
void feature_set_free(struct feature_set *s); /* NULL is fine */

/* Id of an event's name; -1 if no feature is made of it. */
int feature_set_event(const struct feature_set *s, struct str name);

/* Index of a scope by its text; -1 if there is none. */
int feature_set_scope(const struct feature_set *s, struct str text);

/* Place of a field among the attributes of a side; -1 if no feature reads it. */
int feature_set_attribute(const struct feature_set *s, enum side side, struct str field);

const char *feature_kind_name(enum feature_kind kind);

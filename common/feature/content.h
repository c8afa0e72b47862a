/*
 * What an aggregate holds at one time, taken out of its encoded form: a few numbers that can be
 * kept, added to those of other keys, and turned into values.
 *
 * A cell is read into the contents of its scope: for each slot in its order one for each window,
 * one for a kind without windows, none for an overlap (definition.h says where a feature's begin).
 * Contents stay right for a range of times, not only for the one they were read at: until a bucket
 * that holds something enters or leaves one of the windows. features.md is the source of every
 * formula. One thread a call; no clock; no state.
 */
#pragma once

#include "feature/aggregate.h"

/*
 * Which numbers count depends on the kind:
 *   count      a: contributions
 *   sum        a, b: the sum as an unevaluated sum of two doubles
 *   mean, gap  a, b: as sum; c: contributions with a value
 *   min, max   a; NaN: there is none
 *   rate       a: of; b: per
 *   recency    a: time of the newest contribution in ms; NaN: there is none
 *   decay      a: the sum as of b; b: time of the newest contribution in ms, -INFINITY: there is
 *              none
 *   distinct   a: values
 */
struct content {
    double a, b, c;
};

/* From when until when contents are right, both included. */
struct content_range {
    int64_t from_ms, until_ms;
};

/* Every time there is. */
#define CONTENT_ALWAYS ((struct content_range){INT64_MIN, INT64_MAX})

/* The contents of one key of a scope. */
struct key_contents {
    struct content_range right; /* when */
    int64_t newest_ms;          /* time of the newest contribution; INT64_MIN: nothing seen */
    struct content contents[];
};

/*
 * Writes the contents of one slot (feature_contents(f) of them) as of as_of_ms, which is within
 * ±CONTRIBUTION_MAX_MS, and narrows `valid` to where they are right. newest_ms: as the part's own,
 * or that of the newest part of this slot that it is read together with, which decides what is
 * forgotten. Not for overlap.
 */
void content_read(struct content *out, struct content_range *valid, const struct feature *f,
                  struct part p, int64_t newest_ms, int64_t as_of_ms);

/* The contents of a slot that has seen nothing. */
void content_nothing(struct content *out, const struct feature *f);

/* Adds one content to that of another key. Not for distinct, whose values may be the same ones. */
void content_add(struct content *to, const struct content *more, const struct feature *f);

/* The value. prior: of a rate, the number or the global one; else anything. Of a gap, the mean. */
double content_value(const struct content *c, const struct feature *f, double prior,
                     int64_t as_of_ms);

/* The same of a rate alone. */
static inline double content_rate(const struct content *c, const struct feature *f, double prior)
{
    return f->weight == 0 && c->b == 0 ? NAN : (c->a + f->weight * prior) / (c->b + f->weight);
}

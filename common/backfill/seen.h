/*
 * What a set says of users and propositions beside their features: how often they were seen before,
 * and what they are, by attributes that are texts or true or false.
 *
 * Grows with users and propositions, some 40 bytes and the id each, and with different
 * descriptions, each kept once. One thread. No clock.
 */
#pragma once

#include "base/buf.h"
#include "base/table.h"
#include "feature/definition.h"
#include "serde/records.h"

/* Of an entity: so many segments, so long each; others are left out. */
enum { SEGMENTS_MOST = 32, SEGMENT_BYTES = 64 };

/* By the number of the entity's entry in the table. */
struct seen_count {
    int64_t newest_ms; /* of the user's events: when one happened, or arrived if that was later */
    int64_t newest_number; /* of the user's events: the greatest place in the order of arrival */
    bool is_out_of_order;  /* an event of the user had arrived before one that happened earlier */
    uint32_t segments;     /* in texts; TABLE_NONE: nothing is known */
    uint32_t events;       /* of a user: accepted; of a proposition: events that named it */
};

struct seen_side {
    struct table *entities; /* ids */
    struct seen_count *counts;
    size_t cap;
};

struct seen {
    struct seen_side sides[2];
    struct table *texts; /* members of a JSON object: "user.tier":"gold" */
    uint32_t *last;      /* numbers of the propositions of the last list: the next one's, often */
    size_t last_count, last_cap;
    struct buf text;
};

/* All that can fail do with ERR_NOMEM. */
int seen_init(struct seen *s, struct err *e);
void seen_free(struct seen *s);

/* What the entity is from here on; removed: nothing. */
int seen_entity(struct seen *s, enum side side, const struct entity *record, bool removed,
                struct err *e);

/* An accepted event, when it happened, or arrived if that was later, and its place in the order of
 * arrival. */
int seen_event(struct seen *s, const struct event *event, int64_t time_ms, int64_t number,
               struct err *e);

/* The numbers of propositions, good for ever, until the next call. NULL: ERR_NOMEM. */
const uint32_t *seen_numbers(struct seen *s, const struct str *propositions, size_t count,
                             struct err *e);

/* The number of a user. */
int seen_user(struct seen *s, struct str user_id, uint32_t *number, struct err *e);

static inline const struct seen_count *seen_count(const struct seen *s, enum side side,
                                                  uint32_t number)
{
    return &s->sides[side].counts[number];
}

/* Members of a JSON object, without its braces; "" if there is nothing. Until the next entity. */
static inline struct str seen_segments(const struct seen *s, enum side side, uint32_t number)
{
    uint32_t text = seen_count(s, side, number)->segments;
    return text == TABLE_NONE ? (struct str){"", 0} : table_key(table_get(s->texts, text));
}

/* Appends "context.NAME":"VALUE" of each short value, with commas between and before them where out
 * does not end with '{'. */
void seen_put_context(struct buf *out, const struct text_map *context);

#include "backfill/seen.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

void seen_free(struct seen *s)
{
    for (int side = 0; side < 2; side++) {
        table_free(s->sides[side].entities);
        free(s->sides[side].counts);
    }
    table_free(s->texts);
    free(s->last);
    buf_free(&s->text);
    *s = (struct seen){0};
}

int seen_init(struct seen *s, struct err *e)
{
    *s = (struct seen){.texts = table_new()};
    if (!s->texts)
        return err_nomem(e);
    for (int side = 0; side < 2; side++)
        if (!(s->sides[side].entities = table_new()))
            return err_nomem(e);
    return 0;
}

/* TABLE_NONE: memory was short. */
static uint32_t number_entity(struct seen_side *s, struct str id)
{
    uint32_t number = table_insert(s->entities, id);
    if (number == TABLE_NONE || number < s->cap)
        return number;
    size_t cap = s->cap ? s->cap : 1024;
    while (cap <= number)
        cap *= 2;
    struct seen_count *counts = realloc(s->counts, cap * sizeof *counts);
    if (!counts)
        return TABLE_NONE;
    for (size_t i = s->cap; i < cap; i++)
        counts[i] = (struct seen_count){
            .newest_ms = INT64_MIN, .newest_number = INT64_MIN, .segments = TABLE_NONE};
    s->counts = counts;
    s->cap = cap;
    return number;
}

/* ------------------------------------------------------------ segments */

static void put_segment(struct buf *out, const char *side, struct str name, struct str value)
{
    char prefixed[SEGMENT_BYTES + 16];
    if (name.len > SEGMENT_BYTES || value.len > SEGMENT_BYTES)
        return;
    if (out->len && out->data[out->len - 1] != '{')
        buf_put_u8(out, ',');
    int n = snprintf(prefixed, sizeof prefixed, "%s.%.*s", side, STR_ARG(name));
    json_put_text(out, str_bytes(prefixed, (size_t)n));
    buf_put_u8(out, ':');
    json_put_text(out, value);
}

void seen_put_context(struct buf *out, const struct text_map *context)
{
    for (size_t i = 0; i < context->count && i < SEGMENTS_MOST; i++)
        put_segment(out, "context", context->items[i].name, context->items[i].value);
}

static void put_attributes(struct buf *out, enum side side, const struct attribute_map *map)
{
    const char *name = side == SIDE_USER ? "user" : "proposition";
    int n = 0;
    for (size_t i = 0; i < map->count && n < SEGMENTS_MOST; i++) {
        const struct attribute *a = &map->items[i];
        if (a->type == ATTRIBUTE_TEXT)
            put_segment(out, name, a->name, a->text);
        else if (a->type == ATTRIBUTE_BOOLEAN)
            put_segment(out, name, a->name, str_of(a->boolean ? "true" : "false"));
        n += a->type == ATTRIBUTE_TEXT || a->type == ATTRIBUTE_BOOLEAN;
    }
}

int seen_entity(struct seen *s, enum side side, const struct entity *record, bool removed,
                struct err *e)
{
    uint32_t number = number_entity(&s->sides[side], record->id);
    buf_reset(&s->text);
    if (!removed)
        put_attributes(&s->text, side, &record->attributes);
    if (number == TABLE_NONE || !buf_ok(&s->text))
        return err_nomem(e);
    uint32_t text = s->text.len ? table_insert(s->texts, buf_str(&s->text)) : TABLE_NONE;
    if (s->text.len && text == TABLE_NONE)
        return err_nomem(e);
    s->sides[side].counts[number].segments = text;
    return 0;
}

/* ------------------------------------------------------------ counts */

const uint32_t *seen_numbers(struct seen *s, const struct str *propositions, size_t count,
                             struct err *e)
{
    struct seen_side *side = &s->sides[SIDE_PROPOSITION];
    if (count > s->last_cap || !s->last) {
        uint32_t *last = realloc(s->last, (count + 64) * sizeof *last);
        if (!last) {
            err_nomem(e);
            return NULL;
        }
        s->last = last;
        s->last_cap = count + 64;
    }
    for (size_t i = 0; i < count; i++) {
        if (i < s->last_count &&
            str_equal(table_key(table_get(side->entities, s->last[i])), propositions[i]))
            continue;
        s->last[i] = number_entity(side, propositions[i]);
        if (s->last[i] == TABLE_NONE) {
            s->last_count = i;
            err_nomem(e);
            return NULL;
        }
    }
    /* What stands behind a shorter list stays good. */
    s->last_count = count > s->last_count ? count : s->last_count;
    return s->last;
}

int seen_user(struct seen *s, struct str user_id, uint32_t *number, struct err *e)
{
    *number = number_entity(&s->sides[SIDE_USER], user_id);
    return *number == TABLE_NONE ? err_nomem(e) : 0;
}

int seen_event(struct seen *s, const struct event *event, int64_t time_ms, int64_t number,
               struct err *e)
{
    uint32_t user;
    int rc = seen_user(s, event->user_id, &user, e);
    const uint32_t *numbers =
        rc ? NULL : seen_numbers(s, event->propositions.items, event->propositions.count, e);
    if (!numbers)
        return ERR_NOMEM;
    struct seen_count *u = &s->sides[SIDE_USER].counts[user];
    u->events++;
    u->is_out_of_order |= number < u->newest_number;
    u->newest_number = number > u->newest_number ? number : u->newest_number;
    u->newest_ms = time_ms > u->newest_ms ? time_ms : u->newest_ms;
    for (size_t i = 0; i < event->propositions.count; i++)
        s->sides[SIDE_PROPOSITION].counts[numbers[i]].events++;
    return 0;
}

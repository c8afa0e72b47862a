#include "backfill/journal_entry.h"

enum { REMOVED = 0x80 };

/* ---- Places ---- */

bool entry_place(struct raw_entry *out, struct str bytes)
{
    struct cursor c = cursor_of(bytes.data, bytes.len);
    uint8_t head = cursor_u8(&c);
    out->place.removed = head & REMOVED;
    out->place.kind = (uint8_t)(head & ~REMOVED);
    out->place.time_ms = cursor_zigzag(&c);
    out->place.arrival_ms = (int64_t)((uint64_t)cursor_zigzag(&c) + (uint64_t)out->place.time_ms);
    out->place.source = (int32_t)cursor_zigzag(&c);
    out->place.number = cursor_zigzag(&c);
    out->bytes = bytes;
    out->rest = str_bytes(c.at, cursor_left(&c));
    return !c.bad && out->place.kind < ENTRY_KINDS;
}

struct str entry_id(const struct raw_entry *raw)
{
    struct cursor c = cursor_of(raw->rest.data, raw->rest.len);
    return cursor_sized(&c);
}

/* ---- Orders ---- */

static const uint8_t classes[ENTRY_KINDS] = {
    [ENTRY_USER] = 0,   [ENTRY_PROPOSITION] = 0, [ENTRY_REQUEST] = 1,
    [ENTRY_SCORED] = 2, [ENTRY_EVENT] = 3,
};

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int by_arrival(const struct place *a, const struct place *b)
{
    int order = compare(a->arrival_ms, b->arrival_ms);
    if (!order)
        order = compare(a->source, b->source);
    if (!order)
        order = compare(a->number, b->number);
    return order ? order : a->kind - b->kind;
}

int order_of_time(const struct raw_entry *a, const struct raw_entry *b)
{
    int order = compare(a->place.time_ms, b->place.time_ms);
    if (!order)
        order = classes[a->place.kind] - classes[b->place.kind];
    return order ? order : by_arrival(&a->place, &b->place);
}

int order_of_collection(const struct raw_entry *a, const struct raw_entry *b)
{
    bool first = kind_is_attributes(a->place.kind), second = kind_is_attributes(b->place.kind);
    if (first != second)
        return second - first;
    if (!first)
        return order_of_time(a, b);
    int order = a->place.kind - b->place.kind;
    if (!order)
        order = str_compare(entry_id(a), entry_id(b));
    return order ? order : by_arrival(&a->place, &b->place);
}

/* ---- Writing ---- */

static void put_place(struct buf *out, const struct place *p)
{
    buf_put_u8(out, (uint8_t)(p->kind | (p->removed ? REMOVED : 0)));
    buf_put_zigzag(out, p->time_ms);
    buf_put_zigzag(out, (int64_t)((uint64_t)p->arrival_ms - (uint64_t)p->time_ms));
    buf_put_zigzag(out, p->source);
    buf_put_zigzag(out, p->number);
}

/* A text that may be missing: its length and 1, or 0. */
static void put_optional_text(struct buf *out, struct str s)
{
    buf_put_varint(out, s.data ? (uint64_t)s.len + 1 : 0);
    buf_put_str(out, s);
}

static void put_list(struct buf *out, const struct str_list *list)
{
    buf_put_varint(out, list->count);
    for (size_t i = 0; i < list->count; i++)
        buf_put_sized(out, list->items[i]);
}

static void put_map(struct buf *out, const struct text_map *map)
{
    buf_put_varint(out, map->count);
    for (size_t i = 0; i < map->count; i++) {
        buf_put_sized(out, map->items[i].name);
        buf_put_sized(out, map->items[i].value);
    }
}

static void put_array(struct buf *out, const void *items, size_t count, size_t size)
{
    buf_put_varint(out, count);
    buf_put(out, items, count * size);
}

static void put_attribute(struct buf *out, const struct attribute *a)
{
    buf_put_sized(out, a->name);
    buf_put_u8(out, (uint8_t)a->type);
    switch (a->type) {
    case ATTRIBUTE_NULL:
        break;
    case ATTRIBUTE_BOOLEAN:
        buf_put_u8(out, a->boolean);
        break;
    case ATTRIBUTE_NUMBER:
        buf_put_double(out, a->number);
        break;
    case ATTRIBUTE_TEXT:
        buf_put_sized(out, a->text);
        break;
    case ATTRIBUTE_LIST:
        put_list(out, &a->list);
        break;
    }
}

static void put_entity(struct buf *out, const struct entity *x, bool removed)
{
    buf_put_sized(out, x->id);
    if (removed)
        return;
    buf_put_zigzag(out, x->timestamp);
    buf_put_u8(out, (uint8_t)((x->valid_from.given ? ENTITY_HAS_FROM : 0) |
                              (x->valid_until.given ? ENTITY_HAS_UNTIL : 0) |
                              (x->active ? ENTITY_IS_ACTIVE : 0)));
    if (x->valid_from.given)
        buf_put_zigzag(out, x->valid_from.value);
    if (x->valid_until.given)
        buf_put_zigzag(out, x->valid_until.value);
    buf_put_varint(out, x->attributes.count);
    for (size_t i = 0; i < x->attributes.count; i++)
        put_attribute(out, &x->attributes.items[i]);
}

static void put_request(struct buf *out, const struct rank_request *q)
{
    buf_put_sized(out, q->request_id);
    buf_put_sized(out, q->user_id);
    buf_put_zigzag(out, q->timestamp);
    buf_put_sized(out, q->placement);
    put_list(out, &q->candidates);
    buf_put_zigzag(out, q->limit);
    buf_put_u8(out, q->deadline.given);
    if (q->deadline.given)
        buf_put_zigzag(out, q->deadline.value);
    put_map(out, &q->context);
    buf_put_u8(out, q->explain);
}

static void put_event(struct buf *out, const struct event *v)
{
    buf_put_sized(out, v->event_id);
    buf_put_sized(out, v->event);
    buf_put_sized(out, v->user_id);
    buf_put_zigzag(out, v->timestamp);
    put_list(out, &v->propositions);
    put_optional_text(out, v->request_id);
    buf_put_u8(out, v->value.given);
    if (v->value.given)
        buf_put_double(out, v->value.value);
    put_map(out, &v->context);
}

static void put_scored(struct buf *out, const struct score_log *s)
{
    buf_put_sized(out, s->request_id);
    buf_put_sized(out, s->user_id);
    buf_put_zigzag(out, s->timestamp);
    buf_put_sized(out, s->placement);
    put_map(out, &s->context);
    buf_put_sized(out, s->model);
    buf_put_zigzag(out, s->version);
    buf_put_sized(out, s->variant);
    put_optional_text(out, s->degraded);
    buf_put_double(out, s->share);
    put_list(out, &s->features);
    buf_put_sized(out, s->fingerprints);
    put_list(out, &s->candidates);
    buf_put_sized(out, s->vectors);
    put_array(out, s->scores.items, s->scores.count, sizeof *s->scores.items);
    put_array(out, s->shown.items, s->shown.count, sizeof *s->shown.items);
    put_array(out, s->propensities.items, s->propensities.count, sizeof *s->propensities.items);
    buf_put_double(out, s->explored_share);
    buf_put_double(out, s->temperature);
    buf_put_u8(out, s->diverse);
    put_array(out, s->utilities.items, s->utilities.count, sizeof *s->utilities.items);
}

void entry_write(struct buf *out, const struct entry *entry)
{
    struct place p = {entry->time_ms,        entry->arrival.time_ms, entry->arrival.number,
                      entry->arrival.source, (uint8_t)entry->kind,   entry->removed};
    put_place(out, &p);
    switch (entry->kind) {
    case ENTRY_USER:
    case ENTRY_PROPOSITION:
        put_entity(out, &entry->entity, entry->removed);
        break;
    case ENTRY_REQUEST:
        put_request(out, &entry->request);
        break;
    case ENTRY_SCORED:
        put_scored(out, &entry->scored);
        break;
    case ENTRY_EVENT:
        put_event(out, &entry->event);
        break;
    case ENTRY_KINDS:
        break;
    }
}

void entry_write_raw(struct buf *out, const struct raw_entry *raw, int64_t time_ms)
{
    struct place p = raw->place;
    p.time_ms = time_ms;
    put_place(out, &p);
    buf_put_str(out, raw->rest);
}

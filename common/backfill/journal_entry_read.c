/* Entries decoded: each list is bounded by the bytes that are there. */
#include "backfill/journal_entry.h"

/* What is read from, and into. A failed allocation turns the cursor bad as well. */
struct decoder {
    struct cursor c;
    struct arena *arena;
    bool no_memory;
};

static struct str get_optional_text(struct decoder *d)
{
    uint64_t n = cursor_varint(&d->c);
    return n ? cursor_str(&d->c, n - 1) : (struct str){0};
}

/* Memory for a list that is about to be read: every item has at least `least` bytes, which bounds
 * it. */
static void *get_items(struct decoder *d, size_t *count, size_t size, size_t least)
{
    uint64_t n = cursor_varint(&d->c);
    if (n > cursor_left(&d->c) / least)
        d->c.bad = true;
    *count = d->c.bad ? 0 : (size_t)n;
    if (!*count)
        return NULL;
    void *items = arena_alloc(d->arena, *count * size);
    if (!items) {
        d->no_memory = d->c.bad = true;
        *count = 0;
    }
    return items;
}

static void get_list(struct decoder *d, struct str_list *list)
{
    list->items = get_items(d, &list->count, sizeof *list->items, 1);
    for (size_t i = 0; i < list->count; i++)
        list->items[i] = cursor_sized(&d->c);
}

static void get_map(struct decoder *d, struct text_map *map)
{
    map->items = get_items(d, &map->count, sizeof *map->items, 2);
    for (size_t i = 0; i < map->count; i++) {
        map->items[i].name = cursor_sized(&d->c);
        map->items[i].value = cursor_sized(&d->c);
    }
}

static void *get_array(struct decoder *d, size_t *count, size_t size)
{
    void *items = get_items(d, count, size, size);
    const uint8_t *bytes = items ? cursor_take(&d->c, *count * size) : NULL;
    if (bytes)
        memcpy(items, bytes, *count * size);
    return items;
}

static void get_attribute(struct decoder *d, struct attribute *a)
{
    a->name = cursor_sized(&d->c);
    uint8_t type = cursor_u8(&d->c);
    a->type = (enum attribute_type)type;
    switch (type) {
    case ATTRIBUTE_NULL:
        break;
    case ATTRIBUTE_BOOLEAN:
        a->boolean = cursor_u8(&d->c);
        break;
    case ATTRIBUTE_NUMBER:
        a->number = cursor_double(&d->c);
        break;
    case ATTRIBUTE_TEXT:
        a->text = cursor_sized(&d->c);
        break;
    case ATTRIBUTE_LIST:
        get_list(d, &a->list);
        break;
    default:
        d->c.bad = true;
    }
}

static void get_entity(struct decoder *d, struct entity *x, bool removed)
{
    *x = (struct entity){.id = cursor_sized(&d->c)};
    if (removed)
        return;
    x->timestamp = cursor_zigzag(&d->c);
    uint8_t flags = cursor_u8(&d->c);
    x->active = flags & ENTITY_IS_ACTIVE;
    if ((x->valid_from.given = flags & ENTITY_HAS_FROM))
        x->valid_from.value = cursor_zigzag(&d->c);
    if ((x->valid_until.given = flags & ENTITY_HAS_UNTIL))
        x->valid_until.value = cursor_zigzag(&d->c);
    x->attributes.items =
        get_items(d, &x->attributes.count, sizeof *x->attributes.items, 2 /* name and type */);
    for (size_t i = 0; i < x->attributes.count; i++)
        get_attribute(d, &x->attributes.items[i]);
}

static void get_request(struct decoder *d, struct rank_request *q)
{
    q->request_id = cursor_sized(&d->c);
    q->user_id = cursor_sized(&d->c);
    q->timestamp = cursor_zigzag(&d->c);
    q->placement = cursor_sized(&d->c);
    get_list(d, &q->candidates);
    q->limit = (int32_t)cursor_zigzag(&d->c);
    q->deadline = (struct optional_long){.given = cursor_u8(&d->c)};
    if (q->deadline.given)
        q->deadline.value = cursor_zigzag(&d->c);
    get_map(d, &q->context);
    q->explain = cursor_u8(&d->c);
}

static void get_event(struct decoder *d, struct event *v)
{
    v->event_id = cursor_sized(&d->c);
    v->event = cursor_sized(&d->c);
    v->user_id = cursor_sized(&d->c);
    v->timestamp = cursor_zigzag(&d->c);
    get_list(d, &v->propositions);
    v->request_id = get_optional_text(d);
    v->value = (struct optional_double){.given = cursor_u8(&d->c)};
    if (v->value.given)
        v->value.value = cursor_double(&d->c);
    get_map(d, &v->context);
}

static void get_scored(struct decoder *d, struct score_log *s)
{
    *s = (struct score_log){.request_id = cursor_sized(&d->c)};
    s->user_id = cursor_sized(&d->c);
    s->timestamp = cursor_zigzag(&d->c);
    s->placement = cursor_sized(&d->c);
    get_map(d, &s->context);
    s->model = cursor_sized(&d->c);
    s->version = cursor_zigzag(&d->c);
    s->variant = cursor_sized(&d->c);
    s->degraded = get_optional_text(d);
    s->share = cursor_double(&d->c);
    get_list(d, &s->features);
    s->fingerprints = cursor_sized(&d->c);
    get_list(d, &s->candidates);
    s->vectors = cursor_sized(&d->c);
    s->scores.items = get_array(d, &s->scores.count, sizeof *s->scores.items);
    s->shown.items = get_array(d, &s->shown.count, sizeof *s->shown.items);
    s->propensities.items = get_array(d, &s->propensities.count, sizeof *s->propensities.items);
    s->explored_share = cursor_double(&d->c);
    s->temperature = cursor_double(&d->c);
    s->diverse = cursor_u8(&d->c);
    s->utilities.items = get_array(d, &s->utilities.count, sizeof *s->utilities.items);
}

int entry_read(struct entry *out, const struct raw_entry *raw, struct arena *a, struct err *e)
{
    const struct place *p = &raw->place;
    struct decoder d = {.c = cursor_of(raw->rest.data, raw->rest.len), .arena = a};
    out->kind = (enum entry_kind)p->kind;
    out->removed = p->removed;
    out->time_ms = p->time_ms;
    out->arrival = (struct arrival){p->arrival_ms, p->source, p->number};
    if (kind_is_attributes(p->kind))
        get_entity(&d, &out->entity, p->removed);
    else if (p->kind == ENTRY_REQUEST)
        get_request(&d, &out->request);
    else if (p->kind == ENTRY_SCORED)
        get_scored(&d, &out->scored);
    else
        get_event(&d, &out->event);
    if (d.no_memory)
        return err_nomem(e);
    if (d.c.bad || d.c.at != d.c.end)
        return err_set(e, ERR_CORRUPT, "the bytes of an entry are not what was written");
    return 0;
}

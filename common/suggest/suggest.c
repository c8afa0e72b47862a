#include "suggest/suggest_inside.h"

#include <stdlib.h>
#include <xxhash.h>

/* Longer ids are told apart by their hash; longer names are not looked at. */
enum { LONGEST_ID = 64, LONGEST_SEEN_NAME = 1000 };

/* ---- Samples ---- */

static int sample_add(struct sample *s, int64_t item, struct prng *prng, struct err *e)
{
    if (!s->items && !(s->items = malloc(SAMPLE_SIZE * sizeof *s->items)))
        return err_nomem(e);
    if (s->seen < SAMPLE_SIZE) {
        s->items[s->seen++] = item;
        return 0;
    }
    uint64_t place = prng_next(prng) % ++s->seen;
    if (place < SAMPLE_SIZE)
        s->items[place] = item;
    return 0;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int sample_quantile(int64_t *out, const struct sample *s, double share, struct err *e)
{
    size_t count = s->seen < SAMPLE_SIZE ? (size_t)s->seen : SAMPLE_SIZE;
    *out = 0;
    if (count == 0)
        return 0;
    int64_t *sorted = malloc(count * sizeof *sorted);
    if (!sorted)
        return err_nomem(e);
    memcpy(sorted, s->items, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_size);
    *out = sorted[(size_t)(share * (double)(count - 1) + 0.5)];
    free(sorted);
    return 0;
}

/* ---- Ids ---- */

/* The id of a key, added where there is room; TABLE_NONE without an error where there is none. */
static int find_id(uint32_t *id, struct table *t, struct str key, bool *is_new, struct err *e)
{
    uint64_t hash;
    if (key.len > LONGEST_ID) {
        hash = XXH3_64bits(key.data, key.len);
        key = str_bytes(&hash, sizeof hash);
    }
    *id = table_find(t, key);
    *is_new = *id == TABLE_NONE && table_count(t) < IDS_MOST;
    if (*is_new)
        *id = table_insert(t, key);
    return *is_new && *id == TABLE_NONE ? err_nomem(e) : 0;
}

static int flag_proposition(struct suggest *s, struct str key, uint8_t flag, struct err *e)
{
    uint32_t id;
    bool is_new;
    int rc = find_id(&id, s->propositions, key, &is_new, e);
    if (!rc && id != TABLE_NONE)
        table_flag(table_get(s->propositions, id), flag, true);
    return rc;
}

static int flag_propositions(struct suggest *s, const struct str_list *list, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < list->count && !rc; i++)
        rc = flag_proposition(s, list->items[i], PROPOSITION_NAMED, e);
    return rc;
}

/* ---- Records ---- */

int suggest_new(struct suggest **out, const struct suggest_opts *opts, struct err *e)
{
    struct suggest *s = calloc(1, sizeof *s);
    *out = s;
    if (s) {
        s->opts = *opts;
        s->room = FIELDS_MOST_VALUES;
        s->oldest_ms = INT64_MAX;
        prng_seed(&s->prng, 0);
        s->events = calloc(EVENT_NAMES_MOST, sizeof *s->events);
        s->users = table_new();
        s->propositions = table_new();
        s->request_ids = table_new();
    }
    if (s && s->events && s->users && s->propositions && s->request_ids)
        return 0;
    suggest_free(s);
    *out = NULL;
    return err_nomem(e);
}

void suggest_free(struct suggest *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->event_count; i++) {
        free((char *)(uintptr_t)s->events[i].name.data);
        free(s->events[i].delays.items);
        fields_free(&s->events[i].context);
    }
    free(s->events);
    table_free(s->users);
    table_free(s->propositions);
    table_free(s->request_ids);
    fields_free(&s->attributes[SIDE_USER]);
    fields_free(&s->attributes[SIDE_PROPOSITION]);
    fields_free(&s->context);
    free(s->times.items);
    free(s->gaps.items);
    free(s);
}

int suggest_entity(struct suggest *s, enum side side, const struct entity *entity, struct err *e)
{
    int rc = 0;
    s->entities[side]++;
    for (size_t i = 0; i < entity->attributes.count && !rc; i++)
        rc = fields_add(&s->attributes[side], &entity->attributes.items[i], &s->room, e);
    return rc || side == SIDE_USER ? rc : flag_proposition(s, entity->id, PROPOSITION_KNOWN, e);
}

static int add_context(struct suggest *s, struct fields *f, const struct text_map *context,
                       struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < context->count && !rc; i++) {
        struct attribute a = {.name = context->items[i].name,
                              .type = ATTRIBUTE_TEXT,
                              .text = context->items[i].value};
        rc = fields_add(f, &a, &s->room, e);
    }
    return rc;
}

/* *out is NULL without an error where there is no room for another name. */
static int find_event(struct seen_event **out, struct suggest *s, struct str name, struct err *e)
{
    *out = NULL;
    for (size_t i = 0; i < s->event_count; i++)
        if (str_equal(s->events[i].name, name))
            *out = &s->events[i];
    if (*out || s->event_count == EVENT_NAMES_MOST || name.len > LONGEST_SEEN_NAME)
        return 0;
    char *copy = malloc(name.len + 1);
    if (!copy)
        return err_nomem(e);
    if (name.len)
        memcpy(copy, name.data, name.len);
    copy[name.len] = '\0';
    *out = &s->events[s->event_count++];
    (*out)->name = str_bytes(copy, name.len);
    return 0;
}

/* When it was, after what of its user, and after what of its request. */
static int see_times(struct suggest *s, struct seen_event *kind, const struct event *event,
                     struct err *e)
{
    uint32_t id;
    bool is_new;
    int64_t now = event->timestamp;
    int rc = sample_add(&s->times, now, &s->prng, e);
    if (!rc)
        rc = find_id(&id, s->users, event->user_id, &is_new, e);
    if (!rc && id != TABLE_NONE) {
        struct table_entry *user = table_get(s->users, id);
        if (!is_new && now > table_tag(user))
            rc = sample_add(&s->gaps, now - table_tag(user), &s->prng, e);
        if (is_new || now > table_tag(user))
            table_set_tag(user, now);
    }
    if (rc || event->request_id.len == 0) /* "" where an application has none */
        return rc;
    kind->named++;
    rc = find_id(&id, s->request_ids, event->request_id, &is_new, e);
    if (rc || id == TABLE_NONE)
        return rc;
    struct table_entry *request = table_get(s->request_ids, id);
    if (is_new) {
        table_set_tag(request, now);
        return 0;
    }
    kind->following++;
    return now < table_tag(request)
               ? 0
               : sample_add(&kind->delays, now - table_tag(request), &s->prng, e);
}

/* The tags of tables hold 56 bits. */
static bool is_possible_time(int64_t ms)
{
    return ms > -(INT64_C(1) << 53) && ms < INT64_C(1) << 53;
}

int suggest_event(struct suggest *s, const struct event *event, struct err *e)
{
    struct seen_event *kind;
    s->event_records++;
    int rc = find_event(&kind, s, event->event, e);
    if (rc)
        return rc;
    if (!kind) {
        s->other_events++;
        return 0;
    }
    kind->count++;
    kind->listing += event->propositions.count > 0;
    kind->listed += event->propositions.count;
    kind->valued += event->value.given;
    if (is_possible_time(event->timestamp))
        rc = see_times(s, kind, event, e);
    if (!rc)
        rc = flag_propositions(s, &event->propositions, e);
    return rc ? rc : add_context(s, &kind->context, &event->context, e);
}

int suggest_request(struct suggest *s, const struct rank_request *request, struct err *e)
{
    s->requests++;
    s->candidates += request->candidates.count;
    int rc = flag_propositions(s, &request->candidates, e);
    return rc ? rc : add_context(s, &s->context, &request->context, e);
}

void suggest_reaches_back(struct suggest *s, int64_t oldest_ms)
{
    if (is_possible_time(oldest_ms))
        s->oldest_ms = oldest_ms;
}

#include "ctl/shop_records.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

enum { NUMBER_DIGITS = 20, DAY_S = 86400, DAYS_1900_TO_1970 = 25567 };

static const char *const tiers[] = {"basic", "plus", "gold"};
static const char *const placements[] = {"home", "genre", "search"};
static const char *const event_names[] = {"",      "search",  "impression",
                                          "click", "convert", "dismiss"};

/* prefix and decimal number; data is NULL if memory could not be had. */
static struct str numbered(struct arena *a, struct str prefix, uint64_t number)
{
    char digits[NUMBER_DIGITS], *at = digits + sizeof digits;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    size_t n = (size_t)(digits + sizeof digits - at);
    char *text = arena_alloc(a, prefix.len + n);
    if (!text)
        return (struct str){0};
    memcpy(text, prefix.data, prefix.len);
    memcpy(text + prefix.len, at, n);
    return str_bytes(text, prefix.len + n);
}

/* Digits as numbered() writes them; false for any other text. */
static bool read_digits(uint64_t *number, struct str digits)
{
    uint64_t n = 0;
    if (digits.len < 1 || digits.len >= NUMBER_DIGITS || (digits.data[0] == '0' && digits.len > 1))
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(digits.data[i] - '0');
    }
    *number = n;
    return true;
}

bool shop_id_number(uint32_t *number, struct str id, char prefix, uint32_t count)
{
    uint64_t n;
    if (id.len < 2 || id.data[0] != prefix || !read_digits(&n, str_bytes(id.data + 1, id.len - 1)))
        return false;
    *number = (uint32_t)n;
    return n < count;
}

bool shop_request_number(uint64_t *number, struct str id, struct str prefix)
{
    return id.len > prefix.len && memcmp(id.data, prefix.data, prefix.len) == 0 &&
           read_digits(number, str_bytes(id.data + prefix.len, id.len - prefix.len));
}

/* YYYY-MM-DD of a day, counted from 1970-01-01. */
static struct str date(struct arena *a, int64_t day)
{
    char text[16];
    time_t seconds = (time_t)(day * DAY_S);
    struct tm tm;
    size_t n = gmtime_r(&seconds, &tm) ? strftime(text, sizeof text, "%Y-%m-%d", &tm) : 0;
    return arena_copy(a, str_bytes(text, n));
}

static struct attribute text_attribute(const char *name, struct str text)
{
    return (struct attribute){.name = str_of(name), .type = ATTRIBUTE_TEXT, .text = text};
}

static struct attribute list_attribute(const char *name, struct str *items, size_t count)
{
    return (struct attribute){.name = str_of(name), .type = ATTRIBUTE_LIST, .list = {items, count}};
}

int shop_user_record(struct entity *out, const struct shop *s, uint32_t user, int64_t timestamp,
                     struct arena *a, struct err *e)
{
    enum { ATTRIBUTES = 4, LIKED = 2 };
    const struct shop_user *u = &s->users[user];
    struct attribute *attributes = arena_alloc(a, ATTRIBUTES * sizeof *attributes);
    struct str *liked = arena_alloc(a, LIKED * sizeof *liked);
    int first = 0, second = 1;
    if (!attributes || !liked)
        return err_nomem(e);
    for (int g = 0; g < SHOP_GENRES; g++) {
        if (u->taste[g] > u->taste[first]) {
            second = first;
            first = g;
        } else if (g != first && (second == first || u->taste[g] > u->taste[second])) {
            second = g;
        }
    }
    liked[0] = str_of(shop_genres[first]);
    liked[1] = str_of(shop_genres[second]);
    attributes[0] = text_attribute("tier", str_of(tiers[u->tier]));
    attributes[1] = text_attribute("born", date(a, (int64_t)u->born_days - DAYS_1900_TO_1970));
    attributes[2] = text_attribute("device", str_of(shop_devices[u->device]));
    attributes[3] = list_attribute("likes", liked, LIKED);
    *out = (struct entity){.id = numbered(a, str_of("u"), user),
                           .timestamp = timestamp,
                           .active = true,
                           .attributes = {attributes, ATTRIBUTES}};
    return out->id.data && attributes[1].text.data ? 0 : err_nomem(e);
}

/* "Hidden Glacier": the noun tells the first genre, and searches ask for it. */
struct str shop_title(const struct shop *s, uint32_t proposition, struct arena *a)
{
    const struct shop_proposition *p = &s->propositions[proposition];
    char text[64];
    int n = snprintf(text, sizeof text, "%s %s", shop_adjectives[p->adjective],
                     shop_nouns[p->genres[0]][p->noun]);
    return arena_copy(a, str_bytes(text, (size_t)n));
}

int shop_proposition_record(struct entity *out, const struct shop *s, uint32_t proposition,
                            int64_t timestamp, struct arena *a, struct err *e)
{
    enum { ATTRIBUTES = 5 };
    const struct shop_proposition *p = &s->propositions[proposition];
    struct attribute *attributes = arena_alloc(a, ATTRIBUTES * sizeof *attributes);
    struct str *genres = arena_alloc(a, SHOP_GENRES_MOST * sizeof *genres);
    if (!attributes || !genres)
        return err_nomem(e);
    for (int i = 0; i < p->genre_count; i++)
        genres[i] = str_of(shop_genres[p->genres[i]]);
    attributes[0] = text_attribute("title", shop_title(s, proposition, a));
    attributes[1] = list_attribute("genres", genres, p->genre_count);
    attributes[2] = text_attribute("brand", str_of(shop_brands[p->brand]));
    attributes[3] = (struct attribute){
        .name = str_of("price"), .type = ATTRIBUTE_NUMBER, .number = (double)p->price_cents / 100};
    attributes[4] = text_attribute("released", date(a, p->released_ms / 1000 / DAY_S));
    *out = (struct entity){.id = numbered(a, str_of("p"), proposition),
                           .timestamp = timestamp,
                           .active = p->active,
                           .attributes = {attributes, ATTRIBUTES}};
    return out->id.data && attributes[0].text.data && attributes[4].text.data ? 0 : err_nomem(e);
}

/* Lower case, as people type. */
static struct str query(struct arena *a, const struct page *page)
{
    const char *word =
        page->noun == SHOP_NOUNS ? shop_genres[page->genre] : shop_nouns[page->genre][page->noun];
    struct str text = str_of(word);
    char *lower = arena_alloc(a, text.len);
    for (size_t i = 0; lower && i < text.len; i++)
        lower[i] = (char)tolower((unsigned char)text.data[i]);
    return str_bytes(lower, text.len);
}

static int fill_context(struct text_map *out, const struct page *page, struct arena *a,
                        struct err *e)
{
    enum { ENTRIES = 3 };
    struct text_entry *items = arena_alloc(a, ENTRIES * sizeof *items);
    if (!items)
        return err_nomem(e);
    items[0] = (struct text_entry){str_of("device"), str_of(shop_devices[page->device])};
    items[1] = (struct text_entry){str_of("placement"), str_of(placements[page->placement])};
    *out = (struct text_map){items, 2};
    if (page->placement == PLACEMENT_SEARCH) {
        items[out->count++] = (struct text_entry){str_of("query"), query(a, page)};
        return items[2].value.data ? 0 : err_nomem(e);
    }
    if (page->placement == PLACEMENT_GENRE)
        items[out->count++] =
            (struct text_entry){str_of("genre"), str_of(shop_genres[page->genre])};
    return 0;
}

int shop_proposition_ids(struct str_list *out, const uint32_t *propositions, size_t count,
                         struct arena *a, struct err *e)
{
    *out = (struct str_list){arena_alloc(a, count * sizeof *out->items), count};
    if (!out->items)
        return err_nomem(e);
    for (size_t i = 0; i < count; i++) {
        out->items[i] = numbered(a, str_of("p"), propositions[i]);
        if (!out->items[i].data)
            return err_nomem(e);
    }
    return 0;
}

int shop_request_record(struct rank_request *out, uint64_t number, uint32_t user,
                        const struct page *page, struct str prefix, struct arena *a, struct err *e)
{
    *out = (struct rank_request){.request_id = numbered(a, prefix, number),
                                 .user_id = numbered(a, str_of("u"), user),
                                 .placement = str_of(placements[page->placement])};
    if (!out->request_id.data || !out->user_id.data)
        return err_nomem(e);
    return fill_context(&out->context, page, a, e);
}

int shop_event_record(struct event *out, const struct shop *s, const struct pending *p,
                      const struct page *page, struct str prefix, struct arena *a, struct err *e)
{
    *out = (struct event){.event_id = numbered(a, prefix, p->number),
                          .event = str_of(event_names[p->kind]),
                          .user_id = numbered(a, str_of("u"), p->user),
                          .timestamp = p->time_ms,
                          .request_id = numbered(a, prefix, p->request)};
    if (!out->event_id.data || !out->user_id.data || !out->request_id.data)
        return err_nomem(e);
    int rc = fill_context(&out->context, page, a, e);
    if (rc)
        return rc;
    switch (p->kind) {
    case PENDING_IMPRESSION:
        return shop_proposition_ids(&out->propositions, page->list, page->count, a, e);
    case PENDING_CONVERT: /* one in five takes two */
        out->value.given = true;
        out->value.value =
            s->propositions[p->proposition].price_cents * (p->number % 5 == 0 ? 2 : 1) / 100.0;
        return shop_proposition_ids(&out->propositions, &p->proposition, 1, a, e);
    case PENDING_CLICK:
    case PENDING_DISMISS:
        return shop_proposition_ids(&out->propositions, &p->proposition, 1, a, e);
    case PENDING_PAGE:
    case PENDING_SEARCH:
        break;
    }
    return 0;
}

#include "feature/request_time.h"

#include "feature/instant.h"
#include "feature/terms.h"

#include <math.h>

/* The texts of a value: of a text itself, of a list each. */
static struct str_list texts_of(const struct feature *f, const struct situation *s, struct str *own)
{
    if (f->dimension.side == SIDE_CONTEXT) {
        *own = situation_context(s, f->dimension.field);
        return (struct str_list){own, own->data != NULL};
    }
    const struct known_value *v = situation_attribute(s, &f->dimension);
    return v && (v->type == ATTRIBUTE_TEXT || v->type == ATTRIBUTE_LIST) ? v->keys
                                                                         : (struct str_list){0};
}

static double attribute(const struct feature *f, const struct situation *s)
{
    const struct known_value *v = situation_attribute(s, &f->dimension);
    struct str own;
    if (v && (v->type == ATTRIBUTE_NUMBER || v->type == ATTRIBUTE_BOOLEAN))
        return v->number;
    struct str_list texts = texts_of(f, s, &own);
    for (size_t i = 0; i < texts.count; i++)
        for (size_t k = 0; k < f->value_count; k++)
            if (str_is(texts.items[i], f->values[k]))
                return (double)k;
    return NAN;
}

static struct request_number age(const struct feature *f, const struct situation *s)
{
    const struct known_value *v = situation_attribute(s, &f->dimension);
    struct str own;
    int64_t us;
    if (v && v->type == ATTRIBUTE_NUMBER)
        return (struct request_number){v->number, REQUEST_NO_US};
    if (v && v->type == ATTRIBUTE_LIST)
        return (struct request_number){NAN, REQUEST_NO_US};
    struct str_list texts = texts_of(f, s, &own);
    bool is_instant = texts.count == 1 && instant_parse_us(&us, texts.items[0]);
    return (struct request_number){NAN, is_instant ? us : REQUEST_NO_US};
}

struct request_number request_number(const struct feature *f, const struct situation *s)
{
    if (f->kind == FEATURE_AGE)
        return age(f, s);
    if (f->kind == FEATURE_ATTRIBUTE)
        return (struct request_number){attribute(f, s), REQUEST_NO_US};
    const struct known_value *v = situation_attribute(s, &f->dimension);
    bool is_number = v && v->type == ATTRIBUTE_NUMBER;
    return (struct request_number){is_number ? v->number : NAN, REQUEST_NO_US};
}

double request_number_at(const struct feature *f, const struct request_number *n, int64_t as_of_ms)
{
    if (f->kind != FEATURE_AGE)
        return n->number;
    return n->age_us == REQUEST_NO_US ? ((double)as_of_ms - n->number) / 1000
                                      : (double)((__int128)as_of_ms * 1000 - n->age_us) / 1e6;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

double request_time_part(const struct feature *f, int64_t as_of_ms)
{
    int64_t utc_s = floor_div(as_of_ms, 1000), ms = as_of_ms - utc_s * 1000;
    int64_t local_s = utc_s + zone_offset_s(f->zone, utc_s), days = floor_div(local_s, 86400), year;
    int64_t of_day_s = local_s - days * 86400;
    int month, day;
    instant_date(days, &year, &month, &day);
    switch (f->part) {
    case TIME_HOUR_OF_DAY:
        return (double)(of_day_s / 3600) + (double)(of_day_s / 60 % 60) / 60 +
               (double)(of_day_s % 60) / 3600 + (double)ms / 3.6e6;
    case TIME_DAY_OF_WEEK:
        return (double)(((days + 3) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    case TIME_DAY_OF_MONTH:
        return day;
    default:
        return month;
    }
}

bool request_match(double *out, const struct feature *f, const struct situation *s,
                   struct str_list query, struct arena *a)
{
    struct str own;
    struct str_list texts = texts_of(f, s, &own);
    size_t common = 0;
    *out = NAN;
    if (query.count == 0 || texts.count == 0)
        return true;
    if (!terms_in(&common, query, texts.items, texts.count, a))
        return false;
    *out = (double)common / (double)query.count;
    return true;
}

/* A float and its place, as a number that sorts by the float: one that is not negative is larger
 * than any that is; negative ones sort the other way round. */
static uint64_t sortable(float value, size_t place)
{
    uint32_t bits;
    value += 0.0f; /* −0 is 0 */
    memcpy(&bits, &value, sizeof bits);
    bits ^= bits >> 31 ? UINT32_MAX : (uint32_t)1 << 31;
    return (uint64_t)bits << 32 | (uint32_t)place;
}

/* Sorts by merging runs of twice the length each time; which of the two holds the result is
 * returned. */
static uint64_t *sort(uint64_t *items, uint64_t *room, size_t count)
{
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t start = 0; start < count; start += 2 * run) {
            size_t middle = start + run < count ? start + run : count;
            size_t end = middle + run < count ? middle + run : count;
            size_t i = start, k = middle;
            for (size_t at = start; at < end; at++) {
                bool first = i < middle && (k == end || items[i] <= items[k]);
                room[at] = first ? items[i] : items[k];
                i += first;
                k += !first;
            }
        }
        uint64_t *other = items;
        items = room;
        room = other;
    }
    return items;
}

bool request_standings(const double *values, double *out, size_t count, size_t stride,
                       struct arena *a)
{
    uint64_t *items = arena_alloc(a, 2 * count * sizeof *items + 1);
    size_t n = 0;
    if (!items)
        return false;
    for (size_t i = 0; i < count; i++) {
        out[i * stride] = NAN;
        if (!isnan(values[i * stride]))
            items[n++] = sortable((float)values[i * stride], i);
    }
    uint64_t *sorted = sort(items, items + n, n);
    for (size_t first = 0, next; first < n; first = next) {
        next = first + 1;
        while (next < n && sorted[next] >> 32 == sorted[first] >> 32)
            next++;
        double standing =
            n == 1 ? 0.5 : ((double)first + (double)(next - first - 1) / 2) / (double)(n - 1);
        for (size_t i = first; i < next; i++)
            out[(uint32_t)sorted[i] * stride] = standing;
    }
    return true;
}

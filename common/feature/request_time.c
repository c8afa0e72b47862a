#include "feature/request_time.h"

#include "feature/instant.h"
#include "feature/terms.h"

#include <math.h>
#include <stdlib.h>

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

double request_attribute(const struct feature *f, const struct situation *s)
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

double request_age(const struct feature *f, const struct situation *s, int64_t as_of_ms)
{
    const struct known_value *v = situation_attribute(s, &f->dimension);
    struct str own;
    int64_t then_us;
    if (v && v->type == ATTRIBUTE_NUMBER)
        return ((double)as_of_ms - v->number) / 1000;
    if (v && v->type == ATTRIBUTE_LIST)
        return NAN;
    struct str_list texts = texts_of(f, s, &own);
    if (texts.count != 1 || !instant_parse_us(&then_us, texts.items[0]))
        return NAN;
    return (double)((__int128)as_of_ms * 1000 - then_us) / 1e6;
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

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* How many of the sorted values are smaller; with `or_equal`, or equal. */
static size_t below(const float *sorted, size_t count, float value, bool or_equal)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] < value || (or_equal && sorted[middle] == value))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool request_standings(const double *values, double *out, size_t count, size_t stride,
                       struct arena *a)
{
    float *sorted = arena_alloc(a, count * sizeof *sorted + 1);
    size_t n = 0;
    if (!sorted)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i * stride]))
            sorted[n++] = (float)values[i * stride];
    qsort(sorted, n, sizeof *sorted, compare);
    for (size_t i = 0; i < count; i++) {
        float value = (float)values[i * stride];
        if (isnan(value)) {
            out[i * stride] = NAN;
            continue;
        }
        size_t smaller = below(sorted, n, value, false),
               equal = below(sorted, n, value, true) - smaller - 1;
        out[i * stride] = n == 1 ? 0.5 : ((double)smaller + (double)equal / 2) / (double)(n - 1);
    }
    return true;
}

#include "suggest/suggest_windows.h"

#include "suggest/suggest_inside.h"

static const struct suggested_window usual[] = {
    {"1m", INT64_C(60000)},     {"5m", INT64_C(300000)},      {"15m", INT64_C(900000)},
    {"1h", INT64_C(3600000)},   {"6h", INT64_C(21600000)},    {"1d", INT64_C(86400000)},
    {"7d", INT64_C(604800000)}, {"30d", INT64_C(2592000000)}, {"90d", INT64_C(7776000000)},
};

enum { USUAL = sizeof usual / sizeof *usual, STEP = 4 };

/* One record with a time of its own must not make the span of the rest. */
#define OUTERMOST 0.0025

int suggest_span(struct time_span *out, const struct suggest *s, struct err *e)
{
    int rc = sample_quantile(&out->from_ms, &s->times, OUTERMOST, e);
    if (!rc)
        rc = sample_quantile(&out->to_ms, &s->times, 1 - OUTERMOST, e);
    out->oldest_ms = s->oldest_ms < out->from_ms ? s->oldest_ms : out->from_ms;
    return rc ? rc : sample_quantile(&out->gap_ms, &s->gaps, 0.5, e);
}

static size_t place_of(double ms)
{
    size_t i = 0;
    while (i + 1 < USUAL && (double)usual[i].ms < ms)
        i++;
    return i;
}

struct suggested_window suggest_window_of(double ms)
{
    return usual[place_of(ms)];
}

struct suggested_window suggest_window_within(double ms, double most_ms)
{
    size_t i = place_of(ms);
    while (i > 0 && (double)usual[i].ms > most_ms)
        i--;
    return usual[i];
}

struct suggested_window suggest_usual_window(size_t i)
{
    return i < USUAL ? usual[i] : (struct suggested_window){0};
}

void suggest_windows(struct suggested_windows *out, const struct time_span *span, double least_ms)
{
    size_t last = place_of((double)span->to_ms - (double)span->oldest_ms);
    size_t first = place_of(least_ms), middle = (first + last + 1) / 2;
    *out = (struct suggested_windows){0};
    if (first < last && usual[first].ms * STEP <= usual[last].ms)
        out->items[out->count++] = usual[first];
    if (first < middle && usual[first].ms * STEP <= usual[middle].ms &&
        usual[middle].ms * STEP <= usual[last].ms)
        out->items[out->count++] = usual[middle];
    out->items[out->count++] = usual[last];
}

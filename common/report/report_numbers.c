/* Numbers, times and names as a report shows them. */
#include "report/report_words.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static const char *const UNKNOWN = "–";

/* Digits behind the point for numbers up to this size: four significant ones, and no more than four
 * places where the number is not very small. */
static int places_for(double size)
{
    if (!(size > 0))
        return 0;
    int magnitude = (int)floor(log10(size) + 1e-9);
    if (magnitude >= -4)
        return magnitude > 3 ? 0 : 3 - magnitude > 4 ? 4 : 3 - magnitude;
    return magnitude < -8 ? 0 : 1 - magnitude;
}

void report_put_count(struct buf *out, uint64_t n)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    for (int i = 0; i < length; i++) {
        buf_put_u8(out, (uint8_t)digits[i]);
        if (i + 1 < length && (length - 1 - i) % 3 == 0)
            buf_put_u8(out, ',');
    }
}

static void put_places(struct buf *out, double v, int places, bool with_sign)
{
    if (!isfinite(v)) {
        buf_put_text(out, UNKNOWN);
        return;
    }
    if (fabs(v) < 0.5 * pow(10, -places))
        v = 0; /* never -0.0000 */
    if (places == 0 && fabs(v) >= 1000 && fabs(v) < 1e15) {
        buf_put_text(out, v < 0 ? "-" : with_sign ? "+" : "");
        report_put_count(out, (uint64_t)llround(fabs(v)));
    } else if (fabs(v) >= 1e15) {
        buf_printf(out, with_sign ? "%+.4g" : "%.4g", v);
    } else {
        buf_printf(out, with_sign ? "%+.*f" : "%.*f", places, v);
    }
}

static double size_of(struct metric_value v)
{
    double size = isfinite(v.value) ? fabs(v.value) : 0;
    size = isfinite(v.low) ? fmax(size, fabs(v.low)) : size;
    return isfinite(v.high) ? fmax(size, fabs(v.high)) : size;
}

void report_put_number(struct buf *out, double v)
{
    put_places(out, v, places_for(isfinite(v) ? fabs(v) : 0), false);
}

void report_put_percent(struct buf *out, double share)
{
    double percent = 100 * share;
    if (!isfinite(share))
        buf_put_text(out, UNKNOWN);
    else
        buf_printf(out,
                   fabs(percent) < 0.1 && percent != 0 ? "%.2g %%"
                   : fabs(percent) < 10                ? "%.1f %%"
                                                       : "%.0f %%",
                   percent);
}

void report_put_interval(struct buf *out, struct metric_value v, bool with_sign)
{
    int places = places_for(size_of(v));
    if (isnan(v.low) || isnan(v.high))
        return;
    buf_put_u8(out, '[');
    put_places(out, v.low, places, with_sign);
    buf_put_text(out, ", ");
    put_places(out, v.high, places, with_sign);
    buf_put_u8(out, ']');
}

static void put_with_interval(struct buf *out, struct metric_value v, bool with_sign)
{
    put_places(out, v.value, places_for(size_of(v)), with_sign);
    if (isnan(v.value) || isnan(v.low) || isnan(v.high) || v.low == v.high)
        return;
    buf_put_u8(out, ' ');
    report_put_interval(out, v, with_sign);
}

void report_put_value(struct buf *out, struct metric_value v)
{
    put_with_interval(out, v, false);
}

void report_put_difference(struct buf *out, struct metric_value v)
{
    put_with_interval(out, v, true);
}

void report_put_time(struct buf *out, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));
    struct tm t;
    char text[64];
    if (gmtime_r(&seconds, &t) && strftime(text, sizeof text, "%Y-%m-%d %H:%M", &t))
        buf_put_text(out, text);
    else
        buf_printf(out, "%lld ms", (long long)ms);
}

/* Bytes of the next character; those that belong to none count as one each. */
static size_t length_of(struct str rest)
{
    size_t length = utf8_length(rest.data, rest.len);
    return length ? length : 1;
}

static size_t characters_of(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; n++)
        i += length_of((struct str){s.data + i, s.len - i});
    return n;
}

/* The next character, made harmless. */
static void put_character(struct buf *out, struct str rest)
{
    uint8_t c = (uint8_t)rest.data[0];
    if (utf8_length(rest.data, rest.len) == 0)
        buf_put_text(out, "\xef\xbf\xbd");
    else if (c < 0x20 || c == 0x7f || (c == 0xc2 && (uint8_t)rest.data[1] < 0xa0))
        buf_put_u8(out, ' ');
    else
        buf_put(out, rest.data, length_of(rest));
}

void report_put_name(struct buf *out, struct str name, size_t most)
{
    size_t count = characters_of(name), head = count, skipped = 0;
    if (count > most) {
        head = most / 3;
        skipped = count - (most - 1 - head);
    }
    for (size_t n = 0, i = 0; i < name.len; n++) {
        struct str rest = {name.data + i, name.len - i};
        if (n == head)
            buf_put_text(out, "…");
        if (n < head || n >= skipped)
            put_character(out, rest);
        i += length_of(rest);
    }
}

#include "base/number.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* d.ddd of a scientific form without its point: digits and exponent of ten of the first one. */
struct decimal {
    char digits[20];
    int n;
    int exponent;
};

static void decimal_of(struct decimal *d, double number, int precision)
{
    char text[40];
    snprintf(text, sizeof text, "%.*e", precision - 1, number);
    char *e = strchr(text, 'e');
    d->exponent = atoi(e + 1);
    d->n = 0;
    for (char *c = text; c < e; c++)
        if (*c != '.')
            d->digits[d->n++] = *c;
    d->digits[d->n] = 0;
}

static double value_of(const struct decimal *d)
{
    char text[48];
    snprintf(text, sizeof text, "%.1s.%se%d", d->digits, d->digits + 1, d->exponent);
    return strtod(text, NULL);
}

/* Adds one in the last place. */
static void next_up(struct decimal *d)
{
    int i = d->n - 1;
    while (i >= 0 && d->digits[i] == '9')
        d->digits[i--] = '0';
    if (i >= 0) {
        d->digits[i]++;
    } else {
        d->digits[0] = '1';
        d->exponent++;
    }
}

/*
 * The fewest digits. A decimal of at most 15 digits is what its double rounds to at 15 digits, with
 * zeros behind it; only subnormal numbers have fewer. Just above a power of two, numbers lie twice
 * as dense below as above it, so that digits may read back that are not the nearest of their
 * length: those are one up in the last place.
 */
static void shortest(struct decimal *d, double number)
{
    int ignored;
    bool power_of_two = frexp(number, &ignored) == 0.5;
    for (int precision = number < DBL_MIN ? 1 : 15; precision < 17; precision++) {
        decimal_of(d, number, precision);
        if (value_of(d) == number)
            return;
        if (power_of_two) {
            next_up(d);
            if (value_of(d) == number)
                return;
        }
    }
    decimal_of(d, number, 17);
}

/* Digits of n from the right, at least `least` of them; returns where they begin. */
static char *put_digits(char *end, uint64_t n, int least)
{
    for (; n || least > 0; n /= 10, least--)
        *--end = (char)('0' + n % 10);
    return end;
}

/*
 * Counts, amounts and short shares, which most numbers are: at most 15 digits, 6 of them behind the
 * point. The division rounds as reading the decimal does, so what comes back equal reads back
 * equal; and of so few digits no two decimals read as one number: these are the fewest, once the
 * zeros at their end are gone. 0: it is none of them.
 */
static size_t short_text(char *text, double number)
{
    char digits[NUMBER_TEXT_BYTES], *end = digits + sizeof digits, *begin;
    double millionths = number < 1e9 ? nearbyint(number * 1e6) : 0;
    if (number < 1e15 && number == floor(number)) {
        begin = put_digits(end, (uint64_t)number, 1);
    } else if (millionths >= 1 && millionths / 1e6 == number) {
        begin = put_digits(end, (uint64_t)millionths % 1000000, 6);
        *--begin = '.';
        begin = put_digits(begin, (uint64_t)millionths / 1000000, 1);
        while (end[-1] == '0')
            end--;
    } else {
        return 0;
    }
    memcpy(text, begin, (size_t)(end - begin));
    text[end - begin] = 0;
    return (size_t)(end - begin);
}

size_t number_text(char text[NUMBER_TEXT_BYTES], double number)
{
    if (!isfinite(number))
        return (size_t)snprintf(text, NUMBER_TEXT_BYTES, "null");
    if (number == 0)
        return (size_t)snprintf(text, NUMBER_TEXT_BYTES, "0");
    const char *sign = number < 0 ? "-" : "";
    number = fabs(number);
    text[0] = '-';
    size_t short_length = short_text(text + strlen(sign), number);
    if (short_length)
        return short_length + strlen(sign);
    struct decimal d;
    shortest(&d, number);
    while (d.n > 1 && d.digits[d.n - 1] == '0')
        d.digits[--d.n] = 0;
    int point = d.exponent + 1; /* digits before the point */
    if (point > 21 || point < -5)
        return (size_t)snprintf(text, NUMBER_TEXT_BYTES, "%s%.1s%s%se%+d", sign, d.digits,
                                d.n > 1 ? "." : "", d.digits + 1, d.exponent);
    if (point <= 0)
        return (size_t)snprintf(text, NUMBER_TEXT_BYTES, "%s0.%.*s%s", sign, -point, "00000",
                                d.digits);
    if (d.n <= point)
        return (size_t)snprintf(text, NUMBER_TEXT_BYTES, "%s%s%.*s", sign, d.digits, point - d.n,
                                "000000000000000000000");
    return (size_t)snprintf(text, NUMBER_TEXT_BYTES, "%s%.*s.%s", sign, point, d.digits,
                            d.digits + point);
}

bool number_parse(double *out, const char *text)
{
    /* strtod also takes leading space, hexadecimal, inf and nan. */
    if (!*text || strspn(text, "0123456789+-.eE") != strlen(text))
        return false;
    char *end;
    *out = strtod(text, &end);
    return *end == 0 && isfinite(*out);
}

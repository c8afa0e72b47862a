#include "feature/instant.h"

static const int64_t DAY_US = 86400000000;

/* The two below: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years that begin in
 * March. */
int64_t instant_days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void instant_date(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = y + era * 400 + (*month <= 2);
}

/* What is left of a text while it is read. */
struct rest {
    const char *at;
    size_t left;
};

static bool digits(struct rest *r, size_t n, int most, int *out)
{
    *out = 0;
    if (r->left < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (r->at[i] < '0' || r->at[i] > '9')
            return false;
        *out = *out * 10 + (r->at[i] - '0');
    }
    r->at += n;
    r->left -= n;
    return *out <= most;
}

static bool character(struct rest *r, char c)
{
    if (r->left == 0 || *r->at != c)
        return false;
    r->at++;
    r->left--;
    return true;
}

static bool read_date(struct rest *r, int64_t *days)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!digits(r, 4, 9999, &year) || !character(r, '-') || !digits(r, 2, 12, &month) ||
        !character(r, '-') || !digits(r, 2, 31, &day) || year == 0 || month == 0 || day == 0)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > lengths[month - 1] + (month == 2 && leap))
        return false;
    *days = instant_days(year, month, day);
    return true;
}

/* 1 to 6 digits behind the point. */
static bool read_fraction(struct rest *r, int64_t *us)
{
    int64_t unit = 100000;
    size_t n = 0;
    for (; r->left && *r->at >= '0' && *r->at <= '9'; r->at++, r->left--, n++, unit /= 10)
        *us += (*r->at - '0') * unit;
    return n >= 1 && n <= 6;
}

static bool read_time(struct rest *r, int64_t *us)
{
    int hour, minute, second = 0;
    int64_t fraction = 0;
    if (!digits(r, 2, 23, &hour) || !character(r, ':') || !digits(r, 2, 59, &minute))
        return false;
    if (character(r, ':') &&
        (!digits(r, 2, 59, &second) || (character(r, '.') && !read_fraction(r, &fraction))))
        return false;
    *us += ((hour * 60 + minute) * 60 + second) * (int64_t)1000000 + fraction;
    return true;
}

static bool read_offset(struct rest *r, int64_t *us)
{
    int hour, minute, sign = character(r, '+') ? 1 : character(r, '-') ? -1 : 0;
    if (sign == 0)
        return true;
    if (!digits(r, 2, 23, &hour) || !character(r, ':') || !digits(r, 2, 59, &minute))
        return false;
    *us -= sign * (hour * 60 + minute) * (int64_t)60000000;
    return true;
}

bool instant_parse_us(int64_t *out, struct str text)
{
    struct rest r = {text.data, text.len};
    int64_t days = 0, us = 0;
    if (!read_date(&r, &days))
        return false;
    if ((character(&r, 'T') || character(&r, ' ')) && !read_time(&r, &us))
        return false;
    if (!character(&r, 'Z') && !read_offset(&r, &us))
        return false;
    *out = days * DAY_US + us;
    return r.left == 0;
}

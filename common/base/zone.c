#include "base/zone.h"

#include "base/file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_FILE_BYTES = 1024 * 1024, HEADER_BYTES = 44, DAY_S = 86400 };

/* When a rule of the footer changes the clock: Mm.w.d, Jn or n of POSIX's TZ, and the local time of
 * day. */
struct rule {
    char form; /* 'M', 'J' or 'n' */
    int month, week, day;
    int32_t time_s;
};

/* The footer: what holds after the last transition. */
struct footer {
    int32_t standard_s, summer_s;
    bool has_summer;
    struct rule begin, end;
};

struct zone {
    size_t count;
    int64_t *at_s;     /* transitions, ascending */
    int32_t *offset_s; /* from each on */
    int32_t first_s;   /* before the first */
    struct footer footer;
    bool has_footer;
};

static int64_t big_endian(const uint8_t *bytes, size_t n)
{
    uint64_t v = bytes[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | bytes[i];
    return (int64_t)v;
}

/* [+-]h[h][h][:mm[:ss]] */
static bool read_time(const char **at, int32_t *out)
{
    int32_t parts[3] = {0}, sign = 1;
    if (**at == '+' || **at == '-')
        sign = *(*at)++ == '-' ? -1 : 1;
    for (int i = 0; i < 3; i++) {
        if (!isdigit((unsigned char)**at))
            return false;
        char *end;
        parts[i] = (int32_t)strtol(*at, &end, 10);
        *at = end;
        if (**at != ':')
            break;
        ++*at;
    }
    if (parts[0] < 0 || parts[0] > 167)
        return false;
    *out = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
    return true;
}

static bool skip_name(const char **at)
{
    const char *start = *at;
    if (**at == '<') {
        while (**at && **at != '>')
            ++*at;
        return *(*at)++ == '>';
    }
    while (isalpha((unsigned char)**at))
        ++*at;
    return *at - start >= 3;
}

static bool read_rule(const char **at, struct rule *r)
{
    int n = 0;
    *r = (struct rule){.time_s = 7200};
    if (sscanf(*at, ",M%2d.%1d.%1d%n", &r->month, &r->week, &r->day, &n) == 3)
        r->form = 'M';
    else if (sscanf(*at, ",J%3d%n", &r->day, &n) == 1)
        r->form = 'J';
    else if (sscanf(*at, ",%3d%n", &r->day, &n) == 1)
        r->form = 'n';
    else
        return false;
    *at += n;
    if (**at != '/')
        return true;
    ++*at;
    return read_time(at, &r->time_s);
}

/* POSIX: offsets are what to add to local time to reach UTC, so their sign is turned. */
static bool read_footer(const char *text, struct footer *f)
{
    int32_t behind = 0;
    *f = (struct footer){0};
    if (!skip_name(&text) || !read_time(&text, &behind))
        return false;
    f->standard_s = -behind;
    if (!*text)
        return true;
    f->has_summer = true;
    f->summer_s = f->standard_s + 3600;
    if (!skip_name(&text))
        return false;
    if (*text && *text != ',') {
        if (!read_time(&text, &behind))
            return false;
        f->summer_s = -behind;
    }
    return read_rule(&text, &f->begin) && read_rule(&text, &f->end) && !*text;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01 to the first day of the year. */
static int64_t days_to_year(int64_t year)
{
    int64_t y = year - 1;
    int64_t leaps =
        (y >= 0 ? y / 4 - y / 100 + y / 400 : -((3 - y) / 4) + (99 - y) / 100 - (399 - y) / 400);
    return (year - 1970) * 365 + leaps - (1969 / 4 - 1969 / 100 + 1969 / 400);
}

/* Seconds from the epoch, in local time, at which a rule strikes in a year. */
static int64_t rule_at(const struct rule *r, int64_t year)
{
    static const int before[2][13] = {{0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365},
                                      {0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366}};
    int64_t day = days_to_year(year);
    bool leap = is_leap(year);
    if (r->form == 'J') {
        day += r->day - 1 + (leap && r->day >= 60);
    } else if (r->form == 'n') {
        day += r->day;
    } else {
        int month = r->month < 1 ? 0 : r->month > 12 ? 11 : r->month - 1;
        int64_t first = day + before[leap][month], last = day + before[leap][month + 1] - 1;
        int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday; Sunday is 0 */
        day = first + (r->day - weekday + 7) % 7 + 7 * (r->week - 1);
        while (day > last)
            day -= 7;
    }
    return day * DAY_S + r->time_s;
}

static int32_t footer_offset(const struct footer *f, int64_t utc_s)
{
    if (!f->has_summer)
        return f->standard_s;
    int64_t local_s = utc_s + f->standard_s, days = local_s / DAY_S - (local_s % DAY_S < 0);
    int64_t year = 1970 + days * 400 / 146097;
    while (days_to_year(year) > days)
        year--;
    while (days_to_year(year + 1) <= days)
        year++;
    int64_t begin_s = rule_at(&f->begin, year) - f->standard_s,
            end_s = rule_at(&f->end, year) - f->summer_s;
    bool summer =
        begin_s < end_s ? utc_s >= begin_s && utc_s < end_s : utc_s >= begin_s || utc_s < end_s;
    return summer ? f->summer_s : f->standard_s;
}

/* One data block: header, transition times of time_bytes each, types, names, leap seconds, flags.
 */
struct block {
    size_t utc_flags, standard_flags, leaps, times, types, names;
    size_t time_bytes;
};

static bool read_header(struct cursor *c, struct block *b, size_t time_bytes, uint8_t *version)
{
    const uint8_t *h = cursor_take(c, HEADER_BYTES);
    if (!h || memcmp(h, "TZif", 4) != 0)
        return false;
    size_t counts[6];
    for (size_t i = 0; i < 6; i++) {
        counts[i] = (size_t)(uint32_t)big_endian(h + 20 + 4 * i, 4);
        if (counts[i] > MAX_FILE_BYTES)
            return false;
    }
    *version = h[4];
    *b = (struct block){counts[0], counts[1], counts[2], counts[3],
                        counts[4], counts[5], time_bytes};
    return true;
}

static size_t block_bytes(const struct block *b)
{
    return b->times * (b->time_bytes + 1) + b->types * 6 + b->names +
           b->leaps * (b->time_bytes + 4) + b->standard_flags + b->utc_flags;
}

static int read_block(struct zone *z, struct cursor *c, const struct block *b, struct err *e)
{
    const uint8_t *times = cursor_take(c, block_bytes(b));
    if (!times || b->types == 0)
        return ERR_CORRUPT;
    const uint8_t *indices = times + b->times * b->time_bytes, *types = indices + b->times;
    z->at_s = malloc((b->times + 1) * sizeof *z->at_s);
    z->offset_s = malloc((b->times + 1) * sizeof *z->offset_s);
    if (!z->at_s || !z->offset_s)
        return err_nomem(e);
    z->first_s = (int32_t)big_endian(types, 4);
    for (size_t i = 0; i < b->times; i++) {
        if (indices[i] >= b->types)
            return ERR_CORRUPT;
        z->at_s[i] = big_endian(times + i * b->time_bytes, b->time_bytes);
        z->offset_s[i] = (int32_t)big_endian(types + 6 * (size_t)indices[i], 4);
    }
    z->count = b->times;
    return 0;
}

static int parse(struct zone *z, struct str file, struct err *e)
{
    struct cursor c = cursor_of(file.data, file.len);
    struct block b;
    uint8_t version;
    if (!read_header(&c, &b, 4, &version))
        return ERR_CORRUPT;
    if (version == 0)
        return read_block(z, &c, &b, e);
    cursor_take(&c, block_bytes(&b));
    if (!read_header(&c, &b, 8, &version))
        return ERR_CORRUPT;
    int rc = read_block(z, &c, &b, e);
    if (rc)
        return rc;
    char footer[128];
    size_t n = cursor_left(&c);
    if (n < 2 || n - 2 >= sizeof footer)
        return n < 2 ? 0 : ERR_CORRUPT;
    snprintf(footer, sizeof footer, "%.*s", (int)(n - 2), (const char *)c.at + 1);
    z->has_footer = *footer && read_footer(footer, &z->footer);
    return *footer && !z->has_footer ? ERR_CORRUPT : 0;
}

int zone_load(struct zone **out, const char *name, struct err *e)
{
    const char *folder = getenv("TZDIR");
    char path[512];
    struct buf file = {0};
    struct zone *z = NULL;
    int rc = 0;
    if (!*name || *name == '/' || strstr(name, "..") ||
        snprintf(path, sizeof path, "%s/%s", folder && *folder ? folder : "/usr/share/zoneinfo",
                 name) >= (int)sizeof path)
        return err_set(e, ERR_NOT_FOUND,
                       "\"%s\" is no time zone: give an IANA name as Europe/Berlin or UTC", name);
    if ((rc = file_read(&file, path, MAX_FILE_BYTES, e))) {
        if (rc != ERR_NOMEM)
            rc = err_set(
                e, ERR_NOT_FOUND,
                "there is no time zone \"%s\" (%s): give an IANA name as Europe/Berlin or UTC",
                name, path);
        goto out;
    }
    if (!(z = calloc(1, sizeof *z))) {
        rc = err_nomem(e);
        goto out;
    }
    if ((rc = parse(z, buf_str(&file), e)) == ERR_CORRUPT)
        err_set(e, rc, "%s is no time zone file: install the package tzdata again", path);
out:
    buf_free(&file);
    if (rc)
        zone_free(z);
    else
        *out = z;
    return rc;
}

void zone_free(struct zone *z)
{
    if (!z)
        return;
    free(z->at_s);
    free(z->offset_s);
    free(z);
}

int32_t zone_offset_s(const struct zone *z, int64_t utc_s)
{
    size_t low = 0, high = z->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (z->at_s[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == z->count && z->has_footer)
        return footer_offset(&z->footer, utc_s);
    return low ? z->offset_s[low - 1] : z->first_s;
}

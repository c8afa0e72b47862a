#include "serde/json_text.h"

#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>

static int corrupt(struct reading *r, const char *what)
{
    return reading_fail(r, ERR_CORRUPT, what);
}

void json_skip_space(struct reading *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
        r->at++;
}

int json_expect(struct reading *r, char c)
{
    if (json_peek(r) != (uint8_t)c) {
        char what[] = "not JSON: ' ' is wanted here";
        what[11] = c;
        return corrupt(r, what);
    }
    r->at++;
    return 0;
}

int json_word(struct reading *r, const char *word)
{
    size_t n = strlen(word);
    json_peek(r);
    if (reading_left(r) < n || memcmp(r->at, word, n) != 0)
        return corrupt(r, "not JSON: no value begins like this");
    r->at += n;
    return 0;
}

int json_next(struct reading *r, char open, bool first, bool *more)
{
    char close = open == '[' ? ']' : '}';
    int rc = first ? json_expect(r, open) : 0;
    if (rc)
        return rc;
    if (json_peek(r) == (uint8_t)close) {
        r->at++;
        *more = false;
        return 0;
    }
    *more = true;
    return first ? 0 : json_expect(r, ',');
}

/* ------------------------------------------------------------ texts */

/* Where the first of eight bytes is that a text cannot have plainly (quote, backslash, control,
 * beyond ASCII): not 0 if there is one. The bit tricks are those of "Bit Twiddling Hacks": a byte
 * is zero, a byte is less. */
static inline uint64_t special_bytes(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
    uint64_t quote = w ^ (ones * '"'), backslash = w ^ (ones * '\\');
    return (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | (w - ones * 0x20) | w) &
           tops;
}

/* Passes over bytes that stand for themselves. */
static void skip_plain(struct reading *r)
{
    uint64_t eight;
    while (reading_left(r) >= 8) {
        memcpy(&eight, r->at, 8);
        uint64_t special = special_bytes(eight);
        if (special) {
            /* Borrows only go upwards: the lowest one found is one. */
            r->at += __builtin_ctzll(special) / 8;
            return;
        }
        r->at += 8;
    }
    while (r->at < r->end && *r->at >= 0x20 && *r->at < 0x80 && *r->at != '"' && *r->at != '\\')
        r->at++;
}

static int read_hex(struct reading *r, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        uint8_t c = r->at < r->end ? *r->at : 0;
        uint32_t digit = c >= '0' && c <= '9'   ? c - (uint32_t)'0'
                         : c >= 'a' && c <= 'f' ? c - (uint32_t)'a' + 10
                         : c >= 'A' && c <= 'F' ? c - (uint32_t)'A' + 10
                                                : 16;
        if (digit == 16)
            return corrupt(r, "not JSON: \\u is not followed by four hexadecimal digits");
        *out = *out << 4 | digit;
    }
    return 0;
}

static char *put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t heads[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(heads[more] | c >> (6 * more));
    while (more--)
        *to++ = (char)(0x80 | (c >> (6 * more) & 0x3f));
    return to;
}

/* A character beyond U+FFFF is written as two halves. */
static int read_unicode(struct reading *r, char **to)
{
    uint32_t c, low = 0;
    int rc = read_hex(r, &c);
    if (!rc && c >= 0xd800 && c < 0xdc00) {
        if (reading_left(r) < 2 || r->at[0] != '\\' || r->at[1] != 'u')
            return corrupt(r, "not JSON: half a character");
        r->at += 2;
        if (!(rc = read_hex(r, &low)) && (low < 0xdc00 || low > 0xdfff))
            return corrupt(r, "not JSON: half a character");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    } else if (!rc && c >= 0xdc00 && c < 0xe000) {
        return corrupt(r, "not JSON: half a character");
    }
    if (!rc)
        *to = put_utf8(*to, c);
    return rc;
}

static int read_escape(struct reading *r, char **to)
{
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    uint8_t c = ++r->at < r->end ? *r->at : 0;
    if (c == 'u') {
        r->at++;
        return read_unicode(r, to);
    }
    for (const char *p = plain; *p; p += 2) {
        if ((uint8_t)*p == c) {
            *(*to)++ = p[1];
            r->at++;
            return 0;
        }
    }
    return corrupt(r, "not JSON: an escape that there is not");
}

/* One character that is no plain ASCII. */
static int check_character(struct reading *r)
{
    size_t n = utf8_length((const char *)r->at, reading_left(r));
    if (r->at == r->end)
        return corrupt(r, "not JSON: a text without an end");
    if (*r->at < 0x20)
        return corrupt(r, "not JSON: a control character in a text");
    if (n == 0)
        return corrupt(r, "a text is not UTF-8");
    r->at += n;
    return 0;
}

/* The end of a text, from its first escape on: what it stands for is never longer than it is
 * written. */
static int unescape(struct reading *r, const uint8_t *start, struct str *out)
{
    const uint8_t *quote = r->at;
    while (quote < r->end && *quote != '"')
        quote += *quote == '\\' ? 2 : 1;
    if (quote >= r->end)
        return corrupt(r, "not JSON: a text without an end");
    char *text = reading_take(r, (size_t)(quote - start)), *to = text;
    int rc = 0;
    if (!text)
        return r->e->code;
    while (!rc) {
        memcpy(to, start, (size_t)(r->at - start));
        to += r->at - start;
        if (*r->at == '"')
            break;
        rc = read_escape(r, &to);
        start = r->at;
        skip_plain(r);
        while (!rc && r->at < r->end && *r->at != '"' && *r->at != '\\')
            if (!(rc = check_character(r)))
                skip_plain(r);
    }
    r->at += !rc;
    *out = str_bytes(text, (size_t)(to - text));
    return rc;
}

int json_text(struct reading *r, struct str *out)
{
    if (json_peek(r) != '"')
        return corrupt(r, "not JSON: a text is wanted here");
    const uint8_t *start = ++r->at;
    for (;;) {
        skip_plain(r);
        if (r->at < r->end && *r->at == '"') {
            *out = str_bytes(start, (size_t)(r->at++ - start));
            return 0;
        }
        if (r->at < r->end && *r->at == '\\')
            return unescape(r, start, out);
        int rc = check_character(r);
        if (rc)
            return rc;
    }
}

/* ------------------------------------------------------------ numbers */

static bool is_digit(const struct reading *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

/* What the digits of a number say, as far as 19 of them hold it. */
struct decimal {
    bool negative, has_fraction, is_exact;
    uint64_t digits;
    int count;    /* of digits that count */
    int exponent; /* of ten */
};

static void read_digits(struct reading *r, struct decimal *d, int step)
{
    for (; is_digit(r); r->at++) {
        if (d->count == 19) {
            d->is_exact = false;
            continue;
        }
        d->digits = d->digits * 10 + (uint64_t)(*r->at - '0');
        d->count += d->digits != 0;
        d->exponent -= step;
    }
}

static int read_decimal(struct reading *r, struct decimal *d)
{
    *d = (struct decimal){.is_exact = true};
    d->negative = r->at < r->end && *r->at == '-';
    r->at += d->negative;
    bool zero = r->at < r->end && *r->at == '0';
    if (!is_digit(r))
        return corrupt(r, "not JSON: no value begins like this");
    if (zero)
        r->at++;
    else
        read_digits(r, d, 0);
    if (zero && is_digit(r))
        return corrupt(r, "not JSON: a number begins with 0");
    if (r->at < r->end && *r->at == '.') {
        d->has_fraction = true;
        r->at++;
        if (!is_digit(r))
            return corrupt(r, "not JSON: a number ends with its point");
        read_digits(r, d, 1);
    }
    if (r->at < r->end && (*r->at | 0x20) == 'e') {
        d->has_fraction = true;
        r->at++;
        bool minus = r->at < r->end && *r->at == '-';
        r->at += r->at < r->end && (*r->at == '-' || *r->at == '+');
        if (!is_digit(r))
            return corrupt(r, "not JSON: a number ends with its exponent");
        int exponent = 0;
        for (; is_digit(r); r->at++)
            exponent = exponent < 100000 ? exponent * 10 + (*r->at - '0') : exponent;
        d->exponent += minus ? -exponent : exponent;
    }
    return 0;
}

/* The C library's, for what is beyond whole numbers that a double holds and small powers of ten
 * (which are exact as well: one rounding; Clinger, "How to read floating point numbers accurately",
 * 1990). */
static int read_slowly(struct reading *r, const uint8_t *start, double *out)
{
    char text[64], *copy = text;
    size_t n = (size_t)(r->at - start);
    if (n >= sizeof text && !(copy = reading_take(r, n)))
        return r->e->code;
    memcpy(copy, start, n);
    copy[n] = 0;
    *out = strtod(copy, NULL);
    if (isinf(*out)) {
        r->at = start;
        return reading_fail(r, ERR_CORRUPT, "a number is over the range of a double");
    }
    return 0;
}

int json_number(struct reading *r, struct json_number *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal d;
    json_peek(r);
    const uint8_t *start = r->at;
    int rc = read_decimal(r, &d);
    if (rc)
        return rc;
    uint64_t most = (uint64_t)INT64_MAX + d.negative;
    out->is_whole = !d.has_fraction && d.is_exact && d.digits <= most;
    out->whole = (int64_t)(d.negative ? 0 - d.digits : d.digits);
    if (!d.is_exact || d.digits > (uint64_t)1 << 53 || d.exponent < -22 || d.exponent > 22)
        return read_slowly(r, start, &out->real);
    double real = (double)d.digits;
    real = d.exponent < 0 ? real / powers[-d.exponent] : real * powers[d.exponent];
    out->real = d.negative ? -real : real;
    return 0;
}

/* ------------------------------------------------------------ values that nobody wants */

static int skip_members(struct reading *r, char open)
{
    bool more = false;
    struct str name;
    int rc = reading_enter(r);
    for (bool first = true; !rc; first = false) {
        if ((rc = json_next(r, open, first, &more)) || !more)
            break;
        if (open == '{' && !(rc = json_text(r, &name)))
            rc = json_expect(r, ':');
        if (!rc)
            rc = json_skip(r);
    }
    r->depth -= !rc;
    return rc;
}

int json_skip(struct reading *r)
{
    struct json_number number;
    struct str text;
    switch (json_peek(r)) {
    case '{':
        return skip_members(r, '{');
    case '[':
        return skip_members(r, '[');
    case '"':
        return json_text(r, &text);
    case 't':
        return json_word(r, "true");
    case 'f':
        return json_word(r, "false");
    case 'n':
        return json_word(r, "null");
    default:
        return json_number(r, &number);
    }
}

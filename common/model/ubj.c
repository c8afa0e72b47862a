#include "model/ubj.h"

#include <math.h>

static int corrupt(struct reading *r, const char *what)
{
    return reading_fail(r, ERR_CORRUPT, what);
}

/* Bytes of a number of a type; 0: it is none. */
static size_t number_bytes(uint8_t type)
{
    switch (type) {
    case 'i':
    case 'U':
        return 1;
    case 'I':
        return 2;
    case 'l':
    case 'd':
        return 4;
    case 'L':
    case 'D':
        return 8;
    default:
        return 0;
    }
}

static int expect(struct reading *r, uint8_t byte, const char *what)
{
    if (ubj_peek(r) != byte)
        return corrupt(r, what);
    r->at++;
    return 0;
}

/* n bytes, the highest first. */
static int take_bits(struct reading *r, size_t n, uint64_t *out)
{
    if (reading_left(r) < n)
        return corrupt(r, "it ends within a number");
    *out = 0;
    for (size_t i = 0; i < n; i++)
        *out = *out << 8 | *r->at++;
    return 0;
}

static int take_type(struct reading *r, uint8_t *type)
{
    if (r->at == r->end)
        return corrupt(r, "it ends where a value is wanted");
    *type = *r->at++;
    return 0;
}

static int64_t signed_of(uint64_t bits, size_t bytes)
{
    unsigned unused = 64 - 8 * (unsigned)bytes;
    return (int64_t)(bits << unused) >> unused;
}

int ubj_integer(struct reading *r, uint8_t type, int64_t *out)
{
    uint64_t bits = 0;
    int rc = type ? 0 : take_type(r, &type);
    if (rc)
        return rc;
    if (type == 'T' || type == 'F') {
        *out = type == 'T';
        return 0;
    }
    size_t n = number_bytes(type);
    if (n == 0 || type == 'd' || type == 'D') {
        r->at -= r->at > r->start;
        return corrupt(r, "an integer is wanted here");
    }
    if (!(rc = take_bits(r, n, &bits)))
        *out = type == 'U' ? (int64_t)bits : signed_of(bits, n);
    return rc;
}

/* Beyond the range of a float it is an infinity, as the conversion rounds. */
static float narrow(double value)
{
    return fabs(value) >= 0x1.ffffffp127 ? copysignf(INFINITY, (float)(value > 0 ? 1 : -1))
                                         : (float)value;
}

int ubj_float(struct reading *r, uint8_t type, float *out)
{
    uint64_t bits = 0;
    int rc = type ? 0 : take_type(r, &type);
    if (rc)
        return rc;
    size_t n = number_bytes(type);
    if (n == 0) {
        r->at -= r->at > r->start;
        return corrupt(r, "a number is wanted here");
    }
    if ((rc = take_bits(r, n, &bits)))
        return rc;
    if (type == 'd') {
        uint32_t half = (uint32_t)bits;
        memcpy(out, &half, sizeof *out);
    } else if (type == 'D') {
        double value;
        memcpy(&value, &bits, sizeof value);
        *out = narrow(value);
    } else {
        *out = type == 'U' ? (float)bits : (float)signed_of(bits, n);
    }
    return 0;
}

/* A length or a count: of bytes or of items that take a byte each at least. */
static int take_count(struct reading *r, size_t item_bytes, size_t *out)
{
    int64_t n;
    if (ubj_peek(r) == 'T' || ubj_peek(r) == 'F')
        return corrupt(r, "an integer is wanted here");
    int rc = ubj_integer(r, 0, &n);
    if (rc)
        return rc;
    if (n < 0)
        return corrupt(r, "a count is negative");
    if ((uint64_t)n > reading_left(r) / item_bytes)
        return corrupt(r, "more is announced than there are bytes");
    *out = (size_t)n;
    return 0;
}

/* Without the S before it, as keys are. */
static int take_text(struct reading *r, struct str *out)
{
    size_t n;
    int rc = take_count(r, 1, &n);
    if (rc)
        return rc;
    *out = str_bytes(r->at, n);
    r->at += n;
    return 0;
}

int ubj_text(struct reading *r, struct str *out)
{
    int rc = expect(r, 'S', "a text is wanted here");
    return rc ? rc : take_text(r, out);
}

int ubj_open_array(struct reading *r, struct ubj_list *list)
{
    *list = (struct ubj_list){0};
    int rc = expect(r, '[', "an array is wanted here");
    if (!rc && ubj_peek(r) == '$') {
        r->at++;
        rc = take_type(r, &list->type);
        if (!rc && !number_bytes(list->type))
            rc = corrupt(r, "an array has a type that no number has");
        if (!rc && ubj_peek(r) != '#')
            rc = corrupt(r, "an array has a type and no count");
    }
    if (!rc && ubj_peek(r) == '#') {
        r->at++;
        list->is_counted = true;
        rc = take_count(r, list->type ? number_bytes(list->type) : 1, &list->left);
    }
    return rc ? rc : reading_enter(r);
}

int ubj_open_object(struct reading *r, struct ubj_list *list)
{
    *list = (struct ubj_list){0};
    int rc = expect(r, '{', "an object is wanted here");
    return rc ? rc : reading_enter(r);
}

static bool is_over(struct reading *r, struct ubj_list *list, uint8_t close)
{
    bool over = list->is_counted ? list->left == 0 : ubj_peek(r) == close;
    r->at += over && !list->is_counted;
    r->depth -= over;
    list->left -= list->is_counted && !over;
    return over;
}

int ubj_next_item(struct reading *r, struct ubj_list *list, bool *more)
{
    *more = !is_over(r, list, ']');
    return 0;
}

int ubj_next_key(struct reading *r, struct ubj_list *list, struct str *key, bool *more)
{
    *more = !is_over(r, list, '}');
    return *more ? take_text(r, key) : 0;
}

static int skip_array(struct reading *r)
{
    struct ubj_list list;
    bool more = true;
    int rc = ubj_open_array(r, &list);
    if (!rc && list.type) {
        r->at += list.left * number_bytes(list.type);
        list.left = 0;
    }
    while (!rc && !(rc = ubj_next_item(r, &list, &more)) && more)
        rc = ubj_skip(r, list.type);
    return rc;
}

static int skip_object(struct reading *r)
{
    struct ubj_list list;
    struct str key;
    bool more = true;
    int rc = ubj_open_object(r, &list);
    while (!rc && !(rc = ubj_next_key(r, &list, &key, &more)) && more)
        rc = ubj_skip(r, 0);
    return rc;
}

int ubj_skip(struct reading *r, uint8_t type)
{
    float number;
    struct str text;
    if (type)
        return ubj_float(r, type, &number);
    switch (ubj_peek(r)) {
    case '[':
        return skip_array(r);
    case '{':
        return skip_object(r);
    case 'S':
        return ubj_text(r, &text);
    case 'Z':
    case 'T':
    case 'F':
        r->at++;
        return 0;
    default:
        return ubj_float(r, 0, &number);
    }
}

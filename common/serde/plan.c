/* Steps and bytes to values: the binary encoding of the Avro 1.11 specification, read. */
#include "base/utf8.h"
#include "serde/plan_steps.h"
#include "serde/reading.h"

#include <stdio.h>

static int follow(struct reading *r, const struct step *s, char *out);

/* ------------------------------------------------------------ failing */

static int corrupt(struct reading *r, const char *what)
{
    return reading_fail(r, ERR_CORRUPT, what);
}

/* ------------------------------------------------------------ parts */

static int read_long_slowly(struct reading *r, int64_t *out)
{
    struct cursor c = cursor_of(r->at, reading_left(r));
    *out = cursor_zigzag(&c);
    if (c.bad)
        return corrupt(r, "an integer is cut off or over 64 bits");
    r->at = c.at;
    return 0;
}

/* Most are lengths, counts and branches: one byte. */
static inline int read_long(struct reading *r, int64_t *out)
{
    if (r->at == r->end || *r->at & 0x80)
        return read_long_slowly(r, out);
    *out = (int64_t)(*r->at >> 1) ^ -(int64_t)(*r->at & 1);
    r->at++;
    return 0;
}

static int read_int(struct reading *r, int32_t *out)
{
    int64_t value = 0;
    int rc = read_long(r, &value);
    if (!rc && (value < INT32_MIN || value > INT32_MAX))
        rc = corrupt(r, "an int is over 32 bits");
    *out = (int32_t)value;
    return rc;
}

static inline int read_plain(struct reading *r, void *out, size_t n)
{
    if (reading_left(r) < n)
        return corrupt(r, n == 1 ? "a boolean is cut off" : "a floating-point number is cut off");
    memcpy(out, r->at, n);
    r->at += n;
    return 0;
}

static int read_boolean(struct reading *r, bool *out)
{
    uint8_t byte = 0;
    int rc = read_plain(r, &byte, 1);
    if (!rc && byte > 1) {
        r->at--;
        return corrupt(r, "a boolean is neither 0 nor 1");
    }
    *out = byte;
    return rc;
}

static inline int read_bytes(struct reading *r, struct str *out)
{
    int64_t n = 0;
    int rc = read_long(r, &n);
    if (rc)
        return rc;
    if (n < 0 || (uint64_t)n > reading_left(r))
        return corrupt(r, "a length is negative or goes past the end of the record");
    *out = str_bytes(r->at, (size_t)n);
    r->at += n;
    return 0;
}

static int refuse_text(struct reading *r, struct str text)
{
    r->at = (const uint8_t *)text.data + utf8_first_bad(text);
    return corrupt(r, "a text is not UTF-8");
}

/* Eight bytes at a time, the last ones once more with those before them; fewer by one word, of
 * which the rest does not count, where eight bytes are left to read. */
static inline bool is_ascii(const uint8_t *at, size_t n, const uint8_t *end)
{
    const uint64_t tops = 0x8080808080808080;
    uint64_t all = 0, eight;
    if (n < 8 && (size_t)(end - at) >= 8) {
        memcpy(&eight, at, 8);
        return !(eight & tops & (((uint64_t)1 << 8 * n) - 1));
    }
    if (n < 8) {
        for (size_t i = 0; i < n; i++)
            all |= at[i];
        return all < 0x80;
    }
    const uint8_t *last = at + n - 8;
    for (; at < last; at += 8) {
        memcpy(&eight, at, 8);
        all |= eight;
    }
    memcpy(&eight, last, 8);
    return !((all | eight) & tops);
}

static __attribute__((noinline)) int read_text_slowly(struct reading *r, struct str *out)
{
    int rc = read_bytes(r, out);
    return rc ? rc : utf8_is_valid(*out) ? 0 : refuse_text(r, *out);
}

/* Most texts are ids and names: of less than 64 bytes, ASCII. */
static inline int read_text(struct reading *r, struct str *out)
{
    const uint8_t *at = r->at;
    if (at == r->end || *at & 0x81)
        return read_text_slowly(r, out);
    size_t n = *at++ >> 1;
    if (n > (size_t)(r->end - at) || !is_ascii(at, n, r->end))
        return read_text_slowly(r, out);
    *out = str_bytes(at, n);
    r->at = at + n;
    return 0;
}

static int read_fixed(struct reading *r, struct str *out, size_t n)
{
    if (reading_left(r) < n)
        return corrupt(r, "a fixed is cut off");
    *out = str_bytes(r->at, n);
    r->at += n;
    return 0;
}

/* ------------------------------------------------------------ arrays and maps */

/* How many items the next block has, 0 at the end, and how many bytes where it says so, else -1.
 * Looked at before any memory is taken: what is left must be able to hold them. */
static int read_block(struct reading *r, const struct step *s, size_t *count, int64_t *bytes)
{
    const uint8_t *start = r->at;
    int64_t n = 0;
    *bytes = -1;
    if (start < r->end && *start == 0) {
        r->at++;
        *count = 0;
        return 0;
    }
    int rc = read_long(r, &n);
    if (!rc && n < 0) {
        n = n == INT64_MIN ? INT64_MAX : -n;
        rc = read_long(r, bytes);
        if (!rc && (*bytes < 0 || (uint64_t)*bytes > reading_left(r)))
            rc = corrupt(r, "a block's length is negative or goes past the end of the record");
    }
    if (rc)
        return rc;
    size_t least;
    if (__builtin_mul_overflow((size_t)n, s->least_bytes, &least) || least > reading_left(r)) {
        r->at = start;
        return corrupt(r, "a block has more items than bytes are left");
    }
    *count = (size_t)n;
    return reading_items(r, (uint64_t)n > VALUE_MAX_ITEMS ? (uint64_t)n : (uint64_t)n * s->cost);
}

static int read_item(struct reading *r, const struct step *s, char *item)
{
    if (s->code == STEP_ARRAY)
        return follow(r, s->to.inner, item);
    struct str *name = (struct str *)(void *)item;
    int rc = read_text(r, name);
    if (rc)
        return rc;
    r->path[r->depth] = *name;
    rc = follow(r, s->to.inner, item + s->value_offset);
    if (!rc)
        r->path[r->depth] = (struct str){0};
    return rc;
}

/* n texts, or names and texts: what most arrays and maps hold. */
static int read_texts(struct reading *r, const struct step *s, struct str *at, size_t n)
{
    int rc = 0;
    if (s->code == STEP_ARRAY) {
        for (; n && !rc; n--)
            rc = read_text(r, at++);
        return rc;
    }
    for (; n && !rc; n--, at += 2) {
        if (!(rc = read_text(r, at)) && (rc = read_text(r, at + 1)))
            r->path[r->depth] = *at;
    }
    return rc;
}

static int read_items(struct reading *r, const struct step *s, struct schema_list *list)
{
    size_t room = 0, n;
    int64_t bytes;
    *list = (struct schema_list){0};
    int rc = reading_enter(r);
    if (rc)
        return rc;
    while (!(rc = read_block(r, s, &n, &bytes)) && n) {
        if ((rc = reading_grow(r, list, &room, n, s->size)))
            return rc;
        char *item = list->items + list->count * s->size;
        list->count += n;
        if (s->to.inner->code == STEP_TEXT)
            rc = read_texts(r, s, (struct str *)(void *)item, n);
        else
            for (; n && !rc; n--, item += s->size)
                rc = read_item(r, s, item);
        if (rc)
            return rc;
    }
    r->depth--;
    return rc;
}

static int skip_items(struct reading *r, const struct step *s)
{
    struct str name;
    size_t n;
    int64_t bytes;
    int rc = reading_enter(r);
    if (rc)
        return rc;
    while (!(rc = read_block(r, s, &n, &bytes)) && n) {
        if (bytes >= 0) {
            r->at += bytes;
            continue;
        }
        for (; n && !rc; n--) {
            if (s->code == STEP_SKIP_ENTRIES)
                rc = read_bytes(r, &name);
            if (!rc)
                rc = follow(r, s->to.inner, NULL);
        }
        if (rc)
            return rc;
    }
    r->depth--;
    return rc;
}

/* ------------------------------------------------------------ records, enums, unions */

static int read_record(struct reading *r, const struct program *p, char *out)
{
    int rc = reading_enter(r);
    for (size_t i = 0; !rc && i < p->count; i++) {
        const struct step *s = &p->steps[i];
        r->path[r->depth] = s->field;
        rc = s->code == STEP_TEXT ? read_text(r, (struct str *)(void *)(out + s->offset))
                                  : follow(r, s, out);
    }
    r->depth -= !rc;
    return rc;
}

static int read_pointer(struct reading *r, const struct step *s, char *out)
{
    char *record = reading_take(r, s->size);
    if (!record)
        return r->e->code;
    memcpy(out + s->offset, &record, sizeof record);
    return read_record(r, s->to.program, record);
}

static int read_enum(struct reading *r, const struct step *s, int32_t *out)
{
    const uint8_t *start = r->at;
    int64_t symbol = 0;
    int rc = read_long(r, &symbol);
    if (rc)
        return rc;
    if (symbol >= 0 && symbol < s->number) {
        *out = s->to.symbols[symbol];
        if (*out >= 0)
            return 0;
    }
    r->at = start;
    return symbol < 0 || symbol >= s->number
               ? corrupt(r, "an enum has no such symbol")
               : reading_fail(r, ERR_SCHEMA,
                              "an enum has a symbol that the reader's schema does not have, "
                              "and no default");
}

static int read_union(struct reading *r, const struct step *s, char *out)
{
    const uint8_t *start = r->at;
    int64_t branch = 0;
    int rc = read_long(r, &branch);
    if (rc)
        return rc;
    if (branch < 0 || branch >= s->number) {
        r->at = start;
        return corrupt(r, "a union has no such branch");
    }
    return follow(r, &s->to.inner[branch], out);
}

/* ------------------------------------------------------------ numbers */

static int promote(struct reading *r, const struct step *s, void *out)
{
    int64_t number = 0;
    int32_t small = 0;
    float real = 0;
    int rc;
    if (s->code == STEP_FLOAT_TO_DOUBLE) {
        rc = read_plain(r, &real, sizeof real);
        *(double *)out = (double)real;
        return rc;
    }
    if (s->code == STEP_LONG_TO_FLOAT || s->code == STEP_LONG_TO_DOUBLE) {
        rc = read_long(r, &number);
    } else {
        rc = read_int(r, &small);
        number = small;
    }
    if (s->code == STEP_INT_TO_LONG)
        *(int64_t *)out = number;
    else if (s->code == STEP_INT_TO_FLOAT || s->code == STEP_LONG_TO_FLOAT)
        *(float *)out = (float)number;
    else
        *(double *)out = (double)number;
    return rc;
}

/* ------------------------------------------------------------ any step */

static int follow_rare(struct reading *r, const struct step *s, char *out)
{
    char *to = out ? out + s->offset : NULL;
    struct str ignored;
    int64_t number;
    switch (s->code) {
    case STEP_FIXED:
        return read_fixed(r, (struct str *)(void *)to, s->size);
    case STEP_ENUM:
        return read_enum(r, s, (int32_t *)(void *)to);
    case STEP_POINTER:
        return read_pointer(r, s, out);
    case STEP_DEFAULT:
        memcpy(to, s->to.image, s->size);
        return 0;
    case STEP_REFUSE:
        return reading_fail(r, ERR_SCHEMA, s->to.reason);
    case STEP_SKIP_VARINT:
        return read_long(r, &number);
    case STEP_SKIP_SIZED:
        return read_bytes(r, &ignored);
    case STEP_SKIP_BYTES:
        return read_fixed(r, &ignored, s->size);
    case STEP_SKIP_BLOCKS:
    case STEP_SKIP_ENTRIES:
        return skip_items(r, s);
    default:
        return promote(r, s, to);
    }
}

static int follow(struct reading *r, const struct step *s, char *out)
{
    void *to = out ? out + s->offset : NULL;
    int32_t branch = (int32_t)s->number;
    switch (s->code) {
    case STEP_NULL:
        return 0;
    case STEP_BOOLEAN:
        return read_boolean(r, to);
    case STEP_INT:
        return read_int(r, to);
    case STEP_LONG:
        return read_long(r, to);
    case STEP_FLOAT:
        return read_plain(r, to, sizeof(float));
    case STEP_DOUBLE:
        return read_plain(r, to, sizeof(double));
    case STEP_BYTES:
        return read_bytes(r, to);
    case STEP_TEXT:
        return read_text(r, to);
    case STEP_RECORD:
        return read_record(r, s->to.program, to);
    case STEP_ARRAY:
    case STEP_MAP:
        return read_items(r, s, to);
    case STEP_UNION:
        return read_union(r, s, out);
    case STEP_NONE:
        memset(to, 0, s->size);
        return 0;
    case STEP_GIVEN:
        *(bool *)to = true;
        return follow(r, s->to.inner, out);
    case STEP_BRANCH:
        memcpy(to, &branch, sizeof branch);
        return follow(r, s->to.inner, out);
    default:
        return follow_rare(r, s, out);
    }
}

int plan_decode(const struct plan *p, void *out, struct str bytes, size_t from, struct arena *a,
                struct err *e)
{
    struct err local;
    struct reading r;
    int rc = reading_start(&r, bytes, a, e ? e : &local);
    if (rc)
        return rc;
    r.at += from;
    rc = follow(&r, &p->root, out);
    if (rc || r.at == r.end)
        return rc;
    char text[64];
    snprintf(text, sizeof text, "%zu bytes follow after the end", reading_left(&r));
    return corrupt(&r, text);
}

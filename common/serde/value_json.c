/* Values from JSON: straight from the text into the structure. */
#include "serde/json_text.h"
#include "serde/value.h"

#include <math.h>
#include <stdio.h>

static int read_value(struct reading *r, const struct schema_node *n, char *out);

/* What stands where another value is wanted. */
static int mismatch(struct reading *r, const char *wanted)
{
    char what[200];
    uint8_t c = json_peek(r);
    const char *found = c == '{'               ? "an object"
                        : c == '['             ? "a list"
                        : c == '"'             ? "a text"
                        : c == 't' || c == 'f' ? "true or false"
                        : c == 'n'             ? "null"
                                               : "a number";
    snprintf(what, sizeof what, "%s, where %s is wanted", found, wanted);
    return reading_fail(r, ERR_SCHEMA, what);
}

static bool begins_number(uint8_t c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

/* A byte that no value begins with is no JSON; any other is the wrong value. */
static int wrong(struct reading *r, const char *wanted)
{
    uint8_t c = json_peek(r);
    return (c && strchr("{[\"tfn", c)) || begins_number(c)
               ? mismatch(r, wanted)
               : reading_fail(r, ERR_CORRUPT, "not JSON: no value begins like this");
}

/* ------------------------------------------------------------ plain values */

static int read_boolean(struct reading *r, bool *out)
{
    uint8_t c = json_peek(r);
    *out = c == 't';
    return c == 't'   ? json_word(r, "true")
           : c == 'f' ? json_word(r, "false")
                      : wrong(r, "true or false");
}

/* Whole numbers; also those written as 1e3 or 5.0. */
static bool as_whole(const struct json_number *number, int64_t *out)
{
    if (!number->is_whole && (number->real != floor(number->real) || fabs(number->real) >= 0x1p63))
        return false;
    *out = number->is_whole ? number->whole : (int64_t)number->real;
    return true;
}

static int read_whole(struct reading *r, int64_t least, int64_t most, const char *wanted,
                      int64_t *out)
{
    struct json_number number;
    if (!begins_number(json_peek(r)))
        return wrong(r, wanted);
    const uint8_t *start = r->at;
    int rc = json_number(r, &number);
    if (!rc && (!as_whole(&number, out) || *out < least || *out > most)) {
        r->at = start;
        rc = mismatch(r, wanted);
    }
    return rc;
}

static int read_number(struct reading *r, const struct schema_node *n, void *out)
{
    struct json_number number = {.real = NAN};
    int64_t whole = 0;
    int rc;
    if (n->type == SCHEMA_INT) {
        rc = read_whole(r, INT32_MIN, INT32_MAX, "a whole number of 32 bits", &whole);
        *(int32_t *)out = (int32_t)whole;
        return rc;
    }
    if (n->type == SCHEMA_LONG)
        return read_whole(r, INT64_MIN, INT64_MAX, "a whole number of 64 bits", out);
    uint8_t c = json_peek(r);
    rc = c == 'n'           ? json_word(r, "null")
         : begins_number(c) ? json_number(r, &number)
                            : wrong(r, "a number");
    if (n->type == SCHEMA_FLOAT)
        *(float *)out = (float)number.real;
    else
        *(double *)out = number.real;
    return rc;
}

static int read_text(struct reading *r, struct str *out)
{
    return json_peek(r) == '"' ? json_text(r, out) : wrong(r, "a text");
}

/* Bytes: a text with a character of 0 to 255 for each. */
static int read_bytes(struct reading *r, const struct schema_node *n, struct str *out)
{
    struct str text;
    json_peek(r);
    const uint8_t *start = r->at;
    int rc = read_text(r, &text);
    if (rc)
        return rc;
    char *bytes = reading_take(r, text.len);
    if (!bytes)
        return r->e->code;
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.data[i];
        if (c > 0xc3) {
            r->at = start;
            return reading_fail(r, ERR_SCHEMA, "bytes are a character of U+0000 to U+00FF each");
        }
        bytes[count++] =
            (char)(c < 0x80 ? c : (uint8_t)(c << 6 | ((uint8_t)text.data[++i] & 0x3f)));
    }
    *out = str_bytes(bytes, count);
    if (n->type == SCHEMA_BYTES || count == n->fixed_bytes)
        return 0;
    r->at = start;
    return reading_fail(r, ERR_SCHEMA, "a fixed has another length");
}

static int find_symbol(const struct schema_node *n, struct str text)
{
    for (size_t i = 0; i < n->symbols.count; i++)
        if (str_equal(n->symbols.items[i], text))
            return (int)i;
    return n->standard_symbol;
}

static int read_enum(struct reading *r, const struct schema_node *n, int32_t *out)
{
    struct str text;
    json_peek(r);
    const uint8_t *start = r->at;
    int rc = read_text(r, &text);
    if (rc)
        return rc;
    *out = find_symbol(n, text);
    if (*out >= 0)
        return 0;
    r->at = start;
    return reading_fail(r, ERR_SCHEMA, "a symbol that the enum does not have");
}

/* ------------------------------------------------------------ arrays, maps, records */

static int read_entry(struct reading *r, const struct schema_node *n, char *item)
{
    if (n->type == SCHEMA_ARRAY)
        return read_value(r, n->items, item);
    struct str *name = (struct str *)(void *)item;
    int rc = json_text(r, name);
    if (!rc)
        rc = json_expect(r, ':');
    if (rc)
        return rc;
    r->path[r->depth] = *name;
    rc = read_value(r, n->items, item + n->value_offset);
    if (!rc)
        r->path[r->depth] = (struct str){0};
    return rc;
}

static int read_items(struct reading *r, const struct schema_node *n, struct schema_list *list)
{
    enum { FIRST_ROOM = 4 };
    char open = n->type == SCHEMA_ARRAY ? '[' : '{';
    size_t room = 0;
    bool more = false;
    *list = (struct schema_list){0};
    if (json_peek(r) != (uint8_t)open)
        return wrong(r, n->type == SCHEMA_ARRAY ? "a list" : "an object");
    int rc = reading_enter(r);
    while (!rc && !(rc = json_next(r, open, list->count == 0, &more)) && more) {
        rc = reading_items(r, 1);
        if (!rc)
            rc = reading_grow(r, list, &room, list->count ? 1 : FIRST_ROOM, n->item_size);
        if (!rc)
            rc = read_entry(r, n, list->items + list->count * n->item_size);
        list->count += !rc;
    }
    r->depth -= !rc;
    return rc;
}

/* A default stands in the schema: it is read there, with the limits of this reading. */
static int read_default(struct reading *r, const struct schema_field *f, char *out)
{
    const uint8_t *at = r->at, *end = r->end, *start = r->start;
    r->at = r->start = (const uint8_t *)f->standard.data;
    r->end = r->at + f->standard.len;
    int rc = read_value(r, f->type, out + f->offset);
    r->at = at;
    r->end = end;
    r->start = start;
    return rc;
}

static int read_defaults(struct reading *r, const struct schema_node *n, const bool *given,
                         char *out)
{
    int rc = 0;
    for (size_t i = 0; i < n->field_count && !rc; i++) {
        const struct schema_field *f = &n->fields[i];
        if (given[i])
            continue;
        r->path[r->depth] = f->name;
        rc = f->standard.data ? read_default(r, f, out)
                              : reading_fail(r, ERR_SCHEMA, "it is missing, and has no default");
    }
    return rc;
}

/* Fields mostly come in the schema's order: looked for from behind the last one. */
static size_t find_field(const struct schema_node *n, struct str name, size_t from)
{
    for (size_t i = 0; i < n->field_count; i++) {
        size_t at = from + i < n->field_count ? from + i : from + i - n->field_count;
        if (str_equal(n->fields[at].name, name))
            return at;
    }
    return n->field_count;
}

static int read_members(struct reading *r, const struct schema_node *n, bool *given, char *out)
{
    struct str name;
    bool more = false;
    size_t next = 0;
    int rc = 0;
    for (bool first = true; !rc; first = false) {
        if ((rc = json_next(r, '{', first, &more)) || !more || (rc = json_text(r, &name)) ||
            (rc = json_expect(r, ':')))
            break;
        size_t i = find_field(n, name, next);
        r->path[r->depth] = name;
        if (i < n->field_count) {
            given[i] = true;
            next = i + 1;
            rc = read_value(r, n->fields[i].type, out + n->fields[i].offset);
        } else {
            rc = json_skip(r);
        }
        if (!rc)
            r->path[r->depth] = (struct str){0};
    }
    return rc;
}

static int read_record(struct reading *r, const struct schema_node *n, char *out)
{
    enum { FEW = 64 };
    bool few[FEW] = {0}, *given = few;
    if (json_peek(r) != '{')
        return wrong(r, "an object");
    int rc = reading_items(r, 1);
    if (!rc && n->field_count > FEW) {
        given = reading_take(r, n->field_count);
        if (given)
            memset(given, 0, n->field_count);
        else
            rc = r->e->code;
    }
    if (!rc)
        rc = reading_enter(r);
    if (!rc)
        rc = read_members(r, n, given, out);
    if (!rc)
        rc = read_defaults(r, n, given, out);
    r->depth -= !rc;
    return rc;
}

/* ------------------------------------------------------------ unions */

/* Whether a branch takes what stands here. */
static bool takes(struct reading *r, const struct schema_node *branch)
{
    const uint8_t *start = r->at;
    struct json_number number;
    struct str text = {0};
    int64_t whole = 0;
    bool ok = false;
    uint8_t c = *r->at;
    switch (branch->type) {
    case SCHEMA_NULL:
        return c == 'n';
    case SCHEMA_BOOLEAN:
        return c == 't' || c == 'f';
    case SCHEMA_INT:
    case SCHEMA_LONG:
        ok = begins_number(c) && !json_number(r, &number) && as_whole(&number, &whole) &&
             (branch->type == SCHEMA_LONG || (whole >= INT32_MIN && whole <= INT32_MAX));
        break;
    case SCHEMA_FLOAT:
    case SCHEMA_DOUBLE:
        return begins_number(c);
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
        return c == '"';
    case SCHEMA_FIXED:
        ok = c == '"' && !read_bytes(r, branch, &text);
        break;
    case SCHEMA_ENUM:
        ok = c == '"' && !json_text(r, &text) && find_symbol(branch, text) >= 0;
        break;
    case SCHEMA_ARRAY:
        return c == '[';
    default:
        return c == '{';
    }
    r->at = start;
    return ok;
}

/* Where it is written as {"type": value}: the branch, having passed over all before the value. */
static size_t tagged_branch(struct reading *r, const struct schema_node *n)
{
    const uint8_t *start = r->at;
    bool more = false;
    struct str name;
    size_t i = n->branch_count;
    if (*start == '{' && !json_next(r, '{', true, &more) && more && !json_text(r, &name) &&
        !json_expect(r, ':'))
        for (i = 0; i < n->branch_count; i++)
            if (str_equal(name, schema_type_name(n->branches[i])))
                return i;
    r->at = start;
    return i;
}

/* The first branch that takes it; a missing number takes null where nothing else does. */
static size_t plain_branch(struct reading *r, const struct schema_node *n)
{
    size_t i = 0;
    while (i < n->branch_count && !takes(r, n->branches[i]))
        i++;
    if (i < n->branch_count || *r->at != 'n')
        return i;
    for (i = 0; i < n->branch_count; i++)
        if (n->branches[i]->type == SCHEMA_DOUBLE || n->branches[i]->type == SCHEMA_FLOAT)
            break;
    return i;
}

static int read_branch(struct reading *r, const struct schema_node *n, size_t i, char *out)
{
    const struct schema_node *branch = n->branches[i];
    int32_t tag = (int32_t)i;
    char *to = out + n->value_offset;
    memset(out, 0, n->size);
    if (n->shape == UNION_TAGGED)
        memcpy(out, &tag, sizeof tag);
    else if (branch->type == SCHEMA_NULL)
        return json_word(r, "null");
    else if (n->shape == UNION_OPTIONAL)
        *(bool *)(void *)out = true;
    if (branch->type == SCHEMA_RECORD) {
        char *record = reading_take(r, branch->size);
        if (!record)
            return r->e->code;
        memcpy(to, &record, sizeof record);
        to = record;
    }
    return read_value(r, branch, to);
}

/* The branch that is written; branch_count: none takes it. What was tried and did not fit leaves no
 * error, what could not be tried does. */
static int choose_branch(struct reading *r, const struct schema_node *n, size_t *branch,
                         bool *tagged)
{
    struct err tried, *e = r->e;
    tried.code = 0;
    r->e = &tried;
    *branch = tagged_branch(r, n);
    *tagged = *branch < n->branch_count;
    if (!*tagged)
        *branch = plain_branch(r, n);
    r->e = e;
    if (*branch == n->branch_count && (tried.code == ERR_NOMEM || tried.code == ERR_TOO_LARGE))
        return err_set(e, tried.code, "%s", tried.msg);
    return 0;
}

static int read_union(struct reading *r, const struct schema_node *n, char *out)
{
    size_t i;
    bool tagged;
    if (!json_peek(r))
        return reading_fail(r, ERR_CORRUPT, "not JSON: it ends where a value is wanted");
    int rc = choose_branch(r, n, &i, &tagged);
    if (rc)
        return rc;
    if (i == n->branch_count)
        return wrong(r, n->branch_count == 2 && n->branches[0]->type == SCHEMA_NULL
                            ? schema_type_name(n->branches[1]).data
                            : "another type of the union");
    rc = read_branch(r, n, i, out);
    return rc || !tagged ? rc : json_expect(r, '}');
}

/* ------------------------------------------------------------ any value */

static int read_value(struct reading *r, const struct schema_node *n, char *out)
{
    void *to = out;
    switch (n->type) {
    case SCHEMA_NULL:
        return json_peek(r) == 'n' ? json_word(r, "null") : wrong(r, "null");
    case SCHEMA_BOOLEAN:
        return read_boolean(r, to);
    case SCHEMA_INT:
    case SCHEMA_LONG:
    case SCHEMA_FLOAT:
    case SCHEMA_DOUBLE:
        return read_number(r, n, to);
    case SCHEMA_STRING:
        return read_text(r, to);
    case SCHEMA_BYTES:
    case SCHEMA_FIXED:
        return read_bytes(r, n, to);
    case SCHEMA_ENUM:
        return read_enum(r, n, to);
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        return read_items(r, n, to);
    case SCHEMA_UNION:
        return read_union(r, n, out);
    default:
        return read_record(r, n, out);
    }
}

int value_read_within(void *out, const struct schema_node *n, struct str json, struct arena *a,
                      size_t *memory_left, size_t *items_left, struct err *e)
{
    struct reading r;
    int rc = reading_start(&r, json, a, e);
    r.memory_left = *memory_left;
    r.items_left = *items_left;
    if (!rc)
        rc = read_value(&r, n, out);
    if (!rc && (json_peek(&r) || r.at != r.end))
        rc = reading_fail(&r, ERR_CORRUPT, "not JSON: something follows after the end");
    *memory_left = r.memory_left;
    *items_left = r.items_left;
    return rc;
}

int value_read_json(void *out, const struct schema_node *n, struct str json, struct arena *a,
                    struct err *e)
{
    size_t memory_left = VALUE_MAX_MEMORY, items_left = VALUE_MAX_ITEMS;
    struct err local = {0};
    return value_read_within(out, n, json, a, &memory_left, &items_left, e ? e : &local);
}

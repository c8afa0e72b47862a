/* Records as JSON: plain values, or those of unions as Avro's JSON encoding writes them, {"string":
 * "…"}. */
#include "base/json.h"
#include "serde/record.h"

#include <jansson.h>
#include <math.h>

struct reader {
    const char *field;
    struct arena *arena;
    struct err *e;
};

static const char *type_name(const json_t *j)
{
    static const char *const names[] = {"an object", "a list", "a text", "an integer",
                                        "a number",  "true",   "false",  "null"};
    return names[json_typeof(j)];
}

static int mismatch(struct reader *r, const json_t *j, const char *wanted)
{
    return err_set(r->e, ERR_SCHEMA, "field %s is %s: %s is wanted", r->field, type_name(j),
                   wanted);
}

static int read_text(struct reader *r, const json_t *j, struct str *out)
{
    if (!json_is_string(j))
        return mismatch(r, j, "a text");
    *out = arena_copy(r->arena, str_bytes(json_string_value(j), json_string_length(j)));
    return out->data ? 0 : err_nomem(r->e);
}

/* Whole numbers; also those written as reals (1e3, 5.0), as far as a double holds them exactly. */
static int read_long(struct reader *r, const json_t *j, int64_t *out)
{
    double real = json_real_value(j);
    if (json_is_real(j) && real == floor(real) && fabs(real) < 0x1p63)
        *out = (int64_t)real;
    else if (json_is_integer(j))
        *out = json_integer_value(j);
    else
        return mismatch(r, j, "a whole number of 64 bits");
    return 0;
}

static int read_double(struct reader *r, const json_t *j, double *out)
{
    if (!json_is_number(j))
        return mismatch(r, j, "a number");
    *out = json_number_value(j);
    return 0;
}

static int read_texts(struct reader *r, const json_t *j, struct str_list *out)
{
    if (!json_is_array(j))
        return mismatch(r, j, "a list of texts");
    *out = (struct str_list){arena_alloc(r->arena, json_array_size(j) * sizeof *out->items + 1), 0};
    if (!out->items)
        return err_nomem(r->e);
    for (size_t i = 0; i < json_array_size(j); i++, out->count++) {
        int rc = read_text(r, json_array_get(j, i), &out->items[i]);
        if (rc)
            return rc;
    }
    return 0;
}

/* Bytes: a text with a character of 0 to 255 for each. */
static int read_bytes(struct reader *r, const json_t *j, struct str *out)
{
    int rc = read_text(r, j, out);
    if (rc)
        return rc;
    char *to = (char *)(uintptr_t)out->data;
    size_t n = 0;
    for (size_t i = 0; i < out->len; i++) {
        uint8_t c = (uint8_t)out->data[i];
        if (c > 0xc3)
            return mismatch(r, j, "bytes, as characters up to U+00FF,");
        to[n++] = (char)(c < 0x80 ? c : (uint8_t)(c << 6 | ((uint8_t)out->data[++i] & 0x3f)));
    }
    out->len = n;
    return 0;
}

/* The value of a union written as {"type": value}; the value itself where it is written plainly. */
static const json_t *branch(const json_t *j, const char *type)
{
    const json_t *inner =
        json_is_object(j) && json_object_size(j) == 1 ? json_object_get(j, type) : NULL;
    return inner ? inner : j;
}

static int read_attribute(struct reader *r, const json_t *j, struct attribute *out)
{
    static const char *const types[] = {"boolean", "double", "string", "array"};
    for (size_t i = 0; json_is_object(j) && i < sizeof types / sizeof *types; i++)
        j = branch(j, types[i]);
    switch (json_typeof(j)) {
    case JSON_NULL:
        out->type = ATTRIBUTE_NULL;
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        out->type = ATTRIBUTE_BOOLEAN;
        out->number = json_is_true(j);
        return 0;
    case JSON_INTEGER:
    case JSON_REAL:
        out->type = ATTRIBUTE_NUMBER;
        return read_double(r, j, &out->number);
    case JSON_STRING:
        out->type = ATTRIBUTE_TEXT;
        return read_text(r, j, &out->text);
    case JSON_ARRAY:
        out->type = ATTRIBUTE_LIST;
        return read_texts(r, j, &out->list);
    default:
        return mismatch(r, j, "null, a boolean, a number, a text or a list of texts");
    }
}

static int read_map_entry(struct reader *r, enum field_type type, struct str name, const json_t *j,
                          void *out, size_t i)
{
    if (type == FIELD_TEXT_MAP) {
        struct text_entry *entry = &((struct text_map *)out)->items[i];
        entry->name = name;
        return read_text(r, j, &entry->value);
    }
    if (type == FIELD_DOUBLE_MAP) {
        struct double_entry *entry = &((struct double_map *)out)->items[i];
        entry->name = name;
        if (!json_is_null(j))
            return read_double(r, j, &entry->value);
        entry->value = NAN;
        return 0;
    }
    struct attribute *entry = &((struct attribute_map *)out)->items[i];
    *entry = (struct attribute){.name = name};
    return read_attribute(r, j, entry);
}

/* All maps are a pointer and a count. */
static int read_map(struct reader *r, enum field_type type, const json_t *j, void *out)
{
    size_t size = type == FIELD_TEXT_MAP     ? sizeof(struct text_entry)
                  : type == FIELD_DOUBLE_MAP ? sizeof(struct double_entry)
                                             : sizeof(struct attribute);
    struct text_map *map = out;
    if (!json_is_object(j))
        return mismatch(r, j, "an object");
    *map = (struct text_map){arena_alloc(r->arena, json_object_size(j) * size + 1), 0};
    if (!map->items)
        return err_nomem(r->e);
    void *i = json_object_iter((json_t *)(uintptr_t)j);
    for (; i; i = json_object_iter_next((json_t *)(uintptr_t)j, i), map->count++) {
        struct str name =
            arena_copy(r->arena, str_bytes(json_object_iter_key(i), json_object_iter_key_len(i)));
        int rc = name.data
                     ? read_map_entry(r, type, name, json_object_iter_value(i), out, map->count)
                     : err_nomem(r->e);
        if (rc)
            return rc;
    }
    return 0;
}

static int read_field(struct reader *r, enum field_type type, const json_t *j, void *out)
{
    int64_t number = 0;
    int rc = 0;
    switch (type) {
    case FIELD_TEXT:
        return read_text(r, j, out);
    case FIELD_INT:
        rc = read_long(r, j, &number);
        if (!rc && (number < INT32_MIN || number > INT32_MAX))
            rc = mismatch(r, j, "a whole number of 32 bits");
        *(int32_t *)out = (int32_t)number;
        return rc;
    case FIELD_LONG:
        return read_long(r, j, out);
    case FIELD_BOOLEAN:
        *(bool *)out = json_is_true(j);
        return json_is_boolean(j) ? 0 : mismatch(r, j, "true or false");
    case FIELD_BYTES:
        return read_bytes(r, j, out);
    case FIELD_OPTIONAL_TEXT:
    case FIELD_OPTIONAL_BYTES:
        *(struct str *)out = (struct str){0};
        if (json_is_null(j))
            return 0;
        return type == FIELD_OPTIONAL_TEXT ? read_text(r, branch(j, "string"), out)
                                           : read_bytes(r, branch(j, "bytes"), out);
    case FIELD_OPTIONAL_LONG: {
        struct optional_long *o = out;
        *o = (struct optional_long){.given = !json_is_null(j)};
        return o->given ? read_long(r, branch(j, "long"), &o->value) : 0;
    }
    case FIELD_OPTIONAL_DOUBLE: {
        struct optional_double *o = out;
        *o = (struct optional_double){.given = !json_is_null(j)};
        return o->given ? read_double(r, branch(j, "double"), &o->value) : 0;
    }
    case FIELD_TEXTS:
        return read_texts(r, j, out);
    case FIELD_TEXT_MAP:
    case FIELD_DOUBLE_MAP:
    case FIELD_ATTRIBUTES:
        return read_map(r, type, j, out);
    }
    return err_set(r->e, ERR_FATAL, "field %s has a type that cannot be", r->field);
}

static int read_default(struct reader *r, const struct field *f, void *out)
{
    json_t *j = json_loads(f->standard, JSON_DECODE_ANY, NULL);
    int rc = j ? read_field(r, f->type, j, out) : err_nomem(r->e);
    json_decref(j);
    return rc;
}

static json_t *parse(struct str text, struct err *e)
{
    json_error_t why;
    json_t *j = json_loadb(text.data, text.len, JSON_ALLOW_NUL, &why);
    /* An integer over 64 bits is a number all the same. */
    if (!j && json_error_code(&why) == json_error_numeric_overflow)
        j = json_loadb(text.data, text.len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
    if (!j && json_error_code(&why) == json_error_out_of_memory)
        err_nomem(e);
    else if (!j)
        err_set(e, ERR_CORRUPT, "byte %d: not JSON: %s", why.position, why.text);
    return j;
}

int record_decode_json(void *out, const struct record_type *type, struct str json, struct arena *a,
                       struct err *e)
{
    struct err local = {0};
    struct reader r = {"", a, e ? e : &local};
    json_t *j = parse(json, r.e);
    if (!j)
        return r.e->code;
    int rc = json_is_object(j) ? 0 : err_set(r.e, ERR_SCHEMA, "not an object but %s", type_name(j));
    for (size_t i = 0; i < type->field_count && !rc; i++) {
        const struct field *f = &type->fields[i];
        const json_t *value = json_object_get(j, f->name);
        void *to = (char *)out + f->offset;
        r.field = f->name;
        if (value)
            rc = read_field(&r, f->type, value, to);
        else if (f->standard)
            rc = read_default(&r, f, to);
        else
            rc = err_set(r.e, ERR_SCHEMA, "field %s is missing", f->name);
    }
    json_decref(j);
    return rc;
}

static void print_texts(struct buf *b, const struct str_list *list)
{
    buf_put_u8(b, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            buf_put_u8(b, ',');
        json_put_text(b, list->items[i]);
    }
    buf_put_u8(b, ']');
}

static void print_bytes(struct buf *b, struct str bytes)
{
    buf_put_u8(b, '"');
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = (uint8_t)bytes.data[i];
        if (c == '"' || c == '\\')
            buf_put_u8(b, '\\');
        if (c < 0x20 || c >= 0x7f)
            buf_printf(b, "\\u%04x", c);
        else
            buf_put_u8(b, c);
    }
    buf_put_u8(b, '"');
}

static void print_attribute(struct buf *b, const struct attribute *a)
{
    if (a->type == ATTRIBUTE_NULL)
        buf_put_text(b, "null");
    else if (a->type == ATTRIBUTE_BOOLEAN)
        buf_put_text(b, a->number != 0 ? "true" : "false");
    else if (a->type == ATTRIBUTE_NUMBER)
        json_put_number(b, a->number);
    else if (a->type == ATTRIBUTE_TEXT)
        json_put_text(b, a->text);
    else
        print_texts(b, &a->list);
}

static void print_map(struct buf *b, enum field_type type, const void *value)
{
    const struct text_map *texts = value;
    const struct double_map *doubles = value;
    const struct attribute_map *attributes = value;
    buf_put_u8(b, '{');
    for (size_t i = 0; i < texts->count; i++) {
        if (i)
            buf_put_u8(b, ',');
        json_put_text(b, type == FIELD_TEXT_MAP     ? texts->items[i].name
                         : type == FIELD_DOUBLE_MAP ? doubles->items[i].name
                                                    : attributes->items[i].name);
        buf_put_u8(b, ':');
        if (type == FIELD_TEXT_MAP)
            json_put_text(b, texts->items[i].value);
        else if (type == FIELD_DOUBLE_MAP)
            json_put_number(b, doubles->items[i].value);
        else
            print_attribute(b, &attributes->items[i]);
    }
    buf_put_u8(b, '}');
}

static void print_field(struct buf *b, enum field_type type, const void *value)
{
    const struct str *text = value;
    const struct optional_long *number = value;
    const struct optional_double *real = value;
    bool null = ((type == FIELD_OPTIONAL_TEXT || type == FIELD_OPTIONAL_BYTES) && !text->data) ||
                (type == FIELD_OPTIONAL_LONG && !number->given) ||
                (type == FIELD_OPTIONAL_DOUBLE && !real->given);
    if (null)
        buf_put_text(b, "null");
    else if (type == FIELD_TEXT || type == FIELD_OPTIONAL_TEXT)
        json_put_text(b, *text);
    else if (type == FIELD_BYTES || type == FIELD_OPTIONAL_BYTES)
        print_bytes(b, *text);
    else if (type == FIELD_INT)
        buf_printf(b, "%d", *(const int32_t *)value);
    else if (type == FIELD_LONG)
        buf_printf(b, "%lld", (long long)*(const int64_t *)value);
    else if (type == FIELD_BOOLEAN)
        buf_put_text(b, *(const bool *)value ? "true" : "false");
    else if (type == FIELD_OPTIONAL_LONG)
        buf_printf(b, "%lld", (long long)number->value);
    else if (type == FIELD_OPTIONAL_DOUBLE)
        json_put_number(b, real->value);
    else if (type == FIELD_TEXTS)
        print_texts(b, value);
    else
        print_map(b, type, value);
}

void record_print_json(struct buf *out, const struct record_type *type, const void *record)
{
    for (size_t i = 0; i < type->field_count; i++) {
        buf_put_u8(out, i ? ',' : '{');
        json_put_text(out, str_of(type->fields[i].name));
        buf_put_u8(out, ':');
        print_field(out, type->fields[i].type, (const char *)record + type->fields[i].offset);
    }
    buf_put_u8(out, '}');
}

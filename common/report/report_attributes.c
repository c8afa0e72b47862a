#include "report/report_attributes.h"

#include "base/buf.h"
#include "base/table.h"

#include <jansson.h>
#include <stdlib.h>

struct attributes {
    const struct str *texts;
    struct table *names, *values; /* "user.tier", "user.tier=gold" */
    struct attribute_pair *pairs; /* of the texts that were read, one after the other */
    size_t pair_count, pair_cap;
    uint64_t *first; /* by text: the place + 1 of its first pair; 0: not read */
    uint8_t *counts; /* by text: of its pairs */
    struct buf name;
};

int attributes_new(struct attributes **out, const struct str *texts, size_t count, struct err *e)
{
    struct attributes *a = calloc(1, sizeof *a);
    *out = NULL;
    if (!a)
        return err_nomem(e);
    a->texts = texts;
    a->names = table_new();
    a->values = table_new();
    a->first = calloc(count + 1, sizeof *a->first);
    a->counts = calloc(count + 1, sizeof *a->counts);
    if (!a->names || !a->values || !a->first || !a->counts) {
        attributes_free(a);
        return err_nomem(e);
    }
    *out = a;
    return 0;
}

void attributes_free(struct attributes *a)
{
    if (!a)
        return;
    buf_free(&a->name);
    free(a->counts);
    free(a->first);
    free(a->pairs);
    table_free(a->values);
    table_free(a->names);
    free(a);
}

/* The id of a key; TABLE_NONE if there are `most` others. */
static int id_of(uint32_t *out, struct table *t, struct str key, size_t most, struct err *e)
{
    *out = table_find(t, key);
    if (*out != TABLE_NONE || table_count(t) >= most)
        return 0;
    *out = table_insert(t, key);
    return *out == TABLE_NONE ? err_nomem(e) : 0;
}

int attributes_put(struct attributes *a, const char *attribute, struct str value,
                   struct attribute_pair *out, struct err *e)
{
    *out = (struct attribute_pair){TABLE_NONE, TABLE_NONE};
    buf_reset(&a->name);
    buf_put_text(&a->name, attribute);
    buf_put_u8(&a->name, '=');
    buf_put_str(&a->name, value);
    if (!buf_ok(&a->name))
        return err_nomem(e);
    int rc = id_of(&out->attribute, a->names, str_of(attribute), ATTRIBUTES_MOST, e);
    if (!rc && out->attribute != TABLE_NONE)
        rc = id_of(&out->value, a->values, buf_str(&a->name), ATTRIBUTE_VALUES_MOST, e);
    return rc;
}

static int keep_pair(struct attributes *a, struct attribute_pair pair, struct err *e)
{
    if (a->pair_count == a->pair_cap) {
        size_t cap = a->pair_cap ? a->pair_cap * 2 : 256;
        struct attribute_pair *pairs = realloc(a->pairs, cap * sizeof *pairs);
        if (!pairs)
            return err_nomem(e);
        a->pairs = pairs;
        a->pair_cap = cap;
    }
    a->pairs[a->pair_count++] = pair;
    return 0;
}

static int read_text(struct attributes *a, uint32_t text, struct err *e)
{
    struct str s = a->texts[text];
    json_t *object = s.len ? json_loadb(s.data, s.len, 0, NULL) : NULL, *value;
    const char *key;
    size_t first = a->pair_count;
    int rc = 0;
    json_object_foreach(object, key, value)
    {
        struct attribute_pair pair = {TABLE_NONE, TABLE_NONE};
        if (!rc && json_is_string(value) && a->pair_count - first < ATTRIBUTES_MOST)
            rc = attributes_put(a, key,
                                (struct str){json_string_value(value), json_string_length(value)},
                                &pair, e);
        if (!rc && pair.value != TABLE_NONE)
            rc = keep_pair(a, pair, e);
    }
    json_decref(object);
    a->counts[text] = (uint8_t)(a->pair_count - first);
    a->first[text] = first + 1;
    return rc;
}

int attributes_read(struct attributes *a, uint32_t text, const struct attribute_pair **pairs,
                    size_t *count, struct err *e)
{
    int rc = a->first[text] ? 0 : read_text(a, text, e);
    *pairs = rc || !a->counts[text] ? NULL : a->pairs + a->first[text] - 1;
    *count = rc ? 0 : a->counts[text];
    return rc;
}

size_t attributes_count(const struct attributes *a)
{
    return table_count(a->names);
}

struct str attributes_name(const struct attributes *a, uint32_t attribute)
{
    return table_key(table_get(a->names, attribute));
}

struct str attributes_value(const struct attributes *a, uint32_t value)
{
    return table_key(table_get(a->values, value));
}

#include "suggest/suggest_field.h"

#include "base/number.h"
#include "base/utf8.h"
#include "feature/instant.h"

#include <math.h>
#include <stdlib.h>
#include <xxhash.h>

/* A longer text is only told from others, by its hash; a 0 marks those, which no listed value has.
 */
enum { LONGEST_VALUE = 64, LONGEST_NAME = 1000, FEW_VALUES = 50, NINE_IN_TEN = 9 };

/* A number of seconds since 1970 is below this until the year 2286, and one of milliseconds above
 * it from 115 days on; nothing but a time is usually there. */
#define LEAST_MILLIS  1e10
#define OLDEST_MILLIS (-2208988800000.0) /* 1900 */
#define NEWEST_MILLIS 4102444800000.0    /* 2100 */

/* ---- Seeing ---- */

static int count_value(struct field *f, struct str value, size_t *room, struct err *e)
{
    char hashed[9] = {0};
    if (value.len > LONGEST_VALUE) {
        uint64_t hash = XXH3_64bits(value.data, value.len);
        memcpy(hashed + 1, &hash, sizeof hash);
        value = str_bytes(hashed, sizeof hashed);
    }
    uint32_t id = table_find(f->values, value);
    if (id == TABLE_NONE && (*room == 0 || table_count(f->values) >= FIELD_MOST_VALUES)) {
        f->left_out++;
        return 0;
    }
    if (id == TABLE_NONE) {
        id = table_insert(f->values, value);
        if (id == TABLE_NONE)
            return err_nomem(e);
        --*room;
    }
    struct table_entry *entry = table_get(f->values, id);
    table_set_tag(entry, table_tag(entry) + 1);
    return 0;
}

static uint64_t words_in(struct str text)
{
    uint64_t words = 0;
    bool inside = false;
    for (size_t i = 0; i < text.len; i++) {
        bool space = strchr(" \t\r\n,;/-_", text.data[i]) != NULL;
        words += !space && !inside;
        inside = !space;
    }
    return words;
}

static int see_number(struct field *f, double number, size_t *room, struct err *e)
{
    char text[NUMBER_TEXT_BYTES];
    if (!isfinite(number))
        return 0;
    f->least = f->numbers == 0 || number < f->least ? number : f->least;
    f->most = f->numbers == 0 || number > f->most ? number : f->most;
    f->numbers++;
    f->wholes += number == floor(number);
    f->millis += number == floor(number) && fabs(number) >= LEAST_MILLIS &&
                 number >= OLDEST_MILLIS && number <= NEWEST_MILLIS;
    return count_value(f, str_bytes(text, number_text(text, number)), room, e);
}

static bool is_numeral(struct str text)
{
    char copy[NUMBER_TEXT_BYTES];
    double number;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return strlen(copy) == text.len && number_parse(&number, copy);
}

static int see_text(struct field *f, struct str text, size_t *room, struct err *e)
{
    int64_t us;
    f->texts++;
    f->instants += instant_parse_us(&us, text);
    f->numerals += is_numeral(text);
    f->words += words_in(text);
    return count_value(f, text, room, e);
}

static int see_list(struct field *f, const struct str_list *list, size_t *room, struct err *e)
{
    int rc = 0;
    f->lists++;
    f->items += list->count;
    for (size_t i = 0; i < list->count && !rc; i++)
        rc = count_value(f, list->items[i], room, e);
    return rc;
}

static int see(struct field *f, const struct attribute *a, size_t *room, struct err *e)
{
    if (a->type == ATTRIBUTE_NULL || (a->type == ATTRIBUTE_LIST && a->list.count == 0))
        return 0;
    f->count++;
    switch (a->type) {
    case ATTRIBUTE_BOOLEAN:
        f->flags++;
        return count_value(f, str_of(a->boolean ? "true" : "false"), room, e);
    case ATTRIBUTE_NUMBER:
        return see_number(f, a->number, room, e);
    case ATTRIBUTE_TEXT:
        return see_text(f, a->text, room, e);
    default:
        return see_list(f, &a->list, room, e);
    }
}

/* ---- The fields ---- */

static int add_field(struct fields *f, struct str name, struct err *e)
{
    if (!f->names && !(f->names = table_new()))
        return err_nomem(e);
    if (f->count == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 16;
        struct field *longer = realloc(f->items, cap * sizeof *longer);
        if (!longer)
            return err_nomem(e);
        f->items = longer;
        f->cap = cap;
    }
    struct field *new = &f->items[f->count];
    *new = (struct field){.name = {NULL, name.len}};
    char *copy = malloc(name.len + 1);
    new->values = copy ? table_new() : NULL;
    uint32_t id = new->values ? table_insert(f->names, name) : TABLE_NONE;
    if (id == TABLE_NONE) {
        table_free(new->values);
        free(copy);
        return err_nomem(e);
    }
    if (name.len)
        memcpy(copy, name.data, name.len);
    copy[name.len] = '\0';
    new->name.data = copy;
    table_set_tag(table_get(f->names, id), (int64_t)f->count);
    f->count++;
    return 0;
}

int fields_add(struct fields *f, const struct attribute *a, size_t *room, struct err *e)
{
    uint32_t id = f->names ? table_find(f->names, a->name) : TABLE_NONE;
    if (id == TABLE_NONE && (f->count == FIELDS_MOST || a->name.len > LONGEST_NAME)) {
        f->left_out++;
        return 0;
    }
    int rc = id == TABLE_NONE ? add_field(f, a->name, e) : 0;
    size_t place = id == TABLE_NONE ? f->count - 1 : (size_t)table_tag(table_get(f->names, id));
    return rc ? rc : see(&f->items[place], a, room, e);
}

void fields_free(struct fields *f)
{
    for (size_t i = 0; i < f->count; i++) {
        table_free(f->items[i].values);
        free((char *)(uintptr_t)f->items[i].name.data);
    }
    table_free(f->names);
    free(f->items);
    *f = (struct fields){0};
}

const struct field *fields_find(const struct fields *f, struct str name)
{
    uint32_t id = f->names ? table_find(f->names, name) : TABLE_NONE;
    return id == TABLE_NONE ? NULL : &f->items[table_tag(table_get(f->names, id))];
}

/* ---- What it looks like ---- */

size_t field_different(const struct field *f)
{
    return table_count(f->values);
}

/* Nine in ten. */
static bool mostly(uint64_t part, uint64_t of)
{
    return of > 0 && part * 10 >= of * NINE_IN_TEN;
}

bool field_is_numeral(const struct field *f)
{
    return mostly(f->texts, f->count) && mostly(f->numerals, f->texts);
}

static enum field_look look_of_text(const struct field *f)
{
    size_t different = field_different(f);
    if (mostly(f->instants, f->count))
        return LOOK_INSTANT;
    if (different <= FEW_VALUES && f->count >= 2 * different)
        return LOOK_CATEGORY;
    /* What half of the records have to themselves does not tell records apart by kind. */
    if (f->left_out == 0 && 10 * f->count >= 13 * different)
        return LOOK_REFERENCE;
    return f->words * 2 >= f->texts * 3 ? LOOK_TEXT : LOOK_NOTHING;
}

static enum field_look look_of_number(const struct field *f)
{
    if (mostly(f->wholes, f->count) && f->millis * 2 > f->count && f->least >= OLDEST_MILLIS &&
        f->most <= NEWEST_MILLIS)
        return LOOK_INSTANT;
    return LOOK_NUMBER;
}

enum field_look field_look(const struct field *f, uint64_t of)
{
    if (f->count == 0 || (field_different(f) <= 1 && f->count >= of && !f->lists))
        return LOOK_NOTHING;
    if (mostly(f->flags, f->count))
        return LOOK_FLAG;
    if (mostly(f->numbers, f->count))
        return look_of_number(f);
    if (mostly(f->lists, f->count))
        return LOOK_LIST;
    return mostly(f->texts, f->count) ? look_of_text(f) : LOOK_MIXED;
}

static int by_count(const void *a, const void *b)
{
    const struct field_value *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count)
                                : str_compare(x->text, y->text);
}

int field_top(struct field_value **out, size_t *count, const struct field *f, size_t most,
              struct err *e)
{
    struct field_value *values = malloc((table_count(f->values) + 1) * sizeof *values);
    *out = values;
    *count = 0;
    if (!values)
        return err_nomem(e);
    for (uint32_t id = table_first(f->values); id != TABLE_NONE; id = table_next(f->values, id)) {
        const struct table_entry *entry = table_get(f->values, id);
        struct str text = table_key(entry);
        if (!memchr(text.data, '\0', text.len) && utf8_is_valid(text))
            values[(*count)++] = (struct field_value){text, (uint64_t)table_tag(entry)};
    }
    qsort(values, *count, sizeof *values, by_count);
    *count = *count < most ? *count : most;
    return 0;
}

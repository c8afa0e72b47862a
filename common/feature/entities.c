#include "feature/entities.h"

#include "base/buf.h"
#include "base/number.h"
#include "base/table.h"

#include <math.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct entities {
    const struct feature_set *set;
    enum side side;
    struct table *table; /* id to pointer of its struct known */
};

int entities_new(struct entities **out, const struct feature_set *set, enum side side,
                 struct err *e)
{
    struct entities *t = calloc(1, sizeof *t);
    if (!t || !(t->table = table_new())) {
        free(t);
        return err_nomem(e);
    }
    t->set = set;
    t->side = side;
    *out = t;
    return 0;
}

static struct known *known_at(const struct entities *t, uint32_t id)
{
    struct known *k = NULL;
    struct str value = table_value(table_get(t->table, id));
    if (value.len == sizeof k)
        memcpy(&k, value.data, sizeof k);
    return k;
}

static void known_free(struct known *k)
{
    if (k)
        free(k->kept);
    free(k);
}

void entities_free(struct entities *t)
{
    if (!t)
        return;
    for (uint32_t id = table_first(t->table); id != TABLE_NONE; id = table_next(t->table, id))
        known_free(known_at(t, id));
    table_free(t->table);
    free(t);
}

const struct known *entities_find(const struct entities *t, struct str id)
{
    uint32_t at = table_find(t->table, id);
    return at == TABLE_NONE ? NULL : known_at(t, at);
}

size_t entities_count(const struct entities *t)
{
    return table_count(t->table);
}

void entities_remove(struct entities *t, struct str id)
{
    uint32_t at = table_find(t->table, id);
    if (at == TABLE_NONE)
        return;
    known_free(known_at(t, at));
    table_remove(t->table, at);
}

int entity_check(const struct entity *record, struct err *e)
{
    for (size_t i = 0; i < record->attributes.count; i++) {
        const struct attribute *a = &record->attributes.items[i];
        if (a->type == ATTRIBUTE_NUMBER && !isfinite(a->number))
            return err_set(e, ERR_SCHEMA, "attribute %.*s is not a finite number",
                           STR_ARG(a->name));
    }
    return 0;
}

/* The attribute of a field; of equal names the last. */
static const struct attribute *find(const struct entity *record, const char *field)
{
    for (size_t i = record->attributes.count; i > 0; i--)
        if (str_is(record->attributes.items[i - 1].name, field))
            return &record->attributes.items[i - 1];
    return NULL;
}

static size_t length_bytes(size_t len)
{
    uint8_t length[VARINT_BYTES];
    return varint_write(length, len);
}

struct str key_sized(struct str known_key)
{
    size_t before = length_bytes(known_key.len);
    return str_bytes(known_key.data - before, known_key.len + before);
}

uint64_t key_hash(struct str sized_key)
{
    return XXH3_64bits(sized_key.data, sized_key.len);
}

/* Bytes that the keys of an attribute need at most, and how many there are at most. */
static void measure(const struct attribute *a, size_t *keys, size_t *bytes)
{
    if (!a)
        return;
    size_t count = a->type == ATTRIBUTE_LIST ? a->list.count : 1;
    *keys += count;
    if (a->type != ATTRIBUTE_LIST && a->type != ATTRIBUTE_TEXT)
        *bytes += NUMBER_TEXT_BYTES + 1;
    for (size_t i = 0; i < count; i++) {
        size_t len = a->type == ATTRIBUTE_LIST   ? a->list.items[i].len
                     : a->type == ATTRIBUTE_TEXT ? a->text.len
                                                 : 0;
        *bytes += len + length_bytes(len);
    }
}

static int compare_places(const void *a, const void *b)
{
    const struct str *x = *(const struct str *const *)a, *y = *(const struct str *const *)b;
    int order = str_compare(*x, *y);
    return order ? order : (x > y) - (x < y);
}

/* Drops repeats, in the order of the first ones. Long lists are sorted for it, so that a hostile
 * one costs no square. */
static int drop_repeats(struct str_list *keys, struct err *e)
{
    size_t kept = 0;
    if (keys->count <= 16) {
        for (size_t i = 0; i < keys->count; i++) {
            size_t k = 0;
            while (k < kept && !str_equal(keys->items[k], keys->items[i]))
                k++;
            if (k == kept)
                keys->items[kept++] = keys->items[i];
        }
        keys->count = kept;
        return 0;
    }
    struct str **sorted = malloc(keys->count * sizeof *sorted);
    if (!sorted)
        return err_nomem(e);
    for (size_t i = 0; i < keys->count; i++)
        sorted[i] = &keys->items[i];
    qsort(sorted, keys->count, sizeof *sorted, compare_places);
    for (size_t i = keys->count - 1; i > 0; i--)
        if (str_equal(*sorted[i], *sorted[i - 1]))
            sorted[i]->data = NULL;
    for (size_t i = 0; i < keys->count; i++)
        if (keys->items[i].data)
            keys->items[kept++] = keys->items[i];
    keys->count = kept;
    free(sorted);
    return 0;
}

/* Where the next keys, their hashes and bytes go, in the one allocation of an entity. */
struct room {
    struct str *keys;
    uint64_t *hashes; /* NULL: there is none for them */
    char *bytes;
};

static void put_key(struct room *r, struct str_list *keys, struct str text)
{
    r->bytes += varint_write((uint8_t *)r->bytes, text.len);
    if (text.len)
        memcpy(r->bytes, text.data, text.len);
    keys->items[keys->count++] = (struct str){r->bytes, text.len};
    r->bytes += text.len;
}

static int fill(struct known_value *v, const struct attribute *a, struct room *r, struct err *e)
{
    char number[NUMBER_TEXT_BYTES];
    *v = (struct known_value){.type = a ? a->type : ATTRIBUTE_NULL, .keys.items = r->keys};
    switch (v->type) {
    case ATTRIBUTE_NULL:
        return 0;
    case ATTRIBUTE_BOOLEAN:
        v->number = a->boolean;
        put_key(r, &v->keys, str_of(a->boolean ? "true" : "false"));
        break;
    case ATTRIBUTE_NUMBER:
        v->number = a->number;
        put_key(r, &v->keys, str_bytes(number, number_text(number, a->number)));
        break;
    case ATTRIBUTE_TEXT:
        put_key(r, &v->keys, a->text);
        break;
    case ATTRIBUTE_LIST:
        for (size_t i = 0; i < a->list.count; i++)
            put_key(r, &v->keys, a->list.items[i]);
        break;
    }
    r->keys += v->keys.count;
    int rc = drop_repeats(&v->keys, e);
    v->hashes = r->hashes;
    for (size_t i = 0; r->hashes && i < v->keys.count && !rc; i++)
        *r->hashes++ = key_hash(key_sized(v->keys.items[i]));
    return rc;
}

static int known_new(struct known **out, const struct entities *t, const struct entity *record,
                     struct err *e)
{
    size_t fields = t->set->attribute_count[t->side], keys = 0, bytes = 0;
    for (size_t i = 0; i < fields; i++)
        measure(find(record, t->set->attributes[t->side][i]), &keys, &bytes);
    size_t hashes = t->side == SIDE_PROPOSITION ? keys : 0;
    struct known *k = malloc(sizeof *k + fields * sizeof *k->values + keys * sizeof(struct str) +
                             hashes * sizeof(uint64_t) + bytes);
    if (!k)
        return err_nomem(e);
    k->timestamp = record->timestamp;
    k->memo = &k->kept;
    k->kept = NULL;
    struct room r = {.keys = (struct str *)(k->values + fields)};
    r.hashes = hashes ? (uint64_t *)(r.keys + keys) : NULL;
    r.bytes = (char *)(r.keys + keys) + hashes * sizeof(uint64_t);
    for (size_t i = 0; i < fields; i++) {
        int rc = fill(&k->values[i], find(record, t->set->attributes[t->side][i]), &r, e);
        if (rc) {
            free(k);
            return rc;
        }
    }
    *out = k;
    return 0;
}

int entities_put(struct entities *t, const struct entity *record, struct err *e)
{
    struct known *k = NULL;
    int rc = entity_check(record, e);
    if (rc || t->set->attribute_count[t->side] == 0)
        return rc;
    const struct known *old = entities_find(t, record->id);
    if (old && old->timestamp > record->timestamp)
        return 0;
    if ((rc = known_new(&k, t, record, e)))
        return rc;
    uint32_t id = table_insert(t->table, record->id);
    struct known *before = id == TABLE_NONE ? NULL : known_at(t, id);
    if (id == TABLE_NONE || !table_set(t->table, id, str_bytes(&k, sizeof k))) {
        free(k);
        return err_nomem(e);
    }
    known_free(before);
    return 0;
}

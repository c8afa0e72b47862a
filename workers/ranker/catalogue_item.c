/* What the catalogue keeps of a record. */
#include "ranker/catalogue_inside.h"

#include "base/number.h"

#include <stdlib.h>
#include <xxhash.h>

/* Appends the hash of a value where it is not there. */
static size_t add_value(uint64_t *values, size_t count, struct str text)
{
    uint64_t hash = XXH3_64bits(text.data, text.len);
    for (size_t i = 0; i < count; i++)
        if (values[i] == hash)
            return count;
    values[count] = hash;
    return count + 1;
}

/* Writes the hashes of an attribute's values; returns how many. */
static size_t hash_values(uint64_t values[MAX_DIVERSITY_VALUES], const struct attribute *a)
{
    char number[NUMBER_TEXT_BYTES];
    size_t count = 0;
    if (!a)
        return 0;
    switch (a->type) {
    case ATTRIBUTE_NULL:
        return 0;
    case ATTRIBUTE_BOOLEAN:
        return add_value(values, 0, str_of(a->boolean ? "true" : "false"));
    case ATTRIBUTE_NUMBER:
        return add_value(values, 0, str_bytes(number, number_text(number, a->number)));
    case ATTRIBUTE_TEXT:
        return add_value(values, 0, a->text);
    case ATTRIBUTE_LIST:
        break;
    }
    for (size_t i = 0; i < a->list.count && count < MAX_DIVERSITY_VALUES; i++)
        count = add_value(values, count, a->list.items[i]);
    return count;
}

static bool passes(const struct placement *p, const struct entity *record)
{
    for (size_t i = 0; i < p->filter_count; i++)
        if (!filter_passes(&p->filters[i], record))
            return false;
    return true;
}

int item_new(struct item **out, const struct catalogue *c, const struct entity *record,
             struct err *e)
{
    uint64_t values[MAX_PLACEMENTS][MAX_DIVERSITY_VALUES];
    size_t counts[MAX_PLACEMENTS], total = 0;
    for (size_t i = 0; i < c->attribute_count; i++)
        total += counts[i] = hash_values(values[i], entity_attribute(record, c->attributes[i]));
    struct item *item;
    size_t bases = c->placement_count * sizeof *item->ln_bases,
           starts = (c->attribute_count + 1) * sizeof *item->value_starts,
           bytes = sizeof *item + bases + total * sizeof *item->values + starts;
    if (!(item = calloc(1, bytes)))
        return err_nomem(e);
    item->values = (uint64_t *)(item->ln_bases + c->placement_count);
    item->value_starts = (uint32_t *)(item->values + total);
    item->bytes = bytes;
    for (size_t i = 0; i < c->attribute_count; i++) {
        memcpy(item->values + item->value_starts[i], values[i], counts[i] * sizeof *item->values);
        item->value_starts[i + 1] = item->value_starts[i] + (uint32_t)counts[i];
    }
    item->timestamp = record->timestamp;
    item->is_active = record->active;
    item->valid_from_ms = record->valid_from.given ? record->valid_from.value : INT64_MIN;
    item->valid_until_ms = record->valid_until.given ? record->valid_until.value : INT64_MAX;
    for (size_t i = 0; i < c->placement_count; i++)
        if (passes(placements_at(c->opts.placements, i), record))
            item->passes |= (uint64_t)1 << i;
    *out = item;
    return 0;
}

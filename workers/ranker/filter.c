#include "ranker/filter.h"

#include "base/number.h"

const struct attribute *entity_attribute(const struct entity *record, const char *name)
{
    for (size_t i = record->attributes.count; i > 0; i--)
        if (str_is(record->attributes.items[i - 1].name, name))
            return &record->attributes.items[i - 1];
    return NULL;
}

static bool has_text(const struct filter *f, struct str text)
{
    for (size_t i = 0; i < f->value_count; i++)
        if (str_is(text, f->values[i]))
            return true;
    return false;
}

static bool has_number(const struct filter *f, double number)
{
    double value;
    for (size_t i = 0; i < f->value_count; i++)
        if (number_parse(&value, f->values[i]) && value == number)
            return true;
    return false;
}

static bool is_in(const struct filter *f, const struct attribute *a)
{
    switch (a->type) {
    case ATTRIBUTE_NULL:
        return false;
    case ATTRIBUTE_BOOLEAN:
        return has_text(f, str_of(a->boolean ? "true" : "false"));
    case ATTRIBUTE_NUMBER:
        return has_number(f, a->number);
    case ATTRIBUTE_TEXT:
        return has_text(f, a->text);
    case ATTRIBUTE_LIST:
        break;
    }
    for (size_t i = 0; i < a->list.count; i++)
        if (has_text(f, a->list.items[i]))
            return true;
    return false;
}

bool filter_passes(const struct filter *f, const struct entity *record)
{
    const struct attribute *a = entity_attribute(record, f->attribute);
    if (!a)
        return false;
    if (f->kind == FILTER_IN)
        return is_in(f, a);
    return a->type == ATTRIBUTE_NUMBER && a->number >= f->from && a->number <= f->to;
}

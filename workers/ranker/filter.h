/*
 * Whether a proposition may come from the catalogue: one condition on one of its attributes.
 *
 * Constant once made, no clock: any thread. Everything in a filter is borrowed.
 */
#pragma once

#include "serde/records.h"

enum filter_kind { FILTER_IN, FILTER_RANGE };

struct filter {
    const char *attribute;
    enum filter_kind kind;
    const char **values; /* FILTER_IN: one of these (of `equals`, one) */
    size_t value_count;
    double from, to; /* FILTER_RANGE: both belong to it; ±INFINITY where none is given */
};

/*
 * A text, or any text of a list, is in `values` if it is the same text; a boolean as true or false;
 * a number if a value reads as the same number (20 and 20.0). In a range are only numbers. An
 * attribute that is absent or null passes nothing. Of equal names in the record the last counts.
 */
bool filter_passes(const struct filter *f, const struct entity *record);

/* The attribute of a record; of equal names the last; NULL: it has none. */
const struct attribute *entity_attribute(const struct entity *record, const char *name);

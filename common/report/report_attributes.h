/*
 * What the texts of segments say: JSON objects of texts, {"user.tier": "gold"}, as numbers.
 *
 * Each text is read once. Attributes and values beyond the limits are counted and left out, so that
 * memory stays bounded whatever the set has. One thread.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

enum { ATTRIBUTES_MOST = 64, ATTRIBUTE_VALUES_MOST = 200000 };

/* Of an attribute and of "attribute=value", both from 0 in the order of their first appearance. */
struct attribute_pair {
    uint32_t attribute, value;
};

struct attributes;

/* Borrows the texts. Fails with ERR_NOMEM. */
int attributes_new(struct attributes **out, const struct str *texts, size_t count, struct err *e);
void attributes_free(struct attributes *a); /* NULL is fine */

/* The pairs of texts[text], good until the next call; what is no object of texts has none. Fails
 * with ERR_NOMEM. */
int attributes_read(struct attributes *a, uint32_t text, const struct attribute_pair **pairs,
                    size_t *count, struct err *e);

/* The pair of a value that stands in no text of its own; TABLE_NONE: it was left out. Fails with
 * ERR_NOMEM. */
int attributes_put(struct attributes *a, const char *attribute, struct str value,
                   struct attribute_pair *out, struct err *e);

size_t attributes_count(const struct attributes *a);
struct str attributes_name(const struct attributes *a, uint32_t attribute); /* "user.tier" */
struct str attributes_value(const struct attributes *a, uint32_t value);    /* "user.tier=gold" */

/*
 * A set of numbered items in the order of a key: highest key first, of equal ones as a callback
 * says.
 *
 * Blocks of entries, each sorted, and an array of the blocks: a search is two binary searches, a
 * change moves part of one block. One thread; no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ordered_entry {
    double key; /* never NaN */
    uint32_t item;
};

/* Order of two different items with equal keys: below 0 if a comes first; never 0. Must not change
 * while both are in the set. */
typedef int ordered_compare(void *arg, uint32_t a, uint32_t b);

struct ordered;

/* NULL if memory could not be had. arg is borrowed. */
struct ordered *ordered_new(ordered_compare *compare, void *arg);
void ordered_free(struct ordered *o); /* NULL is fine */

/* The item must not be in the set. False if memory could not be had. */
bool ordered_insert(struct ordered *o, double key, uint32_t item);

/* key is the one it was inserted with. False if it is not there. */
bool ordered_remove(struct ordered *o, double key, uint32_t item);

size_t ordered_count(const struct ordered *o);
size_t ordered_bytes(const struct ordered *o);

/* A place in the order, good until the next change: for (p = ordered_first(o); (entry =
 * ordered_at(o, p)); ordered_step(o, &p)). */
struct ordered_place {
    size_t block, entry;
};

struct ordered_place ordered_first(void);
const struct ordered_entry *ordered_at(const struct ordered *o, struct ordered_place p);
void ordered_step(const struct ordered *o, struct ordered_place *p);

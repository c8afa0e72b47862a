/*
 * Terms of a text, for `match`: maximal runs of Unicode letters (L) and decimal digits (Nd),
 * letters in lower case by the simple mapping, not normalised. Unicode data is utf8proc's. Any
 * thread, no state.
 */
#pragma once

#include "base/arena.h"
#include "serde/records.h"

/* The set of terms, sorted, in the arena. False: memory was short. */
bool terms_of(struct str_list *out, struct str text, struct arena *a);

/* How many of the terms (a sorted set) stand in the texts. False: memory was short. */
bool terms_in(size_t *out, struct str_list terms, const struct str *texts, size_t count,
              struct arena *a);

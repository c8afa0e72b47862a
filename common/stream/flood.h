/*
 * How many of a partition's records became dead letters lately, and whether that is too many.
 *
 * A producer that sends nothing but rubbish would have its topic copied into `dead-letters`. With
 * dead_letters.max_share above 0 reading stops instead, for a person to look at. One thread; no
 * clock: "lately" is about the last thousand records, each counting a thousandth less with every
 * one that follows. It starts from nothing wherever reading starts: rubbish alone comes over 5 %
 * with the 52nd record, a steady 6 % after about 1,800.
 */
#pragma once

#include <stdbool.h>

struct flood {
    double share; /* of dead letters, 0 to 1 */
};

/* A record was handled. */
static inline void flood_note(struct flood *f, bool is_dead_letter)
{
    f->share += ((is_dead_letter ? 1.0 : 0.0) - f->share) / 1000;
}

/* most 0: nothing is too many. */
static inline bool flood_is_over(const struct flood *f, double most)
{
    return most > 0 && f->share > most;
}

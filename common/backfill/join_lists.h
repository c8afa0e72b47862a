/*
 * Lists of propositions as numbers, and where each stands in a list: what join.c compares
 * impressions and candidates with.
 *
 * One thread. No clock. Numbers are given for good, from 0 on.
 */
#pragma once

#include "base/err.h"
#include "base/table.h"
#include "serde/records.h"

/* What is known of a proposition while a list is gone through. */
struct mark {
    uint64_t round; /* of the list that it was marked for */
    int32_t place;  /* the first in that list */
    bool is_met;    /* the caller's own: false when it is marked */
};

struct join_lists {
    struct table *propositions; /* ids; a number is its entry's */
    struct mark *marks;         /* by number */
    size_t mark_cap;
    uint64_t round;
    uint32_t *numbers; /* the list at hand */
    size_t count, cap;
};

/* Fails with ERR_NOMEM. */
int join_lists_init(struct join_lists *l, struct err *e);
void join_lists_free(struct join_lists *l);

/* These propositions become the list at hand. Fails with ERR_NOMEM. */
int lists_read(struct join_lists *l, const struct str_list *propositions, struct err *e);

/* Marks those of the list at hand, and no others, with their first places. Returns how many
 * different ones there are. */
size_t lists_mark_places(struct join_lists *l);

/* The same for numbers that were given before. */
void lists_mark_numbers(struct join_lists *l, const uint32_t *numbers, size_t count);

/* Leaves each of the list at hand, which is marked, where it stands first; returns how many are
 * left. Marks stay. */
size_t lists_keep_first(struct join_lists *l);

/* NULL: it was not marked. */
static inline struct mark *lists_mark(const struct join_lists *l, uint32_t number)
{
    struct mark *m = &l->marks[number];
    return m->round == l->round ? m : NULL;
}

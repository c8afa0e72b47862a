/*
 * Fields of a sample as features are made of them: which, what they look like, and what is said of
 * them. Pure.
 */
#pragma once

#include "suggest/suggest_draft.h"

/* One field as a kind of records has it. */
struct seen {
    const struct field *field;
    enum field_look look;
    uint64_t of; /* records */
};

/* A comment: "genres: list, 19 values, 2.1 in each, 98 % of propositions", and a remark behind it.
 */
void seen_say(struct suggestion *g, const struct seen *x, const char *whose, const char *remark);

/* Why nothing is made of a field, where so many others are used; NULL: something is. */
const char *seen_why_not(const struct seen *x, size_t used);

/* The fields that features are made of, in order; the others are told. out has room for
 * FIELDS_SUGGESTED. */
size_t seen_choose(struct suggestion *g, struct seen *out, const struct fields *fields, uint64_t of,
                   const char *whose);

/* Whether its values can be those of a scope: texts that come back, and no `*` in its name. */
bool seen_is_key(const struct seen *x);

/* Whether most different values of one are values of the other: likes and genres. */
bool fields_share_values(const struct field *a, const struct field *b);

/*
 * A field of a kind of records, an attribute or one of the context, as a sample shows it: how often
 * it is there, with which types and values, and what it therefore looks like.
 *
 * One thread. No I/O, no clock.
 */
#pragma once

#include "base/err.h"
#include "base/table.h"
#include "serde/records.h"

/* What a field looks like, and so what can be made of it. */
enum field_look {
    LOOK_NOTHING, /* never a value, always the same one, or one of its own for every record */
    LOOK_MIXED,   /* no type has nine values in ten */
    LOOK_NUMBER,
    LOOK_FLAG,      /* true or false */
    LOOK_INSTANT,   /* ISO 8601, or epoch milliseconds */
    LOOK_CATEGORY,  /* few texts, or few whole numbers */
    LOOK_REFERENCE, /* many texts that come back: a brand, a director */
    LOOK_TEXT,      /* words */
    LOOK_LIST,
};

/* Different values that are kept of one field, and all fields of a sample together. */
enum { FIELD_MOST_VALUES = 20000, FIELDS_MOST_VALUES = 500000, FIELDS_MOST = 300 };

struct field {
    struct str name; /* owned */
    uint64_t count;  /* records with a value */
    uint64_t flags, numbers, texts, lists;
    uint64_t instants;    /* texts that are one */
    uint64_t numerals;    /* texts that are a number */
    uint64_t wholes;      /* numbers without a fraction */
    uint64_t millis;      /* numbers that can only be epoch milliseconds */
    uint64_t words;       /* in texts */
    uint64_t items;       /* in lists, each value once a record */
    double least, most;   /* of numbers */
    struct table *values; /* texts, numbers and items, counted in their tags */
    uint64_t left_out;    /* values that came when there was no room for more different ones */
};

/* Fields by name, in the order in which they were first seen. */
struct fields {
    struct field *items;
    size_t count, cap;
    struct table *names;
    uint64_t left_out; /* values of fields that came when there was no room for more */
};

/* Adds a value of a field. *room: how many more different values are kept, over all that share it.
 * Fails with ERR_NOMEM. */
int fields_add(struct fields *f, const struct attribute *a, size_t *room, struct err *e);
void fields_free(struct fields *f);

/* NULL: it was not seen. */
const struct field *fields_find(const struct fields *f, struct str name);

/* of: how many records there were. */
enum field_look field_look(const struct field *f, uint64_t of);

/* Whether its texts are numbers: as numbers they would be read by their size. */
bool field_is_numeral(const struct field *f);

/* Different values: at least. */
size_t field_different(const struct field *f);

/* A value of a field with how often it was seen. */
struct field_value {
    struct str text; /* borrowed */
    uint64_t count;
};

/* The values by frequency, of equal ones by their bytes, at most `most`; *out is to be given to
 * free(). Those too long or not fit to be listed (with a NUL, or
 * no UTF-8) are not there. Fails with ERR_NOMEM. */
int field_top(struct field_value **out, size_t *count, const struct field *f, size_t most,
              struct err *e);

/*
 * What is in the columns of a set's training rows, and which of them a model can learn from.
 *
 * One thread. No clock.
 */
#pragma once

#include "training/labelled.h"

enum survey_use {
    SURVEY_USED,
    SURVEY_MISSING,  /* no row has a value */
    SURVEY_CONSTANT, /* all rows have the same value, or none */
};

struct survey_column {
    enum survey_use use;
    uint64_t missing, infinite;
    float least, most; /* of the values that are there */
};

struct survey {
    uint64_t rows;
    size_t count;
    struct survey_column *columns;
    size_t used_count;
    size_t *used; /* places of the columns that are used */
};

/* Of `count` requests from `first` on; all columns of the set. survey_free() in any case. Fails
 * with ERR_INVALID (there is no column to learn from: says why), as set_read(), ERR_NOMEM. */
int survey_make(struct survey *out, struct set *set, size_t first, size_t count, struct err *e);
void survey_free(struct survey *s);

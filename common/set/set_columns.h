/*
 * Which columns a part of a training set has beside the features: one list for who writes and who
 * reads. Constant.
 */
#pragma once

#include "set/set_hdf5.h"

#define SET_GROUP_FEATURES     "features"
#define SET_GROUP_ROWS         "rows"
#define SET_GROUP_REQUESTS     "requests"
#define SET_GROUP_PROPOSITIONS "propositions"
#define SET_GROUP_SEGMENTS     "segments"

struct set_column {
    const char *name;
    enum hdf5_type type;
};

enum set_row_column {
    SET_ROW_LABEL,
    SET_ROW_PLACE,
    SET_ROW_PROPENSITY,
    SET_ROW_SCORE,
    SET_ROW_PROPOSITION,
    SET_ROW_SEEN,
    SET_ROW_COLUMNS,
};

extern const struct set_column set_row_columns[SET_ROW_COLUMNS];

/* Texts first. */
enum set_request_column {
    SET_REQUEST_ID,
    SET_REQUEST_USER,
    SET_REQUEST_PLACEMENT,
    SET_REQUEST_MODEL,
    SET_REQUEST_VARIANT,
    SET_REQUEST_TEXTS,
    SET_REQUEST_TIMESTAMP = SET_REQUEST_TEXTS,
    SET_REQUEST_ROWS,
    SET_REQUEST_SOURCE,
    SET_REQUEST_VERSION,
    SET_REQUEST_SHARE,
    SET_REQUEST_SEEN,
    SET_REQUEST_SEGMENTS,
    SET_REQUEST_COLUMNS,
};

extern const struct set_column set_request_columns[SET_REQUEST_COLUMNS];

/* Dictionaries, each with its numbers in the order of their first use: /propositions/id with
 * /propositions/segments beside it, and /segments/json. */
#define SET_PROPOSITION_ID       "id"
#define SET_PROPOSITION_SEGMENTS "segments"
#define SET_SEGMENTS_JSON        "json"

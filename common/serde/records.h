/*
 * The records of the topics, one structure for each schema in `schemas/`. What fields mean is said
 * there.
 */
#pragma once

#include "serde/record.h"

struct event {
    struct str event_id;
    struct str event;
    struct str user_id;
    int64_t timestamp;
    struct str_list propositions;
    struct str request_id;
    struct optional_double value;
    struct text_map context;
};

struct entity {
    struct str id;
    int64_t timestamp;
    bool active;
    struct optional_long valid_from;
    struct optional_long valid_until;
    struct attribute_map attributes;
};

struct rank_request {
    struct str request_id;
    struct str user_id;
    int64_t timestamp;
    struct str placement;
    struct str_list candidates;
    int32_t limit;
    struct optional_long deadline;
    struct text_map context;
    bool explain;
};

struct feature_values {
    struct str scope;
    struct str_list key;
    int64_t as_of;
    struct double_map values;
};

struct dead_letter {
    struct str topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp;
    struct str worker;
    struct str reason;
    struct str detail;
    struct str value;
};

struct feature_delta {
    struct str fingerprints;
    struct str cell;
};

struct feature_state {
    int64_t offset;
    bool due;
    struct str fingerprints;
    struct str state;
};

extern const struct record_type event_type, entity_type, rank_request_type, feature_values_type,
    dead_letter_type, feature_delta_type, feature_state_type;

/* All of them, NULL behind the last. */
extern const struct record_type *const record_types[];

/*
 * The records of the topics, one structure for each schema in `schemas/`. What fields mean is said
 * there; how a schema lays out its structure, in schema.h.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct optional_long {
    bool given;
    int64_t value;
};

struct optional_double {
    bool given;
    double value;
};

struct str_list {
    struct str *items;
    size_t count;
};

/* Maps keep the order of the record; of equal names the last counts. */
struct text_map {
    struct text_entry {
        struct str name;
        struct str value;
    } * items;
    size_t count;
};

struct double_map {
    struct double_entry {
        struct str name;
        double value;
    } * items;
    size_t count;
};

enum attribute_type {
    ATTRIBUTE_NULL,
    ATTRIBUTE_BOOLEAN,
    ATTRIBUTE_NUMBER,
    ATTRIBUTE_TEXT,
    ATTRIBUTE_LIST
};

struct attribute {
    struct str name;
    enum attribute_type type;
    union {
        bool boolean;
        double number;
        struct str text;
        struct str_list list;
    };
};

struct attribute_map {
    struct attribute *items;
    size_t count;
};

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

struct int_list {
    int32_t *items;
    size_t count;
};

struct float_list {
    float *items;
    size_t count;
};

struct double_list {
    double *items;
    size_t count;
};

struct ranked {
    struct str proposition_id;
    double score;
    double propensity;
    struct double_map contributions;
};

struct ranked_list {
    struct ranked *items;
    size_t count;
};

struct ranking {
    struct str request_id;
    struct str user_id;
    int64_t timestamp;
    struct str placement;
    struct str model;
    int64_t version;
    struct str variant;
    struct str degraded;
    struct ranked_list items;
    struct str_list unknown;
};

struct shadow_score {
    struct str variant;
    int64_t version;
    struct float_list scores;
};

struct shadow_list {
    struct shadow_score *items;
    size_t count;
};

struct score_log {
    struct str request_id;
    struct str user_id;
    int64_t timestamp;
    struct str placement;
    struct text_map context;
    struct str model;
    int64_t version;
    struct str variant;
    struct str degraded;
    double share;
    struct str_list features;
    struct str fingerprints;
    struct str_list candidates;
    struct str vectors;
    struct float_list scores;
    struct int_list shown;
    struct double_list propensities;
    struct shadow_list shadows;
    double explored_share;
    double temperature;
    bool diverse;
    struct double_list utilities;
};

struct challenger {
    struct str name;
    int64_t version;
    struct str mode;
    double share;
};

struct challenger_list {
    struct challenger *items;
    size_t count;
};

struct rollout_plan {
    struct str model;
    int64_t timestamp;
    struct str actor;
    struct str reason;
    struct str salt;
    int64_t champion;
    int64_t previous;
    bool pinned;
    struct challenger_list challengers;
};

struct model_artifact {
    struct str model;
    int64_t version;
    int32_t part;
    int32_t parts;
    struct str sha256;
    struct str_list features;
    struct str fingerprints;
    struct str canary_rows;
    struct str canary_margins;
    struct str calibration;
    struct str bytes;
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
    int64_t keys;
};

/* A kind of records: what a codec decodes and encodes. */
struct record_type {
    const char *name; /* of the schema's file: event */
    size_t size;      /* of the structure */
    int place;        /* in record_types */
};

extern const struct record_type event_type, entity_type, rank_request_type, feature_values_type,
    dead_letter_type, feature_delta_type, feature_state_type, ranking_type, score_log_type,
    rollout_plan_type, model_artifact_type;

enum { RECORD_TYPES = 11 };
extern const struct record_type *const record_types[RECORD_TYPES];

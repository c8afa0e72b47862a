#include "serde/records.h"

#include <stddef.h>

#define FIELD(structure, name, type, standard)                                                     \
    {                                                                                              \
#name, type, offsetof(struct structure, name), standard                                    \
    }
#define TYPE(structure, full, print)                                                               \
    const struct record_type structure##_type = {                                                  \
        .name = #structure,                                                                        \
        .full_name = "flotilla." full,                                                             \
        .size = sizeof(struct structure),                                                          \
        .fields = structure##_fields,                                                              \
        .field_count = sizeof structure##_fields / sizeof *structure##_fields,                     \
        .fingerprint = print,                                                                      \
    }

static const struct field event_fields[] = {
    FIELD(event, event_id, FIELD_TEXT, NULL),
    FIELD(event, event, FIELD_TEXT, NULL),
    FIELD(event, user_id, FIELD_TEXT, NULL),
    FIELD(event, timestamp, FIELD_LONG, NULL),
    FIELD(event, propositions, FIELD_TEXTS, "[]"),
    FIELD(event, request_id, FIELD_OPTIONAL_TEXT, "null"),
    FIELD(event, value, FIELD_OPTIONAL_DOUBLE, "null"),
    FIELD(event, context, FIELD_TEXT_MAP, "{}"),
};
TYPE(event, "Event", 0xdbfb0ef01f1ce484);

static const struct field entity_fields[] = {
    FIELD(entity, id, FIELD_TEXT, NULL),
    FIELD(entity, timestamp, FIELD_LONG, NULL),
    FIELD(entity, active, FIELD_BOOLEAN, "true"),
    FIELD(entity, valid_from, FIELD_OPTIONAL_LONG, "null"),
    FIELD(entity, valid_until, FIELD_OPTIONAL_LONG, "null"),
    FIELD(entity, attributes, FIELD_ATTRIBUTES, "{}"),
};
TYPE(entity, "Entity", 0x8a6b0312f4deb146);

static const struct field rank_request_fields[] = {
    FIELD(rank_request, request_id, FIELD_TEXT, NULL),
    FIELD(rank_request, user_id, FIELD_TEXT, NULL),
    FIELD(rank_request, timestamp, FIELD_LONG, NULL),
    FIELD(rank_request, placement, FIELD_TEXT, "\"default\""),
    FIELD(rank_request, candidates, FIELD_TEXTS, "[]"),
    FIELD(rank_request, limit, FIELD_INT, "10"),
    FIELD(rank_request, deadline, FIELD_OPTIONAL_LONG, "null"),
    FIELD(rank_request, context, FIELD_TEXT_MAP, "{}"),
    FIELD(rank_request, explain, FIELD_BOOLEAN, "false"),
};
TYPE(rank_request, "RankRequest", 0x5fcbd2a9e427c46b);

static const struct field feature_values_fields[] = {
    FIELD(feature_values, scope, FIELD_TEXT, NULL),
    FIELD(feature_values, key, FIELD_TEXTS, NULL),
    FIELD(feature_values, as_of, FIELD_LONG, NULL),
    FIELD(feature_values, values, FIELD_DOUBLE_MAP, NULL),
};
TYPE(feature_values, "FeatureValues", 0xf2a29ef83fb0ce11);

static const struct field dead_letter_fields[] = {
    FIELD(dead_letter, topic, FIELD_TEXT, NULL),
    FIELD(dead_letter, partition, FIELD_INT, NULL),
    FIELD(dead_letter, offset, FIELD_LONG, NULL),
    FIELD(dead_letter, timestamp, FIELD_LONG, NULL),
    FIELD(dead_letter, worker, FIELD_TEXT, NULL),
    FIELD(dead_letter, reason, FIELD_TEXT, NULL),
    FIELD(dead_letter, detail, FIELD_TEXT, NULL),
    FIELD(dead_letter, value, FIELD_OPTIONAL_BYTES, NULL),
};
TYPE(dead_letter, "DeadLetter", 0xee47a1c116a66258);

static const struct field feature_delta_fields[] = {
    FIELD(feature_delta, fingerprints, FIELD_BYTES, NULL),
    FIELD(feature_delta, cell, FIELD_BYTES, NULL),
};
TYPE(feature_delta, "FeatureDelta", 0x59c050be2760b3e0);

static const struct field feature_state_fields[] = {
    FIELD(feature_state, offset, FIELD_LONG, NULL),
    FIELD(feature_state, due, FIELD_BOOLEAN, NULL),
    FIELD(feature_state, fingerprints, FIELD_BYTES, NULL),
    FIELD(feature_state, state, FIELD_BYTES, NULL),
};
TYPE(feature_state, "FeatureState", 0x15c7b1b7c864e64b);

const struct record_type *const record_types[] = {
    &event_type,       &entity_type,        &rank_request_type,  &feature_values_type,
    &dead_letter_type, &feature_delta_type, &feature_state_type, NULL,
};

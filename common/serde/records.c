#include "serde/records.h"

#define TYPE(structure, number)                                                                    \
    const struct record_type structure##_type = {                                                  \
        .name = #structure,                                                                        \
        .size = sizeof(struct structure),                                                          \
        .place = number,                                                                           \
    }

TYPE(event, 0);
TYPE(entity, 1);
TYPE(rank_request, 2);
TYPE(feature_values, 3);
TYPE(dead_letter, 4);
TYPE(feature_delta, 5);
TYPE(feature_state, 6);
TYPE(ranking, 7);
TYPE(score_log, 8);
TYPE(rollout_plan, 9);
TYPE(model_artifact, 10);

const struct record_type *const record_types[RECORD_TYPES] = {
    &event_type,       &entity_type,        &rank_request_type,   &feature_values_type,
    &dead_letter_type, &feature_delta_type, &feature_state_type,  &ranking_type,
    &score_log_type,   &rollout_plan_type,  &model_artifact_type,
};

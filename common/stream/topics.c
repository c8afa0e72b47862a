#include "stream/topics.h"

#include "stream/kafka.h"

#include <stddef.h>

enum { TIMEOUT_MS = 10000 };

/* A record's own time is the application's: windows are computed from it. */
#define OWN_TIME                                                                                   \
    {                                                                                              \
        "message.timestamp.type", "CreateTime"                                                     \
    }

#define SEVEN_DAYS_MS  "604800000"
#define THIRTY_DAYS_MS "2592000000"

/* Checkpoints are read whole at each restore: the log is to hold little more than the newest record
 * of a key. The active segment is never compacted, hence the short ones. A record may be as large
 * as RECORD_MAX_BYTES. */
#define CHECKPOINTS                                                                                \
    {                                                                                              \
        OWN_TIME, {"cleanup.policy", "compact"}, {"max.message.bytes", "16777216"},                \
            {"min.cleanable.dirty.ratio", "0.1"}, {"segment.ms", "600000"},                        \
            {"segment.bytes", "134217728"},                                                        \
    }

static const struct topic events = {
    .name = "events",
    .what = "what users saw or did; kept for ever",
    .type = &event_type,
    .record = "event",
    .key = "user_id",
    .key_offset = offsetof(struct event, user_id),
    .configs = {OWN_TIME, {"cleanup.policy", "delete"}, {"retention.ms", "-1"}},
};

static const struct topic users = {
    .name = "users",
    .what = "attributes of users",
    .type = &entity_type,
    .record = "user",
    .key = "id",
    .key_offset = offsetof(struct entity, id),
    .configs = {OWN_TIME, {"cleanup.policy", "compact"}},
};

static const struct topic propositions = {
    .name = "propositions",
    .what = "attributes of propositions",
    .type = &entity_type,
    .record = "proposition",
    .key = "id",
    .key_offset = offsetof(struct entity, id),
    .configs = {OWN_TIME, {"cleanup.policy", "compact"}},
};

static const struct topic deltas = {
    .name = "feature.deltas",
    .what = "internal: what events add to shared scopes",
    .type = &feature_delta_type,
    .configs = {OWN_TIME, {"cleanup.policy", "delete"}, {"retention.ms", SEVEN_DAYS_MS}},
};

static const struct topic totals = {
    .name = "feature.totals",
    .what = "internal: totals over all keys of a scope",
    .type = &feature_state_type,
    .partitions = 1,
    .configs = CHECKPOINTS,
};

static const struct topic user_state = {
    .name = "state.user",
    .what = "internal: checkpoints of users",
    .type = &feature_state_type,
    .like = "events",
    .configs = CHECKPOINTS,
};

static const struct topic shared_state = {
    .name = "state.shared",
    .what = "internal: checkpoints of shared scopes",
    .type = &feature_state_type,
    .like = "feature.deltas",
    .configs = CHECKPOINTS,
};

static const struct topic features = {
    .name = "features",
    .what = "values of features",
    .type = &feature_values_type,
    .configs = {OWN_TIME, {"cleanup.policy", "delete"}, {"retention.ms", SEVEN_DAYS_MS}},
};

static const struct topic rank_requests = {
    .name = "rank.requests",
    .what = "who wants what ranked",
    .type = &rank_request_type,
    .record = "request",
    .key = "user_id",
    .key_offset = offsetof(struct rank_request, user_id),
    .like = "events",
    .configs = {OWN_TIME, {"cleanup.policy", "delete"}, {"retention.ms", SEVEN_DAYS_MS}},
};

static const struct topic rankings = {
    .name = "rankings",
    .what = "the answers",
    .type = &ranking_type,
    .configs = {OWN_TIME,
                {"cleanup.policy", "delete"},
                {"retention.ms", SEVEN_DAYS_MS},
                {"max.message.bytes", "16777216"}},
};

static const struct topic score_log = {
    .name = "score.log",
    .what = "vectors that were scored",
    .type = &score_log_type,
    .configs = {OWN_TIME,
                {"cleanup.policy", "delete"},
                {"retention.ms", THIRTY_DAYS_MS},
                {"max.message.bytes", "16777216"}},
};

static const struct topic models = {
    .name = "models",
    .what = "which version of a model serves whom",
    .type = &rollout_plan_type,
    .partitions = 1,
    .configs = {OWN_TIME, {"cleanup.policy", "compact"}},
};

static const struct topic artifacts = {
    .name = "model.artifacts",
    .what = "internal: models as rankers load them",
    .type = &model_artifact_type,
    .partitions = 1,
    .configs = CHECKPOINTS,
};

static const struct topic dead_letters = {
    .name = "dead-letters",
    .what = "records that could not be used, and why",
    .type = &dead_letter_type,
    .configs = {OWN_TIME,
                {"cleanup.policy", "delete"},
                {"retention.ms", THIRTY_DAYS_MS},
                {"max.message.bytes", "2097152"}},
};

const struct topic *const topics[] = {
    &events,     &users,        &propositions, &deltas,        &totals,
    &user_state, &shared_state, &features,     &rank_requests, &rankings,
    &score_log,  &models,       &artifacts,    &dead_letters,  NULL,
};

const struct topic *topics_find(const struct conf *conf, const char *name)
{
    for (size_t i = 0; topics[i]; i++)
        if (strcmp(topics[i]->name, name) == 0)
            return topics[i];
    for (size_t i = 0; topics[i]; i++)
        if (strcmp(conf_topic(conf, topics[i]->name), name) == 0)
            return topics[i];
    return NULL;
}

const char *topic_config(const struct topic *t, const char *name)
{
    for (size_t i = 0; i < TOPIC_CONFIGS && t->configs[i].name; i++)
        if (strcmp(t->configs[i].name, name) == 0)
            return t->configs[i].value;
    return NULL;
}

int topic_partitions(const struct topic *t, const struct conf *conf)
{
    return t->partitions ? t->partitions : (int)conf_int(conf, "kafka.partitions");
}

static int check_pair(rd_kafka_t *rk, const char *log, const char *state, struct err *e)
{
    int in_log = 0, in_state = 0;
    int rc = kafka_partition_count(rk, log, TIMEOUT_MS, &in_log, e);
    if (!rc)
        rc = kafka_partition_count(rk, state, TIMEOUT_MS, &in_state, e);
    if (rc || in_log == in_state)
        return rc;
    return err_set(e, ERR_INVALID,
                   "topic %s has %d partitions and %s has %d: they must have the same "
                   "number; " TOPICS_MAKE_ANEW,
                   log, in_log, state, in_state);
}

int topics_check_copartitioned(rd_kafka_t *rk, const struct conf *conf, const char *const *names,
                               struct err *e)
{
    int rc = 0;
    for (; *names && !rc; names++)
        rc = check_pair(rk, conf_topic(conf, topics_find(conf, *names)->like),
                        conf_topic(conf, *names), e);
    return rc;
}

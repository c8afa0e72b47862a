#include "stream/rights.h"

#include <stdio.h>
#include <string.h>

#define TOPIC(program, name, operation, purpose)                                                   \
    {                                                                                              \
        program, RIGHT_ON_TOPIC, name, operation, purpose                                          \
    }
#define GROUP(program, name, operation, purpose)                                                   \
    {                                                                                              \
        program, RIGHT_ON_GROUP, name, operation, purpose                                          \
    }

const struct right rights[] = {
    TOPIC("features", "events", "Read", "what is counted"),
    TOPIC("features", "users", "Read", "attributes"),
    TOPIC("features", "propositions", "Read", "attributes"),
    TOPIC("features", "feature.deltas", "Read", "shared counts, of all copies"),
    TOPIC("features", "feature.deltas", "Write", "shared counts, of this copy"),
    TOPIC("features", "feature.totals", "Read", "`prior: global`"),
    TOPIC("features", "feature.totals", "Write", "`prior: global`"),
    TOPIC("features", "state.user", "Read", "restart: checkpoints"),
    TOPIC("features", "state.user", "Write", "checkpoints"),
    TOPIC("features", "state.shared", "Read", "restart: checkpoints"),
    TOPIC("features", "state.shared", "Write", "checkpoints"),
    TOPIC("features", "features", "Write", "values"),
    TOPIC("features", "dead-letters", "Write", "what could not be used"),
    GROUP("features", "features", "Read", "copies share partitions, offsets"),
    {"features", RIGHT_ON_TRANSACTIONS, "features-", "Write", "one for each copy"},

    TOPIC("ranker", "rank.requests", "Read", "what is to be ranked"),
    TOPIC("ranker", "events", "Read", "what users did a moment ago"),
    TOPIC("ranker", "users", "Read", "attributes"),
    TOPIC("ranker", "propositions", "Read", "attributes, catalogue"),
    TOPIC("ranker", "state.user", "Read", "what is known of users"),
    TOPIC("ranker", "state.shared", "Read", "shared counts"),
    TOPIC("ranker", "feature.totals", "Read", "`prior: global`"),
    TOPIC("ranker", "models", "Read", "which version serves whom"),
    TOPIC("ranker", "model.artifacts", "Read", "models"),
    TOPIC("ranker", "rankings", "Write", "answers"),
    TOPIC("ranker", "score.log", "Write", "what was scored"),
    TOPIC("ranker", "dead-letters", "Write", "what could not be used"),
    GROUP("ranker", "ranker", "Read", "copies share partitions, offsets"),

    TOPIC("recorder", "features", "Read", "values"),
    TOPIC("recorder", "rankings", "Read", "rankings"),
    TOPIC("recorder", "models", "Read", "rollout plans"),
    TOPIC("recorder", "dead-letters", "Read", "dead letters"),
    GROUP("recorder", "recorder", "Read", "copies share partitions"),

    TOPIC("flotilla", "events", "Create", "topics create"),
    TOPIC("flotilla", "events", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "events", "Read", "tail, status, backfill"),
    TOPIC("flotilla", "events", "Write", "send, simulate"),
    TOPIC("flotilla", "users", "Create", "topics create"),
    TOPIC("flotilla", "users", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "users", "Read", "tail, backfill"),
    TOPIC("flotilla", "users", "Write", "send, simulate"),
    TOPIC("flotilla", "propositions", "Create", "topics create"),
    TOPIC("flotilla", "propositions", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "propositions", "Read", "tail, backfill"),
    TOPIC("flotilla", "propositions", "Write", "send, simulate"),
    TOPIC("flotilla", "feature.deltas", "Create", "topics create"),
    TOPIC("flotilla", "feature.deltas", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "feature.deltas", "Read", "tail, status"),
    TOPIC("flotilla", "feature.totals", "Create", "topics create"),
    TOPIC("flotilla", "feature.totals", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "feature.totals", "Read", "tail"),
    TOPIC("flotilla", "state.user", "Create", "topics create"),
    TOPIC("flotilla", "state.user", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "state.user", "Read", "tail"),
    TOPIC("flotilla", "state.shared", "Create", "topics create"),
    TOPIC("flotilla", "state.shared", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "state.shared", "Read", "tail"),
    TOPIC("flotilla", "features", "Create", "topics create"),
    TOPIC("flotilla", "features", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "features", "Read", "tail, status"),
    TOPIC("flotilla", "rank.requests", "Create", "topics create"),
    TOPIC("flotilla", "rank.requests", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "rank.requests", "Read", "tail, backfill"),
    TOPIC("flotilla", "rank.requests", "Write", "rank, send"),
    TOPIC("flotilla", "rankings", "Create", "topics create"),
    TOPIC("flotilla", "rankings", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "rankings", "Read", "rank, tail"),
    TOPIC("flotilla", "score.log", "Create", "topics create"),
    TOPIC("flotilla", "score.log", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "score.log", "Read", "tail, backfill"),
    TOPIC("flotilla", "models", "Create", "topics create"),
    TOPIC("flotilla", "models", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "models", "Read", "models, tail"),
    TOPIC("flotilla", "models", "Write", "models"),
    TOPIC("flotilla", "model.artifacts", "Create", "topics create"),
    TOPIC("flotilla", "model.artifacts", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "model.artifacts", "Read", "models, tail"),
    TOPIC("flotilla", "model.artifacts", "Write", "models"),
    TOPIC("flotilla", "dead-letters", "Create", "topics create"),
    TOPIC("flotilla", "dead-letters", "DescribeConfigs", "topics check"),
    TOPIC("flotilla", "dead-letters", "Read", "tail, status"),
    GROUP("flotilla", "features", "Describe", "status"),
    GROUP("flotilla", "ranker", "Describe", "status"),
    GROUP("flotilla", "recorder", "Describe", "status"),
    {"flotilla", RIGHT_ON_TRANSACTIONS, "dead-letters-replay", "Write", "dead-letters replay"},
    {NULL, RIGHT_ON_TOPIC, NULL, NULL, NULL},
};

const char *right_resource(const struct right *r)
{
    static const char *const names[] = {[RIGHT_ON_TOPIC] = "topic",
                                        [RIGHT_ON_GROUP] = "group",
                                        [RIGHT_ON_TRANSACTIONS] = "transactional-id"};
    return names[r->on];
}

void right_name(char *out, size_t size, const struct right *r, const struct conf *conf)
{
    if (r->on == RIGHT_ON_TOPIC)
        snprintf(out, size, "%s", conf_topic(conf, r->name));
    else
        snprintf(out, size, "%s%s", conf_text(conf, "kafka.prefix"), r->name);
}

bool right_is_prefix(const struct right *r)
{
    return r->on == RIGHT_ON_TRANSACTIONS;
}

bool right_has_program(const char *program)
{
    for (const struct right *r = rights; r->program; r++)
        if (strcmp(r->program, program) == 0)
            return true;
    return false;
}

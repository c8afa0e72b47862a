#include "stream/group.h"

#include "base/failpoint.h"
#include "stream/kafka.h"

enum { KAFKA_TIMEOUT_MS = 5000 };

static int configure(rd_kafka_conf_t *k, const struct worker_env *env, const char *group,
                     struct err *e)
{
    int rc = kafka_conf_put(k, "group.id", group, e);
    if (!rc)
        rc = kafka_conf_put(k, "client.id", env->client_id, e);
    if (!rc)
        rc = kafka_conf_put(k, "enable.partition.eof", "true", e);
    if (!rc && env->static_member)
        rc = kafka_conf_put(k, "group.instance.id", env->instance, e);
    return rc;
}

int group_consumer(rd_kafka_t **out, const struct worker_env *env, enum kafka_role role,
                   const char *group, group_rebalance *on_rebalance, void *arg, struct err *e)
{
    rd_kafka_conf_t *k = NULL;
    int rc = kafka_conf_new(&k, env->conf, role, e);
    if (rc)
        return rc;
    rd_kafka_conf_set_rebalance_cb(k, on_rebalance);
    rd_kafka_conf_set_opaque(k, arg);
    rc = configure(k, env, group, e);
    if (rc) {
        rd_kafka_conf_destroy(k);
        return rc;
    }
    return kafka_new(out, k, role, e);
}

int group_find_topics(rd_kafka_t *rk, const char *const *names, struct err *e)
{
    int rc = 0, n = 0;
    for (; *names && !rc; names++)
        rc = kafka_partition_count(rk, *names, KAFKA_TIMEOUT_MS, &n, e);
    return rc;
}

int group_subscribe(rd_kafka_t *rk, const char *const *names, struct err *e)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(8);
    for (; *names; names++)
        rd_kafka_topic_partition_list_add(topics, *names, RD_KAFKA_PARTITION_UA);
    FAILPOINT("group.before_subscribe");
    rd_kafka_resp_err_t code = rd_kafka_subscribe(rk, topics);
    FAILPOINT("group.subscribed");
    rd_kafka_topic_partition_list_destroy(topics);
    return code ? kafka_err(e, code, "subscribe") : 0;
}

/*
 * The consumer by which a copy of a worker is a member of the worker's group. One thread.
 *
 * It tells where partitions end (RD_KAFKA_RESP_ERR__PARTITION_EOF), and all that happens to it is
 * told by rd_kafka_consumer_poll().
 */
#pragma once

#include "stream/kafka.h"
#include "stream/worker.h"

#include <librdkafka/rdkafka.h>

typedef void group_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                             rd_kafka_topic_partition_list_t *list, void *arg);

/* role: KAFKA_CONSUMER or KAFKA_GATHERER. group: with the fleet's prefix. Borrows arg, for
 * on_rebalance. Fails as kafka_conf_new() and kafka_new(). */
int group_consumer(rd_kafka_t **out, const struct worker_env *env, enum kafka_role role,
                   const char *group, group_rebalance *on_rebalance, void *arg, struct err *e);

/* Whether all topics are there; names end with NULL. Fails as kafka_partition_count(). */
int group_find_topics(rd_kafka_t *rk, const char *const *names, struct err *e);

/* Fails with ERR_UNAVAILABLE, ERR_FATAL. */
int group_subscribe(rd_kafka_t *rk, const char *const *names, struct err *e);

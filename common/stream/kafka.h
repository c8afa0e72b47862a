/*
 * What every Kafka client of the project has in common: settings, errors and log lines of
 * librdkafka in our terms, partition numbers as Java producers choose them.
 *
 * Clients are librdkafka's own and safe for any thread as its documentation says.
 */
#pragma once

#include "base/conf.h"
#include "base/err.h"
#include "base/str.h"

#include <librdkafka/rdkafka.h>

enum kafka_role {
    KAFKA_CONSUMER,      /* reads committed records only; offsets are ours to keep */
    KAFKA_GATHERER,      /* the same in no hurry: few records wait for more, at most half of
                            commit_interval_ms */
    KAFKA_PRODUCER,      /* idempotent */
    KAFKA_TRANSACTIONAL, /* transactional.id must be set by the caller */
    KAFKA_ADMIN,         /* topics and groups */
};

/*
 * A configuration with the project's settings for the role, then what the user passes through
 * (`kafka.*`). The caller may set more and gives it to kafka_new() or destroys it. Fails with
 * ERR_INVALID (librdkafka refuses a setting: says which and why), ERR_NOMEM.
 */
int kafka_conf_new(rd_kafka_conf_t **out, const struct conf *c, enum kafka_role role,
                   struct err *e);

/* Sets one property; the same failures. */
int kafka_conf_put(rd_kafka_conf_t *k, const char *name, const char *value, struct err *e);

/* A client; takes k in any case. Fails with ERR_INVALID (settings that do not go together),
 * ERR_NOMEM (memory, or the threads of a client, could not be had), ERR_FATAL. */
int kafka_new(rd_kafka_t **out, rd_kafka_conf_t *k, enum kafka_role role, struct err *e);

/* Number of partitions of a topic. Fails with ERR_NOT_FOUND (no such topic: says how to make it),
 * ERR_UNAVAILABLE. */
int kafka_partition_count(rd_kafka_t *rk, const char *topic, int timeout_ms, int *out,
                          struct err *e);

/*
 * First offset, and the one behind the last, of a partition as this client may read it: for clients
 * that read committed records only (all roles here, unless isolation.level is set to
 * read_uncommitted) the end is the last stable offset, which is the first of the oldest open
 * transaction; for others it is the high watermark. Fails with ERR_UNAVAILABLE, ERR_FATAL.
 */
int kafka_offsets(rd_kafka_t *rk, const char *topic, int partition, int timeout_ms, int64_t *first,
                  int64_t *end, struct err *e);

/* Fetches nothing further and stays a member of its group: an assignment of no partitions is one,
 * none at all would make the others wait in the next rebalance. Fails as kafka_err(). */
int kafka_halt(rd_kafka_t *rk, struct err *e);

/* murmur2 of Apache Kafka's Java client: the partition of a key among n. */
int kafka_partition_of(struct str key, int n);

/*
 * An error that a consumer reports in place of a record, as ours: names the topic or the group that
 * it is about. The classes of kafka_err().
 */
int kafka_message_err(struct err *e, rd_kafka_t *rk, const rd_kafka_message_t *m, const char *what);

/* What to do about a right that is missing, or what else may be meant, to stand behind an error:
 * ": give …"; "" for any other code. */
const char *kafka_advice(rd_kafka_resp_err_t code);

/* An error of librdkafka as ours: ERR_UNAVAILABLE where trying again may help, ERR_FENCED, else
 * ERR_FATAL. Quotes why no broker could be used, and says what to do where a right is missing. */
int kafka_err(struct err *e, rd_kafka_resp_err_t code, const char *what);

/*
 * The topics of a fleet: what is in them, how they are made, and which must have as many partitions
 * as another.
 *
 * One table, constant: any thread.
 */
#pragma once

#include "base/conf.h"
#include "base/err.h"
#include "serde/records.h"

#include <librdkafka/rdkafka.h>

enum { TOPIC_CONFIGS = 8 };

struct topic_config {
    const char *name; /* Kafka's own: cleanup.policy */
    const char *value;
};

struct topic {
    const char *name; /* for conf_topic() */
    const char *what; /* for a person, in a few words */
    const struct record_type *type;
    const char *record; /* what applications call one: event; NULL: they do not write it */
    const char *key;    /* the text field that is the key; NULL: it is none of the record's */
    size_t key_offset;  /* of that field in the structure */
    const char *like;   /* has as many partitions as this topic; NULL: as it likes */
    int partitions;     /* 0: as the setting kafka.partitions says */
    struct topic_config configs[TOPIC_CONFIGS];
};

/* All of them, NULL behind the last; a topic stands behind the one it is like. */
extern const struct topic *const topics[];

/* What to do where an internal topic has a wrong number of partitions: keys cannot be moved. */
#define TOPICS_MAKE_ANEW                                                                           \
    "stop all features workers, delete the offsets of their group and the topics state.user, "     \
    "state.shared, feature.deltas and feature.totals, and run `flotilla topics create`: all "      \
    "state is built again from events"

/* By the name in the table, or by the one it has in Kafka; NULL: there is none. */
const struct topic *topics_find(const struct conf *conf, const char *name);

/* What a configuration is to be; NULL: Kafka's default is fine. */
const char *topic_config(const struct topic *t, const char *name);

/* How many partitions a topic is to have where none of the others is there yet. */
int topic_partitions(const struct topic *t, const struct conf *conf);

/*
 * Whether topics that must have as many partitions as another have them: those named, each of which
 * is like another, NULL behind the last. Workers call it at start for what they read. Fails with
 * ERR_NOT_FOUND (a topic is missing), ERR_INVALID (the numbers differ: says both and what to do),
 * ERR_UNAVAILABLE.
 */
int topics_check_copartitioned(rd_kafka_t *rk, const struct conf *conf, const char *const *names,
                               struct err *e);

/*
 * Whether topics are as Flotilla needs them, and what to do about it where they are not.
 *
 * Pure: what Kafka says comes in, problems go out. One thread.
 */
#pragma once

#include "stream/topics.h"

#include <stdbool.h>

enum { MAX_TOPICS = 32 };

/* What Kafka says of one topic. */
struct topic_facts {
    const struct topic *topic;
    const char *name; /* in Kafka */
    bool exists;
    int partitions;
    char cleanup_policy[64];
    int64_t max_message_bytes;
};

/* All of the fleet, in the order of the table. */
struct topics_facts {
    struct topic_facts list[MAX_TOPICS];
    size_t count;
};

/* Topics of which nothing is known yet. */
void topics_facts_init(struct topics_facts *f, const struct conf *conf);

/* How many partitions a topic is to have, given those that are there: one that must be like another
 * follows it. */
int topics_wanted_partitions(const struct topics_facts *f, size_t i, const struct conf *conf);

/* Calls each for every problem of a topic, with what to do; returns their number. */
int topics_check(const struct topics_facts *f, size_t i, const struct conf *conf,
                 void (*each)(void *arg, const char *problem, const char *remedy), void *arg);

/*
 * What each program does with topics, groups and transactions: the rights that its login needs
 * where the brokers check them (ACLs), each one necessary and all of them sufficient.
 *
 * Read and Write on a topic bring Describe along, and so do Read on a group and Write on a
 * transactional id. One table, constant: any thread.
 */
#pragma once

#include "base/conf.h"

#include <stdbool.h>

enum right_on { RIGHT_ON_TOPIC, RIGHT_ON_GROUP, RIGHT_ON_TRANSACTIONS };

struct right {
    const char *program; /* features, recorder, flotilla; NULL behind the last */
    enum right_on on;
    const char *name;      /* a topic's for conf_topic(); else what stands behind the prefix */
    const char *operation; /* as Kafka calls it: Read */
    const char *purpose;   /* for a person, in a few words */
};

extern const struct right rights[];

/* topic, group, transactional-id: as Kafka calls it. */
const char *right_resource(const struct right *r);

/* The name that it has in Kafka, as in `kafka.prefix` and the names of topics. Cut at size. */
void right_name(char *out, size_t size, const struct right *r, const struct conf *conf);

/* Whether the name is the beginning of those that are meant: of transactional ids, behind which
 * may stand an instance. */
bool right_is_prefix(const struct right *r);

/* Whether there are rights of a program of this name. */
bool right_has_program(const char *program);

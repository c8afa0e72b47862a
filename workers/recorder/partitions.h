/*
 * The partitions that a recorder owns: where each is read from, and what of it is in PostgreSQL.
 *
 * One thread. Borrows the consumer, the connection and the metrics.
 */
#pragma once

#include "db/offsets.h"
#include "net/metrics.h"
#include "recorder/sinks.h"
#include "stream/flood.h"

#include <librdkafka/rdkafka.h>

struct partition {
    const struct sink *sink;
    struct offset_claim claim; /* next_offset: what PostgreSQL has */
    int64_t position;          /* the next to be read */
    int64_t end;               /* of the log, as last seen */
    struct flood flood;
    char name[280]; /* features-0, for metrics and messages */
    struct metric *lag;
};

struct partitions {
    struct partition *list; /* owned */
    size_t count;
    size_t asked; /* which was asked for its end last */
    struct metrics *metrics;
};

/* Takes over what the group has assigned; topic names are borrowed from names[i], the topic of
 * sinks[i]. Fails with ERR_NOMEM. */
int partitions_set(struct partitions *p, const rd_kafka_topic_partition_list_t *assigned,
                   const char *const *names, struct err *e);
void partitions_clear(struct partitions *p);

/* NULL if it is not owned. */
struct partition *partitions_find(const struct partitions *p, const char *topic, int partition);

/* Claims all in PostgreSQL; as offsets_claim(). */
int partitions_claim(struct partitions *p, struct db *d, const char *group, struct err *e);

/*
 * Finds where to start: behind what PostgreSQL has; at the beginning of the log where it has
 * nothing, or where what would follow is gone (logged; *missed is how many records). Fails as
 * kafka_offsets(), and with ERR_FATAL where the log ends before what PostgreSQL has.
 */
int partitions_find_start(struct partitions *p, rd_kafka_t *rk, int64_t *missed, struct err *e);

/* Lets the consumer fetch from the positions (kafka_halt() ends that). Fails with ERR_UNAVAILABLE,
 * ERR_FATAL. */
int partitions_fetch(const struct partitions *p, rd_kafka_t *rk, struct err *e);

/* Claims that move what PostgreSQL has to the positions, for offsets_advance(): an array for the
 * caller to free(), NULL where none moves. Fails with ERR_NOMEM. */
int partitions_claims(const struct partitions *p, struct offset_claim **out, size_t *count,
                      struct err *e);

/* They are in PostgreSQL. */
void partitions_advanced(struct partitions *p, const struct offset_claim *claims, size_t count);

/* Back to what PostgreSQL has: what was read behind it is forgotten. */
void partitions_rewind(struct partitions *p);

/*
 * Records that are in the log but not in PostgreSQL: to the metrics, and the sum. pending: what was
 * read last is not in PostgreSQL yet. Where nothing is fetched, one partition a call is asked for
 * its end, for at most half a second.
 */
int64_t partitions_measure_lag(struct partitions *p, rd_kafka_t *rk, bool pending, bool fetching);

/* Appends the JSON array of /status. */
void partitions_print(const struct partitions *p, struct buf *json);

/*
 * The workers of a fleet as they are now: who is there, how far each partition is, what each worker
 * says of itself.
 *
 * Asks Kafka (members, committed offsets, ends), PostgreSQL (the recorder's offsets) and every
 * worker's /status. One thread. What cannot be reached becomes a note, the rest is told all the
 * same.
 */
#pragma once

#include "base/conf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { FLEET_GROUPS = 3, FLEET_TOPICS = 4, FLEET_NOTES = 8 };

/* One kind of worker and the topics whose records it must come after. */
struct fleet_group {
    const char *name;
    const char *topics[FLEET_TOPICS]; /* NULL behind the last */
    bool optional;                    /* a fleet may do without; told of once it has run */
    bool in_postgres;                 /* keeps its offsets there */
};

extern const struct fleet_group fleet_groups[FLEET_GROUPS];

struct fleet_worker {
    const struct fleet_group *group;
    char instance[192];
    char host[128];
    int port; /* 0: its client id does not tell */
    int partitions;
    int64_t lag;
    bool reached; /* its /status was read, and the following is from there */
    bool ready;
    char state[16];
    char reason[256]; /* of the worker, or why it could not be reached */
    int restoring;    /* partitions */
    int64_t restored_records, records_to_restore;
    int64_t epochs;         /* -1: it does not say */
    int64_t last_commit_ms; /* 0: not known */
    char *status;           /* what /status answered; NULL: nothing */
};

struct fleet_partition {
    const struct fleet_group *group;
    const char *topic; /* in Kafka */
    int partition;
    int64_t first, end;
    int64_t committed; /* -1: nothing is */
    bool known;        /* committed could be read */
    int64_t lag;       /* 0 while not known */
    int64_t committed_at_ms;
    int worker; /* -1: nobody's */
};

struct fleet {
    struct fleet_worker *workers;
    size_t worker_count;
    struct fleet_partition *partitions;
    size_t partition_count;
    char notes[FLEET_NOTES][512];
    int note_count;
    int64_t now_ms;
};

/* Worst first: workers that are not ready, then by lag. fleet_free() in any case. Fails with
 * ERR_UNAVAILABLE (Kafka; says which brokers), ERR_INVALID, ERR_NOMEM, ERR_FATAL. */
int fleet_read(struct fleet *f, const struct conf *conf, int64_t now_ms, struct err *e);
void fleet_free(struct fleet *f);

/* Whether each kind has a worker that must have one, all are ready, and no partition lags more than
 * max_lag (-1: any lag is fine). */
bool fleet_is_well(const struct fleet *f, int64_t max_lag);

/* Whether no worker of a kind runs, though one should: of an optional kind, where one has. */
bool fleet_misses(const struct fleet *f, const struct fleet_group *g);

/* Pure parts. "name/instance@port" of a Kafka client id, and what /status says of a worker; false:
 * it is another program's, or no such JSON. */
bool fleet_parse_client_id(struct fleet_worker *w, const char *client_id);
bool fleet_parse_status(struct fleet_worker *w, const char *json, size_t n);

/*
 * The inside of a recorder, shared by the three parts of its turn: batches.c (rows out), members.c
 * (the group, and what it assigns), intake.c (records in). Not for others.
 *
 * All of it is for the worker's thread.
 */
#pragma once

#include "recorder/flight.h"
#include "recorder/home.h"
#include "recorder/outage.h"
#include "stream/group.h"

#include <pthread.h>

enum { MAX_TOPICS = 32, TURN_MS = 100 };

/* What is being done; each turn does what the phase says and may move on. */
enum phase {
    PHASE_CONNECT, /* not in the group yet */
    PHASE_IDLE,    /* in the group, without an assignment */
    PHASE_CLAIM,   /* partitions are assigned, but not claimed in PostgreSQL; nothing is fetched */
    PHASE_FLOW,    /* records are read and written */
    PHASE_STUCK,   /* a batch could not be written: it waits, unchanged, and nothing is fetched */
    PHASE_ASKING,  /* a record waits for the schema registry, and nothing is fetched; what was read
                      before it is written */
    PHASE_FLOODED, /* too many records became dead letters: nothing is fetched any more */
};

struct recorder {
    struct worker_env *env;
    rd_kafka_t *rk;
    struct flight *flight;
    struct partitions partitions;
    struct home home;
    const char *names[MAX_TOPICS + 1]; /* topics of sinks, with prefix; NULL behind the last */
    char group[256];
    enum phase phase;
    bool flooded;
    bool is_to_wait;               /* the record at hand */
    rd_kafka_message_t *held;      /* in PHASE_ASKING: the record that waits */
    bool rejoin;                   /* a claim was lost: leave the group and come back */
    struct err failure;            /* of a callback, for the turn to return */
    size_t batch_rows, batch_most; /* that a batch may have at present, and ever */
    int64_t batch_interval_us;
    int64_t batch_since_us; /* when the first record of the batch came */
    int64_t marks_since_us; /* since when positions are behind marks only; 0: they are not */
    int64_t measured_us, noted_us;
    double max_dead_share;
    struct outage postgres, kafka, registry;
    struct metric *missed, *fenced;
    pthread_mutex_t status_lock;
    struct buf status; /* members of /status, made by the worker's thread; guarded by status_lock */
};

/* ---- batches.c ---- */

/* Before the first: no batch ever has more rows than that. */
void recorder_batches_begin(struct recorder *r, size_t most_rows);

/* Lets go of the record that waits: it is read again from the log. */
void recorder_let_go(struct recorder *r);

/* Lets records flow, unless there was a flood of dead letters. Fails as partitions_fetch(). */
int recorder_flow(struct recorder *r, struct err *e);

/* How long the batch that fills may still wait for more; and whether it holds all it may. */
int64_t recorder_batch_left_us(const struct recorder *r, int64_t now_us);
bool recorder_batch_is_full(const struct recorder *r);

/* Gets what is due on its way, and what has failed once more. 0 also where a batch has to wait or
 * was lost: the phase says so. Fails as flight_land(), flight_start(), recorder_flow(). */
int recorder_commit(struct recorder *r, struct err *e);

/* Writes what is at hand where no later attempt can be made: what fails is read again, here or
 * elsewhere. */
void recorder_commit_last(struct recorder *r);

/* ---- members.c ---- */

group_rebalance recorder_on_rebalance;

/* Becomes a member of the group; 0 also where Kafka is away. Fails with ERR_NOT_FOUND (no such
 * topic), ERR_FATAL. */
int recorder_join(struct recorder *r, struct err *e);

/* Leaves the group and comes back. Fails as group_subscribe(). */
int recorder_rejoin(struct recorder *r, struct err *e);

/* Claims what is assigned and lets it flow, or stays where it is as long as a server is away. Fails
 * with ERR_FATAL. */
int recorder_claim(struct recorder *r, struct err *e);

/* ---- intake.c ---- */

/* Reads until the batch is full, or due with none before it under way, or the turn is over. Fails
 * with what a callback has failed with, ERR_FATAL, ERR_NOMEM. */
int recorder_poll(struct recorder *r, struct err *e);

/* The record that waits for the schema registry, once more. Fails with ERR_NOMEM, ERR_FATAL. */
int recorder_retry_held(struct recorder *r, struct err *e);

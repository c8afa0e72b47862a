/*
 * The inside of the worker, shared by its parts: worker.c (start, group, turn), commits.c (epochs
 * on their way out), intake.c (records on their way in). The processing thread's; not for others.
 */
#pragma once

#include "features/assignment.h"
#include "features/report.h"
#include "features/tables.h"
#include "stream/committer.h"
#include "stream/worker.h"

enum {
    BATCH_RECORDS = 2000, /* handled in one turn */
    IDLE_WAIT_MS = 100,
};

struct state {
    struct worker_env *env;
    struct feature_set *set;
    struct features *features;
    rd_kafka_t *consumer;
    struct committer *committer;
    struct assignment *assignment;
    struct tables *tables;
    struct report *report;
    rd_kafka_topic_partition_list_t *pending; /* given by the group, not begun yet */
    int event_partitions;
    bool draining, rejected, dirty;
    bool reread;     /* partitions began or ceased to wait */
    bool blind;      /* attributes wait: nothing is read */
    int patience_ms; /* spent in this turn on the schema registry */
    double max_dead_share;
    bool committing; /* an epoch is under way */
    bool was_idle;   /* a poll came back empty since the last epoch */
    int64_t sent_ms, rejected_ms, reported_ms, last_commit_ms;
    int64_t oldest_ms;    /* Kafka's timestamp of the oldest event in the epoch that is filled;
                             INT64_MAX: none */
    int64_t under_way_ms; /* the same of the one under way */
    int64_t epochs;
    struct err error; /* of a callback */
    rd_kafka_message_t *batch[BATCH_RECORDS];
    int batch_count;
    int64_t handled;                        /* records since the last epoch */
    int64_t handled_in_all, handled_before; /* the latter when last reported */
    bool has_grown;                         /* there may be much free memory to give back */
    int64_t sent_us;                        /* the epoch under way, on the monotonic clock */
    int64_t caught_up_us;
    struct histogram *freshness;
    struct metric *misplaced;
};

/* ---- commits.c ---- */

static inline struct outbox *outbox(struct state *s)
{
    return committer_outbox(s->committer);
}

/* Hands everything over that was handled and is due. The committing thread must be idle. */
int send_epoch(struct state *s, int64_t now_ms, struct err *e);

/* Whether there is so much to hand over that reading has to wait. */
bool is_epoch_full(const struct state *s);

/* Forgets what was handled and not committed: it is somebody else's to handle now. */
void drop_epoch(struct state *s);

/* What became of the epoch under way; waits for it at most wait_ms. */
int take_outcome(struct state *s, int wait_ms, struct err *e);

/* Everything that was handled is committed, or known not to be. While state is being restored
 * nothing was handled. */
int settle_epochs(struct state *s, bool lost, struct err *e);

/* ---- intake.c ---- */

/* Handles records that are there, at most a batch of them; waits for the first. Rebalances happen
 * in here. */
int poll_records(struct state *s, int wait_ms, int64_t now_ms, struct err *e);

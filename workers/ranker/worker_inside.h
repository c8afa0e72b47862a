/*
 * The inside of the worker, shared by its parts: worker.c (start, group, turn), intake.c (requests
 * on their way in), commits.c (which of them are done). The processing thread's; not for others.
 */
#pragma once

#include "ranker/answers.h"
#include "ranker/lanes.h"
#include "ranker/ranker.h"
#include "ranker/tailed.h"
#include "stream/outbox.h"

#include <pthread.h>

enum {
    BATCH_REQUESTS = 256, /* handled in one turn */
    IDLE_WAIT_MS = 5,     /* for a request; events come in between */
};

struct state {
    struct worker_env *env;
    struct feature_set *set;
    struct placements *placements;
    struct catalogue *catalogue;
    struct mirror *mirror;
    struct serving *serving;
    struct ranker *ranker;
    struct lanes *lanes;
    struct tailed *tailed;
    struct answers *answers;
    rd_kafka_t *consumer;                     /* of rank.requests */
    rd_kafka_topic_partition_list_t *pending; /* given by the group, not begun yet */
    bool reading;                             /* requests are read */
    bool loaded;                              /* tables were read to their end once */
    bool *refreshes;  /* for each scope: whether rules read it of a proposition alone */
    struct err error; /* of a callback */

    /* Requests that were read, and what borrows from them. */
    rd_kafka_message_t *batch[BATCH_REQUESTS];
    int batch_count;
    int patience_ms; /* spent in this turn on the schema registry */
    bool is_held;    /* the next one waits for it */
    char why[256];
    struct arena arena;   /* of the requests at hand */
    struct outbox outbox; /* what goes out together */
    int64_t gathered_us;  /* when its first record was put in */

    /* Offsets whose answers are under way. */
    rd_kafka_topic_partition_list_t *committing;
    int64_t committed_ms, last_commit_ms;
    bool dirty;  /* requests were answered since */
    bool unsent; /* answers were given up: nothing is committed any more, the next ranker gives them
                  */

    int64_t reported_ms;
    struct buf status; /* guarded by lock */
    pthread_mutex_t lock;
    struct metric *whole, *users, *user_bytes, *shadows_left_out, *propositions;
    struct histogram *seconds;
};

/* ---- intake.c ---- */

/* Reads requests that are there, at most a batch; waits for the first. Rebalances happen in here.
 */
int read_requests(struct state *s, int wait_ms, struct err *e);

/* Answers what was read, or as much of it as a turn has time for. */
int answer_requests(struct state *s, struct err *e);

/* Answers by their result: ok, or how they were degraded. */
struct metric *answers_metric(struct metrics *m, const char *result);

/* Applies events that were read and are due by a time. */
int apply_events(struct state *s, int64_t until_ms, struct err *e);

/* Forgets what was read: its partitions are somebody else's, or it is read again. */
void drop_requests(struct state *s);

/* ---- commits.c ---- */

/* Commits what is answered and has arrived, once it is due. */
int commit_requests(struct state *s, int64_t now_ms, struct err *e);

/* The same at once, waiting for answers under way: partitions go, or the worker ends. */
int commit_all(struct state *s, struct err *e);

/* Forgets a commit under way. */
void drop_commit(struct state *s);

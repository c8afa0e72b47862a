#include "recorder/recorder.h"

#include "base/clock.h"
#include "base/log.h"
#include "recorder/outage.h"
#include "recorder/writer.h"
#include "stream/group.h"
#include "stream/kafka.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_TOPICS = 32,
    TURN_MS = 100,
    MEASURE_US = 1000000,
    MARKS_INTERVAL_US = 1000000,
    BATCH_MAX_BYTES = 64 * 1024 * 1024,
};

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
    struct writer writer;
    struct partitions partitions;
    const char *names[MAX_TOPICS + 1]; /* topics of sinks, with prefix; NULL behind the last */
    char group[256];
    enum phase phase;
    bool flooded;
    bool is_to_wait;          /* the record at hand */
    rd_kafka_message_t *held; /* in PHASE_ASKING: the record that waits */
    bool rejoin;              /* a claim was lost: leave the group and come back */
    struct err failure;       /* of a callback, for the turn to return */
    size_t batch_rows;
    int64_t batch_interval_us;
    int64_t batch_since_us; /* when the first record of the batch came */
    int64_t marks_since_us; /* since when positions are behind marks only; 0: they are not */
    int64_t measured_us;
    double max_dead_share;
    struct outage postgres, kafka, registry;
    struct metric *missed, *fenced;
    pthread_mutex_t status_lock;
    struct buf status; /* members of /status, made by the worker's thread; guarded by status_lock */
};

/* ---- Batches ---- */

/* A record that waits is read again from the log. */
static void let_go(struct recorder *r)
{
    if (!r->held)
        return;
    rd_kafka_message_destroy(r->held);
    r->held = NULL;
    outage_ends(&r->registry);
}

/* Forgets what is not in PostgreSQL: it will be read again. */
static void drop_batch(struct recorder *r)
{
    batch_clear(r->writer.batch);
    partitions_rewind(&r->partitions);
    let_go(r);
}

/* Another recorder has the partitions: what is at hand is theirs to write, and our place in the
 * group is out of date.
 */
static void lose_claim(struct recorder *r, const struct err *why)
{
    LOG_WARN("fenced", LOG_ERR(why), LOG_INT("records_dropped", batch_records(r->writer.batch)));
    metric_add(r->fenced, 1);
    drop_batch(r);
    r->phase = PHASE_IDLE;
    r->rejoin = true;
}

static int flow(struct recorder *r, struct err *e)
{
    r->phase = r->flooded ? PHASE_FLOODED : PHASE_FLOW;
    if (r->flooded)
        return kafka_halt(r->rk, e);
    return partitions_fetch(&r->partitions, r->rk, e);
}

/* Writes the batch if there is one. 0 also where it has to wait or was lost: the phase says so. */
static int commit(struct recorder *r, struct err *e)
{
    struct err why = {0};
    if (!batch_records(r->writer.batch) && !r->marks_since_us)
        return 0;
    r->marks_since_us = 0;
    int rc = writer_commit(&r->writer, &r->partitions, &why);
    bool was_stuck = r->phase == PHASE_STUCK;
    if (!rc) {
        outage_ends(&r->postgres);
        return was_stuck ? flow(r, e) : 0;
    }
    if (rc == ERR_UNAVAILABLE) {
        outage_goes_on(&r->postgres, &why);
        let_go(r);
        r->phase = PHASE_STUCK;
        return was_stuck ? 0 : kafka_halt(r->rk, e);
    }
    if (rc == ERR_FENCED) {
        lose_claim(r, &why);
        return 0;
    }
    *e = why;
    return rc;
}

/* Writes the batch where no later attempt can be made: what fails is read again, here or elsewhere.
 */
static void commit_last(struct recorder *r)
{
    struct err e = {0};
    size_t records = batch_records(r->writer.batch);
    if (records && writer_commit(&r->writer, &r->partitions, &e))
        LOG_WARN("batch_dropped", LOG_ERR(&e), LOG_INT("records", records));
    drop_batch(r);
}

/* ---- The group ---- */

/* Called from within a poll. */
static void on_assign(struct recorder *r, const rd_kafka_topic_partition_list_t *list)
{
    LOG_INFO("assigned", LOG_INT("partitions", list->cnt));
    r->flooded = false;
    int rc = partitions_set(&r->partitions, list, r->names, &r->failure);
    /* Where to start is PostgreSQL's to say, which may be away: until then nothing is fetched. */
    if (!rc)
        kafka_halt(r->rk, &r->failure);
    r->phase = PHASE_CLAIM;
}

/* Called from within a poll, and from closing. What is at hand is written, or the next owner has to
 * read it again. */
static void on_revoke(struct recorder *r)
{
    LOG_INFO("revoked", LOG_INT("partitions", r->partitions.count),
             LOG_TEXT("lost", rd_kafka_assignment_lost(r->rk) ? "yes" : "no"));
    commit_last(r);
    partitions_clear(&r->partitions);
    rd_kafka_assign(r->rk, NULL);
    r->phase = PHASE_IDLE;
    if (worker_state(r->env) == WORKER_RUN)
        worker_become(r->env, WORKER_RESTORE);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *arg)
{
    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        on_assign(arg, list);
    else
        on_revoke(arg);
}

static int join(struct recorder *r, struct err *e)
{
    int rc = group_find_topics(r->rk, r->names, e);
    if (rc == ERR_UNAVAILABLE) {
        outage_goes_on(&r->kafka, e);
        clock_sleep_ms(TURN_MS);
        return 0;
    }
    if (rc || (rc = group_subscribe(r->rk, r->names, e)))
        return rc;
    outage_ends(&r->kafka);
    worker_say(r->env, "joining the group");
    worker_become(r->env, WORKER_RESTORE);
    r->phase = PHASE_IDLE;
    return 0;
}

static int leave_and_rejoin(struct recorder *r, struct err *e)
{
    r->rejoin = false;
    rd_kafka_unsubscribe(r->rk);
    return group_subscribe(r->rk, r->names, e);
}

/* Claims what is assigned and lets it flow, or stays where it is as long as a server is away. */
static int claim(struct recorder *r, struct err *e)
{
    int64_t missed = 0;
    int rc = db_connect(r->writer.db, e);
    if (!rc)
        rc = partitions_claim(&r->partitions, r->writer.db, r->group, e);
    if (rc == ERR_UNAVAILABLE) {
        outage_goes_on(&r->postgres, e);
        return 0;
    }
    if (rc)
        return rc;
    db_settle(r->writer.db);
    outage_ends(&r->postgres);
    rc = partitions_find_start(&r->partitions, r->rk, &missed, e);
    if (rc == ERR_UNAVAILABLE) {
        outage_goes_on(&r->kafka, e);
        return 0;
    }
    if (rc)
        return rc;
    outage_ends(&r->kafka);
    metric_add(r->missed, (double)missed);
    worker_say(r->env, "");
    worker_become(r->env, WORKER_RUN);
    return flow(r, e);
}

/* ---- Records ---- */

static int add(struct recorder *r, struct partition *p, const struct input *in, struct err *e)
{
    bool is_first = !batch_records(r->writer.batch);
    size_t buried = batch_buried(r->writer.batch);
    int rc = batch_add(r->writer.batch, p->sink, in, e);
    if (rc)
        return rc;
    flood_note(&p->flood, batch_buried(r->writer.batch) != buried);
    if (is_first)
        r->batch_since_us = clock_monotonic_us();
    p->position = in->offset + 1;
    return 0;
}

/* What was read is written; nothing more is, until somebody has looked. */
static int watch_flood(struct recorder *r, const struct partition *p, struct err *e)
{
    char text[256];
    if (!flood_is_over(&p->flood, r->max_dead_share))
        return 0;
    snprintf(
        text, sizeof text,
        "%.80s: %.0f %% of the last 1,000 records became dead letters, dead_letters.max_share is "
        "%g: nothing is read further: see dead_letters, and restart",
        p->name, p->flood.share * 100, r->max_dead_share);
    LOG_ERROR("too_many_dead_letters", LOG_TEXT("partition", p->name), LOG_TEXT("meaning", text));
    r->flooded = true;
    worker_become(r->env, WORKER_RESTORE);
    worker_say(r->env, text);
    return flow(r, e);
}

/* The record that waits, once more. */
static int retry_held(struct recorder *r, struct err *e)
{
    struct err why = {0};
    struct input in = input_of(r->held);
    struct partition *p = partitions_find(&r->partitions, in.topic, in.partition);
    int rc = p ? add(r, p, &in, &why) : 0;
    if (rc == ERR_UNAVAILABLE) {
        outage_goes_on(&r->registry, &why);
        return 0;
    }
    let_go(r);
    if (rc)
        return err_set(e, rc, "%s", why.msg);
    return p && flood_is_over(&p->flood, r->max_dead_share) ? watch_flood(r, p, e) : flow(r, e);
}

static int on_record(struct recorder *r, const rd_kafka_message_t *m, struct err *e)
{
    struct input in = input_of(m);
    struct partition *p = partitions_find(&r->partitions, in.topic, in.partition);
    /* What was on its way when the flow was halted comes again. */
    if (r->phase != PHASE_FLOW || !p || in.offset < p->position)
        return 0;
    int spent_ms = 0, rc;
    while ((rc = add(r, p, &in, e)) == ERR_UNAVAILABLE && codec_patience(r->env->codec, &spent_ms))
        ;
    r->is_to_wait = rc == ERR_UNAVAILABLE;
    return r->is_to_wait ? 0 : rc ? rc : watch_flood(r, p, e);
}

/* The end of a partition also tells of the marks of transactions behind its last record, which are
 * not to count as lag. The next batch covers them, or, where none comes, a transaction of their
 * own. */
static void on_partition_end(struct recorder *r, const rd_kafka_message_t *m)
{
    struct partition *p =
        partitions_find(&r->partitions, rd_kafka_topic_name(m->rkt), m->partition);
    if (r->phase != PHASE_FLOW || !p || m->offset <= p->position)
        return;
    p->position = m->offset;
    if (!r->marks_since_us)
        r->marks_since_us = clock_monotonic_us();
}

static int on_error(struct recorder *r, const rd_kafka_message_t *m, struct err *e)
{
    struct err why = {0};
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        /* The log's beginning has moved past us: claiming looks at where it is. */
        drop_batch(r);
        r->phase = PHASE_CLAIM;
        return kafka_halt(r->rk, e);
    }
    int rc = kafka_message_err(&why, r->rk, m, "read the log");
    if (rc != ERR_UNAVAILABLE && m->err != RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED) {
        *e = why;
        return rc;
    }
    LOG_WARN("kafka_error", LOG_ERR(&why), LOG_TEXT("detail", rd_kafka_message_errstr(m)));
    return 0;
}

static int on_message(struct recorder *r, const rd_kafka_message_t *m, struct err *e)
{
    if (!m->err)
        return on_record(r, m, e);
    if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return on_error(r, m, e);
    on_partition_end(r, m);
    return 0;
}

/* How long the batch at hand may still wait for more. */
static int64_t batch_left_us(const struct recorder *r, int64_t now_us)
{
    int64_t left = INT64_MAX;
    if (batch_records(r->writer.batch))
        left = r->batch_since_us + r->batch_interval_us - now_us;
    else if (r->marks_since_us)
        left = r->marks_since_us + MARKS_INTERVAL_US - now_us;
    return left > 0 ? left : 0;
}

static bool batch_is_full(const struct recorder *r)
{
    return batch_records(r->writer.batch) >= r->batch_rows ||
           batch_bytes(r->writer.batch) >= BATCH_MAX_BYTES;
}

/* Reads until the batch is full or due, or the turn is over. A batch that is stuck is neither. */
static int poll_records(struct recorder *r, struct err *e)
{
    int64_t now_us = clock_monotonic_us(), end_us = now_us + TURN_MS * 1000;
    int rc = 0;
    do {
        int64_t left_us = end_us - now_us, due_us = batch_left_us(r, now_us);
        if (r->phase == PHASE_FLOW && due_us < left_us)
            left_us = due_us;
        rd_kafka_message_t *m = rd_kafka_consumer_poll(r->rk, (int)((left_us + 999) / 1000));
        r->is_to_wait = false;
        rc = m ? on_message(r, m, e) : 0;
        if (r->is_to_wait) {
            r->held = m;
            r->phase = PHASE_ASKING;
            rc = kafka_halt(r->rk, e);
        } else if (m) {
            rd_kafka_message_destroy(m);
        }
        if (!rc && r->failure.code) {
            *e = r->failure;
            rc = e->code;
        }
        now_us = clock_monotonic_us();
        if (r->phase == PHASE_FLOW && (batch_is_full(r) || batch_left_us(r, now_us) == 0))
            break;
    } while (!rc && now_us < end_us);
    return rc;
}

/* What others see, once a second. */
static void measure(struct recorder *r, int64_t now_ms)
{
    int64_t now_us = clock_monotonic_us();
    if (now_us - r->measured_us < MEASURE_US)
        return;
    r->measured_us = now_us;
    int64_t lag = partitions_measure_lag(&r->partitions, r->rk, batch_records(r->writer.batch),
                                         r->phase == PHASE_FLOW);
    pthread_mutex_lock(&r->status_lock);
    buf_reset(&r->status);
    buf_printf(&r->status,
               "\"time_ms\":%lld,\"lag_records\":%lld,\"postgres\":\"%s\",\"partitions\":",
               (long long)now_ms, (long long)lag, r->postgres.since_us ? "away" : "ok");
    partitions_print(&r->partitions, &r->status);
    pthread_mutex_unlock(&r->status_lock);
}

static int turn(void *self, int64_t now_ms, struct err *e)
{
    struct recorder *r = self;
    if (r->phase == PHASE_CONNECT)
        return join(r, e);
    int rc = poll_records(r, e);
    if (!rc && r->phase == PHASE_CLAIM)
        rc = claim(r, e);
    bool due = batch_is_full(r) || batch_left_us(r, clock_monotonic_us()) == 0;
    if (!rc && (r->phase == PHASE_STUCK || (due && r->phase >= PHASE_FLOW)))
        rc = commit(r, e);
    if (!rc && r->phase == PHASE_ASKING)
        rc = retry_held(r, e);
    if (!rc && r->rejoin)
        rc = leave_and_rejoin(r, e);
    measure(r, now_ms);
    return rc;
}

/* ---- The worker ---- */

static int check(const struct conf *conf, struct err *e)
{
    return db_check_url(conf_text(conf, "postgres.url"), e);
}

static void make_metrics(struct recorder *r)
{
    struct metrics *m = r->env->metrics;
    r->partitions.metrics = m;
    r->postgres = (struct outage){.env = r->env, .server = "PostgreSQL", .event = "postgres"};
    r->kafka = (struct outage){.env = r->env, .server = "Kafka", .event = "kafka"};
    r->registry =
        (struct outage){.env = r->env, .server = "the schema registry", .event = "registry"};
    r->postgres.waiting =
        metric_get(m, METRIC_GAUGE, "flotilla_recorder_waiting_for_postgres",
                   "1 while nothing can be written, because PostgreSQL is away.", NULL, NULL);
    r->missed =
        metric_get(m, METRIC_COUNTER, "flotilla_recorder_missed_records_total",
                   "Records that Kafka's retention deleted before they were recorded.", NULL, NULL);
    r->fenced = metric_get(m, METRIC_COUNTER, "flotilla_recorder_fenced_total",
                           "Times that another recorder had claimed the partitions.", NULL, NULL);
}

static void recorder_free(void *self)
{
    struct recorder *r = self;
    if (!r)
        return;
    let_go(r);
    if (r->rk) {
        rd_kafka_consumer_close(r->rk);
        rd_kafka_destroy(r->rk);
    }
    partitions_clear(&r->partitions);
    writer_free(&r->writer);
    buf_free(&r->status);
    pthread_mutex_destroy(&r->status_lock);
    free(r);
}

static int start(void **self, struct worker_env *env, struct err *e)
{
    struct recorder *r = calloc(1, sizeof *r);
    if (!r)
        return err_nomem(e);
    r->env = env;
    pthread_mutex_init(&r->status_lock, NULL);
    snprintf(r->group, sizeof r->group, "%srecorder", conf_text(env->conf, "kafka.prefix"));
    for (size_t i = 0; sinks[i] && i < MAX_TOPICS; i++)
        r->names[i] = conf_topic(env->conf, sinks[i]->topic);
    r->batch_rows = (size_t)conf_int(env->conf, "recorder.batch_rows");
    r->batch_interval_us = conf_int(env->conf, "recorder.batch_interval_ms") * 1000;
    r->max_dead_share = conf_double(env->conf, "dead_letters.max_share");
    make_metrics(r);
    struct db_opts opts = {
        .url = conf_text(env->conf, "postgres.url"),
        .application = env->client_id,
        .timeout_ms = (int)conf_int(env->conf, "postgres.timeout_ms"),
    };
    int rc = writer_init(&r->writer, &opts, r->group, env->codec, env->metrics, e);
    if (!rc)
        rc = group_consumer(&r->rk, env, r->group, on_rebalance, r, e);
    if (rc) {
        recorder_free(r);
        return rc;
    }
    *self = r;
    return 0;
}

static int drain(void *self, struct err *e)
{
    struct recorder *r = self;
    (void)e; /* What cannot be written now is read again at the next start. */
    commit_last(r);
    r->phase = PHASE_IDLE;
    return 0;
}

static void status(void *self, struct buf *json)
{
    struct recorder *r = self;
    pthread_mutex_lock(&r->status_lock);
    buf_put_str(json, buf_str(&r->status));
    pthread_mutex_unlock(&r->status_lock);
}

const struct worker recorder_worker = {
    .name = "recorder",
    .purpose = "copies topics into tables of PostgreSQL, each record exactly once",
    .check = check,
    .start = start,
    .turn = turn,
    .drain = drain,
    .free = recorder_free,
    .status = status,
};

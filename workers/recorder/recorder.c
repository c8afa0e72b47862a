#include "recorder/recorder.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "recorder/inside.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEASURE_US = 1000000, NOTE_INTERVAL_US = 5000000 };

/* What others see, once a second. */
static void measure(struct recorder *r, int64_t now_ms)
{
    int64_t now_us = clock_monotonic_us();
    if (now_us - r->measured_us < MEASURE_US)
        return;
    r->measured_us = now_us;
    if (r->phase == PHASE_FLOW && now_us - r->noted_us >= NOTE_INTERVAL_US) {
        r->noted_us = now_us;
        home_tell(&r->home, &r->partitions, r->rk, false, NULL);
    }
    int64_t lag = partitions_measure_lag(&r->partitions, r->rk, flight_records(r->flight) > 0,
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
        return recorder_join(r, e);
    int rc = recorder_poll(r, e);
    if (!rc && r->phase == PHASE_CLAIM)
        rc = recorder_claim(r, e);
    if (!rc && r->phase >= PHASE_FLOW)
        rc = recorder_commit(r, e);
    if (!rc && r->phase == PHASE_ASKING)
        rc = recorder_retry_held(r, e);
    if (!rc && r->rejoin)
        rc = recorder_rejoin(r, e);
    measure(r, now_ms);
    return rc;
}

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
    recorder_let_go(r);
    if (r->rk) {
        FAILPOINT("recorder.close.before");
        rd_kafka_consumer_close(r->rk);
        FAILPOINT("recorder.close.left_group");
        rd_kafka_destroy(r->rk);
    }
    partitions_clear(&r->partitions);
    flight_free(r->flight);
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
    recorder_batches_begin(r, (size_t)conf_int(env->conf, "recorder.batch_rows"));
    r->batch_interval_us = conf_int(env->conf, "recorder.batch_interval_ms") * 1000;
    r->max_dead_share = conf_double(env->conf, "dead_letters.max_share");
    make_metrics(r);
    struct db_opts opts = {
        .url = conf_text(env->conf, "postgres.url"),
        .application = env->client_id,
        .timeout_ms = (int)conf_int(env->conf, "postgres.timeout_ms"),
    };
    int rc = flight_new(&r->flight, &opts, r->group, env->codec, env->metrics, e);
    if (!rc)
        rc = group_consumer(&r->rk, env, KAFKA_GATHERER, r->group, recorder_on_rebalance, r, e);
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
    FAILPOINT("recorder.drain.before_commit");
    recorder_commit_last(r);
    FAILPOINT("recorder.drain.committed");
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

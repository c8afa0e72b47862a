#include "features/worker.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "features/worker_inside.h"
#include "stream/group.h"
#include "stream/kafka.h"
#include "stream/topics.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    COMMITTING_WAIT_MS = 5,
    REPORT_INTERVAL_MS = 1000,
    COMMIT_PATIENCE_MS = 5000,  /* for an epoch; the worker is not ready then */
    MUCH_A_SECOND = 50000,      /* records */
    REJECTED_LIMIT_MS = 120000, /* without new partitions after an epoch was rejected */
};

/* ------------------------------------------------------------ the group */

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *arg)
{
    struct state *s = arg;
    bool lost = rd_kafka_assignment_lost(rk);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        LOG_INFO("partitions_assigned", LOG_INT("count", list->cnt));
        if (s->pending)
            rd_kafka_topic_partition_list_destroy(s->pending);
        s->pending = rd_kafka_topic_partition_list_copy(list);
    } else {
        LOG_INFO("partitions_revoked", LOG_INT("count", list->cnt),
                 LOG_TEXT("lost", lost ? "yes" : "no"));
        FAILPOINT("features.revoke.before_settle");
        if (!s->draining && !s->error.code)
            settle_epochs(s, lost, &s->error);
        FAILPOINT("features.revoke.settled");
        report_forget(s->report, s->assignment);
        assignment_park(s->assignment, lost || s->rejected || s->error.code);
        FAILPOINT("features.revoke.parked");
        if (s->pending)
            rd_kafka_topic_partition_list_destroy(s->pending);
        s->pending = NULL;
        if (worker_state(s->env) == WORKER_RUN)
            worker_become(s->env, WORKER_RESTORE);
    }
    /* Reading starts where the state begins, which is not known yet. */
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        kafka_halt(rk, NULL);
    else
        rd_kafka_assign(rk, NULL);
    FAILPOINT("features.group.rebalanced");
}

static int take_assignment(struct state *s, struct err *e)
{
    if (!s->pending)
        return 0;
    FAILPOINT("features.assign.before_begin");
    int rc = assignment_begin(s->assignment, s->pending, e);
    FAILPOINT("features.assign.begun");
    rd_kafka_topic_partition_list_destroy(s->pending);
    s->pending = NULL;
    s->rejected = false;
    drop_epoch(s);
    return rc;
}

/* ------------------------------------------------------------ start */

static struct features_opts options(struct state *s)
{
    const struct conf *c = s->env->conf;
    return (struct features_opts){
        .set = s->set,
        .max_clock_skew_ms = conf_int(c, "max_clock_skew_ms"),
        .max_keys_per_user = (uint32_t)conf_int(c, "max_keys_per_user"),
        .deltas = conf_topic(c, "feature.deltas"),
        .totals = conf_topic(c, "feature.totals"),
        .state_user = conf_topic(c, "state.user"),
        .state_shared = conf_topic(c, "state.shared"),
        .values = conf_topic(c, "features"),
        .dead_letters = conf_topic(c, "dead-letters"),
        .metrics = s->env->metrics,
        .codec = s->env->codec,
    };
}

static void make_metrics(struct state *s)
{
    static const double bounds[] = {0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600};
    struct metrics *m = s->env->metrics;
    s->freshness =
        metric_histogram(m, "flotilla_features_freshness_seconds",
                         "From the Kafka timestamp of an epoch's oldest event to its commit.",
                         bounds, sizeof bounds / sizeof *bounds);
    s->misplaced =
        metric_get(m, METRIC_COUNTER, "flotilla_features_misplaced_events_total",
                   "Events in another partition than murmur2 of their key gives.", NULL, NULL);
}

static int connect_consumer(struct state *s, struct err *e)
{
    char group[300];
    snprintf(group, sizeof group, "%sfeatures", conf_text(s->env->conf, "kafka.prefix"));
    return group_consumer(&s->consumer, s->env, KAFKA_GATHERER, group, on_rebalance, s, e);
}

static int subscribe(struct state *s, struct err *e)
{
    const struct conf *c = s->env->conf;
    const char *const names[] = {conf_topic(c, "events"), conf_topic(c, "feature.deltas"),
                                 conf_topic(c, "users"), conf_topic(c, "propositions"), NULL};
    return group_subscribe(s->consumer, names, e);
}

static int start_committer(struct state *s, struct err *e)
{
    char id[600];
    snprintf(id, sizeof id, "%sfeatures-%s", conf_text(s->env->conf, "kafka.prefix"),
             s->env->instance);
    return committer_new(&s->committer, s->env->conf, s->env->client_id, id, s->env->metrics, e);
}

static void end(void *self);

static int check(const struct conf *conf, struct err *e)
{
    struct feature_set *set = NULL;
    int rc = feature_set_load(&set, conf_text(conf, "features.file"), e);
    feature_set_free(set);
    return rc;
}

/* What is written to topics is known to the schema registry, if there is one. */
static int declare(struct state *s, struct err *e)
{
    static const char *const names[] = {"feature.deltas", "feature.totals", "state.user",
                                        "state.shared",   "features",       "dead-letters"};
    int rc = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names && !rc; i++)
        rc = worker_declare(s->env, names[i], topics_find(s->env->conf, names[i])->type, e);
    return rc;
}

static int make(struct state *s, struct err *e)
{
    static const char *const pairs[] = {"state.user", "state.shared", NULL};
    int deltas = 0;
    worker_become(s->env, WORKER_RESTORE);
    worker_say(s->env, "connecting");
    int rc = feature_set_load(&s->set, conf_text(s->env->conf, "features.file"), e);
    if (!rc)
        rc = connect_consumer(s, e);
    if (!rc)
        rc = topics_check_copartitioned(s->consumer, s->env->conf, pairs, e);
    if (!rc)
        rc = kafka_partition_count(s->consumer, conf_topic(s->env->conf, "events"), 10000,
                                   &s->event_partitions, e);
    if (!rc)
        rc = kafka_partition_count(s->consumer, conf_topic(s->env->conf, "feature.deltas"), 10000,
                                   &deltas, e);
    if (!rc)
        rc = declare(s, e);
    struct features_opts opts = options(s);
    opts.delta_partitions = deltas;
    if (!rc)
        rc = features_new(&s->features, &opts, e);
    struct assignment_opts lanes = {s->env->conf, s->env->client_id, s->features, s->consumer,
                                    s->env->codec};
    if (!rc)
        rc = assignment_new(&s->assignment, &lanes, e);
    if (!rc)
        rc = start_committer(s, e);
    if (!rc)
        rc = tables_open(&s->tables, s->env, s->set, s->features, e);
    return rc ? rc : subscribe(s, e);
}

static int start(void **self, struct worker_env *env, struct err *e)
{
    struct state *s = calloc(1, sizeof *s);
    if (!s)
        return err_nomem(e);
    s->env = env;
    s->oldest_ms = s->under_way_ms = INT64_MAX;
    s->max_dead_share = conf_double(env->conf, "dead_letters.max_share");
    make_metrics(s);
    int rc = report_new(&s->report, env->metrics, e);
    if (!rc)
        rc = make(s, e);
    if (rc)
        end(s);
    else
        *self = s;
    return rc;
}

static void end(void *self)
{
    struct state *s = self;
    if (!s)
        return;
    s->draining = true;
    FAILPOINT("features.close.before");
    if (s->consumer && s->assignment)
        rd_kafka_consumer_close(s->consumer);
    FAILPOINT("features.close.left_group");
    committer_free(s->committer);
    FAILPOINT("features.close.committer_gone");
    tables_free(s->tables);
    assignment_free(s->assignment);
    if (s->pending)
        rd_kafka_topic_partition_list_destroy(s->pending);
    if (s->consumer)
        rd_kafka_destroy(s->consumer);
    features_free(s->features);
    feature_set_free(s->set);
    report_free(s->report);
    free(s);
}

/* ------------------------------------------------------------ the turn */

/* Catching up takes buffers that may be many times the state, and malloc keeps what was freed. */
static void give_back_memory(struct state *s)
{
    int64_t handled = s->handled_in_all - s->handled_before;
    s->handled_before = s->handled_in_all;
    if (handled > MUCH_A_SECOND || !assignment_is_ready(s->assignment))
        s->has_grown = true;
    else if (s->has_grown && handled < MUCH_A_SECOND / 10) {
        s->has_grown = false;
        malloc_trim(0);
    }
}

static void report(struct state *s, int64_t now_ms)
{
    give_back_memory(s);
    struct report_facts facts = {s->epochs, s->last_commit_ms};
    s->reported_ms = now_ms;
    report_update(s->report, s->assignment, s->consumer, &facts);
}

static void status(void *self, struct buf *json)
{
    struct state *s = self;
    report_print(s->report, json);
}

static void say_why(struct state *s, const struct lane *l)
{
    char text[256];
    if (s->blind)
        snprintf(text, sizeof text, "attributes wait: %.230s", codec_waiting(s->env->codec));
    else if (l->held)
        snprintf(text, sizeof text, "partition %d of %.60s waits at offset %lld: %.150s",
                 l->partition, l->topic, (long long)l->held->offset, l->why);
    else
        snprintf(
            text, sizeof text,
            "partition %d of %.60s is not read further: %.0f %% of its last 1,000 records became "
            "dead letters, dead_letters.max_share is %g: see dead-letters, and restart",
            l->partition, l->topic, l->flood.share * 100, s->max_dead_share);
    worker_say(s->env, text);
}

/* Kafka does not take what was handled: others should know that values are not fresh. */
static void say_stuck(struct state *s)
{
    char text[256];
    if (worker_state(s->env) == WORKER_RUN)
        worker_become(s->env, WORKER_RESTORE);
    snprintf(text, sizeof text,
             "Kafka has not committed what was handled for %lld s: see transaction_retry and "
             "transaction_aborted in the log",
             (long long)(clock_monotonic_us() - s->sent_us) / 1000000);
    worker_say(s->env, text);
}

/* Ready once every partition has reached what was committed, and as long as all are read and
 * written. */
static void announce(struct state *s)
{
    bool restoring = s->pending || s->rejected || !assignment_is_ready(s->assignment);
    const struct lane *waiting = NULL;
    for (size_t i = 0; i < assignment_count(s->assignment) && !restoring; i++) {
        const struct lane *l = assignment_lane(s->assignment, i);
        restoring = lane_is_restoring(l);
        waiting = l->owned && lane_waits(l) ? l : waiting;
    }
    if (waiting || (s->blind && !restoring)) {
        if (worker_state(s->env) == WORKER_RUN)
            worker_become(s->env, WORKER_RESTORE);
        say_why(s, waiting);
    } else if (s->committing &&
               clock_monotonic_us() - s->sent_us > COMMIT_PATIENCE_MS * INT64_C(1000)) {
        say_stuck(s);
    } else if (!restoring && worker_state(s->env) == WORKER_RESTORE) {
        FAILPOINT("features.restore.reached");
        LOG_INFO("ready", LOG_INT("partitions", assignment_count(s->assignment)));
        worker_become(s->env, WORKER_RUN);
        worker_say(s->env, "");
    } else if (restoring) {
        worker_say(s->env, assignment_asks(s->assignment) ? codec_waiting(s->env->codec)
                                                          : assignment_phase(s->assignment));
    }
}

/* Epochs are short, unless there is more to read than can be: then fewer and larger ones cost less.
 */
static bool is_epoch_due(const struct state *s, int64_t now_ms)
{
    int64_t interval_ms =
        conf_int(s->env->conf, s->was_idle ? "commit_interval_ms" : "max_commit_interval_ms");
    return now_ms - s->sent_ms >= interval_ms || now_ms < s->sent_ms;
}

static int wait_for_records_ms(const struct state *s, int64_t now_ms)
{
    int64_t left_ms = s->sent_ms + conf_int(s->env->conf, "commit_interval_ms") - now_ms;
    if (!s->dirty)
        return IDLE_WAIT_MS;
    if (left_ms <= 0)
        return s->committing ? COMMITTING_WAIT_MS : 1;
    return (int)(left_ms < IDLE_WAIT_MS ? left_ms : IDLE_WAIT_MS);
}

static int turn(void *self, int64_t now_ms, struct err *e)
{
    struct state *s = self;
    bool reading = false;
    int rc = take_assignment(s, e);
    if (!rc)
        rc = tables_poll(s->tables, e);
    if (!rc)
        rc = take_outcome(s, 0, e);
    if (!rc)
        rc = assignment_restore(s->assignment, IDLE_WAIT_MS / 2, now_ms, &reading, e);
    /* Too much at once: the committing thread goes first. */
    bool full = is_epoch_full(s);
    if (!rc && full)
        rc = take_outcome(s, IDLE_WAIT_MS, e);
    else if (!rc)
        rc = poll_records(s, reading ? wait_for_records_ms(s, now_ms) : 1, now_ms, e);
    now_ms = clock_now_ms();
    if (!rc && s->committing)
        rc = take_outcome(s, 0, e);
    if (!rc && !s->committing && !s->rejected && !s->pending &&
        assignment_is_ready(s->assignment) && (is_epoch_due(s, now_ms) || full))
        rc = send_epoch(s, now_ms, e);
    if (!rc && s->rejected && now_ms - s->rejected_ms > REJECTED_LIMIT_MS)
        rc = err_set(
            e, ERR_FENCED,
            "an epoch was rejected and the group has given no partitions since: start again");
    announce(s);
    if (now_ms - s->reported_ms >= REPORT_INTERVAL_MS || now_ms < s->reported_ms)
        report(s, now_ms);
    return rc;
}

static int drain(void *self, struct err *e)
{
    struct state *s = self;
    FAILPOINT("features.drain.before_settle");
    int rc = settle_epochs(s, worker_state(s->env) == WORKER_INIT, e);
    FAILPOINT("features.drain.settled");
    s->draining = true;
    return rc;
}

const struct worker features_worker = {
    .name = "features",
    .purpose = "turns events into features: exactly once, from topic `events` to topic `features`",
    .check = check,
    .start = start,
    .turn = turn,
    .drain = drain,
    .free = end,
    .status = status,
};

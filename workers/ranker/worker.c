#include "ranker/worker.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "ranker/worker_inside.h"
#include "stream/group.h"
#include "stream/kafka.h"
#include "stream/topics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    REPORT_INTERVAL_MS = 1000,
    RESTORE_WAIT_MS = 50,
    CALL_TIMEOUT_MS = 5000,
    REGISTRY_WAIT_MS = 100,
    EVENTS_A_TURN = 5000,
    REFRESHES_A_TURN = 200,
    ORDER_WAIT_MS = 200,
};

/* ------------------------------------------------------------ the group */

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *arg)
{
    struct state *s = arg;
    bool lost = rd_kafka_assignment_lost(rk);
    if (s->pending)
        rd_kafka_topic_partition_list_destroy(s->pending);
    s->pending = NULL;
    s->reading = false;
    drop_requests(s);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        LOG_INFO("partitions_assigned", LOG_INT("count", list->cnt));
        s->pending = rd_kafka_topic_partition_list_copy(list);
        /* Reading starts when the users' state is there. */
        kafka_halt(rk, NULL);
        FAILPOINT("ranker.group.assigned");
        return;
    }
    LOG_INFO("partitions_revoked", LOG_INT("count", list->cnt),
             LOG_TEXT("lost", lost ? "yes" : "no"));
    FAILPOINT("ranker.revoke.before_commit");
    if (lost || s->error.code)
        drop_commit(s);
    else
        commit_all(s, &s->error);
    FAILPOINT("ranker.revoke.committed");
    /* What was read is in the state then, and need not be read again. */
    if (!s->error.code)
        apply_events(s, INT64_MAX, &s->error);
    lanes_park(s->lanes);
    if (worker_state(s->env) == WORKER_RUN)
        worker_become(s->env, WORKER_RESTORE);
    rd_kafka_assign(rk, NULL);
    FAILPOINT("ranker.revoke.released");
}

static int take_assignment(struct state *s, struct err *e)
{
    if (!s->pending)
        return 0;
    int rc = lanes_begin(s->lanes, s->pending, e);
    rd_kafka_topic_partition_list_destroy(s->pending);
    s->pending = NULL;
    return rc;
}

/* Behind the last request that was answered, here or by whoever had the partition; where nobody
 * had, and where those that were not answered are deleted by now, at the first one. */
static int find_start(struct state *s, const struct lane *lane, rd_kafka_topic_partition_t *p,
                      struct err *e)
{
    int64_t first, end;
    if (lane->next_request >= 0)
        p->offset = lane->next_request;
    int rc = kafka_offsets(s->consumer, p->topic, p->partition, CALL_TIMEOUT_MS, &first, &end, e);
    if (rc)
        return rc;
    if (p->offset >= 0 && (p->offset < first || p->offset > end))
        LOG_WARN("requests_lost", LOG_INT("partition", p->partition), LOG_INT("from", p->offset),
                 LOG_INT("to", first),
                 LOG_TEXT("meaning", "they were deleted before they were answered: the topic was "
                                     "emptied, made anew, or its retention.ms is shorter than the "
                                     "rankers were away"));
    if (p->offset < first || p->offset > end)
        p->offset = first;
    return 0;
}

static int start_reading(struct state *s, struct err *e)
{
    const char *topic = conf_topic(s->env->conf, "rank.requests");
    struct err why = {0};
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)lanes_count(s->lanes) + 1);
    if (!list)
        return err_nomem(e);
    for (size_t i = 0; i < lanes_count(s->lanes); i++)
        rd_kafka_topic_partition_list_add(list, topic, lanes_at(s->lanes, i)->partition);
    FAILPOINT("ranker.assign.before_offsets");
    rd_kafka_resp_err_t code =
        list->cnt ? rd_kafka_committed(s->consumer, list, CALL_TIMEOUT_MS) : 0;
    FAILPOINT("ranker.assign.offsets_read");
    for (int i = 0; i < list->cnt && !code && !why.code; i++) {
        code = list->elems[i].err;
        if (!code)
            find_start(s, lanes_at(s->lanes, (size_t)i), &list->elems[i], &why);
    }
    if (code || why.code)
        LOG_INFO("waiting_for_offsets", LOG_TEXT("error", code ? rd_kafka_err2str(code) : why.msg));
    else if ((code = rd_kafka_assign(s->consumer, list)) == 0)
        s->reading = true;
    FAILPOINT("ranker.assign.reading");
    rd_kafka_topic_partition_list_destroy(list);
    return !code || !s->reading ? 0 : kafka_err(e, code, "read requests");
}

/* ------------------------------------------------------------ start */

static int connect_consumer(struct state *s, struct err *e)
{
    char group[300];
    snprintf(group, sizeof group, "%sranker", conf_text(s->env->conf, "kafka.prefix"));
    return group_consumer(&s->consumer, s->env, KAFKA_CONSUMER, group, on_rebalance, s, e);
}

static int subscribe(struct state *s, struct err *e)
{
    const struct conf *c = s->env->conf;
    const char *const names[] = {conf_topic(c, "rank.requests"), NULL};
    return group_subscribe(s->consumer, names, e);
}

static int read_definitions(struct feature_set **set, struct placements **placements,
                            const struct conf *conf, struct err *e)
{
    const char *file;
    int rc = feature_set_load(set, conf_text(conf, "features.file"), e);
    const struct yaml_node *section = conf_section(conf, "placements", &file);
    return rc ? rc : placements_parse(placements, section, file, *set, e);
}

static int check(const struct conf *conf, struct err *e)
{
    struct feature_set *set = NULL;
    struct placements *placements = NULL;
    int rc = read_definitions(&set, &placements, conf, e);
    placements_free(placements);
    feature_set_free(set);
    return rc;
}

static int declare(struct state *s, struct err *e)
{
    static const char *const names[] = {"rankings", "score.log", "dead-letters"};
    int rc = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names && !rc; i++)
        rc = worker_declare(s->env, names[i], topics_find(s->env->conf, names[i])->type, e);
    return rc;
}

/* Scopes with one key for each proposition that base scores are read from: a change of one changes
 * the score at once. */
static int find_refreshes(struct state *s, struct err *e)
{
    s->refreshes = calloc(s->set->scope_count + 1, sizeof *s->refreshes);
    if (!s->refreshes)
        return err_nomem(e);
    for (size_t p = 0; p < placements_count(s->placements); p++) {
        const struct rules *rules = placements_at(s->placements, p)->rules;
        for (size_t t = 0; t < rules_count(rules); t++) {
            const struct feature *f = s->set->outputs[rules_term_output(rules, t)].feature;
            const struct scope *scope = f->scope < 0 ? NULL : &s->set->scopes[f->scope];
            if (scope && scope->dimension_count == 1 && !scope->dimensions[0].field &&
                scope->dimensions[0].side == SIDE_PROPOSITION)
                s->refreshes[f->scope] = true;
        }
    }
    return 0;
}

static int refresh(struct state *s, struct str id, struct err *e)
{
    struct state_view view = mirror_shared_view(s->mirror);
    return ranker_refresh(s->ranker, id, &view, clock_now_ms(), e);
}

static int on_proposition(void *arg, struct str id, const struct entity *record, struct err *e)
{
    struct state *s = arg;
    if (record)
        return catalogue_put(s->catalogue, record, e);
    catalogue_remove(s->catalogue, id);
    return 0;
}

static void on_shared(void *arg, size_t scope, struct str key)
{
    struct state *s = arg;
    struct cursor c = cursor_of(key.data, key.len);
    struct err e = {0};
    if (!s->loaded || !s->refreshes[scope])
        return;
    struct str id = cursor_sized(&c);
    if (!c.bad && catalogue_has(s->catalogue, id) && refresh(s, id, &e))
        LOG_WARN("refresh", LOG_ERR(&e)); /* it comes again within ranker.refresh_interval_ms */
}

static int make_ranker(struct state *s, struct err *e)
{
    const struct conf *c = s->env->conf;
    struct catalogue_opts catalogue = {s->placements, conf_int(c, "ranker.refresh_interval_ms")};
    struct mirror_opts mirror = {
        .set = s->set,
        .codec = s->env->codec,
        .max_clock_skew_ms = conf_int(c, "max_clock_skew_ms"),
        .max_keys_per_user = (uint32_t)conf_int(c, "max_keys_per_user"),
        .on_proposition = on_proposition,
        .on_shared = on_shared,
        .arg = s,
    };
    int rc = catalogue_new(&s->catalogue, &catalogue, e);
    if (!rc)
        rc = mirror_new(&s->mirror, &mirror, e);
    if (!rc)
        rc = serving_new(&s->serving, s->set, s->env->codec, s->env->metrics, NULL, e);
    struct ranker_opts ranker = {
        .set = s->set,
        .placements = s->placements,
        .catalogue = s->catalogue,
        .serving = s->serving,
        .budget_ms = conf_int(c, "ranker.budget_ms"),
        .max_candidates = (size_t)conf_int(c, "ranker.max_candidates"),
        .metrics = s->env->metrics,
    };
    return rc ? rc : ranker_new(&s->ranker, &ranker, e);
}

/* Every proposition gets its place before the first request. */
static int score_catalogue(struct state *s, struct err *e)
{
    int64_t now_ms = clock_now_ms();
    struct str id;
    int rc = 0;
    for (int i = 0; !rc && (id = catalogue_next_stale(s->catalogue, now_ms)).data; i++) {
        rc = refresh(s, id, e);
        if (i % 10000 == 0)
            worker_alive(s->env);
    }
    s->loaded = true;
    return rc;
}

static int make(struct state *s, struct err *e)
{
    static const char *const pairs[] = {"state.user", "rank.requests", NULL};
    worker_become(s->env, WORKER_RESTORE);
    worker_say(s->env, "connecting");
    int rc = read_definitions(&s->set, &s->placements, s->env->conf, e);
    if (!rc)
        rc = find_refreshes(s, e);
    if (!rc)
        rc = connect_consumer(s, e);
    if (!rc)
        rc = topics_check_copartitioned(s->consumer, s->env->conf, pairs, e);
    if (!rc)
        rc = declare(s, e);
    if (!rc)
        rc = make_ranker(s, e);
    if (!rc)
        rc = lanes_new(&s->lanes, s->env, s->mirror, e);
    if (!rc)
        rc = answers_new(&s->answers, s->env, e);
    if (!rc)
        rc = tailed_open(&s->tailed, s->env, s->mirror, s->serving, e);
    if (!rc)
        rc = score_catalogue(s, e);
    return rc ? rc : subscribe(s, e);
}

static void make_metrics(struct state *s)
{
    static const double bounds[] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
                                    0.1,    0.2,   0.5,   1,     2,    5,    10};
    struct metrics *m = s->env->metrics;
    s->seconds = metric_histogram(m, "flotilla_ranker_answer_seconds",
                                  "From the Kafka timestamp of a request to its answer.", bounds,
                                  sizeof bounds / sizeof *bounds);
    s->whole = answers_metric(m, "ok");
    s->users = metric_get(m, METRIC_GAUGE, "flotilla_ranker_users", "Users in memory.", NULL, NULL);
    s->user_bytes = metric_get(m, METRIC_GAUGE, "flotilla_ranker_users_bytes",
                               "Memory that users in memory take.", NULL, NULL);
    s->propositions = metric_get(m, METRIC_GAUGE, "flotilla_ranker_propositions",
                                 "Propositions in the catalogue.", NULL, NULL);
    s->shadows_left_out =
        metric_get(m, METRIC_COUNTER, "flotilla_ranker_shadows_left_out_total",
                   "Logged requests without scores of shadows, because others waited.", NULL, NULL);
}

static void end(void *self);

static int start(void **self, struct worker_env *env, struct err *e)
{
    struct state *s = calloc(1, sizeof *s);
    if (!s)
        return err_nomem(e);
    s->env = env;
    pthread_mutex_init(&s->lock, NULL);
    make_metrics(s);
    int rc = make(s, e);
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
    s->error.code = ERR_FATAL; /* what is revoked by closing was committed by draining */
    drop_requests(s);
    drop_commit(s);
    FAILPOINT("ranker.close.before");
    if (s->consumer && s->lanes)
        rd_kafka_consumer_close(s->consumer);
    FAILPOINT("ranker.close.left_group");
    answers_free(s->answers);
    tailed_free(s->tailed);
    lanes_free(s->lanes);
    if (s->pending)
        rd_kafka_topic_partition_list_destroy(s->pending);
    if (s->consumer)
        rd_kafka_destroy(s->consumer);
    ranker_free(s->ranker);
    serving_free(s->serving);
    mirror_free(s->mirror);
    catalogue_free(s->catalogue);
    placements_free(s->placements);
    feature_set_free(s->set);
    free(s->refreshes);
    arena_free(&s->arena);
    buf_free(&s->status);
    outbox_free(&s->outbox);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ------------------------------------------------------------ the turn */

static void report(struct state *s, int64_t now_ms)
{
    double users = 0, bytes = 0;
    struct buf b = {0};
    s->reported_ms = now_ms;
    buf_put_text(&b, "\"partitions\":[");
    for (size_t i = 0; i < lanes_count(s->lanes); i++) {
        const struct lane *lane = lanes_at(s->lanes, i);
        size_t count = lane->users ? mirror_user_count(lane->users) : 0;
        buf_printf(&b, "%s{\"partition\":%d,\"users\":%zu,\"events\":%lld,\"requests\":%lld}",
                   i ? "," : "", lane->partition, count, (long long)lane->position,
                   (long long)lane->next_request);
        users += (double)count;
        bytes += lane->users ? (double)mirror_user_bytes(lane->users) : 0;
    }
    buf_printf(&b, "],\"propositions\":%zu,\"last_commit_ms\":%lld", catalogue_count(s->catalogue),
               (long long)s->last_commit_ms);
    metric_set(s->users, users);
    metric_set(s->user_bytes, bytes);
    metric_set(s->propositions, (double)catalogue_count(s->catalogue));
    pthread_mutex_lock(&s->lock);
    struct buf old = s->status;
    s->status = b;
    pthread_mutex_unlock(&s->lock);
    buf_free(&old);
}

static void status(void *self, struct buf *json)
{
    struct state *s = self;
    pthread_mutex_lock(&s->lock);
    buf_put_str(json, buf_str(&s->status));
    pthread_mutex_unlock(&s->lock);
    buf_put_text(json, s->status.len ? ",\"models\":" : "\"models\":");
    serving_print(s->serving, json);
}

/* Ready once the state of every partition is there and nothing waits. */
static void announce(struct state *s)
{
    bool waits = s->is_held || tailed_wait(s->tailed) || lanes_wait(s->lanes);
    if (s->reading && !waits) {
        if (worker_state(s->env) == WORKER_RESTORE) {
            LOG_INFO("ready", LOG_INT("partitions", lanes_count(s->lanes)));
            worker_become(s->env, WORKER_RUN);
            worker_say(s->env, "");
        }
        return;
    }
    if (worker_state(s->env) == WORKER_RUN)
        worker_become(s->env, WORKER_RESTORE);
    worker_say(s->env, s->is_held ? s->why
                       : waits    ? codec_waiting(s->env->codec)
                                  : lanes_phase(s->lanes));
}

/* A request waits for the schema registry, and all behind it: they are read again. */
static int hold(struct state *s, struct err *e)
{
    LOG_WARN("requests_wait", LOG_ERR(e));
    snprintf(s->why, sizeof s->why, "requests wait: %.230s", e->msg);
    s->is_held = true;
    s->reading = false;
    *e = (struct err){0};
    return kafka_halt(s->consumer, e);
}

/* Events, and propositions whose time has come, while no request is there. */
static int keep_up(struct state *s, int64_t now_ms, struct err *e)
{
    bool is_stale;
    struct str id;
    int rc = lanes_read(s->lanes, EVENTS_A_TURN, e);
    /* A request that is earlier than they are may be on its way still. */
    int64_t until_ms = now_ms - ORDER_WAIT_MS;
    if (!rc && lanes_are_due(s->lanes, until_ms))
        rc = tailed_catch_up(s->tailed, true, &is_stale, e);
    if (!rc)
        rc = apply_events(s, until_ms, e);
    if (!rc)
        rc = catalogue_advance(s->catalogue, now_ms, e);
    for (int i = 0; i < REFRESHES_A_TURN && !rc; i++) {
        id = catalogue_next_stale(s->catalogue, now_ms);
        if (!id.data)
            break;
        rc = refresh(s, id, e);
    }
    return rc;
}

static int turn(void *self, int64_t now_ms, struct err *e)
{
    struct state *s = self;
    bool ready = false, is_stale;
    int rc = take_assignment(s, e);
    if (!rc)
        rc = tailed_poll(s->tailed, e);
    /* What is replayed finds the attributes that were written before it. */
    if (!rc && !lanes_are_ready(s->lanes))
        rc = tailed_catch_up(s->tailed, false, &is_stale, e);
    if (!rc)
        rc = lanes_restore(s->lanes, RESTORE_WAIT_MS, &ready, e);
    if (!rc && s->is_held)
        codec_turn(s->env->codec, REGISTRY_WAIT_MS);
    if (!rc && ready && !s->reading)
        rc = start_reading(s, e);
    if (!rc)
        rc = read_requests(s, s->batch_count ? 0 : ready ? IDLE_WAIT_MS : 1, e);
    if (!rc && s->reading && s->batch_count) {
        rc = answer_requests(s, e);
        s->is_held = false;
        if (rc == ERR_UNAVAILABLE)
            rc = worker_stopping() ? 0 : hold(s, e);
    }
    if (!rc && s->reading)
        rc = keep_up(s, now_ms, e);
    if (!rc)
        rc = commit_requests(s, clock_now_ms(), e);
    announce(s);
    if (now_ms - s->reported_ms >= REPORT_INTERVAL_MS || now_ms < s->reported_ms)
        report(s, now_ms);
    return rc;
}

static int drain(void *self, struct err *e)
{
    struct state *s = self;
    FAILPOINT("ranker.drain.before_commit");
    return s->reading ? commit_all(s, e) : 0;
}

const struct worker ranker_worker = {
    .name = "ranker",
    .purpose = "ranks propositions: requests of topic `rank.requests` become `rankings`",
    .check = check,
    .start = start,
    .turn = turn,
    .drain = drain,
    .free = end,
    .status = status,
};

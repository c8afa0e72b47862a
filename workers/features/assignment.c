#include "features/assignment.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "stream/kafka.h"
#include "stream/topics.h"

#include <stdlib.h>

enum { CALL_TIMEOUT_MS = 1000, RECORDS_A_TURN = 20000, REGISTRY_WAIT_MS = 50 };

/* Part of what the state was made of is gone. */
#define COUNT_WHAT_IS_LEFT "Restore it; or, to count what is left, " TOPICS_MAKE_ANEW

enum phase { PHASE_NONE, PHASE_OFFSETS, PHASE_CHECKPOINTS, PHASE_READY };

/* The lane of the last record: the next one is most probably from there as well. */
struct found {
    const rd_kafka_topic_t *rkt; /* NULL: none */
    int partition;
    struct lane *lane;
};

struct assignment {
    struct assignment_opts opts;
    struct found found;
    const char *state_user;          /* topic */
    struct shard_opts users, shared; /* but the partition */
    struct lane *lanes;
    size_t count; /* owned and parked */
    enum phase phase;
    struct tail *tail; /* of checkpoints */
    int64_t started_us, now_ms;
};

int assignment_new(struct assignment **out, const struct assignment_opts *opts, struct err *e)
{
    struct assignment *a = calloc(1, sizeof *a);
    if (!a)
        return err_nomem(e);
    a->opts = *opts;
    a->state_user = conf_topic(opts->conf, "state.user");
    a->users = (struct shard_opts){
        .kind = SHARD_USERS,
        .publish_interval_ms = conf_int(opts->conf, "publish_interval_ms"),
        .checkpoint_interval_ms = conf_int(opts->conf, "checkpoint_interval_ms")};
    a->shared = a->users;
    a->shared.kind = SHARD_SHARED;
    a->shared.checkpoint_interval_ms = conf_int(opts->conf, "shared_checkpoint_interval_ms");
    *out = a;
    return 0;
}

/* A held record is read again by whoever has the partition next. */
static void let_go(struct lane *l)
{
    if (l->held)
        rd_kafka_message_destroy(l->held);
    l->held = NULL;
}

void assignment_free(struct assignment *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->count; i++) {
        shard_free(a->lanes[i].shard);
        let_go(&a->lanes[i]);
    }
    tail_free(a->tail);
    free(a->lanes);
    free(a);
}

size_t assignment_count(const struct assignment *a)
{
    return a->count;
}

struct lane *assignment_lane(struct assignment *a, size_t i)
{
    return &a->lanes[i];
}

struct lane *assignment_find(struct assignment *a, const rd_kafka_message_t *m)
{
    if (m->rkt == a->found.rkt && m->partition == a->found.partition)
        return a->found.lane;
    const char *topic = rd_kafka_topic_name(m->rkt);
    for (size_t i = 0; i < a->count; i++)
        if (a->lanes[i].partition == m->partition && a->lanes[i].owned &&
            strcmp(a->lanes[i].topic, topic) == 0) {
            a->found = (struct found){m->rkt, m->partition, &a->lanes[i]};
            return &a->lanes[i];
        }
    return NULL;
}

void assignment_acknowledge(struct assignment *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (lane_is_settled(&a->lanes[i]))
            a->lanes[i].acked = a->lanes[i].sent;
}

bool assignment_is_ready(const struct assignment *a)
{
    return a->phase == PHASE_READY;
}

void assignment_progress(const struct assignment *a, int64_t *done, int64_t *total)
{
    *done = a->tail ? tail_done(a->tail) : 0;
    *total = a->tail ? tail_total(a->tail) : 0;
}

bool assignment_asks(const struct assignment *a)
{
    return a->tail && tail_waits(a->tail);
}

const char *assignment_phase(const struct assignment *a)
{
    static const char *const texts[] = {
        [PHASE_NONE] = "waiting for partitions",
        [PHASE_OFFSETS] = "reading committed offsets",
        [PHASE_CHECKPOINTS] = "reading checkpoints",
        [PHASE_READY] = "replaying the log",
    };
    return texts[a->phase];
}

void assignment_park(struct assignment *a, bool lost)
{
    tail_free(a->tail);
    a->tail = NULL;
    a->found = (struct found){0};
    for (size_t i = 0; i < a->count; i++) {
        struct lane *l = &a->lanes[i];
        /* What was being restored is half a state. */
        l->stale |= lost || (l->owned && (a->phase != PHASE_READY || lane_is_restoring(l)));
        l->owned = false;
        let_go(l);
    }
    a->phase = PHASE_NONE;
}

static enum lane_kind kind_of(const struct assignment *a, const char *topic, const char **own)
{
    static const char *const names[] = {[LANE_EVENTS] = "events",
                                        [LANE_DELTAS] = "feature.deltas",
                                        [LANE_USERS] = "users",
                                        [LANE_PROPOSITIONS] = "propositions"};
    enum lane_kind kind = LANE_EVENTS;
    for (int i = LANE_EVENTS; i <= LANE_PROPOSITIONS; i++)
        if (strcmp(conf_topic(a->opts.conf, names[i]), topic) == 0)
            kind = (enum lane_kind)i;
    *own = conf_topic(a->opts.conf, names[kind]);
    return kind;
}

static struct lane *parked(struct assignment *a, const rd_kafka_topic_partition_t *p)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->lanes[i].partition == p->partition && strcmp(a->lanes[i].topic, p->topic) == 0)
            return &a->lanes[i];
    return NULL;
}

int assignment_begin(struct assignment *a, const rd_kafka_topic_partition_list_t *list,
                     struct err *e)
{
    struct lane *lanes = calloc((size_t)list->cnt + 1, sizeof *lanes);
    if (!lanes)
        return err_nomem(e);
    for (int i = 0; i < list->cnt; i++) {
        struct lane *l = &lanes[i], *old = parked(a, &list->elems[i]);
        if (old) {
            *l = *old;
            old->shard = NULL;
        } else {
            *l = (struct lane){.partition = list->elems[i].partition, .stale = true};
            l->kind = kind_of(a, list->elems[i].topic, &l->topic);
        }
        l->owned = true;
        l->low_water = LANE_NO_OFFSET;
    }
    for (size_t i = 0; i < a->count; i++)
        shard_free(a->lanes[i].shard);
    free(a->lanes);
    a->lanes = lanes;
    a->found = (struct found){0};
    a->count = (size_t)list->cnt;
    a->phase = PHASE_OFFSETS;
    a->started_us = clock_monotonic_us();
    return 0;
}

static rd_kafka_topic_partition_list_t *list_of(const struct assignment *a)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)a->count);
    for (size_t i = 0; list && i < a->count; i++)
        rd_kafka_topic_partition_list_add(list, a->lanes[i].topic, a->lanes[i].partition);
    return list;
}

/* ------------------------------------------------------------ committed offsets */

static bool has_state(const struct lane *l)
{
    return l->kind == LANE_EVENTS || l->kind == LANE_DELTAS;
}

/* Keeps a lane whose state is at the committed offset; makes others new. */
static int settle(struct assignment *a, struct lane *l, int64_t committed, struct err *e)
{
    l->committed = committed >= 0 ? committed : LANE_NO_OFFSET;
    if (!l->stale && l->position == l->committed && (l->shard || !has_state(l)))
        return 0;
    shard_free(l->shard);
    l->shard = NULL;
    l->stale = true;
    l->flooded = false;
    l->flood = (struct flood){0};
    l->position = l->committed;
    l->marked = LANE_NO_OFFSET;
    l->marked_ms = 0;
    struct shard_opts opts = l->kind == LANE_EVENTS ? a->users : a->shared;
    opts.partition = l->partition;
    return has_state(l) ? shard_new(&l->shard, &opts, e) : 0;
}

static int read_checkpoint(void *arg, const rd_kafka_message_t *m, struct err *e);

static int open_checkpoints(struct assignment *a, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < a->count && !rc; i++) {
        const struct lane *l = &a->lanes[i];
        if (!l->stale || !has_state(l))
            continue;
        if (!a->tail)
            rc = tail_new(&a->tail, a->opts.conf, a->opts.client_id, read_checkpoint, a, e);
        if (!rc)
            rc = tail_add(
                a->tail,
                conf_topic(a->opts.conf, l->kind == LANE_EVENTS ? "state.user" : "state.shared"),
                l->partition, e);
    }
    return rc || !a->tail ? rc : tail_start(a->tail, e);
}

/* Offsets that a transaction under way may still change are waited for, by Kafka. */
static int read_offsets(struct assignment *a, int wait_ms, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = list_of(a);
    int rc = 0;
    if (!list)
        return err_nomem(e);
    FAILPOINT("features.restore.before_offsets");
    rd_kafka_resp_err_t code =
        a->count == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR
                      : rd_kafka_committed(a->opts.consumer, list,
                                           wait_ms > CALL_TIMEOUT_MS ? wait_ms : CALL_TIMEOUT_MS);
    FAILPOINT("features.restore.offsets_read");
    for (size_t i = 0; i < a->count && !code; i++)
        code = list->elems[i].err;
    if (code) {
        LOG_INFO("waiting_for_offsets", LOG_TEXT("error", rd_kafka_err2str(code)));
    } else {
        for (size_t i = 0; i < a->count && !rc; i++)
            rc = settle(a, &a->lanes[i], list->elems[i].offset, e);
        if (!rc && (rc = open_checkpoints(a, e)) == ERR_UNAVAILABLE) {
            LOG_WARN("waiting_for_checkpoints", LOG_ERR(e));
            tail_free(a->tail);
            a->tail = NULL;
            rc = 0;
        } else if (!rc) {
            a->phase = PHASE_CHECKPOINTS;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

/* ------------------------------------------------------------ checkpoints */

/* The tail hands a record over again as long as the schema registry has to be asked. */
static int restore(struct assignment *a, struct lane *l, const struct input *in, struct err *e)
{
    int rc = features_restore(a->opts.features, l->shard, in, a->now_ms, &l->low_water, e);
    if (rc == ERR_UNAVAILABLE)
        codec_turn(a->opts.codec, REGISTRY_WAIT_MS);
    return rc;
}

static int read_checkpoint(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct assignment *a = arg;
    struct input in = input_of(m);
    bool users = strcmp(in.topic, a->state_user) == 0;
    FAILPOINT("features.restore.before_checkpoint");
    for (size_t i = 0; i < a->count; i++) {
        struct lane *l = &a->lanes[i];
        if (l->stale && l->kind == (users ? LANE_EVENTS : LANE_DELTAS) &&
            l->partition == in.partition)
            return restore(a, l, &in, e);
    }
    return 0;
}

/* Where the replay of what was committed begins: at the low-water mark, if the checkpoints before
 * it are whole. The whole log makes up for checkpoints; a part of it does not. */
static int find_replay(const struct lane *l, int64_t first, int64_t *start, struct err *e)
{
    bool is_whole = l->low_water != LANE_NO_OFFSET && shard_is_whole(l->shard);
    *start = !is_whole ? first : l->low_water < l->committed ? l->low_water : l->committed;
    if (is_whole || l->committed == 0)
        return 0;
    if (first > 0)
        return err_set(e, ERR_FATAL,
                       "%s partition %d: its checkpoints are not whole, their topic was emptied or "
                       "made anew, and the log begins only at offset %lld. " COUNT_WHAT_IS_LEFT,
                       l->topic, l->partition, (long long)first);
    shard_replay_all(l->shard);
    LOG_WARN("checkpoints_not_whole", LOG_TEXT("topic", l->topic),
             LOG_INT("partition", l->partition), LOG_INT("keys", shard_keys(l->shard)),
             LOG_TEXT("meaning", "their topic was emptied or made anew: the log is replayed from "
                                 "its beginning"));
    return 0;
}

/* Where reading starts. What the log has lost, or the group has forgotten, cannot be made up for in
 * silence. */
static int find_start(struct assignment *a, struct lane *l, struct err *e)
{
    int64_t first, end, start;
    int rc =
        kafka_offsets(a->opts.consumer, l->topic, l->partition, CALL_TIMEOUT_MS, &first, &end, e);
    if (rc)
        return rc;
    l->end = end;
    if (!l->stale)
        return 0;
    if (l->committed == LANE_NO_OFFSET && l->shard && shard_keys(l->shard))
        return err_set(
            e, ERR_FATAL,
            "%s partition %d has checkpoints but no committed offset: the topic was made "
            "anew, or the offsets of the group were deleted. " COUNT_WHAT_IS_LEFT,
            l->topic, l->partition);
    start = l->committed == LANE_NO_OFFSET ? first : l->committed;
    if (l->shard && l->committed != LANE_NO_OFFSET && (rc = find_replay(l, first, &start, e)))
        return rc;
    if (first > start || end < start)
        return err_set(e, ERR_FATAL,
                       "%s partition %d has offsets %lld to %lld, to be read is from %lld: it was "
                       "emptied, made anew, or its retention.ms is too short. " COUNT_WHAT_IS_LEFT,
                       l->topic, l->partition, (long long)first, (long long)end, (long long)start);
    l->position = l->sent = l->acked = start;
    return 0;
}

int assignment_reread(struct assignment *a, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)a->count);
    for (size_t i = 0; list && i < a->count; i++) {
        const struct lane *l = &a->lanes[i];
        if (!lane_waits(l))
            rd_kafka_topic_partition_list_add(list, l->topic, l->partition)->offset = l->position;
    }
    if (!list)
        return err_nomem(e);
    FAILPOINT("features.assign.before_reading");
    rd_kafka_resp_err_t code = rd_kafka_assign(a->opts.consumer, list);
    FAILPOINT("features.assign.reading");
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_err(e, code, "go on reading") : 0;
}

static int start_reading(struct assignment *a, struct err *e)
{
    int64_t replay = 0;
    size_t keys = 0;
    int rc = 0;
    for (size_t i = 0; i < a->count && !rc; i++) {
        struct lane *l = &a->lanes[i];
        rc = find_start(a, l, e);
        replay += lane_is_restoring(l) ? l->committed - l->position : 0;
        keys += l->shard ? shard_keys(l->shard) : 0;
    }
    if (rc == ERR_UNAVAILABLE) {
        LOG_WARN("waiting_for_offsets", LOG_ERR(e));
        rc = 0;
    } else if (!rc) {
        rc = assignment_reread(a, e);
        for (size_t i = 0; i < a->count; i++)
            a->lanes[i].stale = false;
        a->phase = PHASE_READY;
        LOG_INFO("checkpoints_read", LOG_INT("partitions", a->count),
                 LOG_INT("records", a->tail ? tail_done(a->tail) : 0), LOG_INT("keys", keys),
                 LOG_INT("to_replay_records", replay),
                 LOG_DOUBLE("seconds", (double)(clock_monotonic_us() - a->started_us) / 1e6));
        tail_free(a->tail);
        a->tail = NULL;
    }
    return rc;
}

static bool is_read(const struct assignment *a)
{
    return !a->tail || tail_at_end(a->tail);
}

int assignment_restore(struct assignment *a, int wait_ms, int64_t now_ms, bool *ready,
                       struct err *e)
{
    int rc = 0, count;
    a->now_ms = now_ms;
    if (a->phase == PHASE_OFFSETS)
        rc = read_offsets(a, wait_ms, e);
    if (!rc && a->phase == PHASE_CHECKPOINTS) {
        if (!is_read(a))
            rc = tail_poll(a->tail, wait_ms, RECORDS_A_TURN, &count, e);
        FAILPOINT_WHEN(is_read(a), "features.restore.checkpoints_read");
        if (!rc && is_read(a))
            rc = start_reading(a, e);
        FAILPOINT_WHEN(a->phase == PHASE_READY, "features.restore.replay_begun");
    }
    *ready = a->phase == PHASE_READY;
    return rc;
}

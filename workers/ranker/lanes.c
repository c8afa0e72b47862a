#include "ranker/lanes.h"

#include "base/clock.h"
#include "base/log.h"
#include "stream/tail.h"

#include <stdlib.h>

enum {
    RECORDS_A_TURN = 20000,
    REGISTRY_WAIT_MS = 20,
    MAX_LATE_BYTES = 16 << 20,
    FIRST_CATCH_UP_MS = 2000
};

enum phase { PHASE_NONE, PHASE_CHECKPOINTS, PHASE_EVENTS, PHASE_READY };

struct lanes {
    struct worker_env *env;
    struct mirror *mirror;
    const char *events, *state; /* topics */
    struct lane *items;
    size_t count; /* owned and parked */
    enum phase phase;
    struct tail *checkpoints, *log;
    int64_t started_us;
    int64_t users; /* read from checkpoints */
};

int lanes_new(struct lanes **out, struct worker_env *env, struct mirror *mirror, struct err *e)
{
    struct lanes *l = calloc(1, sizeof *l);
    if (!l)
        return err_nomem(e);
    l->env = env;
    l->mirror = mirror;
    l->events = conf_topic(env->conf, "events");
    l->state = conf_topic(env->conf, "state.user");
    *out = l;
    return 0;
}

static void stop_reading(struct lanes *l)
{
    tail_free(l->checkpoints);
    tail_free(l->log);
    l->checkpoints = l->log = NULL;
}

static void free_lane(struct lane *lane)
{
    mirror_users_free(lane->users);
    late_free(&lane->late);
}

void lanes_free(struct lanes *l)
{
    if (!l)
        return;
    stop_reading(l);
    for (size_t i = 0; i < l->count; i++)
        free_lane(&l->items[i]);
    free(l->items);
    free(l);
}

size_t lanes_count(const struct lanes *l)
{
    return l->count;
}

struct lane *lanes_at(struct lanes *l, size_t i)
{
    return &l->items[i];
}

static struct lane *find_any(struct lanes *l, int partition)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].partition == partition)
            return &l->items[i];
    return NULL;
}

struct lane *lanes_find(struct lanes *l, int partition)
{
    struct lane *lane = find_any(l, partition);
    return lane && lane->owned ? lane : NULL;
}

const char *lanes_topic(const struct lanes *l)
{
    return l->events;
}

bool lanes_are_ready(const struct lanes *l)
{
    return l->phase == PHASE_READY;
}

bool lanes_wait(const struct lanes *l)
{
    return (l->log && tail_waits(l->log)) || (l->checkpoints && tail_waits(l->checkpoints));
}

const char *lanes_phase(const struct lanes *l)
{
    static const char *const texts[] = {
        [PHASE_NONE] = "waiting for partitions",
        [PHASE_CHECKPOINTS] = "reading checkpoints",
        [PHASE_EVENTS] = "replaying events",
        [PHASE_READY] = "",
    };
    return texts[l->phase];
}

/* ------------------------------------------------------------ partitions come and go */

void lanes_park(struct lanes *l)
{
    stop_reading(l);
    for (size_t i = 0; i < l->count; i++) {
        struct lane *lane = &l->items[i];
        lane->owned = false;
        lane->next_request = -1;
        /* What waits was read, and is not in the state: it is read again. */
        if (!late_is_empty(&lane->late))
            lane->restored = false;
    }
    l->phase = PHASE_NONE;
}

int lanes_begin(struct lanes *l, const rd_kafka_topic_partition_list_t *list, struct err *e)
{
    struct lane *items = calloc((size_t)list->cnt + 1, sizeof *items);
    if (!items)
        return err_nomem(e);
    for (int i = 0; i < list->cnt; i++) {
        struct lane *old = find_any(l, list->elems[i].partition);
        items[i] = (struct lane){.partition = list->elems[i].partition};
        if (old && old->restored) {
            items[i] = *old;
            old->users = NULL;
            old->late = (struct late){0};
        }
        items[i].owned = true;
        items[i].next_request = -1;
    }
    for (size_t i = 0; i < l->count; i++)
        free_lane(&l->items[i]);
    free(l->items);
    l->items = items;
    l->count = (size_t)list->cnt;
    l->phase = PHASE_CHECKPOINTS;
    l->started_us = clock_monotonic_us();
    l->users = 0;
    return 0;
}

/* ------------------------------------------------------------ checkpoints */

/* A record that the schema registry has to be asked for comes again; meanwhile it may answer. */
static int ask(struct lanes *l, int rc)
{
    if (rc == ERR_UNAVAILABLE)
        codec_turn(l->env->codec, REGISTRY_WAIT_MS);
    return rc;
}

static int on_checkpoint(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct lanes *l = arg;
    struct lane *lane = lanes_find(l, m->partition);
    struct input in = input_of(m);
    return lane ? ask(l, mirror_checkpoint(lane->users, &in, e)) : 0;
}

/* Opens the checkpoints of lanes that have no state; such a lane begins with none. */
static int open_checkpoints(struct lanes *l, struct err *e)
{
    int rc = tail_new(&l->checkpoints, l->env->conf, l->env->client_id, on_checkpoint, l, e);
    for (size_t i = 0; i < l->count && !rc; i++) {
        struct lane *lane = &l->items[i];
        if (lane->restored)
            continue;
        mirror_users_free(lane->users);
        lane->users = NULL;
        late_clear(&lane->late);
        rc = mirror_users_new(&lane->users, l->mirror, e);
        if (!rc)
            rc = tail_add(l->checkpoints, l->state, lane->partition, e);
    }
    return rc ? rc : tail_start(l->checkpoints, e);
}

/* ------------------------------------------------------------ events */

static int on_event(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct lanes *l = arg;
    struct lane *lane = lanes_find(l, m->partition);
    struct input in = input_of(m);
    int rc = 0;
    if (!lane || in.offset < lane->position)
        return 0;
    /* So many do not wait for the requests before them: rather is one seen too early. */
    if (late_bytes(&lane->late) > MAX_LATE_BYTES)
        rc = lane_apply(lane, l->events, INT64_MAX, e);
    if (rc)
        return ask(l, rc);
    if (l->phase == PHASE_READY)
        rc = late_put(&lane->late, &in) ? 0 : err_nomem(e);
    else
        rc = ask(l, mirror_event(lane->users, &in, e));
    if (!rc)
        lane->position = in.offset + 1;
    return rc;
}

int lane_apply(struct lane *lane, const char *topic, int64_t until_ms, struct err *e)
{
    struct input in;
    int rc = 0;
    while (!rc && late_next(&lane->late, until_ms, &in)) {
        in.topic = topic;
        in.partition = lane->partition;
        rc = mirror_event(lane->users, &in, e);
        if (!rc)
            late_taken(&lane->late);
    }
    return rc;
}

static int open_log(struct lanes *l, struct err *e)
{
    int rc = tail_new(&l->log, l->env->conf, l->env->client_id, on_event, l, e);
    for (size_t i = 0; i < l->count && !rc; i++) {
        struct lane *lane = &l->items[i];
        int64_t from = lane->restored ? lane->position : mirror_low_water(lane->users);
        lane->position = from > 0 ? from : 0;
        rc = tail_add_from(l->log, l->events, lane->partition, from < 0 ? TAIL_FIRST : from, e);
        if (rc == ERR_NOT_FOUND)
            return err_set(e, ERR_FATAL,
                           "%s: the topic was emptied, made anew, or its retention.ms is too short "
                           "for its checkpoints; see what the features workers say",
                           e->msg);
    }
    return rc ? rc : tail_start(l->log, e);
}

/* ------------------------------------------------------------ restoring */

/* A cluster that is away is waited for: the tail is opened again. */
static int opened(struct tail **t, int rc, struct err *e)
{
    if (!rc)
        return 0;
    tail_free(*t);
    *t = NULL;
    if (rc != ERR_UNAVAILABLE)
        return rc;
    LOG_WARN("waiting_for_kafka", LOG_ERR(e));
    return 0;
}

static int restore_checkpoints(struct lanes *l, int wait_ms, struct err *e)
{
    int count, rc = l->checkpoints ? 0 : opened(&l->checkpoints, open_checkpoints(l, e), e);
    if (rc || !l->checkpoints)
        return rc;
    if (!tail_at_end(l->checkpoints))
        rc = tail_poll(l->checkpoints, wait_ms, RECORDS_A_TURN, &count, e);
    if (rc || !tail_at_end(l->checkpoints))
        return rc;
    l->users = tail_done(l->checkpoints);
    tail_free(l->checkpoints);
    l->checkpoints = NULL;
    l->phase = PHASE_EVENTS;
    return 0;
}

static int restore_events(struct lanes *l, int wait_ms, struct err *e)
{
    int count, rc = l->log ? 0 : opened(&l->log, open_log(l, e), e);
    if (rc || !l->log)
        return rc;
    bool there = tail_at_end(l->log) && tail_is_live(l->log);
    if (!there)
        rc = tail_poll(l->log, wait_ms, RECORDS_A_TURN, &count, e);
    if (rc || !tail_at_end(l->log) || !tail_is_live(l->log))
        return rc;
    /* The connection that is asked by is made before the first request waits for it. */
    rc = tail_catch_up(l->log, FIRST_CATCH_UP_MS, e);
    if (rc)
        return rc == ERR_UNAVAILABLE ? 0 : rc;
    for (size_t i = 0; i < l->count; i++)
        l->items[i].restored = true;
    l->phase = PHASE_READY;
    LOG_INFO("restored", LOG_INT("partitions", l->count), LOG_INT("checkpoints", l->users),
             LOG_INT("events", tail_done(l->log)),
             LOG_DOUBLE("seconds", (double)(clock_monotonic_us() - l->started_us) / 1e6));
    return 0;
}

int lanes_restore(struct lanes *l, int wait_ms, bool *ready, struct err *e)
{
    int rc = 0;
    if (l->phase == PHASE_CHECKPOINTS)
        rc = restore_checkpoints(l, wait_ms, e);
    if (!rc && l->phase == PHASE_EVENTS)
        rc = restore_events(l, wait_ms, e);
    *ready = l->phase == PHASE_READY;
    return rc;
}

bool lanes_are_due(const struct lanes *l, int64_t until_ms)
{
    struct input in;
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].owned && late_next(&l->items[i].late, until_ms, &in))
            return true;
    return false;
}

int lanes_read(struct lanes *l, int most, struct err *e)
{
    int count, rc = tail_poll(l->log, 0, most, &count, e);
    return rc == ERR_UNAVAILABLE ? 0 : rc;
}

int lanes_catch_up(struct lanes *l, int timeout_ms, bool *is_stale, struct err *e)
{
    int rc = tail_catch_up(l->log, timeout_ms, e);
    *is_stale = rc == ERR_UNAVAILABLE || tail_waits(l->log);
    return rc == ERR_UNAVAILABLE ? 0 : rc;
}

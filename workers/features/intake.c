/* Records on their way in: from the consumer to what they do. */
#include "features/worker_inside.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "stream/kafka.h"

#include <stdio.h>

/* Between looks at how far attributes were written. */
enum { CATCH_UP_INTERVAL_MS = 20 };

enum { FETCH_AHEAD = 4 };

static void watch_partitioner(struct state *s, const struct input *in)
{
    if (!in->key.data || kafka_partition_of(in->key, s->event_partitions) == in->partition)
        return;
    if (metric_value(s->misplaced) == 0)
        LOG_WARN("misplaced_event", LOG_STR("key", in->key), LOG_INT("partition", in->partition),
                 LOG_TEXT("meaning", "its producer does not use partitioner=murmur2_random; where "
                                     "two producers differ, a "
                                     "user's events are split and counted apart"));
    metric_add(s->misplaced, 1);
}

static int dispatch(struct state *s, struct lane *l, const struct input *in, struct outbox *out,
                    int64_t now_ms, struct err *e)
{
    switch (l->kind) {
    case LANE_EVENTS:
        return features_event(s->features, l->shard, in, out, now_ms, e);
    case LANE_DELTAS:
        return features_delta(s->features, l->shard, in, out, now_ms, e);
    default:
        return features_entity_check(s->features, in, out, e);
    }
}

/* A schema registry that is well answers at once; only one that is not, or that is asked for many
 * schemas in one turn, makes a partition wait. */
static int dispatch_patiently(struct state *s, struct lane *l, const struct input *in,
                              struct outbox *out, int64_t now_ms, struct err *e)
{
    int rc;
    while ((rc = dispatch(s, l, in, out, now_ms, e)) == ERR_UNAVAILABLE && !l->held &&
           codec_patience(s->env->codec, &s->patience_ms))
        ;
    return rc;
}

static void watch_flood(struct state *s, struct lane *l, bool is_dead_letter)
{
    flood_note(&l->flood, is_dead_letter);
    l->flooded = flood_is_over(&l->flood, s->max_dead_share);
    if (!l->flooded)
        return;
    s->reread = true;
    LOG_ERROR("too_many_dead_letters", LOG_TEXT("topic", l->topic),
              LOG_INT("partition", l->partition), LOG_INT("offset", l->position),
              LOG_DOUBLE("share", l->flood.share),
              LOG_TEXT("meaning", "the partition is not read further: see what is in dead-letters, "
                                  "stop who sends it or make it readable, and restart; or raise "
                                  "dead_letters.max_share"));
}

static int handle(struct state *s, struct lane *l, const rd_kafka_message_t *m, int64_t now_ms,
                  struct err *e)
{
    struct input in = input_of(m);
    struct outbox *out = in.offset < l->committed ? NULL : outbox(s);
    int64_t buried = features_buried(s->features);
    FAILPOINT_WHEN(!out, "features.replay.before_record");
    int rc = dispatch_patiently(s, l, &in, out, now_ms, e);
    if (rc)
        return rc;
    FAILPOINT_WHEN(out, "features.intake.record_applied");
    if (out && l->kind == LANE_EVENTS && in.timestamp_ms >= 0 && in.timestamp_ms < s->oldest_ms)
        s->oldest_ms = in.timestamp_ms;
    if (l->kind == LANE_EVENTS)
        watch_partitioner(s, &in);
    l->position = in.offset + 1;
    s->dirty = true;
    s->handled++;
    s->handled_in_all++;
    if (out)
        watch_flood(s, l, features_buried(s->features) != buried);
    return 0;
}

/* Behind the last record may stand the marks of transactions: nothing is left to read of them. */
static void reach_end(struct state *s, struct lane *l, int64_t offset)
{
    if (!l || l->position >= offset)
        return;
    l->position = offset;
    s->dirty = true;
}

/* An error that the consumer reports in place of a record. */
static int take_error(struct state *s, const rd_kafka_message_t *m, struct err *e)
{
    int rc = kafka_message_err(e, s->consumer, m, "read the log");
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        return err_set(
            e, ERR_FATAL,
            "%s: records were deleted before they were read: make the topic's retention.ms longer "
            "and start again",
            rd_kafka_message_errstr(m));
    if (rc == ERR_UNAVAILABLE || m->err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED) {
        LOG_WARN("kafka_read", LOG_TEXT("error", rd_kafka_message_errstr(m)));
        return 0;
    }
    return rc;
}

static bool is_event(struct state *s, const rd_kafka_message_t *m)
{
    const struct lane *l = m->err ? NULL : assignment_find(s->assignment, m);
    return l && l->kind == LANE_EVENTS;
}

/*
 * Fills the batch with what is there; waits for the first record. Once there is an event,
 * attributes have to be asked for before it is handled: that is done at most once in
 * CATCH_UP_INTERVAL_MS, and what comes until then is taken along. Rebalances happen in here.
 */
static void fill_batch(struct state *s, int wait_ms, bool *has_events)
{
    *has_events = false;
    while (s->batch_count < BATCH_RECORDS && !s->error.code) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(s->consumer, wait_ms);
        if (!m) {
            s->was_idle = true;
            return;
        }
        s->batch[s->batch_count++] = m;
        wait_ms = 0;
        *has_events |= tables_matter(s->tables) && is_event(s, m);
        if (!*has_events)
            continue;
        int64_t left_us = s->caught_up_us + CATCH_UP_INTERVAL_MS * 1000 - clock_monotonic_us();
        wait_ms = left_us > 0 ? (int)(left_us / 1000) : 0;
    }
}

/* The record is kept, and its partition is read again from behind it once it could be handled. */
static void hold(struct state *s, struct lane *l, rd_kafka_message_t *m, const struct err *why)
{
    LOG_WARN("partition_waits", LOG_TEXT("topic", l->topic), LOG_INT("partition", l->partition),
             LOG_INT("offset", m->offset), LOG_ERR(why));
    l->held = m;
    snprintf(l->why, sizeof l->why, "%.255s", why->msg);
    s->reread = true;
}

/* A partition that was revoked since its record was read has no lane any more. */
static int handle_message(struct state *s, rd_kafka_message_t **message, int64_t now_ms,
                          struct err *e)
{
    const rd_kafka_message_t *m = *message;
    struct lane *l =
        !m->rkt || s->rejected || s->pending ? NULL : assignment_find(s->assignment, m);
    int rc = 0;
    if (l && lane_waits(l))
        return 0;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        reach_end(s, l, m->offset);
    else if (m->err)
        return take_error(s, m, e);
    else if (l && m->offset >= l->position)
        rc = handle(s, l, m, now_ms, e);
    if (rc != ERR_UNAVAILABLE)
        return rc;
    hold(s, l, *message, e);
    *message = NULL;
    return 0;
}

/* Records that wait for the schema registry, once more. */
static int retry_held(struct state *s, int64_t now_ms, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < assignment_count(s->assignment) && !rc; i++) {
        struct lane *l = assignment_lane(s->assignment, i);
        if (!l->held || s->rejected || s->pending || s->blind)
            continue;
        rc = handle(s, l, l->held, now_ms, e);
        if (rc == ERR_UNAVAILABLE) {
            snprintf(l->why, sizeof l->why, "%.255s", e->msg);
            rc = 0;
        } else if (!rc) {
            LOG_INFO("partition_goes_on", LOG_TEXT("topic", l->topic),
                     LOG_INT("partition", l->partition), LOG_INT("offset", l->position));
            rd_kafka_message_destroy(l->held);
            l->held = NULL;
            s->reread = true;
        }
    }
    return rc;
}

/* Attributes wait for the schema registry, and no event can be handled without them: what was read
 * is read again once they are known. */
static int go_blind(struct state *s, struct err *e)
{
    LOG_WARN("attributes_wait", LOG_ERR(e));
    s->blind = true;
    s->reread = false;
    return kafka_halt(s->consumer, e);
}

static int reread(struct state *s, struct err *e)
{
    if (s->blind && !tables_wait(s->tables)) {
        LOG_INFO("attributes_go_on", LOG_INT("partitions", assignment_count(s->assignment)));
        s->blind = false;
        s->reread = true;
    }
    if (!s->reread || s->blind || s->rejected || s->pending || !assignment_is_ready(s->assignment))
        return 0;
    s->reread = false;
    return assignment_reread(s->assignment, e);
}

/* Users' records lie anywhere in memory: while one event is handled, those of the next ones are
 * fetched, a step every FETCH_AHEAD events. */
static void fetch_ahead(struct state *s, int at)
{
    for (int step = 0; step < TABLE_FETCHES; step++) {
        int next = at + (TABLE_FETCHES - step) * FETCH_AHEAD;
        const rd_kafka_message_t *m = next < s->batch_count ? s->batch[next] : NULL;
        const struct lane *l = m && !m->err ? assignment_find(s->assignment, m) : NULL;
        if (l && l->kind == LANE_EVENTS && l->shard && m->key)
            shard_fetch(l->shard, str_bytes(m->key, m->key_len), step);
    }
}

int poll_records(struct state *s, int wait_ms, int64_t now_ms, struct err *e)
{
    bool has_events, full = false;
    s->patience_ms = 0;
    int rc = retry_held(s, now_ms, e);
    fill_batch(s, wait_ms, &has_events);
    if (has_events && !rc) {
        FAILPOINT("features.attributes.before_catch_up");
        rc = tables_catch_up(s->tables, e);
        s->caught_up_us = clock_monotonic_us();
        FAILPOINT("features.attributes.caught_up");
        if (rc == ERR_UNAVAILABLE && !worker_stopping())
            rc = go_blind(s, e);
    }
    for (int i = 0; i < s->batch_count; i++) {
        fetch_ahead(s, i);
        /* Events of a hundred thousand keys each: what there is no room for is read again. */
        full = full || features_is_overfull(s->features);
        if (!rc && !s->error.code && !s->blind && !full)
            rc = handle_message(s, &s->batch[i], now_ms, e);
        if (s->batch[i])
            rd_kafka_message_destroy(s->batch[i]);
    }
    s->batch_count = 0;
    s->reread |= full;
    if (!rc)
        rc = reread(s, e);
    if (rc == ERR_UNAVAILABLE && worker_stopping())
        rc = 0; /* what was not handled is read again by the next worker */
    if (s->error.code && !rc)
        rc = err_set(e, s->error.code, "%s", s->error.msg);
    return rc;
}

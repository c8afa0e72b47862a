/* Epochs on their way out: what was handled is handed to the committing thread. */
#include "features/worker_inside.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"

enum {
    EPOCH_RECORDS = 50000, /* values, and checkpoints, of one partition in one epoch */
    /* More than one of these waits for the committing thread. */
    EPOCH_BYTES = 64 * 1024 * 1024,
    EPOCH_HANDLED = 500000,
    MARK_INTERVAL_MS = 1000,
};

static int collect_lane(struct state *s, struct lane *l, int64_t now_ms, bool *more, struct err *e)
{
    bool more_here = false;
    if (!lane_is_settled(l))
        return 0;
    if (l->position != l->sent && !outbox_offset(outbox(s), l->topic, l->partition, l->position))
        return err_nomem(e);
    l->sent = l->position;
    if (!l->shard)
        return 0;
    int rc =
        features_collect(s->features, l->shard, outbox(s), EPOCH_RECORDS, now_ms, &more_here, e);
    *more |= more_here;
    int64_t low_water = shard_low_water(l->shard, l->position);
    bool is_due = low_water != l->marked &&
                  (now_ms - l->marked_ms >= MARK_INTERVAL_MS || now_ms < l->marked_ms);
    if (!rc && (is_due || shard_skipped(l->shard)->is_new)) {
        FAILPOINT("features.checkpoint.before_mark");
        features_collect_mark(s->features, l->shard, low_water, outbox(s));
        FAILPOINT("features.checkpoint.marked");
        l->marked = low_water;
        l->marked_ms = now_ms;
    }
    return rc;
}

/* Every epoch moves an offset, if only to where it was: by that the group checks that its
 * partitions are still ours. */
static int anchor(struct state *s, struct err *e)
{
    if (outbox(s)->offsets && outbox(s)->offsets->cnt)
        return 0;
    for (size_t i = 0; i < assignment_count(s->assignment); i++) {
        const struct lane *l = assignment_lane(s->assignment, i);
        if (lane_is_settled(l) && l->position >= 0)
            return outbox_offset(outbox(s), l->topic, l->partition, l->position) ? 0 : err_nomem(e);
    }
    return err_set(e, ERR_FATAL, "an epoch has records but no partition that they are from");
}

int send_epoch(struct state *s, int64_t now_ms, struct err *e)
{
    bool more = false;
    FAILPOINT("features.epoch.before_collect");
    int rc = features_collect_deltas(s->features, outbox(s), e);
    size_t count = assignment_count(s->assignment);
    FAILPOINT("features.epoch.deltas_collected");
    /* An epoch is bounded: the lane that goes first takes turns. */
    for (size_t i = 0; i < count && !rc; i++)
        rc = collect_lane(s, assignment_lane(s->assignment, (i + (size_t)s->epochs) % count),
                          now_ms, &more, e);
    s->dirty = more;
    s->was_idle = false;
    s->sent_ms = now_ms;
    s->handled = 0;
    FAILPOINT("features.epoch.collected");
    if (rc || outbox_is_empty(outbox(s)))
        return rc;
    if ((rc = anchor(s, e)))
        return rc;
    if (!(outbox(s)->group = rd_kafka_consumer_group_metadata(s->consumer)))
        return err_nomem(e);
    s->under_way_ms = s->oldest_ms;
    s->oldest_ms = INT64_MAX;
    FAILPOINT("features.epoch.before_hand_over");
    s->sent_us = clock_monotonic_us();
    committer_send(s->committer);
    s->committing = true;
    FAILPOINT("features.epoch.handed_over");
    return 0;
}

void drop_epoch(struct state *s)
{
    features_drop_deltas(s->features);
    outbox_reset(outbox(s));
    s->oldest_ms = INT64_MAX;
    s->dirty = false;
}

int take_outcome(struct state *s, int wait_ms, struct err *e)
{
    enum commit_state state = committer_poll(s->committer, wait_ms, e);
    s->committing = state == COMMIT_BUSY;
    if (state == COMMIT_FAILED)
        return e->code;
    if (state == COMMIT_DONE) {
        FAILPOINT("features.epoch.known");
        s->epochs++;
        s->last_commit_ms = clock_now_ms();
        assignment_acknowledge(s->assignment);
        FAILPOINT("features.epoch.acknowledged");
        if (s->under_way_ms != INT64_MAX)
            histogram_observe(s->freshness, (double)(s->last_commit_ms - s->under_way_ms) / 1000);
    }
    if (state == COMMIT_REJECTED && !s->rejected) {
        FAILPOINT("features.epoch.rejected");
        LOG_WARN(
            "epoch_rejected",
            LOG_TEXT("meaning", "the group has given the partitions to others; state is dropped"));
        s->rejected = true;
        s->rejected_ms = clock_now_ms();
        drop_epoch(s);
    }
    return 0;
}

/* Waits for the epoch under way. The process is alive meanwhile: what it waits for is said
 * elsewhere. */
static int await_outcome(struct state *s, struct err *e)
{
    int rc = take_outcome(s, 0, e);
    while (!rc && s->committing) {
        worker_alive(s->env);
        rc = take_outcome(s, IDLE_WAIT_MS, e);
    }
    return rc;
}

int settle_epochs(struct state *s, bool lost, struct err *e)
{
    int rc = await_outcome(s, e);
    if (!rc && !lost && !s->rejected && !s->pending && assignment_is_ready(s->assignment)) {
        rc = send_epoch(s, clock_now_ms(), e);
        if (!rc)
            rc = await_outcome(s, e);
    }
    drop_epoch(s);
    return rc;
}

bool is_epoch_full(const struct state *s)
{
    return features_is_full(s->features) ||
           committer_outbox(s->committer)->bytes.len >= EPOCH_BYTES || s->handled >= EPOCH_HANDLED;
}

#include "recorder/inside.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "stream/kafka.h"

#include <stdio.h>

/* How often a batch that is due looks whether the one before has arrived. */
enum { LOOK_MS = 5 };

static int add(struct recorder *r, struct partition *p, const struct input *in, struct err *e)
{
    struct batch *b = flight_batch(r->flight);
    bool is_first = !batch_records(b);
    size_t buried = batch_buried(b);
    int rc = batch_add(b, p->sink, in, e);
    if (rc)
        return rc;
    FAILPOINT("recorder.intake.record_added");
    flood_note(&p->flood, batch_buried(b) != buried);
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
    return recorder_flow(r, e);
}

int recorder_retry_held(struct recorder *r, struct err *e)
{
    struct err why = {0};
    struct input in = input_of(r->held);
    struct partition *p = partitions_find(&r->partitions, in.topic, in.partition);
    int rc = p ? add(r, p, &in, &why) : 0;
    if (rc == ERR_UNAVAILABLE) {
        outage_goes_on(&r->registry, &why);
        return 0;
    }
    recorder_let_go(r);
    if (rc)
        return err_set(e, rc, "%s", why.msg);
    return p && flood_is_over(&p->flood, r->max_dead_share) ? watch_flood(r, p, e)
                                                            : recorder_flow(r, e);
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
        recorder_commit_last(r);
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

int recorder_poll(struct recorder *r, struct err *e)
{
    int64_t now_us = clock_monotonic_us(), end_us = now_us + TURN_MS * 1000;
    int rc = 0;
    do {
        int64_t left_us = end_us - now_us, due_us = recorder_batch_left_us(r, now_us);
        if (r->phase == PHASE_FLOW && due_us < left_us)
            left_us = due_us ? due_us : LOOK_MS * 1000;
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
        if (r->phase == PHASE_FLOW &&
            (recorder_batch_is_full(r) ||
             (recorder_batch_left_us(r, now_us) == 0 && !flight_is_busy(r->flight))))
            break;
    } while (!rc && now_us < end_us);
    return rc;
}

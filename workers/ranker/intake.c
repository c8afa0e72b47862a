/* Requests on their way in, and their answers on their way out. */
#include "ranker/worker_inside.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "stream/dead_letter.h"
#include "stream/kafka.h"

#include <stdio.h>

enum {
    CATCH_UP_MS = 500,
    TURN_US = 100000, /* a turn answers for so long and one request more */
    GATHERED = 32,    /* records that go out together, at most; and */
    GATHERED_BYTES = 256 << 10,
    GATHERED_US = 1000, /* the longest that the first of them waits, and one request more */
    MAX_RANKING_BYTES = ANSWERS_MAX_BYTES - 4096, /* Kafka puts something around it */
};

/* What is kept for the records of score.log, in the arena; more of it, and they are written. */
#define KEPT_VALUES ((size_t)2 << 20)

/* One request that was answered, for score.log. */
struct answered {
    struct rank_request request;
    struct ranker_ask ask;
    struct answer answer;
};

struct logging {
    struct answered *items[BATCH_REQUESTS];
    int count;
    size_t values;
    bool hurry; /* requests wait: shadows are left out */
};

/* ------------------------------------------------------------ reading */

void drop_requests(struct state *s)
{
    for (int i = 0; i < s->batch_count; i++)
        rd_kafka_message_destroy(s->batch[i]);
    s->batch_count = 0;
    s->is_held = false;
}

static int take_error(struct state *s, const rd_kafka_message_t *m, struct err *e)
{
    int rc = kafka_message_err(e, s->consumer, m, "read requests");
    /* Deleted before they were read: reading starts anew, at what is left. */
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        s->reading = false;
        return 0;
    }
    if (rc == ERR_UNAVAILABLE || m->err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED) {
        LOG_WARN("kafka_read", LOG_TEXT("error", rd_kafka_message_errstr(m)));
        return 0;
    }
    return rc;
}

int read_requests(struct state *s, int wait_ms, struct err *e)
{
    int rc = 0;
    while (!rc && !s->error.code && s->batch_count < BATCH_REQUESTS) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(s->consumer, wait_ms);
        if (!m)
            break;
        wait_ms = 0;
        if (!m->err) {
            s->batch[s->batch_count++] = m;
            continue;
        }
        rc = m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ? 0 : take_error(s, m, e);
        rd_kafka_message_destroy(m);
    }
    if (s->error.code && !rc)
        rc = err_set(e, s->error.code, "%s", s->error.msg);
    return rc;
}

/* ------------------------------------------------------------ sending */

/* Records go out together: Kafka's client wakes its threads once for all of them. */
static int send_gathered(struct state *s, struct err *e)
{
    int rc = outbox_ok(&s->outbox) ? answers_send(s->answers, &s->outbox, e) : err_nomem(e);
    outbox_reset(&s->outbox);
    s->unsent |= rc != 0;
    return rc;
}

static void gather(struct state *s, const char *topic, const struct record_type *type,
                   struct str key, const void *record)
{
    topic = conf_topic(s->env->conf, topic);
    outbox_begin(&s->outbox, topic, OUTBOX_ANY_PARTITION, key);
    codec_encode(s->env->codec, &s->outbox.bytes, topic, type, record);
    outbox_end(&s->outbox);
}

static void bury(struct state *s, const struct input *in, const char *reason, const char *detail)
{
    metric_add(metric_get(s->env->metrics, METRIC_COUNTER, "flotilla_ranker_dead_letters_total",
                          "Requests that could not be used, by reason.", "reason", reason),
               1);
    LOG_WARN("dead_letter", LOG_TEXT("topic", in->topic), LOG_INT("partition", in->partition),
             LOG_INT("offset", in->offset), LOG_TEXT("reason", reason), LOG_TEXT("detail", detail));
    dead_letter_put(&s->outbox, s->env->codec, conf_topic(s->env->conf, "dead-letters"), in,
                    "ranker", reason, detail);
}

struct metric *answers_metric(struct metrics *m, const char *result)
{
    return metric_get(m, METRIC_COUNTER, "flotilla_ranker_requests_total",
                      "Requests answered: ok, or how the answer was degraded.", "result", result);
}

static void count_answer(struct state *s, const struct ranking *k, int64_t arrived_ms)
{
    char result[32];
    snprintf(result, sizeof result, "%.*s", STR_ARG(k->degraded));
    metric_add(k->degraded.data ? answers_metric(s->env->metrics, result) : s->whole, 1);
    histogram_observe(s->seconds, (double)(clock_now_ms() - arrived_ms) / 1000);
}

/* What was scored, once all answers are on their way. */
static int write_log(struct state *s, struct logging *log, struct err *e)
{
    int rc = send_gathered(s, e);
    for (int i = 0; i < log->count && !rc; i++) {
        struct answered *one = log->items[i];
        struct score_log record;
        rc = ranker_log(s->ranker, &one->ask, &one->answer, !log->hurry, &s->arena, &record, e);
        if (!rc)
            gather(s, "score.log", &score_log_type, one->request.request_id, &record);
    }
    struct err why = {0};
    int sent = send_gathered(s, &why);
    if (!rc && sent)
        rc = err_set(e, sent, "%s", why.msg);
    if (log->hurry)
        metric_add(s->shadows_left_out, log->count);
    log->count = 0;
    log->values = 0;
    arena_reset(&s->arena);
    return rc;
}

/* ------------------------------------------------------------ answering */

/* Decodes and checks a request. *dead: it cannot be used, and was buried. */
static int take_request(struct state *s, const struct input *in, struct rank_request *q, bool *dead,
                        struct err *e)
{
    struct err why = {0};
    const char *reason = DEAD_INVALID_VALUE;
    int rc;
    *dead = true;
    if (!in->key.data)
        bury(s, in, DEAD_MISSING_KEY, "the record has no key: the key is the user_id");
    else if (!in->value.data)
        bury(s, in, DEAD_INVALID_VALUE, "the record has no value: a request cannot be taken back");
    if (!in->key.data || !in->value.data)
        return 0;
    while ((rc = codec_decode(s->env->codec, q, &rank_request_type, in->value, &s->arena, &why)) ==
               ERR_UNAVAILABLE &&
           codec_patience(s->env->codec, &s->patience_ms))
        ;
    if (rc == ERR_UNAVAILABLE || rc == ERR_NOMEM)
        return err_set(e, rc, "%s", why.msg);
    if (rc)
        reason = dead_letter_reason(rc);
    else if (!str_equal(in->key, q->user_id))
        rc = err_set(&why, ERR_SCHEMA,
                     "the key is \"%.*s\", the user_id is \"%.*s\": they must be equal",
                     STR_ARG(in->key), STR_ARG(q->user_id));
    else
        rc = ranker_check(q, &why);
    *dead = rc;
    if (rc)
        bury(s, in, reason, why.msg);
    return 0;
}

static int keep(struct state *s, struct logging *log, const struct answered *one, struct err *e)
{
    struct answered *copy = arena_alloc(&s->arena, sizeof *copy);
    if (!copy)
        return err_nomem(e);
    *copy = *one;
    copy->ask.request = &copy->request;
    log->items[log->count++] = copy;
    log->values += one->answer.candidates.count * s->set->output_count;
    return 0;
}

/* A ranking that is larger than Kafka takes is answered with nothing. */
static int gather_ranking(struct state *s, struct ranking *k, struct err *e)
{
    size_t before = s->outbox.bytes.len;
    gather(s, "rankings", &ranking_type, k->user_id, k);
    if (s->outbox.bytes.len - before > MAX_RANKING_BYTES) {
        outbox_take_back(&s->outbox);
        k->items.count = k->unknown.count = 0;
        k->degraded = str_of("too_large");
        gather(s, "rankings", &ranking_type, k->user_id, k);
    }
    int64_t now_us = clock_monotonic_us();
    if (before == 0)
        s->gathered_us = now_us;
    bool full = outbox_count(&s->outbox) >= GATHERED || s->outbox.bytes.len >= GATHERED_BYTES ||
                now_us - s->gathered_us >= GATHERED_US;
    return full ? send_gathered(s, e) : 0;
}

static int answer_one(struct state *s, struct lane *lane, const struct input *in,
                      struct logging *log, bool is_stale, struct err *e)
{
    struct arena_mark mark = arena_mark(&s->arena);
    struct answered one;
    bool dead;
    int rc = take_request(s, in, &one.request, &dead, e);
    if (rc || dead)
        return rc;
    int64_t now_ms = clock_now_ms();
    one.ask = (struct ranker_ask){
        .request = &one.request,
        .view = mirror_view(lane->users),
        .now_ms = now_ms,
        .arrived_ms = in->timestamp_ms >= 0 ? in->timestamp_ms : now_ms,
        .is_stale = is_stale,
    };
    rc = ranker_answer(s->ranker, &one.ask, &s->arena, &one.answer, e);
    if (!rc)
        rc = gather_ranking(s, &one.answer.ranking, e);
    if (rc)
        return rc;
    count_answer(s, &one.answer.ranking, one.ask.arrived_ms);
    log->hurry |= str_is(one.answer.ranking.degraded, "overload");
    if (ranker_logs(&one.answer))
        return keep(s, log, &one, e);
    /* The next request is worked on in memory that is in the processor's caches. */
    arena_rewind(&s->arena, mark);
    return 0;
}

/* Where requests are at hand, others may be behind them: what is later than the last one waits, so
 * that those do not see it either. */
int apply_events(struct state *s, int64_t until_ms, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < lanes_count(s->lanes) && !rc; i++) {
        struct lane *lane = lanes_at(s->lanes, i);
        if (lane->owned && !lane->asked)
            rc = lane_apply(lane, lanes_topic(s->lanes), until_ms, e);
        lane->asked = false;
    }
    return rc == ERR_UNAVAILABLE ? 0 : rc;
}

static int handle(struct state *s, const rd_kafka_message_t *m, struct logging *log, bool is_stale,
                  struct err *e)
{
    struct lane *lane = lanes_find(s->lanes, m->partition);
    struct input in = input_of(m);
    if (!lane || in.offset < lane->next_request)
        return 0;
    int rc = lane_apply(lane, lanes_topic(s->lanes),
                        in.timestamp_ms >= 0 ? in.timestamp_ms : INT64_MAX, e);
    if (rc && rc != ERR_UNAVAILABLE)
        return rc;
    lane->asked = true;
    rc = answer_one(s, lane, &in, log, is_stale || rc, e);
    if (rc)
        return rc;
    FAILPOINT("ranker.intake.answered");
    lane->next_request = in.offset + 1;
    s->dirty = true;
    return 0;
}

/* The rest of a batch that took too long is for the next turn: the group is looked after and
 * offsets are committed in between. */
static void forget_done(struct state *s, int done)
{
    for (int i = 0; i < done; i++)
        rd_kafka_message_destroy(s->batch[i]);
    s->batch_count -= done;
    memmove(s->batch, s->batch + done, (size_t)s->batch_count * sizeof(s->batch[0]));
    for (int i = 0; i < s->batch_count; i++) {
        struct lane *lane = lanes_find(s->lanes, s->batch[i]->partition);
        if (lane)
            lane->asked = true;
    }
}

int answer_requests(struct state *s, struct err *e)
{
    struct logging log = {.hurry = s->batch_count == BATCH_REQUESTS};
    bool old_tailed, old_events;
    s->patience_ms = 0;
    if (!s->batch_count)
        return 0;
    /* In this order: so attributes that were written before an event are known when it counts. */
    int rc = lanes_catch_up(s->lanes, CATCH_UP_MS, &old_events, e);
    if (!rc)
        rc = tailed_catch_up(s->tailed, lanes_are_due(s->lanes, INT64_MAX), &old_tailed, e);
    int64_t until_us = clock_monotonic_us() + TURN_US;
    int done = 0;
    /* Requests borrow from their messages until they are logged. */
    while (!rc && done < s->batch_count && clock_monotonic_us() < until_us) {
        rc = handle(s, s->batch[done], &log, old_tailed || old_events, e);
        done += !rc;
        worker_alive(s->env);
        if (!rc && log.values > KEPT_VALUES)
            rc = write_log(s, &log, e);
    }
    struct err why = {0};
    int written = write_log(s, &log, &why);
    if (rc)
        drop_requests(s);
    else
        forget_done(s, done);
    return rc || !written ? rc : err_set(e, written, "%s", why.msg);
}

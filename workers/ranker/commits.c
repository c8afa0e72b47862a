/* Which requests are done: offsets are committed behind answers that have arrived. */
#include "ranker/worker_inside.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "stream/kafka.h"

enum { ARRIVAL_LIMIT_MS = 10000, ARRIVAL_WAIT_MS = 20 };

static rd_kafka_topic_partition_list_t *offsets(struct state *s)
{
    const char *topic = conf_topic(s->env->conf, "rank.requests");
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)lanes_count(s->lanes) + 1);
    for (size_t i = 0; list && i < lanes_count(s->lanes); i++) {
        const struct lane *lane = lanes_at(s->lanes, i);
        if (lane->owned && lane->next_request >= 0)
            rd_kafka_topic_partition_list_add(list, topic, lane->partition)->offset =
                lane->next_request;
    }
    return list;
}

void drop_commit(struct state *s)
{
    if (s->committing)
        rd_kafka_topic_partition_list_destroy(s->committing);
    s->committing = NULL;
}

/* Refused offsets are those of partitions that have moved: whoever has them answers again. */
static void commit(struct state *s, bool waits)
{
    FAILPOINT("ranker.commit.before");
    rd_kafka_resp_err_t code = rd_kafka_commit(s->consumer, s->committing, !waits);
    FAILPOINT("ranker.commit.asked");
    if (code && code != RD_KAFKA_RESP_ERR__NO_OFFSET)
        LOG_WARN("commit", LOG_TEXT("error", rd_kafka_err2str(code)));
    else
        s->last_commit_ms = clock_now_ms();
    drop_commit(s);
}

int commit_requests(struct state *s, int64_t now_ms, struct err *e)
{
    int rc = answers_poll(s->answers, 0, e);
    if (!rc && s->committing && answers_settled(s->answers))
        commit(s, false);
    bool due = now_ms - s->committed_ms >= conf_int(s->env->conf, "commit_interval_ms") ||
               now_ms < s->committed_ms;
    if (rc || s->unsent || s->committing || !s->dirty || !due)
        return rc;
    s->committing = offsets(s);
    if (!s->committing)
        return err_nomem(e);
    answers_close(s->answers);
    s->committed_ms = now_ms;
    s->dirty = false;
    return 0;
}

int commit_all(struct state *s, struct err *e)
{
    int64_t until_us = clock_monotonic_us() + ARRIVAL_LIMIT_MS * (int64_t)1000;
    int rc = 0;
    while (!rc && !answers_is_idle(s->answers) && clock_monotonic_us() < until_us) {
        rc = answers_poll(s->answers, ARRIVAL_WAIT_MS, e);
        worker_alive(s->env);
    }
    drop_commit(s);
    if (rc || s->unsent || !answers_is_idle(s->answers))
        return rc;
    s->committing = offsets(s);
    if (!s->committing)
        return err_nomem(e);
    s->dirty = false;
    if (s->committing->cnt)
        commit(s, true);
    else
        drop_commit(s);
    return 0;
}

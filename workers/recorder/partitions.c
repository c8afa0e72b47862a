#include "recorder/partitions.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "stream/kafka.h"

#include <stdio.h>
#include <stdlib.h>

enum { KAFKA_TIMEOUT_MS = 5000, ASK_TIMEOUT_MS = 500 };

static const char lag_name[] = "flotilla_recorder_lag_records";

void partitions_clear(struct partitions *p)
{
    for (size_t i = 0; i < p->count; i++)
        metric_remove(p->metrics, lag_name, p->list[i].name);
    free(p->list);
    *p = (struct partitions){.metrics = p->metrics};
}

static void fill(struct partition *out, const rd_kafka_topic_partition_t *from,
                 const char *const *names, struct metrics *m)
{
    for (size_t i = 0; sinks[i]; i++) {
        if (strcmp(names[i], from->topic) != 0)
            continue;
        out->sink = sinks[i];
        out->claim = (struct offset_claim){.topic = names[i], .partition = from->partition};
    }
    snprintf(out->name, sizeof out->name, "%s-%d", from->topic, (int)from->partition);
    out->lag = metric_get(m, METRIC_GAUGE, lag_name,
                          "Records of a partition that are not in PostgreSQL yet.",
                          "topic_partition", out->name);
}

int partitions_set(struct partitions *p, const rd_kafka_topic_partition_list_t *assigned,
                   const char *const *names, struct err *e)
{
    partitions_clear(p);
    size_t n = (size_t)assigned->cnt;
    p->list = calloc(n + 1, sizeof *p->list);
    if (!p->list)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++)
        fill(&p->list[i], &assigned->elems[i], names, p->metrics);
    p->count = n;
    return 0;
}

struct partition *partitions_find(const struct partitions *p, const char *topic, int partition)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->list[i].claim.partition == partition && strcmp(p->list[i].claim.topic, topic) == 0)
            return &p->list[i];
    return NULL;
}

/* Where to start, by what PostgreSQL has and what is left of the log. */
static int find_start(struct partition *one, rd_kafka_t *rk, int64_t *missed, struct err *e)
{
    int64_t first = 0, end = 0, stored = one->claim.next_offset;
    int rc = kafka_offsets(rk, one->claim.topic, one->claim.partition, KAFKA_TIMEOUT_MS, &first,
                           &end, e);
    if (rc)
        return rc;
    if (stored > end)
        return err_set(
            e, ERR_FATAL,
            "%s ends at offset %lld, but PostgreSQL has it up to %lld: the topic was made anew or "
            "has lost "
            "records; to record it from its beginning, delete its row from consumer_offsets",
            one->name, (long long)end, (long long)stored);
    if (stored != OFFSET_NONE && stored < first) {
        *missed += first - stored;
        LOG_WARN("records_missed", LOG_TEXT("partition", one->name), LOG_INT("from_offset", stored),
                 LOG_INT("to_offset", first),
                 LOG_TEXT("error", "Kafka's retention has deleted records before they were "
                                   "recorded: recording goes on "
                                   "at the first one left"));
    }
    one->position = stored < first ? first : stored;
    one->end = end;
    return 0;
}

int partitions_claim(struct partitions *p, struct db *d, const char *group, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < p->count && !rc; i++) {
        FAILPOINT("recorder.claim.before_one");
        rc = offsets_claim(d, group, &p->list[i].claim, e);
        FAILPOINT("recorder.claim.one_claimed");
    }
    return rc;
}

int partitions_find_start(struct partitions *p, rd_kafka_t *rk, int64_t *missed, struct err *e)
{
    int rc = 0;
    *missed = 0;
    for (size_t i = 0; i < p->count && !rc; i++)
        rc = find_start(&p->list[i], rk, missed, e);
    return rc;
}

static int assign(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list, struct err *e)
{
    FAILPOINT("recorder.assign.before_reading");
    rd_kafka_resp_err_t code = rd_kafka_assign(rk, list);
    FAILPOINT("recorder.assign.reading");
    return code ? kafka_err(e, code, "assign partitions") : 0;
}

int partitions_fetch(const struct partitions *p, rd_kafka_t *rk, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)p->count);
    for (size_t i = 0; i < p->count; i++) {
        const struct partition *one = &p->list[i];
        rd_kafka_topic_partition_list_add(list, one->claim.topic, one->claim.partition)->offset =
            one->position;
    }
    int rc = assign(rk, list, e);
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

int partitions_claims(const struct partitions *p, struct offset_claim **out, size_t *count,
                      struct err *e)
{
    struct offset_claim *claims = NULL;
    size_t n = 0;
    for (size_t i = 0; i < p->count; i++)
        n += p->list[i].position != p->list[i].claim.next_offset;
    if (n && !(claims = calloc(n, sizeof *claims)))
        return err_nomem(e);
    *out = claims;
    *count = n;
    for (size_t i = 0; i < p->count; i++) {
        if (p->list[i].position == p->list[i].claim.next_offset)
            continue;
        *claims = p->list[i].claim;
        claims++->advance_to = p->list[i].position;
    }
    return 0;
}

void partitions_advanced(struct partitions *p, const struct offset_claim *claims, size_t count)
{
    for (size_t i = 0; i < count; i++)
        partitions_find(p, claims[i].topic, claims[i].partition)->claim.next_offset =
            claims[i].advance_to;
}

void partitions_rewind(struct partitions *p)
{
    for (size_t i = 0; i < p->count; i++)
        p->list[i].position = p->list[i].claim.next_offset;
}

static void see_end(struct partition *one, rd_kafka_t *rk, bool ask)
{
    int64_t low = 0, high = 0;
    if (ask && kafka_offsets(rk, one->claim.topic, one->claim.partition, ASK_TIMEOUT_MS, &low,
                             &high, NULL))
        return;
    if (!ask &&
        rd_kafka_get_watermark_offsets(rk, one->claim.topic, one->claim.partition, &low, &high))
        return;
    if (high > one->end)
        one->end = high;
}

int64_t partitions_measure_lag(struct partitions *p, rd_kafka_t *rk, bool pending, bool fetching)
{
    int64_t sum = 0;
    if (p->count)
        p->asked = (p->asked + 1) % p->count;
    for (size_t i = 0; i < p->count; i++) {
        struct partition *one = &p->list[i];
        if (!one->claim.epoch)
            continue; /* What PostgreSQL has is not known yet. */
        if (fetching || i == p->asked)
            see_end(one, rk, !fetching);
        int64_t has = pending || !fetching ? one->claim.next_offset : one->position;
        int64_t lag = one->end - (has > 0 ? has : 0);
        lag = lag > 0 ? lag : 0;
        metric_set(one->lag, (double)lag);
        sum += lag;
    }
    return sum;
}

void partitions_print(const struct partitions *p, struct buf *json)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct partition *one = &p->list[i];
        buf_printf(
            json, "%s{\"topic\":\"%s\",\"partition\":%d,\"next_offset\":%lld,\"lag_records\":%.0f}",
            i ? "," : "[", one->claim.topic, one->claim.partition,
            (long long)one->claim.next_offset, metric_value(one->lag));
    }
    buf_put_text(json, p->count ? "]" : "[]");
}

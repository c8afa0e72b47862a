#include "features/report.h"

#include "base/json.h"
#include "stream/kafka.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define LAG "flotilla_features_lag_records"

enum { NAME_BYTES = 300, ASK_TIMEOUT_MS = 200 };

struct report {
    struct metrics *metrics;
    struct metric *keys, *bytes, *restored, *to_restore, *waiting;
    pthread_mutex_t lock; /* guards status */
    struct buf status;
    size_t asked; /* the lane that is asked for its end if it waits: another one in each report */
};

int report_new(struct report **out, struct metrics *m, struct err *e)
{
    struct report *r = calloc(1, sizeof *r);
    if (!r)
        return err_nomem(e);
    r->metrics = m;
    pthread_mutex_init(&r->lock, NULL);
    r->keys =
        metric_get(m, METRIC_GAUGE, "flotilla_features_state_keys", "Keys in memory.", NULL, NULL);
    r->bytes = metric_get(m, METRIC_GAUGE, "flotilla_features_state_bytes",
                          "Memory that keys in memory take.", NULL, NULL);
    r->restored = metric_get(m, METRIC_GAUGE, "flotilla_features_restore_records",
                             "Checkpoint records read in the restoring under way.", NULL, NULL);
    r->to_restore =
        metric_get(m, METRIC_GAUGE, "flotilla_features_restore_expected_records",
                   "Checkpoint records to read in the restoring under way.", NULL, NULL);
    r->waiting = metric_get(m, METRIC_GAUGE, "flotilla_features_waiting_partitions",
                            "Partitions that are not read: the schema registry does not answer, or "
                            "too many of their records became dead letters.",
                            NULL, NULL);
    *out = r;
    return 0;
}

void report_free(struct report *r)
{
    if (!r)
        return;
    buf_free(&r->status);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void name_lane(char name[NAME_BYTES], const struct lane *l)
{
    snprintf(name, NAME_BYTES, "%s/%d", l->topic, l->partition);
}

void report_forget(struct report *r, struct assignment *a)
{
    char name[NAME_BYTES];
    for (size_t i = 0; i < assignment_count(a); i++) {
        name_lane(name, assignment_lane(a, i));
        metric_remove(r->metrics, LAG, name);
    }
}

/* Of a partition that waits nothing is fetched: where it ends is asked for. */
static int64_t lag_of(struct lane *l, rd_kafka_t *consumer, bool ask)
{
    int64_t low, high;
    bool known = lane_waits(l) ? ask && !kafka_offsets(consumer, l->topic, l->partition,
                                                       ASK_TIMEOUT_MS, &low, &high, NULL)
                               : !rd_kafka_get_watermark_offsets(consumer, l->topic, l->partition,
                                                                 &low, &high);
    if (known && high > l->end)
        l->end = high;
    return l->end > l->acked && l->acked >= 0 ? l->end - l->acked : 0;
}

static void put_lane(struct report *r, struct buf *b, const struct lane *l, int64_t lag)
{
    char name[NAME_BYTES];
    name_lane(name, l);
    metric_set(metric_get(r->metrics, METRIC_GAUGE, LAG,
                          "Records of a partition that are not handled and committed yet.",
                          "partition", name),
               (double)lag);
    buf_put_text(b, "{\"topic\":");
    json_put_text(b, str_of(l->topic));
    buf_printf(b,
               ",\"partition\":%d,\"position\":%lld,\"committed\":%lld,\"lag\":%lld,\"restoring\":%"
               "s,\"waiting\":%s,\"keys\":%zu,"
               "\"state_bytes\":%zu}",
               l->partition, (long long)l->position, (long long)l->acked, (long long)lag,
               lane_is_restoring(l) ? "true" : "false", lane_waits(l) ? "true" : "false",
               l->shard ? shard_keys(l->shard) : 0, l->shard ? shard_memory_bytes(l->shard) : 0);
}

void report_update(struct report *r, struct assignment *a, rd_kafka_t *consumer,
                   const struct report_facts *facts)
{
    struct buf b = {0};
    size_t keys = 0, bytes = 0, owned = 0, waiting = 0;
    r->asked = assignment_count(a) ? (r->asked + 1) % assignment_count(a) : 0;
    int64_t done, total;
    assignment_progress(a, &done, &total);
    buf_printf(&b,
               "\"phase\":\"%s\",\"epochs\":%lld,\"last_commit_ms\":%lld,\"restored_records\":%lld,"
               "\"records_to_restore\":%lld,\"partitions\":[",
               assignment_phase(a), (long long)facts->epochs, (long long)facts->last_commit_ms,
               (long long)done, (long long)total);
    for (size_t i = 0; i < assignment_count(a); i++) {
        struct lane *l = assignment_lane(a, i);
        if (!l->owned)
            continue;
        if (owned++)
            buf_put_u8(&b, ',');
        keys += l->shard ? shard_keys(l->shard) : 0;
        bytes += l->shard ? shard_memory_bytes(l->shard) : 0;
        waiting += lane_waits(l);
        put_lane(r, &b, l, lag_of(l, consumer, i == r->asked));
    }
    buf_put_u8(&b, ']');
    metric_set(r->keys, (double)keys);
    metric_set(r->waiting, (double)waiting);
    metric_set(r->bytes, (double)bytes);
    metric_set(r->restored, (double)done);
    metric_set(r->to_restore, (double)total);
    pthread_mutex_lock(&r->lock);
    struct buf old = r->status;
    r->status = b;
    pthread_mutex_unlock(&r->lock);
    buf_free(&old);
}

void report_print(struct report *r, struct buf *json)
{
    pthread_mutex_lock(&r->lock);
    buf_put_str(json, buf_str(&r->status));
    pthread_mutex_unlock(&r->lock);
}

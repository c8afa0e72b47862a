/* Records of Kafka's topics, taken in: users and propositions, requests, what was scored, events.
 */
#include "backfill/intake_inside.h"
#include "base/clock.h"
#include "state/log_record.h"
#include "stream/dead_letter.h"
#include "stream/kafka.h"
#include "stream/tail.h"
#include "stream/topics.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TIMEOUT_MS = 30000,
    POLL_MS = 100,
    POLL_RECORDS = 2000,
    REGISTRY_SLICE_MS = 100,
    REGISTRY_WAIT_MS = 10000,
};

static const struct {
    const char *topic;
    enum entry_kind kind;
    bool may_be_missing;
} sources[] = {
    {"users", ENTRY_USER, false},      {"propositions", ENTRY_PROPOSITION, false},
    {"events", ENTRY_EVENT, false},    {"rank.requests", ENTRY_REQUEST, true},
    {"score.log", ENTRY_SCORED, true},
};

enum { SOURCES = sizeof sources / sizeof *sources };

/* One reading of all topics. */
struct reader {
    struct intake *in;
    const struct conf *conf;
    const char *client_id;
    rd_kafka_t *asker; /* where partitions begin and end */
    struct tail *tail;
    struct intake_partition *last; /* that a record came from */
    int64_t waits_us;              /* since when for the schema registry; 0: it does not */
};

/* ---- Records ---- */

/* Decodes a request or what was scored. */
static int decode(struct reader *r, struct entry *out, const struct input *in, const char **reason,
                  struct err *why)
{
    bool is_request = out->kind == ENTRY_REQUEST;
    void *record = is_request ? (void *)&out->request : &out->scored;
    *reason = DEAD_INVALID_VALUE;
    if (!in->value.data)
        return err_set(why, ERR_SCHEMA, "the record has no value");
    int rc =
        codec_decode(r->in->opts.codec, record, is_request ? &rank_request_type : &score_log_type,
                     in->value, &r->in->arena, why);
    *reason = dead_letter_reason(rc);
    if (!rc)
        out->time_ms = is_request ? out->request.timestamp : out->scored.timestamp;
    return rc;
}

static int decode_entity(struct reader *r, struct entry *out, const struct input *in,
                         const char **reason, struct err *why)
{
    *reason = DEAD_MISSING_KEY;
    if (!in->key.data)
        return err_set(why, ERR_SCHEMA, "the record has no key: the key is the id");
    if (!in->value.data) {
        out->removed = true;
        out->entity = (struct entity){.id = in->key};
        out->time_ms = in->timestamp_ms == -1 ? out->arrival.time_ms : in->timestamp_ms;
        return 0;
    }
    int rc = log_record_entity(&out->entity, reason, r->in->opts.codec, in, &r->in->arena, why);
    out->time_ms = rc ? 0 : out->entity.timestamp;
    return rc;
}

static int decode_any(struct reader *r, struct entry *out, const struct input *in,
                      const char **reason, struct err *why)
{
    if (kind_is_attributes(out->kind))
        return decode_entity(r, out, in, reason, why);
    if (out->kind != ENTRY_EVENT)
        return decode(r, out, in, reason, why);
    return log_record_event(&out->event, &out->time_ms, reason, r->in->opts.codec, in,
                            r->in->opts.max_clock_skew_ms, &r->in->arena, why);
}

static struct intake_partition *find(struct reader *r, const struct input *in)
{
    struct intake_partition *p = r->last;
    if (p && p->partition == in->partition && strcmp(p->name, in->topic) == 0)
        return p;
    for (size_t i = 0; i < r->in->partition_count; i++) {
        p = &r->in->partitions[i];
        if (p->partition == in->partition && strcmp(p->name, in->topic) == 0)
            return r->last = p;
    }
    return NULL;
}

/* Producers' clocks differ: within a partition the newest timestamp so far keeps the offsets'
 * order. */
static struct arrival arrival_of(struct intake_partition *p, const struct input *in)
{
    if (in->timestamp_ms > p->newest_ms)
        p->newest_ms = in->timestamp_ms;
    return (struct arrival){p->newest_ms, in->partition, in->offset};
}

static int on_record(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct reader *r = arg;
    struct intake *in = r->in;
    struct input input = input_of(m);
    struct intake_partition *p = find(r, &input);
    struct origin origin = {input.topic, input.partition, input.offset};
    const char *reason = "";
    struct err why = {0};
    if (!p || input.offset >= p->end)
        return 0;
    struct entry entry = {.kind = p->kind, .arrival = arrival_of(p, &input)};
    arena_reset(&in->arena);
    int rc = decode_any(r, &entry, &input, &reason, &why);
    if (rc && log_record_is_well(rc))
        return err_set(e, rc, "%s", why.msg);
    r->waits_us = 0;
    in->read[p->kind]++;
    if (!rc)
        return intake_take(in, &entry, &origin, e);
    intake_leave_out(in, p->kind, reason, &origin, why.msg);
    return 0;
}

/* ---- Topics ---- */

static int connect_asker(struct reader *r, struct err *e)
{
    rd_kafka_conf_t *k = NULL;
    char group[256];
    int rc = kafka_conf_new(&k, r->conf, KAFKA_CONSUMER, e);
    if (rc)
        return rc;
    /* librdkafka wants a group where none is joined: the same that tail.h takes. */
    snprintf(group, sizeof group, "%s%.*s", conf_text(r->conf, "kafka.prefix"),
             (int)strcspn(r->client_id, "/"), r->client_id);
    rc = kafka_conf_put(k, "group.id", group, e);
    if (!rc)
        rc = kafka_conf_put(k, "client.id", r->client_id, e);
    if (rc) {
        rd_kafka_conf_destroy(k);
        return rc;
    }
    return kafka_new(&r->asker, k, KAFKA_CONSUMER, e);
}

static int add_partition(struct reader *r, size_t source, int partition, struct err *e)
{
    struct intake *in = r->in;
    struct intake_partition *longer =
        realloc(in->partitions, (in->partition_count + 1) * sizeof *longer);
    if (!longer)
        return err_nomem(e);
    in->partitions = longer;
    struct intake_partition *p = &longer[in->partition_count];
    *p = (struct intake_partition){.topic = sources[source].topic,
                                   .name = conf_topic(r->conf, sources[source].topic),
                                   .kind = sources[source].kind,
                                   .partition = partition,
                                   .newest_ms = INT64_MIN};
    int rc = kafka_offsets(r->asker, p->name, partition, TIMEOUT_MS, &p->first, &p->end, e);
    if (!rc)
        rc = tail_add(r->tail, p->name, partition, e);
    in->partition_count += !rc;
    return rc;
}

static int add_topic(struct reader *r, size_t source, struct err *e)
{
    int count = 0;
    const char *name = conf_topic(r->conf, sources[source].topic);
    int rc = kafka_partition_count(r->asker, name, TIMEOUT_MS, &count, e);
    if (rc == ERR_NOT_FOUND && sources[source].may_be_missing)
        return 0;
    for (int i = 0; i < count && !rc; i++)
        rc = add_partition(r, source, i, e);
    return rc;
}

static int open_topics(struct reader *r, struct err *e)
{
    int rc = connect_asker(r, e);
    if (!rc)
        rc = tail_new(&r->tail, r->conf, r->client_id, on_record, r, e);
    for (size_t i = 0; i < SOURCES && !rc; i++)
        rc = add_topic(r, i, e);
    if (rc == ERR_UNAVAILABLE)
        err_wrap(e, "kafka.brokers=%s", conf_text(r->conf, "kafka.brokers"));
    return rc ? rc : tail_start(r->tail, e);
}

/* ---- Reading ---- */

/* A record that the schema registry has to be asked for. */
static int wait_for_registry(struct reader *r, struct err *e)
{
    struct codec *codec = r->in->opts.codec;
    int64_t now_us = clock_monotonic_us();
    if (!r->waits_us)
        r->waits_us = now_us;
    if (now_us - r->waits_us > REGISTRY_WAIT_MS * INT64_C(1000)) {
        const char *why = codec_waiting(codec);
        return err_set(e, ERR_UNAVAILABLE, "%s",
                       *why ? why : "the schema registry does not answer");
    }
    codec_turn(codec, REGISTRY_SLICE_MS);
    return 0;
}

static int read_records(struct reader *r, struct err *e)
{
    const struct intake_opts *opts = &r->in->opts;
    int count, rc = 0;
    while (!rc && !tail_at_end(r->tail)) {
        rc = tail_poll(r->tail, POLL_MS, POLL_RECORDS, &count, e);
        if (!rc && tail_waits(r->tail))
            rc = wait_for_registry(r, e);
        if (!rc && opts->progress &&
            !opts->progress(opts->arg, tail_done(r->tail), tail_total(r->tail)))
            rc = err_set(e, ERR_ABORTED, "interrupted");
    }
    return rc;
}

int intake_kafka(struct intake *in, const struct conf *conf, const char *client_id, struct err *e)
{
    struct reader r = {.in = in, .conf = conf, .client_id = client_id};
    int rc = open_topics(&r, e);
    if (!rc)
        rc = read_records(&r, e);
    tail_free(r.tail);
    if (r.asker)
        rd_kafka_destroy(r.asker);
    return rc;
}

#include "stream/kafka.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/secret.h"
#include "stream/gone.h"
#include "stream/refusal.h"
#include "stream/starved.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { RETRY_MS = 50, GATHER_MS = 100 /* that few records wait for more, at most */ };

struct property {
    const char *name;
    const char *value;
};

static const struct property for_all[] = {
    /* A leader that is gone before a client has ever reached it is not asked about again by
     * librdkafka 2.0 until the next refresh, which would be minutes away. */
    {"topic.metadata.refresh.interval.ms", "5000"},
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    {"reconnect.backoff.max.ms", "2000"},
    {NULL, NULL},
};

/* The broker that restarts is back within the session; a worker that was killed is missed after it.
 */
static const struct property for_consumers[] = {
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},
    {"isolation.level", "read_committed"},
    {"check.crcs", "true"},
    {"partition.assignment.strategy", "range"},
    {"session.timeout.ms", "10000"},
    {"heartbeat.interval.ms", "1000"},
    /* Bounded by bytes alone. Once a bound is reached, librdkafka 2.0 fetches again only when its
     * thread wakes, up to a second later: what is queued has to last for that. */
    {"queued.min.messages", "1000000"},
    {"queued.max.messages.kbytes", "65536"},
    {"fetch.wait.max.ms", "100"},
    {"allow.auto.create.topics", "false"},
    {NULL, NULL},
};

/* Records that come one by one would each cost a request, an answer and a turn of three threads,
 * though what was handled waits for the next transaction: where there are few, the broker holds
 * them back for a while. What fills this many bytes before goes at once. */
static const struct property for_gatherers[] = {
    {"fetch.min.bytes", "65536"},
    {NULL, NULL},
};

static const struct property for_producers[] = {
    {"enable.idempotence", "true"},
    {"partitioner", "murmur2_random"},
    {"compression.type", "lz4"},
    {"linger.ms", "5"},
    {"queue.buffering.max.messages", "100000"},
    {"queue.buffering.max.kbytes", "65536"},
    {NULL, NULL},
};

/* A transaction is open for tens of milliseconds: readers wait no longer than this for one that was
 * left behind. */
static const struct property for_transactions[] = {
    {"transaction.timeout.ms", "10000"},
    {NULL, NULL},
};

/* Of the partitions that could not be added to a transaction, only those matter to which a right is
 * missing: the others are told as well, and would crowd them out. True: nothing is left to say. */
static bool tell_partition(const rd_kafka_t *rk, const char *facility, const char *text)
{
    const char *topic = strchr(text, '"'), *end = topic ? strchr(topic + 1, '"') : NULL;
    char why[320];
    if (strcmp(facility, "ADDPARTS") != 0 || !end)
        return false;
    if (strstr(text, "authorization failed")) {
        snprintf(why, sizeof why, "not allowed to write to topic %.*s%s", (int)(end - topic - 1),
                 topic + 1, kafka_advice(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED));
        LOG_ERROR("kafka_not_allowed", LOG_TEXT("client", rk ? rd_kafka_name(rk) : ""),
                  LOG_TEXT("error", why));
        return true;
    }
    return strstr(text, "not attempted");
}

/* Where librdkafka's lines go. The facility is part of the event, so that each kind is rate-limited
 * by itself. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    char event[48];
    if (strcmp(facility, "CONFWARN") == 0)
        return; /* a setting for consumers is passed to producers as well: that is meant */
    refusal_note(facility, text);
    starved_note(facility, text);
    if (tell_partition(rk, facility, text))
        return;
    int n = snprintf(event, sizeof event, "kafka_%s", facility);
    for (int i = 0; i < n && i < (int)sizeof event - 1; i++)
        event[i] = (char)tolower((unsigned char)event[i]);
    enum log_level ours = level <= 3   ? LOG_LEVEL_ERROR
                          : level == 4 ? LOG_LEVEL_WARN
                          : level <= 6 ? LOG_LEVEL_INFO
                                       : LOG_LEVEL_DEBUG;
    struct log_field fields[] = {LOG_TEXT("client", rk ? rd_kafka_name(rk) : ""),
                                 LOG_TEXT("message", text)};
    log_write(ours, event, fields, 2);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *arg)
{
    (void)arg;
    rd_kafka_resp_err_t err = (rd_kafka_resp_err_t)code;
    gone_note(err, reason);
    if (err == RD_KAFKA_RESP_ERR__FATAL) {
        char why[512];
        err = rd_kafka_fatal_error(rk, why, sizeof why);
        LOG_ERROR("kafka_fatal_error", LOG_TEXT("client", rd_kafka_name(rk)),
                  LOG_TEXT("code", rd_kafka_err2name(err)), LOG_TEXT("error", why));
    } else if (err == RD_KAFKA_RESP_ERR__AUTHENTICATION || err == RD_KAFKA_RESP_ERR__SSL) {
        char why[REFUSAL_BYTES];
        if (!refusal_recent(why))
            refusal_tell(why, reason);
        LOG_WARN("kafka_refused", LOG_TEXT("client", rd_kafka_name(rk)),
                 LOG_TEXT("code", rd_kafka_err2name(err)), LOG_TEXT("error", why));
    } else {
        LOG_WARN("kafka_error", LOG_TEXT("client", rd_kafka_name(rk)),
                 LOG_TEXT("code", rd_kafka_err2name(err)), LOG_TEXT("error", reason));
    }
}

int kafka_conf_put(rd_kafka_conf_t *k, const char *name, const char *value, struct err *e)
{
    char why[256];
    if (rd_kafka_conf_set(k, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return 0;
    return err_set(e, ERR_INVALID, "kafka.%s: %s", name,
                   secret_is_in(name, value) && strstr(why, value)
                       ? "librdkafka does not take this value (it is a secret and not shown)"
                       : why);
}

static int put_all(rd_kafka_conf_t *k, const struct property *list, struct err *e)
{
    int rc = 0;
    for (; list->name && !rc; list++)
        rc = kafka_conf_put(k, list->name, list->value, e);
    return rc;
}

struct passing {
    rd_kafka_conf_t *k;
    struct err *e;
};

static int pass(void *arg, const char *name, const char *value)
{
    struct passing *p = arg;
    return kafka_conf_put(p->k, name, value, p->e);
}

static bool is_consumer(enum kafka_role role)
{
    return role == KAFKA_CONSUMER || role == KAFKA_GATHERER;
}

static int put_patience(rd_kafka_conf_t *k, const struct conf *c, struct err *e)
{
    char wait_ms[24];
    int64_t half_ms = conf_int(c, "commit_interval_ms") / 2;
    snprintf(wait_ms, sizeof wait_ms, "%d", half_ms < GATHER_MS ? (int)half_ms : GATHER_MS);
    int rc = put_all(k, for_gatherers, e);
    return rc ? rc : kafka_conf_put(k, "fetch.wait.max.ms", wait_ms, e);
}

static int put_role(rd_kafka_conf_t *k, const struct conf *c, enum kafka_role role, struct err *e)
{
    if (is_consumer(role)) {
        int rc = put_all(k, for_consumers, e);
        return !rc && role == KAFKA_GATHERER ? put_patience(k, c, e) : rc;
    }
    if (role == KAFKA_ADMIN)
        return 0;
    int rc = put_all(k, for_producers, e);
    return !rc && role == KAFKA_TRANSACTIONAL ? put_all(k, for_transactions, e) : rc;
}

int kafka_conf_new(rd_kafka_conf_t **out, const struct conf *c, enum kafka_role role, struct err *e)
{
    rd_kafka_conf_t *k = rd_kafka_conf_new();
    struct passing p = {k, e};
    if (!k)
        return err_nomem(e);
    rd_kafka_conf_set_log_cb(k, on_log);
    rd_kafka_conf_set_error_cb(k, on_error);
    rd_kafka_conf_set_ssl_cert_verify_cb(k, refusal_of_certificate);
    int rc = kafka_conf_put(k, "bootstrap.servers", conf_text(c, "kafka.brokers"), e);
    if (!rc)
        rc = put_all(k, for_all, e);
    if (!rc)
        rc = put_role(k, c, role, e);
    if (!rc)
        rc = conf_each_kafka(c, pass, &p);
    if (rc) {
        rd_kafka_conf_destroy(k);
        return rc;
    }
    *out = k;
    return 0;
}

int kafka_new(rd_kafka_t **out, rd_kafka_conf_t *k, enum kafka_role role, struct err *e)
{
    char why[512];
    int rc = starved_probe(e);
    if (rc) {
        rd_kafka_conf_destroy(k);
        return rc;
    }
    rd_kafka_t *rk =
        rd_kafka_new(is_consumer(role) ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, k, why, sizeof why);
    if (!rk) {
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        rd_kafka_conf_destroy(k); /* Only a client that was made owns it. */
        return err_set(e, code == RD_KAFKA_RESP_ERR__INVALID_ARG ? ERR_INVALID : ERR_FATAL,
                       "cannot make a Kafka client: %s", why);
    }
    if (is_consumer(role))
        rd_kafka_poll_set_consumer(rk);
    *out = rk;
    return 0;
}

int kafka_partition_count(rd_kafka_t *rk, const char *topic, int timeout_ms, int *out,
                          struct err *e)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_resp_err_t code =
        rkt ? rd_kafka_metadata(rk, 0, rkt, &md, timeout_ms) : rd_kafka_last_error();
    int rc = 0;
    const struct rd_kafka_metadata_topic *t = !code && md->topic_cnt == 1 ? &md->topics[0] : NULL;
    if (t)
        code = t->err;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
        (!code && (!t || t->partition_cnt == 0))) {
        rc = err_set(e, ERR_NOT_FOUND, "there is no topic %s: run `flotilla topics create`", topic);
    } else if (code) {
        rc = kafka_err(e, code, "read the number of partitions");
        err_wrap(e, "topic %s", topic);
    } else {
        *out = t->partition_cnt;
    }
    if (md)
        rd_kafka_metadata_destroy(md);
    if (rkt)
        rd_kafka_topic_destroy(rkt);
    return rc;
}

/* which: RD_KAFKA_OFFSET_BEGINNING or _END. Not by rd_kafka_query_watermark_offsets(), which waits
 * for an answer of a leader that is gone, whatever its timeout is. */
static rd_kafka_resp_err_t ask_offset(rd_kafka_t *rk, const char *topic, int partition,
                                      int64_t which, int timeout_ms, int64_t *out)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    if (!list)
        return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = which;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(rk, list, timeout_ms);
    if (!code)
        code = list->elems[0].err;
    *out = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

int kafka_offsets(rd_kafka_t *rk, const char *topic, int partition, int timeout_ms, int64_t *first,
                  int64_t *end, struct err *e)
{
    int64_t until_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    for (;;) {
        rd_kafka_resp_err_t code =
            ask_offset(rk, topic, partition, RD_KAFKA_OFFSET_BEGINNING, timeout_ms, first);
        if (!code)
            code = ask_offset(rk, topic, partition, RD_KAFKA_OFFSET_END, timeout_ms, end);
        if (!code)
            return 0;
        int rc = kafka_err(e, code, "read the first and last offset");
        err_wrap(e, "topic %s partition %d", topic, partition);
        if (rc != ERR_UNAVAILABLE || clock_monotonic_us() > until_us)
            return rc;
        clock_sleep_ms(RETRY_MS); /* a partition is without a leader for moments */
    }
}

int kafka_partition_of(struct str key, int n)
{
    const uint32_t m = 0x5bd1e995;
    const uint8_t *at = (const uint8_t *)key.data;
    uint32_t h = 0x9747b28c ^ (uint32_t)key.len;
    size_t left = key.len;
    for (; left >= 4; at += 4, left -= 4) {
        uint32_t k =
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        k *= m;
        k ^= k >> 24;
        h = (h * m) ^ (k * m);
    }
    for (size_t i = left; i > 0; i--)
        h ^= (uint32_t)at[i - 1] << (8 * (i - 1));
    if (left)
        h *= m;
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return (int)((h & 0x7fffffff) % (uint32_t)n);
}

static int class_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__WAIT_CACHE:
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
    case RD_KAFKA_RESP_ERR__RETRY:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART: /* also while a broker starts */
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
        return ERR_UNAVAILABLE;
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        return ERR_FENCED;
    default:
        return ERR_FATAL;
    }
}

/* Calls that found no broker to ask. */
static bool is_no_broker(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
           code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
           code == RD_KAFKA_RESP_ERR__SSL || code == RD_KAFKA_RESP_ERR__RESOLVE;
}

static bool is_no_right(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
}

const char *kafka_advice(rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION)
        return ": the records are damaged, or memory to unpack them could not be had";
    return is_no_right(code) ? ": give its login the rights that `flotilla topics acls` lists" : "";
}

int kafka_message_err(struct err *e, rd_kafka_t *rk, const rd_kafka_message_t *m, const char *what)
{
    char group[256];
    size_t n = sizeof group;
    int rc = kafka_err(e, m->err, what);
    if (m->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED &&
        rd_kafka_conf_get(rd_kafka_conf(rk), "group.id", group, &n) == RD_KAFKA_CONF_OK)
        err_wrap(e, "group %s", group);
    else if (m->rkt)
        err_wrap(e, "topic %s", rd_kafka_topic_name(m->rkt));
    else if (rc != ERR_UNAVAILABLE && !is_no_right(m->err))
        err_wrap(e, "%s", rd_kafka_message_errstr(m));
    return rc;
}

int kafka_err(struct err *e, rd_kafka_resp_err_t code, const char *what)
{
    char why[REFUSAL_BYTES];
    if (is_no_broker(code) && refusal_recent(why))
        return err_set(e, ERR_UNAVAILABLE, "cannot %s: Kafka (%s): %s", what,
                       rd_kafka_err2name(code), why);
    return err_set(e, class_of(code), "cannot %s: Kafka: %s (%s)%s", what, rd_kafka_err2str(code),
                   rd_kafka_err2name(code), kafka_advice(code));
}

int kafka_halt(rd_kafka_t *rk, struct err *e)
{
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    FAILPOINT("kafka.before_halt");
    rd_kafka_resp_err_t code = rd_kafka_assign(rk, none);
    FAILPOINT("kafka.halted");
    rd_kafka_topic_partition_list_destroy(none);
    return code ? kafka_err(e, code, "stop reading") : 0;
}

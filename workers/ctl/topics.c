/* flotilla topics create | check */
#include "admin.h"
#include "ctl.h"
#include "grid.h"
#include "topic_check.h"

#include "base/clock.h"
#include "base/json.h"
#include "stream/kafka.h"

#include <stdio.h>
#include <stdlib.h>

enum { USABLE_TIMEOUT_MS = 30000 };

static struct topic_facts *find(struct topics_facts *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->list[i].name, name) == 0)
            return &f->list[i];
    return NULL;
}

/* Which topics are there, with how many partitions. */
static int read_topics(struct topics_facts *f, struct admin *a, const struct conf *conf,
                       struct err *e)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(a->rk, 1, NULL, &md, ADMIN_TIMEOUT_MS);
    topics_facts_init(f, conf);
    if (code) {
        kafka_err(e, code, "read the list of topics");
        return err_wrap(e, "kafka.brokers=%s", conf_text(conf, "kafka.brokers"));
    }
    for (int i = 0; i < md->topic_cnt; i++) {
        struct topic_facts *t = find(f, md->topics[i].topic);
        if (t && !md->topics[i].err) {
            t->exists = true;
            t->partitions = md->topics[i].partition_cnt;
        }
    }
    rd_kafka_metadata_destroy(md);
    return 0;
}

static void take_config(struct topic_facts *t, const rd_kafka_ConfigEntry_t *entry)
{
    const char *name = rd_kafka_ConfigEntry_name(entry);
    const char *value = rd_kafka_ConfigEntry_value(entry);
    if (value && strcmp(name, "cleanup.policy") == 0)
        snprintf(t->cleanup_policy, sizeof t->cleanup_policy, "%s", value);
    else if (value && strcmp(name, "max.message.bytes") == 0)
        t->max_message_bytes = strtoll(value, NULL, 10);
}

static int take_configs(struct topics_facts *f, rd_kafka_event_t *answer, struct err *e)
{
    size_t n;
    const rd_kafka_ConfigResource_t **list = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(answer), &n);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        const char *name = rd_kafka_ConfigResource_name(list[i]);
        struct topic_facts *t = find(f, name);
        size_t entries;
        const rd_kafka_ConfigEntry_t **entry = rd_kafka_ConfigResource_configs(list[i], &entries);
        if (t && rd_kafka_ConfigResource_error(list[i])) {
            kafka_err(e, rd_kafka_ConfigResource_error(list[i]), "read its configuration");
            rc = err_wrap(e, "topic %s", name);
        }
        for (size_t k = 0; t && k < entries; k++)
            take_config(t, entry[k]);
    }
    return rc;
}

static int read_configs(struct topics_facts *f, struct admin *a, struct err *e)
{
    rd_kafka_ConfigResource_t *asked[MAX_TOPICS];
    rd_kafka_event_t *answer = NULL;
    size_t n = 0;
    for (size_t i = 0; i < f->count; i++)
        if (f->list[i].exists)
            asked[n++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, f->list[i].name);
    if (n == 0)
        return 0;
    rd_kafka_DescribeConfigs(a->rk, asked, n, admin_ask(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS),
                             a->answers);
    int rc = admin_answer(&answer, a, "read the configuration of topics", e);
    if (!rc)
        rc = take_configs(f, answer, e);
    if (answer)
        rd_kafka_event_destroy(answer);
    rd_kafka_ConfigResource_destroy_array(asked, n);
    return rc;
}

/* ---- check ---- */

/* Where the problems of one topic go. */
struct report {
    struct buf *out;
    const char *name;
    bool json;
    int count;
};

static void report_problem(void *arg, const char *problem, const char *remedy)
{
    struct report *r = arg;
    if (r->json) {
        buf_printf(r->out, "%s{\"problem\":", r->count++ ? "," : "");
        json_put_text(r->out, str_of(problem));
        buf_put_text(r->out, ",\"remedy\":");
        json_put_text(r->out, str_of(remedy));
        buf_put_u8(r->out, '}');
    } else {
        buf_printf(r->out, "%s: %s\n    %s\n", r->name, problem, remedy);
    }
}

static int print_json(struct buf *b, const struct topics_facts *f, const struct conf *conf)
{
    int problems = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct topic_facts *t = &f->list[i];
        struct report r = {b, t->name, true, 0};
        buf_put_text(b, "{\"topic\":");
        json_put_text(b, str_of(t->name));
        buf_printf(b, ",\"exists\":%s,\"partitions\":%d,\"partitions_wanted\":%d",
                   t->exists ? "true" : "false", t->partitions,
                   topics_wanted_partitions(f, i, conf));
        buf_printf(b, ",\"cleanup_policy\":\"%s\",\"max_message_bytes\":%lld,\"problems\":[",
                   t->cleanup_policy, (long long)t->max_message_bytes);
        problems += topics_check(f, i, conf, report_problem, &r);
        buf_put_text(b, "]}\n");
    }
    return problems;
}

static int print_table(struct buf *b, const struct topics_facts *f, const struct conf *conf)
{
    struct grid g;
    struct buf list = {0};
    char bytes[HUMAN_BYTES];
    int problems = 0;
    grid_start(&g, "TOPIC,>PARTITIONS,CLEANUP,>MAX BYTES,STATE,WHAT");
    for (size_t i = 0; i < f->count; i++) {
        const struct topic_facts *t = &f->list[i];
        struct report r = {&list, t->name, false, 0};
        int wrong = topics_check(f, i, conf, report_problem, &r);
        problems += wrong;
        grid_put(&g, "%s", t->name);
        if (t->exists) {
            grid_put(&g, "%d", t->partitions);
            grid_put(&g, "%s", t->cleanup_policy);
            grid_put(&g, "%s", human_count(bytes, t->max_message_bytes));
        } else {
            for (int k = 0; k < 3; k++)
                grid_put(&g, "-");
        }
        grid_put(&g, "%s", !t->exists ? "missing" : wrong ? "wrong" : "ok");
        grid_put(&g, "%s", t->topic->what);
    }
    grid_end(&g, b);
    if (problems)
        buf_put_u8(b, '\n');
    buf_put_str(b, buf_str(&list));
    b->failed |= list.failed;
    buf_free(&list);
    return problems;
}

static enum ctl_status check(const struct ctl *c, struct err *e)
{
    struct admin a;
    struct topics_facts f;
    struct buf b = {0};
    int problems = 0;
    int rc = admin_open(&a, c->conf, e);
    if (!rc)
        rc = read_topics(&f, &a, c->conf, e);
    if (!rc)
        rc = read_configs(&f, &a, e);
    if (!rc) {
        problems =
            ctl_option(c, "json") ? print_json(&b, &f, c->conf) : print_table(&b, &f, c->conf);
        rc = ctl_print(&b, e);
    }
    buf_free(&b);
    admin_close(&a);
    return rc == ERR_INVALID ? CTL_USAGE : rc ? CTL_FAILED : problems ? CTL_WRONG : CTL_OK;
}

const struct command topics_check_command = {
    .name = "topics check",
    .arguments = "",
    .purpose = "compare the topics in Kafka with what Flotilla needs; exit status 3 if they differ",
    .example = "flotilla topics check --set kafka.brokers=127.0.0.1:9092",
    .options = {{"json", NULL, "one JSON object a topic, with its problems and remedies"}},
    .run = check,
};

/* ---- create ---- */

static rd_kafka_NewTopic_t *new_topic(const struct topics_facts *f, size_t i,
                                      const struct conf *conf, struct err *e)
{
    const struct topic *t = f->list[i].topic;
    char why[256];
    rd_kafka_NewTopic_t *n =
        rd_kafka_NewTopic_new(f->list[i].name, topics_wanted_partitions(f, i, conf),
                              (int)conf_int(conf, "kafka.replication"), why, sizeof why);
    if (!n) {
        err_set(e, ERR_INVALID, "topic %s: %s", f->list[i].name, why);
        return NULL;
    }
    for (size_t k = 0; k < TOPIC_CONFIGS && t->configs[k].name; k++)
        rd_kafka_NewTopic_set_config(n, t->configs[k].name, t->configs[k].value);
    return n;
}

/* One line each; somebody else may have been faster. */
static int report_created(const struct topics_facts *f, rd_kafka_event_t *answer,
                          const struct conf *conf, struct err *e)
{
    size_t n;
    const rd_kafka_topic_result_t **list =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer), &n);
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = rd_kafka_topic_result_name(list[i]);
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(list[i]);
        size_t k = 0;
        while (k < f->count && strcmp(f->list[k].name, name) != 0)
            k++;
        if (!code && k < f->count)
            printf("%s created, partitions: %d\n", name, topics_wanted_partitions(f, k, conf));
        else if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            printf("%s is there\n", name);
        else if (!rc)
            rc = err_set(e, ERR_FATAL, "cannot create topic %s: %s (%s)%s", name,
                         rd_kafka_topic_result_error_string(list[i])
                             ? rd_kafka_topic_result_error_string(list[i])
                             : rd_kafka_err2str(code),
                         rd_kafka_err2name(code), kafka_advice(code));
    }
    return rc;
}

static int create_missing(const struct topics_facts *f, struct admin *a, const struct conf *conf,
                          struct err *e)
{
    rd_kafka_NewTopic_t *wanted[MAX_TOPICS];
    rd_kafka_event_t *answer = NULL;
    size_t n = 0;
    int rc = 0;
    for (size_t i = 0; i < f->count && !rc; i++) {
        if (f->list[i].exists)
            printf("%s is there\n", f->list[i].name);
        else if ((wanted[n] = new_topic(f, i, conf, e)))
            n++;
        else
            rc = ERR_INVALID;
    }
    if (!rc && n) {
        rd_kafka_CreateTopics(a->rk, wanted, n, admin_ask(a, RD_KAFKA_ADMIN_OP_CREATETOPICS),
                              a->answers);
        rc = admin_answer(&answer, a, "create topics", e);
    }
    if (answer) {
        rc = report_created(f, answer, conf, e);
        rd_kafka_event_destroy(answer);
    }
    rd_kafka_NewTopic_destroy_array(wanted, n);
    return rc;
}

/* A topic that was made a moment ago is not known everywhere, and its partitions have no leaders.
 */
static int wait_until_usable(const struct topics_facts *f, struct admin *a, struct err *e)
{
    int64_t until_us = clock_monotonic_us() + USABLE_TIMEOUT_MS * (int64_t)1000;
    int rc = 0;
    for (size_t i = 0; i < f->count && !rc; i++) {
        int count = 0;
        int64_t first, end;
        while ((rc = kafka_partition_count(a->rk, f->list[i].name, USABLE_TIMEOUT_MS, &count, e)) &&
               clock_monotonic_us() < until_us && !ctl_stopping())
            clock_sleep_ms(50);
        for (int k = 0; k < count && !rc; k++)
            rc = kafka_offsets(a->rk, f->list[i].name, k, USABLE_TIMEOUT_MS, &first, &end, e);
    }
    return rc;
}

static enum ctl_status create(const struct ctl *c, struct err *e)
{
    struct admin a;
    struct topics_facts f;
    int rc = admin_open(&a, c->conf, e);
    if (!rc)
        rc = read_topics(&f, &a, c->conf, e);
    if (!rc)
        rc = create_missing(&f, &a, c->conf, e);
    if (!rc)
        rc = wait_until_usable(&f, &a, e);
    admin_close(&a);
    return rc == ERR_INVALID ? CTL_USAGE : rc ? CTL_FAILED : CTL_OK;
}

const struct command topics_create_command = {
    .name = "topics create",
    .arguments = "",
    .purpose = "create the topics that are missing; those that are there stay as they are",
    .example = "flotilla topics create --set kafka.partitions=12 --set kafka.replication=3",
    .run = create,
};

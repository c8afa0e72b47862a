#include "fleet.h"

#include "admin.h"
#include "ctl.h"

#include "base/buf.h"
#include "db/connection.h"
#include "stream/kafka.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { WINDOW_TIMEOUT_MS = 1000, WINDOW_MAX_BYTES = 4 * 1024 * 1024, DB_TIMEOUT_MS = 5000 };

static void note(struct fleet *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct fleet *f, const char *format, ...)
{
    va_list args;
    if (f->note_count == FLEET_NOTES)
        return;
    va_start(args, format);
    vsnprintf(f->notes[f->note_count++], sizeof f->notes[0], format, args);
    va_end(args);
}

static void group_name(char out[256], const struct conf *conf, const struct fleet_group *g)
{
    snprintf(out, 256, "%s%s", conf_text(conf, "kafka.prefix"), g->name);
}

static struct fleet_partition *find(struct fleet *f, const struct fleet_group *g, const char *topic,
                                    int partition)
{
    for (size_t i = 0; i < f->partition_count; i++) {
        struct fleet_partition *p = &f->partitions[i];
        if (p->group == g && p->partition == partition && strcmp(p->topic, topic) == 0)
            return p;
    }
    return NULL;
}

/* ---- Kafka: partitions and their ends ---- */

static int add_topic(struct fleet *f, rd_kafka_t *rk, const struct fleet_group *g,
                     const char *topic, struct err *e)
{
    int n = 0;
    int rc = kafka_partition_count(rk, topic, ADMIN_TIMEOUT_MS, &n, e);
    if (rc == ERR_NOT_FOUND) {
        if (!g->optional)
            note(f, "%s", e->msg);
        *e = (struct err){0};
        return 0;
    }
    if (rc)
        return rc;
    struct fleet_partition *list =
        realloc(f->partitions, (f->partition_count + (size_t)n) * sizeof *list);
    if (!list)
        return err_nomem(e);
    f->partitions = list;
    for (int i = 0; i < n && !rc; i++) {
        struct fleet_partition *p = &list[f->partition_count++];
        *p = (struct fleet_partition){
            .group = g, .topic = topic, .partition = i, .committed = -1, .worker = -1};
        rc = kafka_offsets(rk, topic, i, ADMIN_TIMEOUT_MS, &p->first, &p->end, e);
    }
    return rc;
}

static int read_partitions(struct fleet *f, rd_kafka_t *rk, const struct conf *conf, struct err *e)
{
    int rc = 0;
    for (int g = 0; g < FLEET_GROUPS; g++)
        for (int t = 0; t < FLEET_TOPICS && fleet_groups[g].topics[t] && !rc; t++)
            rc = add_topic(f, rk, &fleet_groups[g], conf_topic(conf, fleet_groups[g].topics[t]), e);
    return rc ? err_wrap(e, "kafka.brokers=%s", conf_text(conf, "kafka.brokers")) : 0;
}

/* ---- Kafka: who has them ---- */

/* Kafka writes an address as name/address, with an empty name as a rule. */
static void copy_host(char *out, size_t size, const char *host)
{
    const char *slash = strchr(host, '/');
    snprintf(out, size, "%s", slash ? slash + 1 : host);
}

static int add_member(struct fleet *f, const struct fleet_group *g,
                      const rd_kafka_MemberDescription_t *m, struct err *e)
{
    struct fleet_worker *list = realloc(f->workers, (f->worker_count + 1) * sizeof *list);
    if (!list)
        return err_nomem(e);
    f->workers = list;
    struct fleet_worker *w = &list[f->worker_count];
    *w = (struct fleet_worker){.group = g, .epochs = -1};
    copy_host(w->host, sizeof w->host, rd_kafka_MemberDescription_host(m));
    if (!fleet_parse_client_id(w, rd_kafka_MemberDescription_client_id(m)))
        snprintf(w->instance, sizeof w->instance, "%s", rd_kafka_MemberDescription_client_id(m));
    const rd_kafka_MemberAssignment_t *a = rd_kafka_MemberDescription_assignment(m);
    const rd_kafka_topic_partition_list_t *assigned =
        a ? rd_kafka_MemberAssignment_partitions(a) : NULL;
    for (int i = 0; assigned && i < assigned->cnt; i++) {
        const rd_kafka_topic_partition_t *tp = &assigned->elems[i];
        struct fleet_partition *p = find(f, g, tp->topic, tp->partition);
        w->partitions++;
        if (p)
            p->worker = (int)f->worker_count;
    }
    f->worker_count++;
    return 0;
}

static int read_members(struct fleet *f, struct admin *a, const struct conf *conf,
                        const struct fleet_group *g, struct err *e)
{
    char name[256];
    const char *names[] = {name};
    rd_kafka_event_t *answer = NULL;
    size_t n = 0;
    group_name(name, conf, g);
    rd_kafka_DescribeConsumerGroups(
        a->rk, names, 1, admin_ask(a, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS), a->answers);
    int rc = admin_answer(&answer, a, "read who is in the group", e);
    if (rc)
        return err_wrap(e, "group %s", name);
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(answer), &n);
    const rd_kafka_error_t *wrong = n ? rd_kafka_ConsumerGroupDescription_error(groups[0]) : NULL;
    if (wrong && rd_kafka_error_code(wrong) != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) {
        kafka_err(e, rd_kafka_error_code(wrong), "read who is in the group");
        rc = err_wrap(e, "group %s", name);
    }
    size_t members = n && !wrong ? rd_kafka_ConsumerGroupDescription_member_count(groups[0]) : 0;
    for (size_t i = 0; i < members && !rc; i++)
        rc = add_member(f, g, rd_kafka_ConsumerGroupDescription_member(groups[0], i), e);
    rd_kafka_event_destroy(answer);
    return rc;
}

/* ---- How far they are ---- */

static void set_committed(struct fleet *f, const struct fleet_group *g, const char *topic,
                          int partition, int64_t offset, int64_t at_ms)
{
    struct fleet_partition *p = find(f, g, topic, partition);
    if (!p)
        return;
    p->committed = offset;
    p->committed_at_ms = offset < 0 ? 0 : at_ms; /* claiming a partition is no commit */
}

static void all_known(struct fleet *f, const struct fleet_group *g)
{
    for (size_t i = 0; i < f->partition_count; i++)
        if (f->partitions[i].group == g)
            f->partitions[i].known = true;
}

static void read_committed(struct fleet *f, struct admin *a, const struct conf *conf,
                           const struct fleet_group *g)
{
    char name[256];
    struct err why = {0};
    rd_kafka_event_t *answer = NULL;
    size_t n = 0;
    group_name(name, conf, g);
    rd_kafka_ListConsumerGroupOffsets_t *asked = rd_kafka_ListConsumerGroupOffsets_new(name, NULL);
    rd_kafka_ListConsumerGroupOffsets(
        a->rk, &asked, 1, admin_ask(a, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS), a->answers);
    int rc = admin_answer(&answer, a, "read committed offsets", &why);
    rd_kafka_ListConsumerGroupOffsets_destroy(asked);
    if (rc) {
        note(f, "group %s: %s", name, why.msg);
        return;
    }
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(answer), &n);
    const rd_kafka_error_t *wrong = n ? rd_kafka_group_result_error(groups[0]) : NULL;
    const rd_kafka_topic_partition_list_t *list =
        n && !wrong ? rd_kafka_group_result_partitions(groups[0]) : NULL;
    if (wrong && rd_kafka_error_code(wrong) != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
        note(f, "group %s: committed offsets: %s", name, rd_kafka_error_string(wrong));
    else
        all_known(f, g);
    for (int i = 0; list && i < list->cnt; i++)
        set_committed(f, g, list->elems[i].topic, list->elems[i].partition,
                      list->elems[i].offset < 0 ? -1 : list->elems[i].offset, 0);
    rd_kafka_event_destroy(answer);
}

/* The recorder keeps its offsets with its rows. */
static void read_recorded(struct fleet *f, const struct conf *conf, const struct fleet_group *g)
{
    static const char sql[] = "SELECT topic, partition, coalesce(next_offset, -1), "
                              "(extract(epoch FROM updated_at) * 1000)::bigint "
                              "FROM consumer_offsets WHERE group_name = $1";
    struct db_opts opts = {.url = conf_text(conf, "postgres.url"),
                           .application = "flotilla status",
                           .timeout_ms = DB_TIMEOUT_MS,
                           .stopping = ctl_stopping};
    struct db *d = NULL;
    struct err why = {0};
    PGresult *r = NULL;
    char name[256];
    const char *values[] = {name};
    group_name(name, conf, g);
    int rc = db_new(&d, &opts, &why);
    if (!rc)
        rc = db_connect(d, &why);
    if (!rc)
        rc = db_query(d, &r, sql, 1, values, &why);
    if (rc)
        note(f, "how far the recorder is cannot be read: %s", why.msg);
    else
        all_known(f, g);
    for (int i = 0; !rc && i < PQntuples(r); i++)
        set_committed(f, g, PQgetvalue(r, i, 0), atoi(PQgetvalue(r, i, 1)),
                      strtoll(PQgetvalue(r, i, 2), NULL, 10),
                      strtoll(PQgetvalue(r, i, 3), NULL, 10));
    PQclear(r);
    db_free(d);
}

static void compute_lag(struct fleet *f)
{
    for (size_t i = 0; i < f->partition_count; i++) {
        struct fleet_partition *p = &f->partitions[i];
        int64_t from = p->committed > p->first ? p->committed : p->first;
        p->lag = p->known && p->end > from ? p->end - from : 0;
        if (p->worker < 0)
            continue;
        struct fleet_worker *w = &f->workers[p->worker];
        w->lag += p->lag;
        if (p->committed_at_ms > w->last_commit_ms)
            w->last_commit_ms = p->committed_at_ms;
    }
}

/* Partitions of an optional kind of worker that nobody has ever run are nobody's business. */
static void drop_unused(struct fleet *f)
{
    bool unused[FLEET_GROUPS];
    size_t kept = 0;
    for (int g = 0; g < FLEET_GROUPS; g++) {
        unused[g] = fleet_groups[g].optional && !fleet_misses(f, &fleet_groups[g]);
        for (size_t i = 0; i < f->worker_count; i++)
            unused[g] &= f->workers[i].group != &fleet_groups[g];
    }
    for (size_t i = 0; i < f->partition_count; i++)
        if (!unused[f->partitions[i].group - fleet_groups])
            f->partitions[kept++] = f->partitions[i];
    f->partition_count = kept;
}

/* ---- What the workers say ---- */

static size_t take_bytes(char *data, size_t size, size_t n, void *arg)
{
    struct buf *b = arg;
    if (b->len + size * n > WINDOW_MAX_BYTES)
        return 0;
    buf_put(b, data, size * n);
    return buf_ok(b) ? size * n : 0;
}

static void read_window(struct fleet_worker *w, CURL *curl)
{
    char url[256];
    struct buf answer = {0};
    bool v6 = strchr(w->host, ':');
    if (!w->port) {
        snprintf(w->reason, sizeof w->reason, "another program is in the group %s", w->group->name);
        return;
    }
    snprintf(url, sizeof url, "http://%s%s%s:%d/status", v6 ? "[" : "", w->host, v6 ? "]" : "",
             w->port);
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)WINDOW_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    CURLcode code = curl_easy_perform(curl);
    if (code)
        snprintf(w->reason, sizeof w->reason, "no answer from %.160s: %.64s", url,
                 curl_easy_strerror(code));
    else if (!fleet_parse_status(w, (const char *)answer.data, answer.len))
        snprintf(w->reason, sizeof w->reason, "%.160s answers something else than a status", url);
    buf_put_u8(&answer, 0);
    if (w->reached && buf_ok(&answer))
        w->status = (char *)answer.data;
    else
        buf_free(&answer);
}

static void read_windows(struct fleet *f)
{
    CURL *curl = curl_easy_init();
    for (size_t i = 0; curl && i < f->worker_count && !ctl_stopping(); i++)
        read_window(&f->workers[i], curl);
    curl_easy_cleanup(curl);
}

/* ---- All together ---- */

static int worst_partition(const void *a, const void *b)
{
    const struct fleet_partition *x = a, *y = b;
    if (x->lag != y->lag)
        return x->lag < y->lag ? 1 : -1;
    if (x->group != y->group)
        return x->group > y->group ? 1 : -1;
    int order = strcmp(x->topic, y->topic);
    return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static int worst_worker(const void *a, const void *b)
{
    const struct fleet_worker *x = a, *y = b;
    if (x->ready != y->ready)
        return x->ready - y->ready;
    if (x->lag != y->lag)
        return x->lag < y->lag ? 1 : -1;
    return x->group != y->group ? (x->group > y->group ? 1 : -1) : strcmp(x->instance, y->instance);
}

/* Partitions name their worker by its place, so that one is found again after sorting. */
static int sort(struct fleet *f, struct err *e)
{
    struct fleet_worker *before = malloc((f->worker_count + 1) * sizeof *before);
    if (!before)
        return err_nomem(e);
    if (f->worker_count)
        memcpy(before, f->workers, f->worker_count * sizeof *before);
    if (f->worker_count)
        qsort(f->workers, f->worker_count, sizeof *f->workers, worst_worker);
    for (size_t i = 0; i < f->partition_count; i++) {
        struct fleet_partition *p = &f->partitions[i];
        for (size_t w = 0; p->worker >= 0 && w < f->worker_count; w++) {
            if (memcmp(&f->workers[w], &before[p->worker], sizeof *before) == 0) {
                p->worker = (int)w;
                break;
            }
        }
    }
    if (f->partition_count)
        qsort(f->partitions, f->partition_count, sizeof *f->partitions, worst_partition);
    free(before);
    return 0;
}

int fleet_read(struct fleet *f, const struct conf *conf, int64_t now_ms, struct err *e)
{
    struct admin a;
    *f = (struct fleet){.now_ms = now_ms};
    int rc = admin_open(&a, conf, e);
    if (!rc)
        rc = read_partitions(f, a.rk, conf, e);
    for (int g = 0; g < FLEET_GROUPS && !rc; g++)
        rc = read_members(f, &a, conf, &fleet_groups[g], e);
    if (!rc) {
        for (int g = 0; g < FLEET_GROUPS; g++) {
            if (fleet_groups[g].in_postgres)
                read_recorded(f, conf, &fleet_groups[g]);
            else
                read_committed(f, &a, conf, &fleet_groups[g]);
        }
        drop_unused(f);
        compute_lag(f);
        read_windows(f);
        rc = sort(f, e);
    }
    admin_close(&a);
    return rc;
}

void fleet_free(struct fleet *f)
{
    for (size_t i = 0; i < f->worker_count; i++)
        free(f->workers[i].status);
    free(f->workers);
    free(f->partitions);
    *f = (struct fleet){0};
}

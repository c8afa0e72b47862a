/* flotilla tail: the records of a topic as lines of JSON. */
#include "ctl.h"
#include "record_line.h"

#include "stream/kafka.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TIMEOUT_MS = 10000, SLICE_MS = 200, FULL_BYTES = 65536 };

struct run {
    const struct ctl *ctl;
    const struct topic *topic;
    const char *name; /* in Kafka */
    rd_kafka_t *rk;
    rd_kafka_topic_partition_list_t *partitions;
    bool *at_end;    /* of each partition, in the order of the list */
    int left_to_end; /* partitions that are not read to their end yet */
    int64_t last;    /* records of each partition to begin with; 0: only new ones */
    int64_t count;   /* records to print; 0: all */
    int64_t printed;
    unsigned how; /* RECORD_LINE_... */
    struct arena arena;
    struct buf out;
};

/* ---- Where to begin ---- */

/* Beginning, end, or the last N: so many of each partition. */
static int read_from(struct run *r, struct err *e)
{
    const char *from = ctl_option(r->ctl, "from");
    char *rest = NULL;
    if (!from || strcmp(from, "end") == 0)
        return 0;
    r->last = strcmp(from, "beginning") == 0 ? INT64_MAX / 2 : strtoll(from, &rest, 10);
    if (*from && (!rest || !*rest) && r->last >= 1)
        return 0;
    return err_set(e, ERR_INVALID, "--from is \"%s\": give beginning, end, or how many of the last",
                   from);
}

static int first_offset(struct run *r, int partition, int64_t *out, struct err *e)
{
    int64_t first = 0, end = 0;
    int rc = kafka_offsets(r->rk, r->name, partition, TIMEOUT_MS, &first, &end, e);
    *out = end - r->last > first ? end - r->last : first;
    return rc;
}

static int choose_partitions(struct run *r, struct err *e)
{
    int64_t only = -1, offset = 0;
    int n = 0;
    int rc = kafka_partition_count(r->rk, r->name, TIMEOUT_MS, &n, e);
    if (rc == ERR_UNAVAILABLE)
        err_wrap(e, "kafka.brokers=%s", conf_text(r->ctl->conf, "kafka.brokers"));
    if (!rc)
        rc = ctl_number(&only, r->ctl, "partition", -1, 0, n - 1, e);
    r->partitions = rc ? NULL : rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n && !rc; i++) {
        if (only >= 0 && only != i)
            continue;
        rc = first_offset(r, i, &offset, e);
        if (!rc)
            rd_kafka_topic_partition_list_add(r->partitions, r->name, i)->offset = offset;
    }
    if (rc)
        return rc;
    r->left_to_end = r->partitions->cnt;
    r->at_end = calloc((size_t)n, sizeof *r->at_end);
    return r->at_end ? 0 : err_nomem(e);
}

static int start(struct run *r, struct err *e)
{
    rd_kafka_conf_t *k = NULL;
    char group[256];
    int rc = kafka_conf_new(&k, r->ctl->conf, KAFKA_CONSUMER, e);
    if (rc)
        return rc;
    /* librdkafka wants a group, and looks for its coordinator, even where none is joined; this one
     * is of those that `status` needs a right to. Offsets are never committed to it. */
    snprintf(group, sizeof group, "%srecorder", conf_text(r->ctl->conf, "kafka.prefix"));
    rc = kafka_conf_put(k, "group.id", group, e);
    if (!rc)
        rc = kafka_conf_put(k, "enable.partition.eof", "true", e);
    if (!rc)
        rc = kafka_conf_put(k, "auto.offset.reset", "earliest", e);
    if (rc) {
        rd_kafka_conf_destroy(k);
        return rc;
    }
    rc = kafka_new(&r->rk, k, KAFKA_CONSUMER, e);
    if (!rc)
        rc = choose_partitions(r, e);
    if (rc)
        return rc;
    rd_kafka_resp_err_t code = rd_kafka_assign(r->rk, r->partitions);
    return code ? kafka_err(e, code, "read the topic") : 0;
}

/* ---- Reading ---- */

static void note_end(struct run *r, int partition)
{
    for (int i = 0; i < r->partitions->cnt; i++) {
        if (r->partitions->elems[i].partition != partition || r->at_end[i])
            continue;
        r->at_end[i] = true;
        r->left_to_end--;
    }
}

static int on_message(struct run *r, const rd_kafka_message_t *m, struct err *e)
{
    struct err why = {0};
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        note_end(r, m->partition);
        return 0;
    }
    if (m->err) {
        int rc = kafka_message_err(&why, r->rk, m, "read");
        return rc == ERR_UNAVAILABLE ? 0 /* librdkafka goes on by itself, and logs it */
                                     : err_set(e, rc, "%s", why.msg);
    }
    arena_reset(&r->arena);
    record_line_print(&r->out, r->ctl, r->topic, m, r->how, &r->arena);
    r->printed++;
    return r->out.len > FULL_BYTES ? ctl_print(&r->out, e) : 0;
}

static bool is_done(const struct run *r)
{
    return ctl_stopping() || (r->count && r->printed >= r->count) ||
           (ctl_option(r->ctl, "exit-at-end") && r->left_to_end == 0);
}

static int read_records(struct run *r, struct err *e)
{
    int rc = 0;
    while (!rc && !is_done(r)) {
        /* What is printed is shown before there is nothing more to read. */
        rd_kafka_message_t *m = rd_kafka_consumer_poll(r->rk, r->out.len ? 0 : SLICE_MS);
        if (!m) {
            rc = ctl_print(&r->out, e);
            continue;
        }
        rc = on_message(r, m, e);
        rd_kafka_message_destroy(m);
    }
    return rc ? rc : ctl_print(&r->out, e);
}

/* ---- The command ---- */

static int find_topic(struct run *r, struct err *e)
{
    struct buf names = {0};
    r->topic = topics_find(r->ctl->conf, r->ctl->args[0]);
    for (size_t i = 0; topics[i]; i++)
        buf_printf(&names, "%s%s", i ? ", " : "", topics[i]->name);
    int rc = r->topic ? 0
                      : err_set(e, ERR_INVALID, "there is no topic %s: give one of %.*s",
                                r->ctl->args[0], STR_ARG(buf_str(&names)));
    buf_free(&names);
    if (!rc)
        r->name = conf_topic(r->ctl->conf, r->topic->name);
    return rc;
}

static enum ctl_status tail(const struct ctl *c, struct err *e)
{
    struct run r = {.ctl = c};
    r.how = (ctl_option(c, "with-offsets") ? RECORD_LINE_PLACE : 0u) |
            (ctl_option(c, "whole") ? RECORD_LINE_WHOLE : 0u);
    int rc = find_topic(&r, e);
    if (!rc)
        rc = read_from(&r, e);
    if (!rc)
        rc = ctl_number(&r.count, c, "count", 0, 1, INT64_MAX, e);
    if (!rc)
        rc = start(&r, e);
    if (!rc)
        rc = read_records(&r, e);
    if (r.partitions)
        rd_kafka_topic_partition_list_destroy(r.partitions);
    if (r.rk)
        rd_kafka_destroy(r.rk);
    arena_free(&r.arena);
    buf_free(&r.out);
    free(r.at_end);
    return rc == ERR_INVALID ? CTL_USAGE : rc ? CTL_FAILED : CTL_OK;
}

const struct command tail_command = {
    .name = "tail",
    .arguments = "TOPIC",
    .least = 1,
    .most = 1,
    .purpose = "print the records of a topic, any of ours, as lines of JSON until Ctrl-C",
    .example = "flotilla tail features --from beginning --exit-at-end\n\n"
               "A record that cannot be decoded is {\"undecodable\": why, \"bytes\": ...}, with a "
               "character for each byte;\n"
               "one without a value is {\"key\": ..., \"value\": null}. Missing numbers (NaN) are "
               "null.\n"
               "Vectors of score.log are shown by name, models of model.artifacts without their "
               "bytes",
    .options =
        {{"from", "WHERE", "beginning, end (the default), or so many of each partition's last"},
         {"count", "N", "end after so many records"},
         {"exit-at-end", NULL, "end where nothing more is there"},
         {"partition", "N", "only this one"},
         {"whole", NULL, "vectors and models as well as their bytes, a character for each"},
         {"with-offsets", NULL,
          "{\"partition\", \"offset\", \"timestamp\", \"key\", \"value\"} around each record"}},
    .run = tail,
};

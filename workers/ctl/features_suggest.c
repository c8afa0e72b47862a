/* flotilla features suggest: definitions to start from, made of a sample of records. */
#include "ctl.h"
#include "lines.h"

#include "backfill/intake_line.h"
#include "suggest/suggest.h"

#include "stream/kafka.h"
#include "stream/tail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TOPIC_SAMPLE = 100000,
    FILE_SAMPLE = 1000000,
    MOST_SAMPLE = 1000000,
    OLDEST_SAMPLE = 100, /* of a topic's beginning, to see how far back it reaches */
    TIMEOUT_MS = 10000,
    POLL_MS = 200,
    POLL_RECORDS = 1000,
};

struct run {
    const struct ctl *ctl;
    struct suggest *suggest;
    struct arena arena;
    int64_t sample;              /* records of each kind that are looked at */
    int64_t counts[ENTRY_KINDS]; /* that were */
    int64_t unreadable;          /* records that could not be decoded */
    struct err why;              /* of the first of those */
    struct progress progress;
    int64_t done;
};

static const struct source {
    const char *option; /* of a file; and the topic */
    const char *topic;
    enum entry_kind kind;
    const struct record_type *type;
} sources[] = {
    {"users", "users", ENTRY_USER, &entity_type},
    {"propositions", "propositions", ENTRY_PROPOSITION, &entity_type},
    {"requests", "rank.requests", ENTRY_REQUEST, &rank_request_type},
    {"events", "events", ENTRY_EVENT, &event_type},
};

enum { SOURCES = sizeof sources / sizeof *sources };

/* ---- A record ---- */

static int take(struct run *r, enum entry_kind kind, const void *record, struct err *e)
{
    r->counts[kind]++;
    r->done++;
    switch (kind) {
    case ENTRY_USER:
        return suggest_entity(r->suggest, SIDE_USER, record, e);
    case ENTRY_PROPOSITION:
        return suggest_entity(r->suggest, SIDE_PROPOSITION, record, e);
    case ENTRY_REQUEST:
        return suggest_request(r->suggest, record, e);
    case ENTRY_EVENT:
        return suggest_event(r->suggest, record, e);
    default:
        return 0; /* what was scored says nothing of its own */
    }
}

static int take_entry(struct run *r, const struct entry *entry, struct err *e)
{
    if (entry->kind >= ENTRY_KINDS || entry->removed || r->counts[entry->kind] >= r->sample)
        return 0;
    return take(r, entry->kind,
                entry->kind == ENTRY_EVENT     ? (const void *)&entry->event
                : entry->kind == ENTRY_REQUEST ? (const void *)&entry->request
                                               : &entry->entity,
                e);
}

/* What cannot be read is told at the end, and nothing is made of it. */
static int pass_over(struct run *r, int rc, struct err *e)
{
    if (rc != ERR_CORRUPT && rc != ERR_SCHEMA && rc != ERR_TOO_LARGE)
        return rc;
    if (r->unreadable++ == 0)
        r->why = *e;
    *e = (struct err){0};
    return 0;
}

/* ---- Files ---- */

/* A line of a file of one kind may be wrapped as one of a stream, as `flotilla send` takes it too.
 */
static int read_line(struct run *r, struct intake_record *out, enum entry_kind kind,
                     struct str line, struct err *e)
{
    struct err why = {0};
    int rc = intake_line_read(out, kind, line, r->ctl->codec, &r->arena, e);
    if (rc != ERR_SCHEMA || kind == ENTRY_KINDS)
        return rc;
    if (intake_line_read(out, ENTRY_KINDS, line, r->ctl->codec, &r->arena, &why) ||
        out->entry.kind != kind)
        return rc;
    *e = (struct err){0};
    return 0;
}

/* The first records of each kind; of a file of one kind no more is read. */
static int read_file(struct run *r, const char *path, enum entry_kind kind, struct err *e)
{
    struct lines l = {0};
    struct str line;
    bool more = true;
    int rc = lines_open(&l, path, e);
    while (!rc && more && !ctl_stopping() && (kind == ENTRY_KINDS || r->counts[kind] < r->sample)) {
        struct intake_record record;
        rc = lines_next(&l, &line, &more, e);
        if (rc || !more)
            break;
        arena_reset(&r->arena);
        rc = read_line(r, &record, kind, line, e);
        if (rc && rc != ERR_NOMEM)
            err_wrap(e, "%s:%lld", l.name, (long long)l.number);
        rc = rc ? pass_over(r, rc, e) : take_entry(r, &record.entry, e);
        progress_show(&r->progress, r->done, l.read_bytes, l.total_bytes);
    }
    lines_close(&l);
    return rc;
}

static int read_files(struct run *r, struct err *e)
{
    const char *stream = ctl_option(r->ctl, "stream");
    int rc = stream ? read_file(r, stream, ENTRY_KINDS, e) : 0;
    for (int i = 0; i < SOURCES && !rc; i++) {
        const char *path = ctl_option(r->ctl, sources[i].option);
        if (path)
            rc = read_file(r, path, sources[i].kind, e);
    }
    return rc;
}

static bool has_files(const struct ctl *c)
{
    bool has = ctl_option(c, "stream");
    for (int i = 0; i < SOURCES; i++)
        has |= ctl_option(c, sources[i].option) != NULL;
    return has;
}

/* ---- Kafka ---- */

struct topic_run {
    struct run *run;
    const struct source *source;
};

static int take_message(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct topic_run *t = arg;
    union {
        struct event event;
        struct entity entity;
        struct rank_request request;
    } record;
    if (!m->payload || t->run->counts[t->source->kind] >= t->run->sample)
        return 0;
    arena_reset(&t->run->arena);
    int rc = ctl_decode(t->run->ctl, &record, t->source->type, str_bytes(m->payload, m->len),
                        &t->run->arena, e);
    if (rc && rc != ERR_NOMEM)
        err_wrap(e, "%s, partition %d, offset %lld", rd_kafka_topic_name(m->rkt), (int)m->partition,
                 (long long)m->offset);
    return rc ? pass_over(t->run, rc, e) : take(t->run, t->source->kind, &record, e);
}

/* The newest records, as many of each partition. */
static int add_newest(struct tail *t, rd_kafka_t *rk, const char *topic, int64_t sample,
                      struct err *e)
{
    int partitions = 0;
    int rc = kafka_partition_count(rk, topic, TIMEOUT_MS, &partitions, e);
    for (int p = 0; p < partitions && !rc; p++) {
        int64_t first, end, most = sample / partitions + 1;
        rc = kafka_offsets(rk, topic, p, TIMEOUT_MS, &first, &end, e);
        if (!rc)
            rc = tail_add_from(t, topic, p, end - first > most ? end - most : TAIL_FIRST, e);
    }
    return rc;
}

/* ---- Kafka: how far back events reach, of which only the newest are looked at ---- */

struct oldest {
    const struct ctl *ctl;
    struct arena *arena;
    int64_t times_ms[OLDEST_SAMPLE];
    size_t count;
};

static int take_oldest(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct oldest *o = arg;
    struct event event;
    if (!m->payload || o->count == OLDEST_SAMPLE)
        return 0;
    arena_reset(o->arena);
    int rc = ctl_decode(o->ctl, &event, &event_type, str_bytes(m->payload, m->len), o->arena, e);
    if (!rc)
        o->times_ms[o->count++] = event.timestamp;
    /* The newest records tell what cannot be read. */
    if (rc == ERR_CORRUPT || rc == ERR_SCHEMA || rc == ERR_TOO_LARGE) {
        *e = (struct err){0};
        rc = 0;
    }
    return rc;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int read_oldest(struct run *r, struct err *e)
{
    struct oldest o = {.ctl = r->ctl, .arena = &r->arena};
    struct tail *t = NULL;
    int count, rc = tail_new(&t, r->ctl->conf, "ctl", take_oldest, &o, e);
    if (!rc)
        rc = tail_add_topic(t, conf_topic(r->ctl->conf, "events"), e);
    if (!rc)
        rc = tail_start(t, e);
    while (!rc && !tail_at_end(t) && o.count < OLDEST_SAMPLE && !ctl_stopping())
        rc = tail_poll(t, POLL_MS, OLDEST_SAMPLE, &count, e);
    tail_free(t);
    /* The middle one: a wrong clock is not taken for the beginning. */
    qsort(o.times_ms, o.count, sizeof *o.times_ms, by_time);
    if (!rc && o.count)
        suggest_reaches_back(r->suggest, o.times_ms[o.count / 2]);
    return rc;
}

/* ---- Kafka: topics ---- */

static int read_topic(struct run *r, rd_kafka_t *rk, const struct source *source, struct err *e)
{
    struct topic_run arg = {r, source};
    struct tail *t = NULL;
    int count, rc = tail_new(&t, r->ctl->conf, "ctl", take_message, &arg, e);
    if (!rc)
        rc = add_newest(t, rk, conf_topic(r->ctl->conf, source->topic), r->sample, e);
    if (!rc)
        rc = tail_start(t, e);
    while (!rc && !tail_at_end(t) && !ctl_stopping()) {
        rc = tail_poll(t, POLL_MS, POLL_RECORDS, &count, e);
        progress_show(&r->progress, r->done, tail_done(t), tail_total(t));
    }
    tail_free(t);
    /* An application without requests has impressions only. */
    if (rc == ERR_NOT_FOUND && source->kind == ENTRY_REQUEST) {
        *e = (struct err){0};
        rc = 0;
    }
    return rc;
}

static int read_kafka(struct run *r, struct err *e)
{
    rd_kafka_conf_t *conf = NULL;
    rd_kafka_t *rk = NULL;
    int rc = kafka_conf_new(&conf, r->ctl->conf, KAFKA_ADMIN, e);
    if (!rc)
        rc = kafka_new(&rk, conf, KAFKA_ADMIN, e);
    for (int i = 0; i < SOURCES && !rc; i++)
        rc = read_topic(r, rk, &sources[i], e);
    if (!rc && r->counts[ENTRY_EVENT])
        rc = read_oldest(r, e);
    if (rc == ERR_UNAVAILABLE)
        err_wrap(e, "kafka.brokers=%s", conf_text(r->ctl->conf, "kafka.brokers"));
    if (rk)
        rd_kafka_destroy(rk);
    return rc;
}

/* ---- The command ---- */

static int write_out(const char *path, struct buf *text, struct err *e)
{
    if (!path)
        return ctl_print(text, e);
    FILE *file = fopen(path, "wx"); /* what a person has worked on is not lost */
    if (!file)
        return err_set(e, ERR_IO, "%s: %s%s", path, strerror(errno),
                       errno == EEXIST ? ": name a file that is not there yet" : "");
    bool written = fwrite(text->data, 1, text->len, file) == text->len;
    written &= fclose(file) == 0;
    if (written)
        return 0;
    err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    remove(path); /* half of it would be taken for the whole */
    return ERR_IO;
}

static int suggest_all(struct run *r, struct err *e)
{
    struct buf text = {0};
    progress_start(&r->progress, "records");
    int rc = has_files(r->ctl) ? read_files(r, e) : read_kafka(r, e);
    progress_end(&r->progress);
    if (!rc && ctl_stopping())
        rc = err_set(e, ERR_UNAVAILABLE, "interrupted");
    if (!rc)
        rc = suggest_write(r->suggest, &text, e);
    if (r->unreadable)
        fprintf(stderr,
                "flotilla features suggest: records that could not be read: %lld; the first: %s\n",
                (long long)r->unreadable, r->why.msg);
    if (!rc)
        rc = write_out(ctl_option(r->ctl, "out"), &text, e);
    buf_free(&text);
    return rc;
}

static enum ctl_status suggest(const struct ctl *c, struct err *e)
{
    struct run r = {.ctl = c};
    struct suggest_opts opts = {.max_keys_per_user =
                                    (uint32_t)conf_int(c->conf, "max_keys_per_user")};
    int rc = ctl_number(&r.sample, c, "sample", has_files(c) ? FILE_SAMPLE : TOPIC_SAMPLE, 1,
                        MOST_SAMPLE, e);
    if (rc)
        return CTL_USAGE;
    rc = suggest_new(&r.suggest, &opts, e);
    if (!rc)
        rc = suggest_all(&r, e);
    suggest_free(r.suggest);
    arena_free(&r.arena);
    return rc ? CTL_FAILED : CTL_OK;
}

const struct command features_suggest_command = {
    .name = "features suggest",
    .arguments = "",
    .purpose = "feature definitions to start from, made of a sample of records, with comments",
    .example = "flotilla features suggest --events events.jsonl --propositions propositions.jsonl "
               "--out features.yaml",
    .options =
        {{"events", "FILE", "JSON lines of events; without any file, the topics are read"},
         {"users", "FILE", "users' attributes"},
         {"propositions", "FILE", "propositions' attributes"},
         {"requests", "FILE", "requests"},
         {"stream", "FILE",
          "JSON lines {\"event\"|\"request\"|\"user\"|\"proposition\": ...}; - is standard input"},
         {"sample", "N",
          "records of each kind to look at, at most: the newest of a topic (100000), the first of "
          "a "
          "file (1000000)"},
         {"out", "FILE", "write there, not to standard output; the file must not be there yet"}},
    .run = suggest,
};

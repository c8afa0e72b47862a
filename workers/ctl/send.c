/* flotilla send: JSON lines to records of a topic. */
#include "ctl.h"
#include "grid.h"
#include "lines.h"
#include "sender.h"
#include "wrapping.h"

#include "base/clock.h"

#include <jansson.h>
#include <stdio.h>

enum { BAD_LINES_NAMED = 10, MOST_RATE = 100000000, SLICE_MS = 50 };

struct run {
    const struct ctl *ctl;
    const struct topic *topic;
    struct sender *sender;
    struct lines lines;
    struct arena arena;
    struct buf value; /* encoded */
    struct progress progress;
    int64_t rate; /* a second; 0: as fast as possible */
    int64_t started_us;
    int64_t put;
    int64_t bad;
    union {
        struct event event;
        struct entity entity;
        struct rank_request request;
    } record;
};

/* ---- One line ---- */

/* "x" or {"id": "x"}. */
static int read_id(struct run *r, struct str line, struct str *out, struct err *e)
{
    json_error_t why;
    json_t *j = json_loadb(line.data, line.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    const json_t *id = json_is_object(j) ? json_object_get(j, r->topic->key) : j;
    int rc = 0;
    if (!j)
        rc = err_set(e, ERR_CORRUPT, "byte %d: not JSON: %s", why.position, why.text);
    else if (!json_is_string(id))
        rc = err_set(e, ERR_SCHEMA, "neither a text nor an object with the text \"%s\"",
                     r->topic->key);
    else
        *out = arena_copy(&r->arena, str_bytes(json_string_value(id), json_string_length(id)));
    json_decref(j);
    return rc ? rc : out->data ? 0 : err_nomem(e);
}

static int read_record(struct run *r, struct str line, struct sender_record *out, struct err *e)
{
    struct wrapping w;
    if (wrapping_open(&w, line)) {
        if (!str_is(w.kind, r->topic->record))
            return err_set(e, ERR_SCHEMA, "the line holds \"%.*s\", topic %s takes \"%s\"",
                           STR_ARG(w.kind), r->topic->name, r->topic->record);
        line = w.record;
        out->timestamp_ms = w.timestamp_ms;
    }
    const struct schema_node *schema = codec_schema(r->ctl->codec, r->topic->type);
    int rc = value_read_json(&r->record, schema, line, &r->arena, e);
    if (rc)
        return rc;
    out->key = *(const struct str *)((const char *)&r->record + r->topic->key_offset);
    if (ctl_option(r->ctl, "json")) {
        out->value = line;
        return 0;
    }
    buf_reset(&r->value);
    codec_encode(r->ctl->codec, &r->value, conf_topic(r->ctl->conf, r->topic->name), r->topic->type,
                 &r->record);
    out->value = buf_str(&r->value);
    return buf_ok(&r->value) ? 0 : err_nomem(e);
}

static int send_line(struct run *r, struct str line, struct err *e)
{
    struct sender_record out = {.topic = r->topic, .number = r->lines.number};
    arena_reset(&r->arena);
    int rc = ctl_option(r->ctl, "tombstones") ? read_id(r, line, &out.key, e)
                                              : read_record(r, line, &out, e);
    return rc ? rc : sender_put(r->sender, &out, e);
}

/* Whether it is this line alone that cannot be sent. */
static bool is_bad_line(const struct run *r, int rc)
{
    return sender_failed(r->sender) < 0 &&
           (rc == ERR_CORRUPT || rc == ERR_SCHEMA || rc == ERR_TOO_LARGE);
}

/* A bad line is the end, or is named and counted. */
static int judge(struct run *r, int rc, struct err *e)
{
    const char *name = r->lines.name;
    if (!is_bad_line(r, rc))
        return rc;
    err_wrap(e, "%s:%lld", name, (long long)r->lines.number);
    if (!ctl_option(r->ctl, "skip-bad"))
        return rc;
    if (r->bad++ < BAD_LINES_NAMED)
        fprintf(stderr, "%s%s\n", r->progress.shown ? "\r\033[K" : "", e->msg);
    if (r->bad == BAD_LINES_NAMED)
        fprintf(stderr, "more bad lines are only counted\n");
    *e = (struct err){0};
    return 0;
}

/* ---- All lines ---- */

static void wait_turn(struct run *r)
{
    while (r->rate && !ctl_stopping()) {
        int64_t due_us = r->started_us + (int64_t)((double)r->put * 1e6 / (double)r->rate);
        int64_t left_ms = (due_us - clock_monotonic_us()) / 1000;
        if (left_ms <= 0)
            return;
        sender_wait(r->sender, left_ms < SLICE_MS ? left_ms : SLICE_MS);
    }
}

static int send_all(struct run *r, struct err *e)
{
    struct str line;
    bool more = true;
    int rc = 0;
    while (!rc && !ctl_stopping()) {
        rc = lines_next(&r->lines, &line, &more, e);
        if (rc || !more)
            break;
        wait_turn(r);
        rc = send_line(r, line, e);
        r->put += !rc;
        rc = judge(r, rc, e);
        progress_show(&r->progress, r->put, r->lines.read_bytes, r->lines.total_bytes);
    }
    return rc;
}

/* What was put before is flushed, whatever happened. */
static int finish(struct run *r, int rc, struct err *e)
{
    struct err late = {0};
    int flushed = sender_flush(r->sender, &late);
    int64_t failed = sender_failed(r->sender);
    progress_end(&r->progress);
    if (failed >= 0) {
        *e = late;
        rc = err_wrap(e, "%s:%lld", r->lines.name, (long long)failed);
    } else if (!rc && flushed) {
        *e = late;
        rc = flushed;
    }
    return rc;
}

static void report(const struct run *r)
{
    char sent[HUMAN_BYTES], bad[HUMAN_BYTES], rate[HUMAN_BYTES];
    double seconds = (double)(clock_monotonic_us() - r->started_us) / 1e6;
    int64_t delivered = sender_delivered(r->sender);
    printf("%s %s sent to %s in %.1f s (%s/s)", human_count(sent, delivered),
           ctl_option(r->ctl, "tombstones") ? "tombstones" : "records",
           conf_topic(r->ctl->conf, r->topic->name), seconds,
           human_count(rate, (int64_t)((double)delivered / (seconds > 0.001 ? seconds : 0.001))));
    if (r->bad)
        printf(", %s bad lines skipped", human_count(bad, r->bad));
    printf("\n");
}

/* ---- The command ---- */

static int find_topic(struct run *r, struct err *e)
{
    const char *name = r->ctl->args[0];
    r->topic = topics_find(r->ctl->conf, name);
    if (!r->topic || !r->topic->key)
        return err_set(e, ERR_INVALID,
                       "%s %s: records can be sent to events, users, propositions, rank.requests",
                       r->topic ? "only workers write to" : "there is no topic", name);
    if (ctl_option(r->ctl, "tombstones") && r->topic->type != &entity_type)
        return err_set(e, ERR_INVALID, "%s has no tombstones: only users and propositions have",
                       name);
    return 0;
}

static enum ctl_status send_file(const struct ctl *c, struct err *e)
{
    struct run r = {.ctl = c};
    int rc = find_topic(&r, e);
    if (!rc)
        rc = ctl_number(&r.rate, c, "rate", 0, 1, MOST_RATE, e);
    if (!rc)
        rc = sender_new(&r.sender, c, e);
    if (rc) {
        sender_free(r.sender);
        return rc == ERR_INVALID ? CTL_USAGE : CTL_FAILED;
    }
    rc = lines_open(&r.lines, c->args[1], e);
    if (!rc)
        rc = sender_open(r.sender, r.topic, e);
    if (!rc) {
        r.started_us = clock_monotonic_us();
        progress_start(&r.progress, "records");
        rc = finish(&r, send_all(&r, e), e);
        report(&r);
    }
    if (!rc && ctl_stopping())
        rc = err_set(e, ERR_ABORTED, "interrupted behind %s:%lld: everything before is sent",
                     r.lines.name, (long long)r.lines.number);
    sender_free(r.sender);
    lines_close(&r.lines);
    arena_free(&r.arena);
    buf_free(&r.value);
    return rc ? CTL_FAILED : CTL_OK;
}

const struct command send_command = {
    .name = "send",
    .arguments = "TOPIC FILE|-",
    .least = 2,
    .most = 2,
    .purpose =
        "send JSON lines to events, users, propositions or rank.requests, checked and encoded "
        "as Avro",
    .example = "flotilla send events events.jsonl\n"
               "         echo '{\"event_id\":\"1\",\"event\":\"click\",\"user_id\":\"u1\","
               "\"timestamp\":1700000000000}' | flotilla send events -\n\n"
               "A line may also say what it holds, and when Kafka is to think that it came:\n"
               "         {\"event\": {...}, \"kafka_timestamp\": 1700000000000}; likewise with "
               "\"user\", \"proposition\", \"request\".\n\n"
               "The first line that is bad ends it, everything before it being sent",
    .options =
        {{"skip-bad", NULL, "skip bad lines: the first 10 are named, all are counted"},
         {"rate", "N", "at most N records a second"},
         {"json", NULL, "send the lines' JSON itself, not Avro"},
         {"tombstones", NULL,
          "each line is an id, \"x\" or {\"id\": \"x\"}, of a user or proposition to remove"}},
    .run = send_file,
};

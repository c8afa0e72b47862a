/*
 * A journal made of Kafka's topics, printed, so that tests in another language can hold its order
 * against their own.
 *
 *   journal_probe DIR MEMORY_BYTES TO_MS LABEL_WINDOW_MS SETTING=VALUE...
 *
 * prints a line {"kind": "events", "time": 5, "removed": false, "record": {...}} for each entry in
 * order, time null for the beginning, and at the end {"sealed": false, "counts": {...}}: whether it
 * was there already. Else it prints why on standard error and ends with 1.
 */
#include "backfill/intake.h"
#include "backfill/intake_line.h"
#include "backfill/journal.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARGUMENTS = 5, CLOCK_SKEW_MS = 300000 };

struct probe {
    struct conf *conf;
    struct codec *codec;
    struct journal *journal;
    bool sealed; /* when it was opened */
    struct buf out;
};

static int fill(struct probe *p, const struct intake_opts *opts, struct err *e)
{
    struct intake *in = NULL;
    int rc = intake_new(&in, p->journal, opts, e);
    if (!rc)
        rc = intake_kafka(in, p->conf, "recorder/journal_probe", e);
    if (!rc)
        rc = intake_seal(in, e);
    intake_free(in);
    return rc;
}

static int open_it(struct probe *p, char **args, struct err *e)
{
    struct buf identity = {0};
    struct intake_opts opts = {.codec = p->codec,
                               .to_ms = strtoll(args[3], NULL, 10),
                               .label_window_ms = strtoll(args[4], NULL, 10),
                               .max_clock_skew_ms = CLOCK_SKEW_MS};
    int rc = intake_kafka_identity(&identity, p->conf, &opts, e);
    struct journal_opts journal_opts = {.dir = args[1],
                                        .memory_bytes = strtoull(args[2], NULL, 10),
                                        .identity = buf_str(&identity)};
    if (!rc)
        rc = journal_open(&p->journal, &journal_opts, &p->sealed, e);
    if (!rc && !p->sealed)
        rc = fill(p, &opts, e);
    buf_free(&identity);
    return rc;
}

static void put_record(struct probe *p, const struct entry *n)
{
    const struct record_type *type = n->kind == ENTRY_EVENT     ? &event_type
                                     : n->kind == ENTRY_REQUEST ? &rank_request_type
                                     : n->kind == ENTRY_SCORED  ? &score_log_type
                                                                : &entity_type;
    const void *record = n->kind == ENTRY_EVENT     ? (const void *)&n->event
                         : n->kind == ENTRY_REQUEST ? (const void *)&n->request
                         : n->kind == ENTRY_SCORED  ? (const void *)&n->scored
                                                    : (const void *)&n->entity;
    buf_printf(&p->out, "{\"kind\":\"%s\",\"time\":", entry_kind_name(n->kind));
    if (n->time_ms == INT64_MIN)
        buf_put_text(&p->out, "null");
    else
        buf_printf(&p->out, "%lld", (long long)n->time_ms);
    buf_printf(&p->out, ",\"removed\":%s,\"record\":", n->removed ? "true" : "false");
    value_print_json(&p->out, codec_schema(p->codec, type), record);
    buf_put_text(&p->out, "}\n");
}

static int print(struct probe *p, struct err *e)
{
    struct journal_cursor *c = NULL;
    struct arena arena = {0};
    struct entry entry;
    bool more = true;
    int rc = journal_read(&c, p->journal, e);
    while (!rc && more) {
        arena_reset(&arena);
        rc = journal_next(c, &arena, &entry, &more, e);
        if (!rc && more)
            put_record(p, &entry);
        if (!rc && fwrite(p->out.data, 1, p->out.len, stdout) != p->out.len)
            rc = err_set(e, ERR_IO, "cannot write to standard output");
        buf_reset(&p->out);
    }
    if (!rc)
        printf("{\"sealed\":%s,\"counts\":%.*s}\n", p->sealed ? "true" : "false",
               STR_ARG(journal_counts(p->journal)));
    journal_cursor_free(c);
    arena_free(&arena);
    return rc;
}

int main(int count, char **args)
{
    struct probe p = {0};
    struct err e = {0};
    if (count < ARGUMENTS)
        return 2;
    int rc = conf_new(&p.conf, &e);
    for (int i = ARGUMENTS; i < count && !rc; i++)
        rc = conf_set(p.conf, args[i], &e);
    if (!rc)
        rc = codec_new(&p.codec, p.conf, NULL, &e);
    if (!rc)
        rc = open_it(&p, args, &e);
    if (!rc)
        rc = print(&p, &e);
    if (rc)
        fprintf(stderr, "%s\n", e.msg);
    journal_free(p.journal);
    codec_free(p.codec);
    conf_free(p.conf);
    buf_free(&p.out);
    return rc != 0;
}

#include "simulate_out.h"

#include "sender.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct stream {
    const struct topic *topic;
    FILE *file; /* NULL: Kafka */
    char path[512];
    int64_t count;
};

struct simulate_out {
    const struct ctl *ctl;
    struct sender *sender; /* NULL: files */
    struct stream streams[OUT_STREAMS];
    struct buf line;
};

static int open_file(struct stream *s, const char *folder, struct err *e)
{
    int n = snprintf(s->path, sizeof s->path, "%s/%s.jsonl", folder, s->topic->name);
    if (n >= (int)sizeof s->path)
        return err_set(e, ERR_INVALID, "--out is too long a path");
    s->file = fopen(s->path, "w");
    return s->file ? 0 : err_set(e, ERR_IO, "cannot write %s: %s", s->path, strerror(errno));
}

static int open_streams(struct simulate_out *o, const struct simulate_out_opts *opts, struct err *e)
{
    static const char *const names[OUT_STREAMS] = {[OUT_USERS] = "users",
                                                   [OUT_PROPOSITIONS] = "propositions",
                                                   [OUT_EVENTS] = "events",
                                                   [OUT_REQUESTS] = "rank.requests"};
    const char *folder = opts->folder;
    int count = opts->is_live ? OUT_STREAMS : OUT_REQUESTS, rc = 0;
    if (folder && mkdir(folder, 0777) && errno != EEXIST)
        return err_set(e, ERR_IO, "cannot make the folder %s: %s", folder, strerror(errno));
    if (!folder)
        rc = opts->is_live ? sender_new_prompt(&o->sender, o->ctl, e)
                           : sender_new(&o->sender, o->ctl, e);
    for (int i = 0; i < count && !rc; i++) {
        o->streams[i].topic = topics_find(o->ctl->conf, names[i]);
        rc = folder ? open_file(&o->streams[i], folder, e)
                    : sender_open(o->sender, o->streams[i].topic, e);
    }
    return rc;
}

int simulate_out_new(struct simulate_out **out, const struct ctl *c,
                     const struct simulate_out_opts *opts, struct err *e)
{
    struct simulate_out *o = calloc(1, sizeof *o);
    if (!o)
        return err_nomem(e);
    o->ctl = c;
    int rc = open_streams(o, opts, e);
    if (rc)
        simulate_out_free(o);
    else
        *out = o;
    return rc;
}

void simulate_out_free(struct simulate_out *o)
{
    if (!o)
        return;
    for (int i = 0; i < OUT_STREAMS; i++)
        if (o->streams[i].file)
            fclose(o->streams[i].file);
    sender_free(o->sender);
    buf_free(&o->line);
    free(o);
}

static int put_line(struct simulate_out *o, struct stream *s, const void *record, struct err *e)
{
    value_print_json(&o->line, codec_schema(o->ctl->codec, s->topic->type), record);
    buf_put_u8(&o->line, '\n');
    if (!buf_ok(&o->line))
        return err_nomem(e);
    if (fwrite(o->line.data, 1, o->line.len, s->file) != o->line.len)
        return err_set(e, ERR_IO, "cannot write %s: %s", s->path, strerror(errno));
    return 0;
}

int simulate_out_put(struct simulate_out *o, enum out_stream to, const void *record, struct str key,
                     int64_t timestamp_ms, struct err *e)
{
    struct stream *s = &o->streams[to];
    buf_reset(&o->line);
    s->count++;
    if (s->file)
        return put_line(o, s, record, e);
    codec_encode(o->ctl->codec, &o->line, conf_topic(o->ctl->conf, s->topic->name), s->topic->type,
                 record);
    struct sender_record r = {
        .topic = s->topic, .key = key, .value = buf_str(&o->line), .timestamp_ms = timestamp_ms};
    return buf_ok(&o->line) ? sender_put(o->sender, &r, e) : err_nomem(e);
}

void simulate_out_wait(struct simulate_out *o, int64_t ms)
{
    if (o->sender)
        sender_wait(o->sender, ms);
    else
        clock_sleep_ms(ms);
}

int simulate_out_close(struct simulate_out *o, struct err *e)
{
    struct err first = {0};
    for (int i = 0; i < OUT_STREAMS; i++) {
        struct stream *s = &o->streams[i];
        if (s->file && fclose(s->file) && !first.code)
            err_set(&first, ERR_IO, "cannot write %s: %s", s->path, strerror(errno));
        s->file = NULL;
    }
    if (o->sender)
        sender_flush(o->sender, &first);
    if (first.code && e)
        *e = first;
    return first.code;
}

int64_t simulate_out_count(const struct simulate_out *o, enum out_stream of)
{
    return o->streams[of].count;
}

#include "letters.h"

#include "feature/instant.h"
#include "stream/topics.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Places ---- */

static const char *name_in_kafka(const struct conf *conf, const char *name)
{
    const struct topic *t = topics_find(conf, name);
    return t ? conf_topic(conf, t->name) : name;
}

static bool read_number(int64_t *out, const char *text, const char **end, int64_t most)
{
    char *rest;
    errno = 0;
    *out = strtoll(text, &rest, 10);
    *end = rest;
    return isdigit((unsigned char)*text) && !errno && *out <= most;
}

int letter_place_parse(struct letter_place *out, const struct conf *conf, const char *text,
                       struct err *e)
{
    char name[sizeof out->topic];
    const char *end = text, *slash = strchr(text, '/');
    int64_t partition = 0;
    bool ok = slash && slash > text && (size_t)(slash - text) < sizeof name &&
              read_number(&partition, slash + 1, &end, INT32_MAX) && *end == '/' &&
              read_number(&out->offset, end + 1, &end, INT64_MAX) && !*end;
    if (!ok)
        return err_set(e, ERR_INVALID,
                       "\"%s\" is no place: give topic/partition/offset, as the list has them",
                       text);
    snprintf(name, sizeof name, "%.*s", (int)(slash - text), text);
    snprintf(out->topic, sizeof out->topic, "%s", name_in_kafka(conf, name));
    out->partition = (int)partition;
    return 0;
}

const char *letter_place_print(char text[LETTER_PLACE_BYTES], const struct letter_place *p)
{
    snprintf(text, LETTER_PLACE_BYTES, "%s/%d/%" PRId64, p->topic, p->partition, p->offset);
    return text;
}

/* ---- Filters ---- */

struct condition {
    const char *name; /* with its = or ~ */
    const char *before, *after;
    int (*read)(struct letter_filter *f, const struct condition *c, const struct ctl *ctl,
                const char *value, int64_t now_ms, struct err *e);
};

int letter_filter_add(struct letter_filter *f, const char *value)
{
    if (f->count == LETTER_VALUES || !(f->values[f->count] = strdup(value)))
        return 0;
    return ++f->count;
}

static int add(struct letter_filter *f, const char *before, const char *value, const char *after,
               struct err *e)
{
    int number = letter_filter_add(f, value);
    if (!number)
        return f->count == LETTER_VALUES ? err_set(e, ERR_INVALID, "these are too many filters")
                                         : err_nomem(e);
    buf_printf(&f->sql, " AND %s$%d%s", before, number, after);
    return 0;
}

static int read_text(struct letter_filter *f, const struct condition *c, const struct ctl *ctl,
                     const char *value, int64_t now_ms, struct err *e)
{
    (void)ctl, (void)now_ms;
    return add(f, c->before, value, c->after, e);
}

static int read_topic(struct letter_filter *f, const struct condition *c, const struct ctl *ctl,
                      const char *value, int64_t now_ms, struct err *e)
{
    (void)now_ms;
    return add(f, c->before, name_in_kafka(ctl->conf, value), c->after, e);
}

/* N, or N..N where the condition has two sides. */
static int read_range(struct letter_filter *f, const struct condition *c, const struct ctl *ctl,
                      const char *value, int64_t now_ms, struct err *e)
{
    char from[32], to[32];
    const char *end = value;
    int64_t low = 0, high = 0;
    (void)ctl, (void)now_ms;
    bool ok = read_number(&low, value, &end, INT64_MAX);
    high = low;
    if (ok && strncmp(end, "..", 2) == 0)
        ok = read_number(&high, end + 2, &end, INT64_MAX);
    if (!ok || *end)
        return err_set(e, ERR_INVALID, "\"%s%s\": give a number, or two with .. between them",
                       c->name, value);
    snprintf(from, sizeof from, "%" PRId64, low);
    snprintf(to, sizeof to, "%" PRId64, high);
    int rc = add(f, c->before, from, "::bigint", e);
    return rc ? rc : add(f, c->after, to, "::bigint", e);
}

static int read_state(struct letter_filter *f, const struct condition *c, const struct ctl *ctl,
                      const char *value, int64_t now_ms, struct err *e)
{
    static const char *const states[] = {"none", "left", "sending", "sent"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(value, states[i]) == 0)
            return read_text(f, c, ctl, value, now_ms, e);
    return err_set(e, ERR_INVALID, "\"state=%s\": give none, left, sending or sent", value);
}

/* 90s, 15m, 1h, 2d: so long before now; else an instant. */
static bool read_time_us(int64_t *out, const char *value, int64_t now_ms)
{
    static const struct {
        char name;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    const char *end = value;
    int64_t n = 0;
    if (read_number(&n, value, &end, 100000000) && *end && !end[1])
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            if (*end == units[i].name) {
                *out = (now_ms - n * units[i].seconds * 1000) * 1000;
                return true;
            }
    return instant_parse_us(out, str_of(value));
}

static int read_time(struct letter_filter *f, const struct condition *c, const struct ctl *ctl,
                     const char *value, int64_t now_ms, struct err *e)
{
    char text[64];
    int64_t us = 0;
    (void)ctl;
    if (!read_time_us(&us, value, now_ms))
        return err_set(e, ERR_INVALID,
                       "\"%s%s\": give how long ago (90s, 15m, 1h, 2d), or an instant "
                       "(2026-01-31T08:00:00Z)",
                       c->name, value);
    snprintf(text, sizeof text, "%" PRId64 " microseconds", us);
    return add(f, c->before, text, c->after, e);
}

#define EPOCH "timestamptz '1970-01-01 00:00:00Z' + "

static const struct condition conditions[] = {
    {"topic=", "d.topic = ", "", read_topic},
    {"partition=", "d.partition >= ", "d.partition <= ", read_range},
    {"offset=", "d.\"offset\" >= ", "d.\"offset\" <= ", read_range},
    {"worker=", "d.worker = ", "", read_text},
    {"reason=", "d.reason = ", "", read_text},
    {"key=", "d.key = convert_to(", ", 'UTF8')", read_text},
    {"detail~", "position(", " in d.detail) > 0", read_text},
    {"since=", "d.recorded_at >= " EPOCH, "::interval", read_time},
    {"until=", "d.recorded_at < " EPOCH, "::interval", read_time},
    {"state=", "coalesce(r.state, 'none') = ", "", read_state},
};

static int read_condition(struct letter_filter *f, const struct ctl *c, const char *text,
                          int64_t now_ms, struct err *e)
{
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        size_t n = strlen(conditions[i].name);
        if (strncmp(text, conditions[i].name, n) != 0)
            continue;
        buf_printf(&f->text, "%s%s", f->text.len ? " " : "", text);
        return conditions[i].read(f, &conditions[i], c, text + n, now_ms, e);
    }
    return err_set(e, ERR_INVALID,
                   "--filter %s: there are topic=, partition=, offset=, worker=, reason=, key=, "
                   "detail~, since=, until=, state=",
                   text);
}

int letter_filter_read(struct letter_filter *f, const struct ctl *c, int64_t now_ms, struct err *e)
{
    int rc = 0, at = 0;
    const char *text;
    *f = (struct letter_filter){0};
    while (!rc && (text = ctl_next(c, "filter", &at)))
        rc = read_condition(f, c, text, now_ms, e);
    buf_put_u8(&f->sql, 0);
    buf_put_u8(&f->text, 0);
    return rc || (buf_ok(&f->sql) && buf_ok(&f->text)) ? rc : err_nomem(e);
}

void letter_filter_free(struct letter_filter *f)
{
    for (int i = 0; i < f->count; i++)
        free(f->values[i]);
    buf_free(&f->sql);
    buf_free(&f->text);
}

/* ---- Rows ---- */

int letters_open(struct db **out, const struct ctl *c, struct err *e)
{
    struct db_opts opts = {.url = conf_text(c->conf, "postgres.url"),
                           .application = "flotilla dead-letters",
                           .timeout_ms = (int)conf_int(c->conf, "postgres.timeout_ms"),
                           .stopping = ctl_stopping};
    int rc = db_new(out, &opts, e);
    return rc ? rc : db_connect(*out, e);
}

/* As encode(..., 'hex') has it. */
static void put_hex(struct buf *out, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (; text[0] && text[1]; text += 2)
        buf_put_u8(out, (uint8_t)((strchr(digits, text[0]) - digits) << 4 |
                                  (strchr(digits, text[1]) - digits)));
}

static struct str bytes_of(struct buf *b, const PGresult *r, int column)
{
    if (PQgetisnull(r, 0, column))
        return (struct str){0};
    size_t start = b->len;
    put_hex(b, PQgetvalue(r, 0, column));
    return str_bytes(b->data + start, b->len - start);
}

static const char *text_of(const PGresult *r, int column)
{
    return PQgetisnull(r, 0, column) ? NULL : PQgetvalue(r, 0, column);
}

static int take_row(struct letter *l, struct err *e)
{
    const PGresult *r = l->row;
    size_t most = (size_t)PQgetlength(r, 0, 6) / 2 + (size_t)PQgetlength(r, 0, 7) / 2 + 1;
    if (!buf_reserve(&l->bytes, most)) /* so that nothing moves: key and value borrow from it */
        return err_nomem(e);
    l->worker = text_of(r, 0);
    l->reason = text_of(r, 1);
    l->detail = text_of(r, 2);
    l->recorded_at = text_of(r, 3);
    l->timestamp = text_of(r, 4);
    l->headers = text_of(r, 5);
    l->key = bytes_of(&l->bytes, r, 6);
    l->value = bytes_of(&l->bytes, r, 7);
    l->times = atoi(PQgetvalue(r, 0, 8));
    l->is_cut = *PQgetvalue(r, 0, 9) == 't';
    return 0;
}

int letter_read(struct letter *l, struct db *d, const struct letter_place *p, struct err *e)
{
    static const char sql[] =
        "SELECT worker, reason, detail, "
        "to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'), "
        "to_char(\"timestamp\" AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'), headers, "
        "encode(key, 'hex'), encode(value, 'hex'), count(*) OVER (), "
        "detail ~ '\\(the first [0-9]+ of [0-9]+ (bytes|headers) are kept\\)$' "
        "FROM dead_letters WHERE topic = $1 AND partition = $2::integer "
        "AND \"offset\" = $3::bigint ORDER BY recorded_at DESC LIMIT 1";
    char partition[16], offset[32], place[LETTER_PLACE_BYTES];
    snprintf(partition, sizeof partition, "%d", p->partition);
    snprintf(offset, sizeof offset, "%" PRId64, p->offset);
    *l = (struct letter){.place = *p};
    int rc = db_query(d, &l->row, sql, 3, (const char *const[]){p->topic, partition, offset}, e);
    if (rc)
        return rc;
    if (PQntuples(l->row) == 0)
        return err_set(e, ERR_NOT_FOUND, "no dead letter is recorded of %s",
                       letter_place_print(place, p));
    return take_row(l, e);
}

void letter_free(struct letter *l)
{
    PQclear(l->row);
    buf_free(&l->bytes);
}

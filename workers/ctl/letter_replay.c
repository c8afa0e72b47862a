#include "letter_replay.h"

#include "base/clock.h"
#include "stream/headers.h"
#include "stream/topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH_ITEMS = 100, BATCH_BYTES = 8 * 1024 * 1024, PAGE_ROWS = 500 };

/* Letters that were sent, or are being sent, are not due; nor are those that come while this runs:
 * what is still unusable comes back as a letter of its own. */
#define DUE                                                                                        \
    LETTERS_FROM "WHERE coalesce(r.state, 'left') = 'left' AND d.topic = ANY ($%d::text[]) "       \
                 "AND d.recorded_at <= $%d::timestamptz%s "

struct batch {
    struct letter_replay *replay;
    struct replay_run run;
    struct replay_log *log; /* NULL: a rehearsal */
    struct replay_item *items;
    size_t count, bytes;
    int64_t done;
    char until[64]; /* as PostgreSQL writes a time */
};

/* ---- Preparing ---- */

/* Names of topics hold nothing that an array would have to quote. */
static int list_topics(struct letter_replay *r, struct err *e)
{
    struct buf b = {0};
    for (size_t i = 0; topics[i]; i++)
        buf_printf(&b, "%s\"%s\"", i ? "," : "{", conf_topic(r->ctl->conf, topics[i]->name));
    buf_put_text(&b, "}");
    buf_put_u8(&b, 0);
    r->topics = (char *)b.data;
    return buf_ok(&b) ? 0 : err_nomem(e);
}

int letter_replay_init(struct letter_replay *r, const struct ctl *c, struct db *d,
                       const struct letter_filter *f, struct err *e)
{
    *r = (struct letter_replay){.ctl = c, .db = d, .filter = f};
    return list_topics(r, e);
}

void letter_replay_free(struct letter_replay *r)
{
    free(r->topics);
}

/* Runs a query whose conditions are the filter's and further values. */
static int query(struct letter_replay *r, PGresult **out, struct buf *sql, const char *const *more,
                 int n, struct err *e)
{
    const char *values[LETTER_VALUES + 8];
    int count = r->filter->count;
    for (int i = 0; i < count; i++)
        values[i] = r->filter->values[i];
    for (int i = 0; i < n; i++)
        values[count + i] = more[i];
    buf_put_u8(sql, 0);
    return buf_ok(sql) ? db_query(r->db, out, (const char *)sql->data, count + n, values, e)
                       : err_nomem(e);
}

int letter_replay_count(struct letter_replay *r, struct replay_count *out, struct err *e)
{
    struct buf sql = {0};
    PGresult *row = NULL;
    int n = r->filter->count;
    buf_printf(
        &sql,
        "SELECT count(DISTINCT (d.topic, d.partition, d.\"offset\")) FILTER (WHERE "
        "coalesce(r.state, 'left') = 'left'), count(DISTINCT (d.topic, d.partition, "
        "d.\"offset\")) FILTER (WHERE r.state = 'sent'), (SELECT count(*) FROM "
        "dead_letter_replays WHERE state = 'sending' AND topic = ANY ($%d::text[]))" LETTERS_FROM
        "WHERE d.topic = ANY ($%d::text[])%s",
        n + 1, n + 1, (const char *)r->filter->sql.data);
    int rc = query(r, &row, &sql, (const char *const[]){r->topics}, 1, e);
    if (!rc)
        *out = (struct replay_count){.due = strtoll(PQgetvalue(row, 0, 0), NULL, 10),
                                     .sent = strtoll(PQgetvalue(row, 0, 1), NULL, 10),
                                     .unsettled = strtoll(PQgetvalue(row, 0, 2), NULL, 10)};
    PQclear(row);
    buf_free(&sql);
    return rc;
}

static int read_clock(struct batch *b, struct err *e)
{
    PGresult *row = NULL;
    int rc = db_query(b->replay->db, &row, "SELECT now()::text", 0, NULL, e);
    if (!rc)
        snprintf(b->until, sizeof b->until, "%s", PQgetvalue(row, 0, 0));
    PQclear(row);
    return rc;
}

/* ---- One letter ---- */

static int put_item(struct replay_item *i, const struct letter *l, const struct repaired *repaired,
                    struct err *e)
{
    char place[LETTER_PLACE_BYTES];
    struct str value = repaired ? buf_str(&repaired->value) : l->value;
    i->place = l->place;
    i->has_key = l->key.data;
    i->has_value = repaired || l->value.data;
    i->target_offset = -1;
    i->key_len = l->key.len;
    buf_put_str(&i->bytes, l->key);
    int rc = l->headers ? headers_read_json(&i->bytes, str_of(l->headers), e) : 0;
    if (rc)
        return rc;
    headers_put(&i->bytes, str_of(REPLAY_HEADER), str_of(letter_place_print(place, &l->place)));
    i->headers_len = i->bytes.len - i->key_len;
    buf_put_str(&i->bytes, value);
    return buf_ok(&i->bytes) ? 0 : err_nomem(e);
}

/* What the command said on standard error, and why it left the letter, under the letter's name. */
static void say_repaired(struct letter_replay *r, const struct letter *l,
                         const struct repaired *repaired)
{
    char line[512];
    struct str said = buf_str(&repaired->said);
    while (said.len) {
        const char *feed = memchr(said.data, '\n', said.len);
        size_t n = feed ? (size_t)(feed - said.data) : said.len;
        snprintf(line, sizeof line, "%.*s", (int)(n < sizeof line ? n : sizeof line - 1),
                 said.data);
        r->say(r->arg, &l->place, line);
        n += feed != NULL;
        said = str_bytes(said.data + n, said.len - n);
    }
    if (repaired->end == REPAIR_FAILED)
        r->say(r->arg, &l->place, repaired->note);
}

static int repair(struct batch *b, struct replay_item *i, const struct letter *l, struct err *e)
{
    struct letter_replay *r = b->replay;
    struct repaired repaired;
    int rc = repair_run(&repaired, &r->repair, l, e);
    if (!rc) {
        say_repaired(r, l, &repaired);
        rc = put_item(i, l, &repaired, e);
    }
    i->send = repaired.end == REPAIR_DONE;
    snprintf(i->note, sizeof i->note, "%s", repaired.note);
    r->told.left += !rc && repaired.end == REPAIR_LEFT;
    r->told.failed += !rc && repaired.end == REPAIR_FAILED;
    repaired_free(&repaired);
    return rc;
}

static int take_letter(struct batch *b, const struct letter_place *place, struct err *e)
{
    struct letter_replay *r = b->replay;
    struct letter l;
    struct replay_item *i = &b->items[b->count];
    int rc = letter_read(&l, r->db, place, e);
    *i = (struct replay_item){.send = true};
    if (!rc && l.is_cut) {
        r->told.cut++;
        r->say(r->arg, place, "not sent: only a part of it was kept (see its detail)");
    } else if (!rc) {
        b->count++;
        rc = r->repair.command ? repair(b, i, &l, e) : put_item(i, &l, NULL, e);
        b->bytes += i->bytes.len;
    }
    letter_free(&l);
    b->done++;
    r->each(r->arg, b->done);
    return rc;
}

/* ---- A batch ---- */

static void empty(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        buf_free(&b->items[i].bytes);
    b->count = b->bytes = 0;
}

static void tell(struct batch *b)
{
    struct replay_told *t = &b->replay->told;
    for (size_t i = 0; i < b->count; i++) {
        const struct replay_item *item = &b->items[i];
        bool refused = !item->send && strncmp(item->note, "Kafka ", 6) == 0;
        t->sent += item->target_offset >= 0;
        t->taken += item->taken;
        t->failed += refused;
        if (refused)
            b->replay->say(b->replay->arg, &item->place, item->note);
    }
}

static int send_batch(struct batch *b, struct err *e)
{
    int rc = 0;
    bool any = false;
    for (size_t i = 0; i < b->count && !rc; i++)
        if (b->items[i].send)
            rc = replay_log_aim(b->log, &b->items[i], e);
    if (!rc)
        rc = replay_run_claim(&b->run, b->items, b->count, e);
    for (size_t i = 0; i < b->count; i++)
        any |= b->items[i].send && !b->items[i].taken;
    if (!rc && any)
        rc = replay_log_send(b->log, b->items, b->count, e);
    if (!rc)
        tell(b);
    return rc || !any ? rc : replay_run_mark(&b->run, b->items, b->count, e);
}

static int end_batch(struct batch *b, struct err *e)
{
    int rc = b->log && b->count ? send_batch(b, e) : 0;
    empty(b);
    return rc;
}

/* ---- All of them ---- */

/* The next places behind one, in the order of the logs. */
static int next_places(struct batch *b, const struct letter_place *after, PGresult **out,
                       struct err *e)
{
    struct buf sql = {0};
    char partition[16], offset[32];
    int n = b->replay->filter->count;
    snprintf(partition, sizeof partition, "%d", after->partition);
    snprintf(offset, sizeof offset, "%" PRId64, after->offset);
    buf_printf(&sql,
               "SELECT DISTINCT d.topic, d.partition, d.\"offset\"" DUE
               "AND (d.topic, d.partition, d.\"offset\") > ($%d, $%d::integer, $%d::bigint) "
               "ORDER BY 1, 2, 3 LIMIT %d",
               n + 1, n + 2, (const char *)b->replay->filter->sql.data, n + 3, n + 4, n + 5,
               PAGE_ROWS);
    const char *more[] = {b->replay->topics, b->until, after->topic, partition, offset};
    int rc = query(b->replay, out, &sql, more, 5, e);
    buf_free(&sql);
    return rc;
}

static void place_of(struct letter_place *p, const PGresult *rows, int i)
{
    snprintf(p->topic, sizeof p->topic, "%s", PQgetvalue(rows, i, 0));
    p->partition = atoi(PQgetvalue(rows, i, 1));
    p->offset = strtoll(PQgetvalue(rows, i, 2), NULL, 10);
}

static int take_page(struct batch *b, const PGresult *rows, struct letter_place *last,
                     struct err *e)
{
    int rc = 0;
    for (int i = 0; i < PQntuples(rows) && !rc && !ctl_stopping(); i++) {
        place_of(last, rows, i);
        rc = take_letter(b, last, e);
        if (!rc && (b->count == BATCH_ITEMS || b->bytes >= BATCH_BYTES))
            rc = end_batch(b, e);
    }
    return rc;
}

static int take_all(struct batch *b, struct err *e)
{
    struct letter_place last = {.offset = -1};
    bool more = true;
    int rc = 0;
    while (!rc && more && !ctl_stopping()) {
        PGresult *rows = NULL;
        rc = next_places(b, &last, &rows, e);
        more = !rc && PQntuples(rows) > 0;
        if (!rc)
            rc = take_page(b, rows, &last, e);
        PQclear(rows);
    }
    if (!rc)
        rc = end_batch(b, e);
    if (!rc && ctl_stopping())
        rc = err_set(e, ERR_ABORTED,
                     "interrupted: what was repaired is sent; run it again for "
                     "the rest");
    empty(b);
    return rc;
}

/* What earlier runs were about to send when they were ended: sent or not is in the log. */
static int settle(struct batch *b, struct err *e)
{
    struct letter_replay *r = b->replay;
    size_t n = 0;
    int rc;
    do {
        rc = replay_run_unsettled(&b->run, r->topics, b->items, BATCH_ITEMS, &n, e);
        if (!rc && n)
            rc = replay_log_find(r->ctl->conf, b->items, n, e);
        if (!rc && n)
            rc = replay_run_settle(&b->run, b->items, n, e);
        for (size_t i = 0; i < n && !rc; i++) {
            r->told.found += b->items[i].target_offset >= 0;
            r->told.not_sent += b->items[i].target_offset < 0;
        }
    } while (!rc && n);
    return rc;
}

static int open_batch(struct batch *b, struct letter_replay *r, struct err *e)
{
    *b = (struct batch){.replay = r, .items = calloc(BATCH_ITEMS, sizeof *b->items)};
    return b->items ? read_clock(b, e) : err_nomem(e);
}

int letter_replay_rehearse(struct letter_replay *r, struct err *e)
{
    struct batch b;
    int rc = open_batch(&b, r, e);
    if (!rc)
        rc = take_all(&b, e);
    free(b.items);
    return rc;
}

int letter_replay_run(struct letter_replay *r, struct err *e)
{
    struct batch b;
    const char *fleet = conf_text(r->ctl->conf, "kafka.prefix");
    int rc = open_batch(&b, r, e);
    if (!rc)
        rc = replay_log_new(&b.log, r->ctl->conf, e);
    /* The row first, then the fence, then rows of letters: see replay_audit.h. */
    if (!rc)
        rc = replay_run_begin(&b.run, r->db, fleet, r->repair.command,
                              (const char *)r->filter->text.data, e);
    if (!rc)
        rc = replay_log_fence(b.log, e);
    if (!rc)
        rc = settle(&b, e);
    if (!rc)
        rc = take_all(&b, e);
    replay_log_free(b.log);
    free(b.items);
    return rc;
}

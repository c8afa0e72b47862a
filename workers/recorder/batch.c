#include "recorder/batch.h"

#include "base/failpoint.h"
#include "base/table.h"
#include "db/copy.h"
#include "recorder/statements.h"
#include "stream/dead_letter.h"
#include "stream/headers.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_SINKS = 32, MAX_REASONS = 16 };

/* Where one row stands. */
struct row {
    size_t start;
    size_t len;
    size_t key_bytes; /* from its third byte on */
    bool superseded;  /* a later record has the same key */
};

/* The rows of one table. */
struct rows {
    const struct sink *sink;
    struct buf bytes;
    struct row *list; /* owned */
    size_t count, cap, live;
    struct table *newest; /* key columns to the number of their last row, in the tag; NULL in tables
                             of history */
    size_t removals;      /* how many say that their key is removed, superseded ones too */
    struct statements sql;
};

struct reason_count {
    const char *reason; /* a constant */
    size_t n;
};

struct batch {
    struct rows tables[MAX_SINKS];
    size_t table_count;
    struct rows *dead_letters; /* one of tables */
    struct reason_count reasons[MAX_REASONS];
    struct codec *codec;
    struct arena arena; /* of the record at hand, as are the next */
    struct buf headers; /* as stream/headers.h has them */
    struct buf out;     /* what is sent */
    size_t records;
};

static int rows_init(struct rows *t, const struct sink *s, struct err *e)
{
    t->sink = s;
    statements_make(&t->sql, s);
    bool ok = buf_ok(&t->sql.prepare) && buf_ok(&t->sql.copy) && buf_ok(&t->sql.merge) &&
              buf_ok(&t->sql.removing);
    if (ok && s->mode == SINK_LATEST)
        ok = (t->newest = table_new());
    return ok ? 0 : err_nomem(e);
}

static void rows_free(struct rows *t)
{
    buf_free(&t->bytes);
    free(t->list);
    table_free(t->newest);
    statements_free(&t->sql);
}

static void rows_clear(struct rows *t)
{
    buf_reset(&t->bytes);
    t->count = t->live = t->removals = 0;
    if (t->newest)
        table_clear(t->newest);
}

static bool rows_reserve(struct rows *t)
{
    if (t->count < t->cap)
        return true;
    size_t cap = t->cap ? t->cap * 2 : 1024;
    struct row *list = realloc(t->list, cap * sizeof *list);
    if (!list)
        return false;
    t->list = list;
    t->cap = cap;
    return true;
}

/* Fails with ERR_SCHEMA, ERR_TOO_LARGE (the record cannot be a row), ERR_NOMEM. */
static int rows_add(struct rows *t, const struct sink_record *record, struct err *e)
{
    size_t start = t->bytes.len, key_bytes = 0;
    if (!rows_reserve(t))
        return err_nomem(e);
    int rc = sink_put_row(&t->bytes, t->sink, record, &key_bytes, e);
    if (rc || !buf_ok(&t->bytes))
        return rc ? rc : err_nomem(e);
    if (t->newest) {
        struct str key = str_bytes(t->bytes.data + start + 2, key_bytes);
        size_t before = table_count(t->newest);
        uint32_t id = table_insert(t->newest, key);
        if (id == TABLE_NONE)
            return err_nomem(e);
        struct table_entry *entry = table_get(t->newest, id);
        if (table_count(t->newest) == before) {
            t->list[table_tag(entry)].superseded = true;
            t->live--;
        }
        table_set_tag(entry, (int64_t)t->count);
    }
    t->list[t->count++] =
        (struct row){.start = start, .len = t->bytes.len - start, .key_bytes = key_bytes};
    t->live++;
    t->removals += t->sink->is_removal && t->sink->is_removal(record->fields);
    return 0;
}

int batch_new(struct batch **out, struct codec *codec, struct err *e)
{
    struct batch *b = calloc(1, sizeof *b);
    if (!b)
        return err_nomem(e);
    b->codec = codec;
    int rc = 0;
    for (size_t i = 0; sinks[i] && i < MAX_SINKS && !rc; i++) {
        rc = rows_init(&b->tables[b->table_count++], sinks[i], e);
        if (sinks[i] == &dead_letters_sink)
            b->dead_letters = &b->tables[i];
    }
    if (rc) {
        batch_free(b);
        return rc;
    }
    *out = b;
    return 0;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->table_count; i++)
        rows_free(&b->tables[i]);
    arena_free(&b->arena);
    buf_free(&b->headers);
    buf_free(&b->out);
    free(b);
}

static void count_reason(struct batch *b, const char *reason)
{
    size_t i = 0;
    while (i < MAX_REASONS - 1 && b->reasons[i].reason && strcmp(b->reasons[i].reason, reason) != 0)
        i++;
    b->reasons[i].reason = reason;
    b->reasons[i].n++;
}

static int add_dead_letter(struct batch *b, const struct input *in, const char *reason,
                           const char *detail, struct err *e)
{
    struct burial burial;
    int rc = burial_make(&burial, in, "recorder", reason, detail, e);
    struct sink_record record = {
        .fields = &burial.letter, .key = in->key, .headers = buf_str(&burial.headers)};
    if (!rc)
        rc = rows_add(b->dead_letters, &record, e);
    if (!rc)
        count_reason(b, reason);
    burial_free(&burial);
    return rc;
}

/* Fails with why the record is of no use: anything but ERR_NOMEM and ERR_UNAVAILABLE is the
 * record's own fault. */
static int add_row(struct batch *b, struct rows *t, const struct input *in, const char **reason,
                   struct err *e)
{
    *reason = DEAD_INVALID_VALUE;
    if (!in->value.data)
        return err_set(e, ERR_SCHEMA, "a tombstone, which the topic does not have");
    void *record = arena_alloc(&b->arena, t->sink->type->size);
    if (!record)
        return err_nomem(e);
    int rc = codec_decode(b->codec, record, t->sink->type, in->value, &b->arena, e);
    if (rc) {
        *reason = dead_letter_reason(rc);
        return rc;
    }
    buf_reset(&b->headers);
    if (t->sink->wants_headers)
        headers_take(&b->headers, input_headers(in), SIZE_MAX);
    struct sink_record row = {.fields = record,
                              .schema = codec_schema(b->codec, t->sink->type),
                              .key = in->key,
                              .headers = buf_str(&b->headers),
                              .topic = in->topic,
                              .partition = in->partition,
                              .offset = in->offset};
    rc = buf_ok(&b->headers) ? rows_add(t, &row, e) : err_nomem(e);
    if (rc == ERR_TOO_LARGE)
        *reason = DEAD_TOO_LARGE;
    return rc;
}

int batch_add(struct batch *b, const struct sink *s, const struct input *in, struct err *e)
{
    struct rows *t = b->tables;
    const char *reason = NULL;
    struct err why = {0};
    while (t->sink != s)
        t++;
    int rc = add_row(b, t, in, &reason, &why);
    if (rc && rc != ERR_NOMEM && rc != ERR_UNAVAILABLE)
        rc = add_dead_letter(b, in, reason, why.msg, &why);
    arena_reset(&b->arena);
    b->records += rc != ERR_UNAVAILABLE;
    if (rc && e)
        *e = why;
    return rc;
}

size_t batch_records(const struct batch *b)
{
    return b->records;
}

size_t batch_buried(const struct batch *b)
{
    size_t n = 0;
    for (size_t i = 0; i < MAX_REASONS && b->reasons[i].reason; i++)
        n += b->reasons[i].n;
    return n;
}

size_t batch_bytes(const struct batch *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->table_count; i++)
        n += b->tables[i].bytes.len;
    return n;
}

void batch_clear(struct batch *b)
{
    for (size_t i = 0; i < b->table_count; i++)
        rows_clear(&b->tables[i]);
    memset(b->reasons, 0, sizeof b->reasons);
    b->records = 0;
}

int batch_prepare(const struct batch *b, struct db *d, struct err *e)
{
    int rc = db_run(d, statements_session, e);
    for (size_t i = 0; i < b->table_count && !rc; i++)
        if (b->tables[i].sql.prepare.len)
            rc = db_run(d, (const char *)b->tables[i].sql.prepare.data, e);
    return rc;
}

/* Another recorder may have inserted a key of ours a moment ago: it is found by the next attempt.
 */
static int merge_rows(const struct rows *t, struct db *d, struct err *e)
{
    const struct buf *sql = t->removals ? &t->sql.removing : &t->sql.merge;
    int rc = db_run(d, (const char *)sql->data, e);
    if (rc != ERR_FATAL || strcmp(db_sqlstate(d), UNIQUE_VIOLATION) != 0)
        return rc;
    if (e)
        e->code = ERR_UNAVAILABLE;
    return ERR_UNAVAILABLE;
}

static int by_key(const void *a, const void *b, void *bytes)
{
    const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;
    const uint8_t *rows = bytes;
    size_t n = x->key_bytes < y->key_bytes ? x->key_bytes : y->key_bytes;
    int order = memcmp(rows + x->start + 2, rows + y->start + 2, n);
    return order ? order : (x->key_bytes > y->key_bytes) - (x->key_bytes < y->key_bytes);
}

/* The rows as COPY takes them. Those with keys are in their order: neighbours in the index are
 * found, and put, one after the other. */
static int gather(struct batch *b, const struct rows *t, struct err *e)
{
    const struct row **list = malloc(t->live * sizeof *list);
    size_t n = 0;
    if (!list)
        return err_nomem(e);
    for (size_t i = 0; i < t->count; i++)
        if (!t->list[i].superseded)
            list[n++] = &t->list[i];
    if (t->newest)
        qsort_r(list, n, sizeof *list, by_key, t->bytes.data);
    buf_reset(&b->out);
    copy_begin(&b->out);
    for (size_t i = 0; i < n; i++)
        buf_put(&b->out, t->bytes.data + list[i]->start, list[i]->len);
    copy_end(&b->out);
    free(list);
    return buf_ok(&b->out) ? 0 : err_nomem(e);
}

static int write_rows(struct batch *b, const struct rows *t, struct db *d, struct err *e)
{
    int rc = gather(b, t, e);
    if (!rc)
        rc = db_copy(d, (const char *)t->sql.copy.data, buf_str(&b->out), e);
    FAILPOINT("recorder.batch.copied");
    if (!rc && t->sql.merge.len)
        rc = merge_rows(t, d, e);
    FAILPOINT("recorder.batch.merged");
    return rc;
}

int batch_write(struct batch *b, struct db *d, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < b->table_count && !rc; i++)
        if (b->tables[i].live)
            rc = write_rows(b, &b->tables[i], d, e);
    return rc;
}

void batch_count(const struct batch *b, const struct batch_counts *counts)
{
    for (size_t i = 0; i < b->table_count; i++)
        if (b->tables[i].live)
            counts->each(counts->arg, b->tables[i].sink->table, NULL, b->tables[i].live);
    for (size_t i = 0; i < MAX_REASONS && b->reasons[i].reason; i++)
        counts->each(counts->arg, NULL, b->reasons[i].reason, b->reasons[i].n);
}

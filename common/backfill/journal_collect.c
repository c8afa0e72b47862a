#include "backfill/journal_collect.h"

#include <stdlib.h>
#include <unistd.h>

/* Files that a process may have open are few: 1,024 as a rule. */
enum { LENGTH_BYTES = 4, SORT_BYTES = 2 * sizeof(void *), OPEN_RUNS = 4 * COLLECT_RUNS };

/* An entry in memory: its bytes are at `at`, their length in 4 bytes before them. */
struct item {
    struct place place;
    size_t at;
};

struct collector {
    struct collector_opts opts;
    struct buf bytes;
    struct item *items;
    size_t count, cap;
    struct run *runs;
    size_t run_count, run_cap;
    uint32_t next_number;
};

int collector_new(struct collector **out, const struct collector_opts *opts, struct err *e)
{
    struct collector *c = calloc(1, sizeof *c);
    if (!c)
        return err_nomem(e);
    c->opts = *opts;
    c->next_number = opts->first_number;
    *out = c;
    return 0;
}

void collector_free(struct collector *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->run_count; i++)
        run_close(&c->runs[i]);
    buf_free(&c->bytes);
    free(c->items);
    free(c->runs);
    free(c);
}

/* ---- Runs ---- */

static int make_room_for_run(struct collector *c, struct err *e)
{
    if (c->run_count < c->run_cap)
        return 0;
    size_t cap = c->run_cap ? 2 * c->run_cap : 16;
    struct run *runs = realloc(c->runs, cap * sizeof *runs);
    if (!runs)
        return err_nomem(e);
    c->runs = runs;
    c->run_cap = cap;
    return 0;
}

/* Entries one after the other, in order. *raw is NULL behind the last. */
typedef int next_entry(void *arg, const struct raw_entry **raw, struct err *e);

static int write_run(struct collector *c, next_entry *next, void *arg, struct err *e)
{
    struct run_writer w = {.file = -1};
    const struct raw_entry *raw = NULL;
    int rc = make_room_for_run(c, e);
    if (!rc)
        rc = run_writer_open(&w, c->opts.dir, c->next_number, e);
    if (!rc)
        rc = next(arg, &raw, e);
    while (!rc && raw) {
        rc = run_put(&w, raw, e);
        if (!rc)
            rc = next(arg, &raw, e);
    }
    if (!rc)
        rc = run_writer_close(&w, &c->runs[c->run_count], e);
    if (!rc) {
        c->run_count++;
        c->next_number++;
    }
    run_writer_free(&w);
    return rc;
}

static void raw_of(struct raw_entry *out, const struct collector *c, const struct item *i)
{
    uint32_t n;
    memcpy(&n, c->bytes.data + i->at - LENGTH_BYTES, LENGTH_BYTES);
    entry_place(out, str_bytes(c->bytes.data + i->at, n));
}

static int by_order(const void *a, const void *b, void *arg)
{
    const struct collector *c = arg;
    const struct item *x = a, *y = b;
    struct raw_entry first = {.place = x->place}, second = {.place = y->place};
    /* Only attributes are looked at further than their places. */
    if (kind_is_attributes(x->place.kind) && kind_is_attributes(y->place.kind)) {
        raw_of(&first, c, x);
        raw_of(&second, c, y);
    }
    return c->opts.order(&first, &second);
}

/* What comes from one file, or one partition, is often in order as it is. */
static void sort_items(struct collector *c)
{
    for (size_t i = 1; i < c->count; i++)
        if (by_order(&c->items[i - 1], &c->items[i], c) > 0) {
            qsort_r(c->items, c->count, sizeof *c->items, by_order, c);
            return;
        }
}

struct walk {
    const struct collector *c;
    size_t at;
    struct raw_entry raw;
};

static int next_item(void *arg, const struct raw_entry **raw, struct err *e)
{
    struct walk *w = arg;
    (void)e;
    *raw = w->at < w->c->count ? &w->raw : NULL;
    if (*raw)
        raw_of(&w->raw, w->c, &w->c->items[w->at++]);
    return 0;
}

static int next_merged(void *arg, const struct raw_entry **raw, struct err *e)
{
    return merge_next(arg, raw, e);
}

static int remove_run(const struct collector *c, struct run *r, struct err *e)
{
    struct buf path = {0};
    run_path(&path, c->opts.dir, r->number);
    int rc = buf_ok(&path) ? 0 : err_nomem(e);
    run_close(r);
    if (!rc)
        unlink((const char *)path.data);
    buf_free(&path);
    return rc;
}

/* The first ones, which are the smallest, become one behind the last. */
static int merge_first(struct collector *c, size_t count, struct err *e)
{
    struct merge *m = NULL;
    int rc = make_room_for_run(c, e); /* before they are borrowed: they move */
    if (!rc)
        rc = merge_new(&m, c->opts.order, c->opts.dir, e);
    for (size_t i = 0; i < count && !rc; i++)
        rc = merge_add(m, &c->runs[i], MERGE_ALL, e);
    if (!rc)
        rc = write_run(c, next_merged, m, e);
    merge_free(m);
    for (size_t i = 0; i < count && !rc; i++)
        rc = remove_run(c, &c->runs[i], e);
    if (!rc) {
        c->run_count -= count;
        memmove(c->runs, c->runs + count, c->run_count * sizeof *c->runs);
    }
    return rc;
}

/* What is in memory becomes a run. */
static int spill(struct collector *c, struct err *e)
{
    if (!c->count)
        return 0;
    struct walk w = {.c = c};
    sort_items(c);
    int rc = write_run(c, next_item, &w, e);
    if (rc)
        return rc;
    c->count = 0;
    buf_reset(&c->bytes);
    return c->run_count < OPEN_RUNS ? 0 : merge_first(c, COLLECT_RUNS, e);
}

int collector_end(struct collector *c, struct err *e)
{
    int rc = spill(c, e);
    buf_free(&c->bytes);
    free(c->items);
    c->items = NULL;
    c->cap = 0;
    while (!rc && c->run_count > COLLECT_RUNS) {
        size_t over = c->run_count - COLLECT_RUNS + 1;
        rc = merge_first(c, over < COLLECT_RUNS ? over : COLLECT_RUNS, e);
    }
    for (size_t i = 0; i < c->run_count && !rc; i++)
        rc = run_sync(&c->runs[i], c->opts.dir, e);
    return rc;
}

size_t collector_runs(const struct collector *c, const struct run **out, uint32_t *next_number)
{
    *out = c->runs;
    *next_number = c->next_number;
    return c->run_count;
}

uint64_t collector_bytes(const struct collector *c)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < c->run_count; i++)
        bytes += c->runs[i].bytes;
    return bytes;
}

/* ---- Adding ---- */

static int make_room_for_item(struct collector *c, struct err *e)
{
    if (c->count < c->cap)
        return 0;
    size_t cap = c->cap ? 2 * c->cap : 1024;
    struct item *items = realloc(c->items, cap * sizeof *items);
    if (!items)
        return err_nomem(e);
    c->items = items;
    c->cap = cap;
    return 0;
}

static bool is_full(const struct collector *c)
{
    return c->bytes.len + (c->count + 1) * (sizeof *c->items + SORT_BYTES) > c->opts.memory_bytes;
}

/* The bytes behind `start` (their length first) become an entry. What would go over the bound is
 * the first of the next run. */
static int take(struct collector *c, size_t start, struct err *e)
{
    size_t n = c->bytes.len - start - LENGTH_BYTES;
    if (!buf_ok(&c->bytes) || n > RUN_ENTRY_BYTES) {
        int rc = buf_ok(&c->bytes)
                     ? err_set(e, ERR_TOO_LARGE, "a record has %zu bytes, a journal takes %d", n,
                               RUN_ENTRY_BYTES)
                     : err_nomem(e);
        c->bytes.len = start;
        c->bytes.failed = false;
        return rc;
    }
    uint32_t length = (uint32_t)n;
    memcpy(c->bytes.data + start, &length, LENGTH_BYTES);
    if (c->count && is_full(c)) {
        size_t more = c->bytes.len - start;
        c->bytes.len = start;
        int rc = spill(c, e);
        if (rc)
            return rc;
        memmove(c->bytes.data, c->bytes.data + start, more);
        c->bytes.len = more;
        start = 0;
    }
    struct raw_entry raw;
    entry_place(&raw, str_bytes(c->bytes.data + start + LENGTH_BYTES, n));
    c->items[c->count++] = (struct item){raw.place, start + LENGTH_BYTES};
    return 0;
}

int collector_add(struct collector *c, const struct entry *entry, struct err *e)
{
    static const uint8_t length[LENGTH_BYTES];
    size_t start = c->bytes.len;
    int rc = make_room_for_item(c, e);
    if (rc)
        return rc;
    buf_put(&c->bytes, length, LENGTH_BYTES);
    entry_write(&c->bytes, entry);
    return take(c, start, e);
}

int collector_add_raw(struct collector *c, const struct raw_entry *raw, int64_t time_ms,
                      struct err *e)
{
    static const uint8_t length[LENGTH_BYTES];
    size_t start = c->bytes.len;
    int rc = make_room_for_item(c, e);
    if (rc)
        return rc;
    buf_put(&c->bytes, length, LENGTH_BYTES);
    entry_write_raw(&c->bytes, raw, time_ms);
    return take(c, start, e);
}

#include "backfill/journal.h"

#include "backfill/journal_dir.h"
#include "backfill/journal_entities.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { STANDARD_MEMORY_BYTES = 256 * 1024 * 1024, LEAST_MEMORY_BYTES = 4096 };

struct journal {
    char *dir;
    int file; /* the directory, locked */
    size_t memory_bytes;
    struct buf identity, counts;
    struct collector *collector; /* until it is sealed */
    struct run *runs; /* of a sealed one: `collected` of them, then those of attributes */
    size_t run_count, collected;
    bool is_sealed;
    uint64_t kinds[ENTRY_KINDS];
    int64_t newest_ms[ENTRY_KINDS];
};

struct journal_cursor {
    struct merge *merge;
};

/* ---- Opening ---- */

void journal_free(struct journal *j)
{
    if (!j)
        return;
    for (size_t i = 0; i < j->run_count; i++)
        run_close(&j->runs[i]);
    free(j->runs);
    collector_free(j->collector);
    buf_free(&j->identity);
    buf_free(&j->counts);
    if (j->file >= 0)
        close(j->file);
    free(j->dir);
    free(j);
}

static int open_runs(struct journal *j, const struct manifest *m, struct err *e)
{
    int rc = 0;
    if (!(j->runs = calloc(m->count + 1, sizeof *j->runs)))
        return err_nomem(e);
    j->collected = m->collected;
    for (size_t i = 0; i < m->count && !rc; i++) {
        j->runs[i] = m->runs[i];
        j->run_count++;
        rc = run_open(&j->runs[i], j->dir, e);
    }
    return rc;
}

/* Whether it is sealed, and of this identity. */
static int open_sealed(struct journal *j, struct err *e)
{
    struct manifest m;
    bool found;
    int rc = manifest_read(&m, j->dir, &found, e);
    if (!rc && found && str_equal(m.identity, buf_str(&j->identity))) {
        memcpy(j->kinds, m.kinds, sizeof j->kinds);
        memcpy(j->newest_ms, m.newest_ms, sizeof j->newest_ms);
        buf_put_str(&j->counts, m.counts);
        j->is_sealed = true;
        rc = buf_ok(&j->counts) ? open_runs(j, &m, e) : err_nomem(e);
    }
    manifest_free(&m);
    return rc;
}

static int begin_collecting(struct journal *j, uint32_t first_number, struct err *e)
{
    struct collector_opts opts = {.dir = j->dir,
                                  .memory_bytes = j->memory_bytes,
                                  .order = order_of_collection,
                                  .first_number = first_number};
    return collector_new(&j->collector, &opts, e);
}

int journal_open(struct journal **out, const struct journal_opts *opts, bool *sealed, struct err *e)
{
    struct journal *j = calloc(1, sizeof *j);
    if (!j)
        return err_nomem(e);
    *j = (struct journal){.dir = strdup(opts->dir), .file = -1};
    j->memory_bytes = opts->memory_bytes ? opts->memory_bytes : STANDARD_MEMORY_BYTES;
    if (j->memory_bytes < LEAST_MEMORY_BYTES)
        j->memory_bytes = LEAST_MEMORY_BYTES;
    for (int i = 0; i < ENTRY_KINDS; i++)
        j->newest_ms[i] = INT64_MIN;
    buf_put_str(&j->identity, opts->identity);
    int rc = j->dir && buf_ok(&j->identity) ? 0 : err_nomem(e);
    if (!rc)
        rc = journal_dir_open(&j->file, j->dir, e);
    if (!rc)
        rc = open_sealed(j, e);
    if (!rc && !j->is_sealed) {
        rc = journal_dir_clear(j->file, j->dir, e);
        if (!rc)
            rc = begin_collecting(j, 1, e);
    }
    *sealed = j->is_sealed;
    if (rc)
        journal_free(j);
    else
        *out = j;
    return rc;
}

/* ---- Adding ---- */

int journal_add(struct journal *j, const struct entry *entry, struct err *e)
{
    if (j->is_sealed)
        return err_set(e, ERR_INVALID, "the journal %s is sealed: nothing can be added", j->dir);
    int rc = collector_add(j->collector, entry, e);
    if (rc)
        return rc;
    if (!kind_is_attributes(entry->kind)) /* those are counted once they have their times */
        j->kinds[entry->kind]++;
    if (entry->time_ms > j->newest_ms[entry->kind])
        j->newest_ms[entry->kind] = entry->time_ms;
    return 0;
}

/* ---- Sealing ---- */

static int give_times(struct journal *j, const struct collector *from, struct collector *into,
                      struct err *e)
{
    const struct run *runs;
    uint32_t next;
    struct merge *m = NULL;
    size_t count = collector_runs(from, &runs, &next);
    int rc = merge_new(&m, order_of_collection, j->dir, e);
    for (size_t i = 0; i < count && !rc; i++)
        rc = merge_add(m, &runs[i], MERGE_ATTRIBUTES, e);
    if (!rc)
        rc = entities_give_times(m, into, j->kinds, e);
    merge_free(m);
    return rc ? rc : collector_end(into, e);
}

/* Writes the manifest, and opens the runs as a process would that comes later. */
static int finish(struct journal *j, struct str counts, const struct collector *timed,
                  const struct collector *attributes, struct err *e)
{
    const struct run *first, *second;
    uint32_t next;
    struct manifest m = {.identity = buf_str(&j->identity), .counts = counts};
    m.collected = collector_runs(timed, &first, &next);
    size_t more = collector_runs(attributes, &second, &next);
    memcpy(m.kinds, j->kinds, sizeof m.kinds);
    memcpy(m.newest_ms, j->newest_ms, sizeof m.newest_ms);
    m.runs = calloc(m.collected + more + 1, sizeof *m.runs);
    buf_put_str(&j->counts, counts);
    if (!m.runs || !buf_ok(&j->counts)) {
        free(m.runs);
        return err_nomem(e);
    }
    m.count = m.collected + more;
    if (m.collected)
        memcpy(m.runs, first, m.collected * sizeof *first);
    if (more)
        memcpy(m.runs + m.collected, second, more * sizeof *second);
    int rc = manifest_write(&m, j->file, j->dir, e);
    if (!rc)
        rc = open_runs(j, &m, e);
    free(m.runs);
    return rc;
}

int journal_seal(struct journal *j, struct str counts, struct err *e)
{
    struct collector *attributes = NULL;
    struct collector_opts opts = {
        .dir = j->dir, .memory_bytes = j->memory_bytes, .order = order_of_time};
    const struct run *runs;
    if (j->is_sealed)
        return err_set(e, ERR_INVALID, "the journal %s is sealed already", j->dir);
    int rc = collector_end(j->collector, e);
    if (!rc) {
        collector_runs(j->collector, &runs, &opts.first_number);
        rc = collector_new(&attributes, &opts, e);
    }
    if (!rc)
        rc = give_times(j, j->collector, attributes, e);
    if (!rc)
        rc = finish(j, counts, j->collector, attributes, e);
    collector_free(attributes);
    if (!rc) {
        j->is_sealed = true;
        collector_free(j->collector);
        j->collector = NULL;
    }
    return rc;
}

/* ---- What it is ---- */

struct str journal_counts(const struct journal *j)
{
    return buf_str(&j->counts);
}

uint64_t journal_count(const struct journal *j, enum entry_kind kind)
{
    return j->kinds[kind];
}

int64_t journal_newest_ms(const struct journal *j, enum entry_kind kind)
{
    return j->newest_ms[kind];
}

uint64_t journal_bytes(const struct journal *j)
{
    uint64_t bytes = j->collector ? collector_bytes(j->collector) : 0;
    for (size_t i = 0; i < j->run_count; i++)
        bytes += j->runs[i].bytes;
    return bytes;
}

/* ---- Reading ---- */

int journal_read(struct journal_cursor **out, struct journal *j, struct err *e)
{
    if (!j->is_sealed)
        return err_set(e, ERR_INVALID, "the journal %s is not sealed: nothing can be read", j->dir);
    struct journal_cursor *c = calloc(1, sizeof *c);
    if (!c)
        return err_nomem(e);
    int rc = merge_new(&c->merge, order_of_time, j->dir, e);
    for (size_t i = 0; i < j->run_count && !rc; i++)
        rc = merge_add(c->merge, &j->runs[i], i < j->collected ? MERGE_TIMED : MERGE_ATTRIBUTES, e);
    if (rc)
        journal_cursor_free(c);
    else
        *out = c;
    return rc;
}

void journal_cursor_free(struct journal_cursor *c)
{
    if (!c)
        return;
    merge_free(c->merge);
    free(c);
}

int journal_next(struct journal_cursor *c, struct arena *a, struct entry *out, bool *more,
                 struct err *e)
{
    const struct raw_entry *raw = NULL;
    int rc = merge_next(c->merge, &raw, e);
    *more = raw;
    if (rc || !raw)
        return rc;
    /* Texts are borrowed from a copy, which stays as long as the arena. */
    struct raw_entry copy = *raw;
    struct str rest = arena_copy(a, raw->rest);
    if (!rest.data)
        return err_nomem(e);
    copy.rest = rest;
    return entry_read(out, &copy, a, e);
}

int journal_remove(const char *dir, struct err *e)
{
    int file = -1;
    if (access(dir, F_OK) && errno == ENOENT)
        return 0;
    int rc = journal_dir_open(&file, dir, e);
    if (!rc)
        rc = journal_dir_remove(file, dir, e);
    if (file >= 0)
        close(file);
    return rc;
}

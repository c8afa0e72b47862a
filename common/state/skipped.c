#include "state/skipped.h"

#include <stdlib.h>

void skipped_free(struct skipped *s)
{
    free(s->runs);
    *s = (struct skipped){0};
}

static int append(struct skipped *s, struct skipped_run run, struct err *e)
{
    if (s->count == SKIPPED_MAX_RUNS)
        return err_set(e, ERR_UNAVAILABLE,
                       "over %d records without a known schema since the last checkpoint: the next "
                       "one is waited for (checkpoint_interval_ms)",
                       SKIPPED_MAX_RUNS);
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        struct skipped_run *runs = realloc(s->runs, cap * sizeof *runs);
        if (!runs)
            return err_nomem(e);
        s->runs = runs;
        s->cap = cap;
    }
    s->runs[s->count++] = run;
    return 0;
}

int skipped_add(struct skipped *s, int64_t offset, struct err *e)
{
    struct skipped_run *last = s->count ? &s->runs[s->count - 1] : NULL;
    if (last && offset < last->first + last->count)
        return 0;
    s->is_new = true;
    if (!last || offset > last->first + last->count)
        return append(s, (struct skipped_run){offset, 1}, e);
    last->count++;
    return 0;
}

/* How many runs begin at or before an offset. */
static size_t runs_up_to(const struct skipped *s, int64_t offset)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->runs[middle].first <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool skipped_has(const struct skipped *s, int64_t offset)
{
    size_t n = runs_up_to(s, offset);
    return n && offset < s->runs[n - 1].first + s->runs[n - 1].count;
}

void skipped_forget(struct skipped *s, int64_t before)
{
    size_t n = 0;
    while (n < s->count && s->runs[n].first + s->runs[n].count <= before)
        n++;
    if (n)
        memmove(s->runs, s->runs + n, (s->count - n) * sizeof *s->runs);
    s->count -= n;
}

/* Each run as its distance from the end of the one before, and its length. */
void skipped_write(struct skipped *s, struct buf *out)
{
    int64_t end = 0;
    for (size_t i = 0; i < s->count; i++) {
        buf_put_varint(out, (uint64_t)(s->runs[i].first - end));
        buf_put_varint(out, (uint64_t)s->runs[i].count);
        end = s->runs[i].first + s->runs[i].count;
    }
    s->is_new = false;
}

int skipped_read(struct skipped *s, struct str bytes, struct err *e)
{
    struct cursor c = cursor_of(bytes.data, bytes.len);
    int64_t end = 0;
    int rc = 0;
    s->count = 0;
    s->is_new = false;
    while (cursor_left(&c) && !rc) {
        uint64_t distance = cursor_varint(&c), count = cursor_varint(&c);
        if (c.bad || distance > INT64_MAX / 4 || count > INT64_MAX / 4 || !count ||
            end > INT64_MAX / 4)
            return err_set(e, ERR_CORRUPT, "the mark's list of offsets is damaged");
        rc = append(s, (struct skipped_run){end + (int64_t)distance, (int64_t)count}, e);
        end += (int64_t)(distance + count);
    }
    return rc;
}

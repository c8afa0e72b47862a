#include "backfill/journal_merge.h"

#include <stdlib.h>

struct merge {
    entry_order *order;
    const char *dir;
    struct run_reader *readers;
    size_t count;
    size_t *heap; /* readers by their entries at hand, the first at the top */
    size_t left;  /* of readers that have one */
    bool started;
};

int merge_new(struct merge **out, entry_order *order, const char *dir, struct err *e)
{
    struct merge *m = calloc(1, sizeof *m);
    if (!m)
        return err_nomem(e);
    m->order = order;
    m->dir = dir;
    *out = m;
    return 0;
}

void merge_free(struct merge *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++)
        run_reader_free(&m->readers[i]);
    free(m->readers);
    free(m->heap);
    free(m);
}

int merge_add(struct merge *m, const struct run *run, enum merge_part part, struct err *e)
{
    struct run_reader *readers = realloc(m->readers, (m->count + 1) * sizeof *readers);
    if (!readers)
        return err_nomem(e);
    m->readers = readers;
    size_t *heap = realloc(m->heap, (m->count + 1) * sizeof *heap);
    if (!heap)
        return err_nomem(e);
    m->heap = heap;
    run_reader_start(&readers[m->count++], run, m->dir, part == MERGE_TIMED ? run->timed : 0,
                     part == MERGE_ATTRIBUTES ? run->timed : run->bytes);
    return 0;
}

static bool is_before(const struct merge *m, size_t a, size_t b)
{
    int order = m->order(&m->readers[a].entry, &m->readers[b].entry);
    return order ? order < 0 : a < b;
}

/* Lets what stands at `at` sink to its place. */
static void sink(struct merge *m, size_t at)
{
    size_t moved = m->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= m->left)
            break;
        if (child + 1 < m->left && is_before(m, m->heap[child + 1], m->heap[child]))
            child++;
        if (!is_before(m, m->heap[child], moved))
            break;
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = moved;
}

static int start(struct merge *m, struct err *e)
{
    int rc = 0;
    m->started = true;
    for (size_t i = 0; i < m->count && !rc; i++) {
        bool more;
        rc = run_next(&m->readers[i], &more, e);
        if (!rc && more)
            m->heap[m->left++] = i;
    }
    for (size_t i = m->left / 2; i-- > 0 && !rc;)
        sink(m, i);
    return rc;
}

int merge_next(struct merge *m, const struct raw_entry **out, struct err *e)
{
    int rc = 0;
    *out = NULL;
    if (!m->started) {
        rc = start(m, e);
    } else if (m->left) {
        bool more;
        rc = run_next(&m->readers[m->heap[0]], &more, e);
        if (!rc && !more)
            m->heap[0] = m->heap[--m->left];
        if (!rc && m->left)
            sink(m, 0);
    }
    if (!rc && m->left)
        *out = &m->readers[m->heap[0]].entry;
    return rc;
}

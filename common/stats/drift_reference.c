#include "stats/drift_memory.h"

#include "base/prng.h"
#include "stats/float_order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHARES = 10 }; /* tenths: of the deciles, and of a value that has a bin of its own */

size_t drift_bins_place(const struct drift_bins *b, float value)
{
    if (isnan(value))
        return b->edge_count + 1;
    if (isinf(value))
        return b->edge_count + 2;
    size_t low = 0, high = b->edge_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (b->edges[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ------------------------------------------------------------ which rows are looked at */

/* The first row of a stretch. Rows are 2^32 at most here, so nothing overflows. */
static uint64_t stretch_first(const struct drift_reference *r, uint64_t stretch)
{
    return stretch * r->total / r->rows;
}

/* The row of a stretch that is looked at: any of them, since a regular step would meet the same
 * place of every request. */
static uint64_t stretch_row(const struct drift_reference *r, uint64_t stretch)
{
    uint64_t first = stretch_first(r, stretch), next = stretch_first(r, stretch + 1);
    return first + prng_mix(stretch) % (next - first);
}

void drift_reference_put(struct drift_reference *r, uint64_t first, const float *vectors,
                         const float *scores, uint64_t count)
{
    if (!count || first >= r->total)
        return;
    uint64_t stretch = first * r->rows / r->total;
    for (; stretch < r->rows; stretch++) {
        uint64_t row = stretch_row(r, stretch);
        if (row < first)
            continue;
        if (row - first >= count)
            break;
        const float *vector = vectors ? vectors + (row - first) * r->column_count : NULL;
        for (size_t c = 0; vector && c < r->column_count; c++)
            r->values[c * r->rows + stretch] = vector[c];
        if (scores)
            r->values[r->column_count * r->rows + stretch] = scores[row - first];
    }
}

/* ------------------------------------------------------------ bins */

static int float_before(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Writes the edges of sorted finite values, of which some come again; returns how many. */
static size_t find_edges(float edges[DRIFT_EDGES_MOST], const float *sorted, size_t count)
{
    size_t n = 0, different = 0;
    for (size_t k = 1; k < SHARES && count; k++)
        edges[n++] = sorted[(k * count + SHARES - 1) / SHARES - 1];
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && sorted[end] == sorted[i];)
            end++;
        if ((end - i) * SHARES < count)
            continue;
        float below = nextafterf(sorted[i], -INFINITY);
        if (isfinite(below))
            edges[n++] = below;
        edges[n++] = sorted[i];
    }
    qsort(edges, n, sizeof *edges, float_before);
    for (size_t i = 0; i < n; i++)
        if (!different || edges[i] > edges[different - 1])
            edges[different++] = edges[i] + 0.0F; /* -0 becomes 0 */
    return different;
}

bool drift_bins_make(struct drift_bins *b, struct arena *a, const float *edges, size_t count)
{
    float *own = arena_alloc(a, count * sizeof *own + 1);
    uint64_t *counts = arena_alloc(a, (count + 1) * sizeof *counts);
    if (!own || !counts)
        return false;
    memcpy(own, edges, count * sizeof *own);
    memset(counts, 0, (count + 1) * sizeof *counts);
    b->edges = own;
    b->counts = counts;
    b->edge_count = count;
    return true;
}

static void count_values(struct drift_bins *b, const float *values, size_t count)
{
    uint64_t *counts = (uint64_t *)(uintptr_t)b->counts; /* the reference's own */
    for (size_t i = 0; i < count; i++) {
        size_t place = drift_bins_place(b, values[i]);
        uint64_t *counted = place <= b->edge_count       ? &counts[place]
                            : place == b->edge_count + 1 ? &b->missing
                                                         : &b->infinite;
        ++*counted;
    }
}

static int make_bins(struct drift_bins *b, struct arena *a, const float *values, size_t count,
                     struct err *e)
{
    uint32_t *order = malloc(count * sizeof *order + 1);
    float *sorted = malloc(count * sizeof *sorted + 1), edges[DRIFT_EDGES_MOST];
    size_t n = 0;
    int rc = order && sorted ? float_order(order, values, count, e) : err_nomem(e);
    for (size_t i = 0; i < count && !rc; i++)
        if (isfinite(values[order[i]]))
            sorted[n++] = values[order[i]];
    if (!rc && !drift_bins_make(b, a, edges, find_edges(edges, sorted, n)))
        rc = err_nomem(e);
    if (!rc)
        count_values(b, values, count);
    free(sorted);
    free(order);
    return rc;
}

int drift_reference_finish(struct drift_reference *r, struct err *e)
{
    int rc = 0;
    for (size_t c = 0; c <= r->column_count && !rc; c++)
        rc = make_bins(&r->bins[c], &r->arena, r->values + c * r->rows, (size_t)r->rows, e);
    free(r->values);
    r->values = NULL;
    return rc;
}

/* ------------------------------------------------------------ */

int drift_reference_make(struct drift_reference **out, size_t columns, struct err *e)
{
    struct drift_reference *r = *out = calloc(1, sizeof *r);
    if (!r)
        return err_nomem(e);
    r->column_count = columns;
    r->bins = calloc(columns + 1, sizeof *r->bins);
    if (r->bins)
        return 0;
    drift_reference_free(r);
    *out = NULL;
    return err_nomem(e);
}

int drift_reference_new(struct drift_reference **out, const struct str *names, size_t columns,
                        uint64_t rows, struct err *e)
{
    *out = NULL;
    if (!rows || rows >= UINT32_MAX)
        return err_set(e, ERR_INVALID,
                       "a drift reference of %llu rows: there must be at least one, and fewer than "
                       "%u",
                       (unsigned long long)rows, UINT32_MAX);
    struct drift_reference *r = NULL;
    int rc = drift_reference_make(&r, columns, e);
    if (rc)
        return rc;
    r->total = rows;
    r->rows = rows < DRIFT_REFERENCE_ROWS ? rows : DRIFT_REFERENCE_ROWS;
    size_t values = (columns + 1) * (size_t)r->rows;
    bool ok = (r->values = malloc(values * sizeof *r->values));
    for (size_t i = 0; i < values && ok; i++)
        r->values[i] = NAN;
    for (size_t c = 0; c < columns && ok; c++)
        ok = (r->bins[c].name = arena_copy(&r->arena, names[c])).data;
    r->bins[columns].name = str_of("");
    if (!ok) {
        drift_reference_free(r);
        return err_nomem(e);
    }
    *out = r;
    return 0;
}

void drift_reference_free(struct drift_reference *r)
{
    if (!r)
        return;
    free(r->values);
    free(r->bins);
    arena_free(&r->arena);
    free(r);
}

uint64_t drift_reference_rows(const struct drift_reference *r)
{
    return r->rows;
}

size_t drift_reference_columns(const struct drift_reference *r)
{
    return r->column_count;
}

const struct drift_bins *drift_reference_column(const struct drift_reference *r, size_t column)
{
    return &r->bins[column];
}

const struct drift_bins *drift_reference_score(const struct drift_reference *r)
{
    return &r->bins[r->column_count];
}

#include "training/labelled.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH_BYTES = 16 << 20 };

#define FAR_OUT 1e38F

struct labelled {
    struct set *set;
    const struct set_rows *rows;
    uint64_t from, to, at; /* rows of the set */
    size_t *columns;
    size_t column_count, batch_rows;
    float *values;
    const struct labelled_fixed *fixed;
    size_t fixed_count;
    bool all, bounded;
};

int labelled_new(struct labelled **out, const struct labelled_opts *opts, struct err *e)
{
    struct labelled *l = calloc(1, sizeof *l);
    size_t n = opts->column_count;
    *out = NULL;
    if (!l)
        return err_nomem(e);
    l->set = opts->set;
    l->rows = set_rows(opts->set);
    l->from = l->rows->first[opts->first];
    l->to = l->rows->first[opts->first + opts->count];
    l->at = l->from;
    l->column_count = n;
    l->fixed = opts->fixed;
    l->fixed_count = opts->fixed_count;
    l->all = opts->all;
    l->bounded = opts->bounded;
    l->batch_rows = n ? BATCH_BYTES / sizeof(float) / n : 1;
    if (l->batch_rows > l->to - l->from)
        l->batch_rows = (size_t)(l->to - l->from);
    if (!l->batch_rows)
        l->batch_rows = 1;
    l->columns = malloc((n + 1) * sizeof *l->columns);
    l->values = malloc((l->batch_rows * n + 1) * sizeof *l->values);
    if (!l->columns || !l->values) {
        labelled_free(l);
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++)
        l->columns[i] = opts->columns[i];
    *out = l;
    return 0;
}

void labelled_free(struct labelled *l)
{
    if (!l)
        return;
    free(l->columns);
    free(l->values);
    free(l);
}

void labelled_rewind(struct labelled *l)
{
    l->at = l->from;
}

/* Moves the rows that are wanted to the front. */
static size_t keep_wanted(struct labelled *l, uint64_t from, uint64_t to)
{
    size_t kept = 0, n = l->column_count;
    for (uint64_t i = from; i < to; i++) {
        if (!l->all && isnan(l->rows->labels[i]))
            continue;
        if (kept != i - from)
            memmove(l->values + kept * n, l->values + (i - from) * n, n * sizeof(float));
        kept++;
    }
    return kept;
}

static void fix(struct labelled *l, size_t count)
{
    size_t n = l->column_count;
    for (size_t f = 0; f < l->fixed_count; f++)
        for (size_t c = 0; c < n; c++)
            for (size_t i = 0; l->columns[c] == l->fixed[f].column && i < count; i++)
                l->values[i * n + c] = l->fixed[f].value;
}

int labelled_next(struct labelled *l, float **values, size_t *count, struct err *e)
{
    *count = 0;
    *values = l->values;
    while (!*count && l->at < l->to) {
        uint64_t from = l->at, to = from + l->batch_rows < l->to ? from + l->batch_rows : l->to;
        int rc = set_read(l->set, from, to, l->columns, l->column_count, l->values, e);
        if (rc)
            return rc;
        *count = keep_wanted(l, from, to);
        l->at = to;
    }
    for (size_t i = 0; l->bounded && i < *count * l->column_count; i++)
        if (isinf(l->values[i]))
            l->values[i] = copysignf(FAR_OUT, l->values[i]);
    fix(l, *count);
    return 0;
}

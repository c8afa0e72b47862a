#include "fuzz.h"

#include "base/prng.h"
#include "model/ensemble.h"

#include <math.h>
#include <stdlib.h>

/* A value of a column: often one of its thresholds. */
static float value_of(struct prng *r, const struct ensemble *m, size_t column)
{
    if (m->tree_count && prng_below(r, 2)) {
        const struct ensemble_tree *t = &m->trees[prng_below(r, (uint32_t)m->tree_count)];
        const struct ensemble_node *node = &t->nodes[prng_below(r, (uint32_t)t->count)];
        if (node->left >= 0 && node->column == (int32_t)column)
            return node->value;
    }
    return prng_below(r, 4) ? (float)prng_normal(r) : NAN;
}

/* What the contributions of a row should add up to, and the size of what is added. */
static double exact_margin(const struct ensemble *m, const float *row, double *size)
{
    double margin = (double)m->base_margin;
    *size = 1 + fabs(margin);
    for (size_t i = 0; i < m->tree_count; i++) {
        struct ensemble one = {.trees = &m->trees[i], .tree_count = 1};
        double most = 0;
        margin += (double)ensemble_margin(&one, row);
        for (size_t j = 0; j < m->trees[i].count; j++)
            if (m->trees[i].nodes[j].left < 0)
                most = fmax(most, fabs((double)m->trees[i].nodes[j].value));
        *size += most;
    }
    return margin;
}

static void check_row(const struct ensemble *m, const float *row, double *out)
{
    double size, sum = 0, exact = exact_margin(m, row, &size);
    float margin = ensemble_margin(m, row), score = ensemble_score(m, margin);
    assert(isnan(margin) || !isnan(score));
    assert(isfinite(margin) || size > 1e37);
    assert(!isfinite(margin) ||
           fabs((double)margin - exact) <= size * 1e-7 * ((double)m->tree_count + 1));
    assert(ensemble_contributions(m, row, out, NULL) == 0);
    for (size_t c = 0; c <= m->column_count; c++)
        sum += out[c];
    assert(fabs(sum - exact) <= 1e-9 * size);
}

void fuzz_model(struct str input)
{
    struct ensemble *m = NULL;
    struct err e = {0};
    struct prng r;
    char *exact = fuzz_exact(input);
    size_t before = fuzz_memory();
    int rc = ensemble_read(&m, str_bytes(exact, input.len), &e);
    assert(fuzz_memory() < before + 16 * input.len + 256 * 1024);
    free(exact);
    if (!fuzz_succeeded(rc, &e)) {
        assert(rc == ERR_INVALID || rc == ERR_TOO_LARGE);
        assert(!m);
        return;
    }
    float *row = malloc((m->column_count + 1) * sizeof *row);
    double *out = malloc((m->column_count + 1) * sizeof *out);
    assert(row && out);
    prng_seed(&r, input.len);
    for (int i = 0; i < 8; i++) {
        for (size_t c = 0; c < m->column_count; c++)
            row[c] = value_of(&r, m, c);
        check_row(m, row, out);
    }
    free(row);
    free(out);
    ensemble_free(m);
}

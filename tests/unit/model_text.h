/*
 * A small model as text, changes of it, and what must hold of what is read.
 */
#pragma once

#include "base/prng.h"
#include "model/ensemble.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>

/* The root splits, the left child splits again; node 3 is a leaf that came first. */
#define TREE                                                                                       \
    "{\"id\":0,\"tree_param\":{\"num_deleted\":\"0\",\"num_feature\":\"2\",\"num_nodes\":\"5\","   \
    "\"size_leaf_vector\":\"1\"},\"left_children\":[1,3,-1,-1,-1],"                                \
    "\"right_children\":[2,4,-1,-1,-1],\"parents\":[2147483647,0,0,1,1],"                          \
    "\"split_indices\":[0,1,0,0,0],\"default_left\":[1,0,0,0,0],\"split_type\":[0,0,0,0,0],"       \
    "\"split_conditions\":[0.5,-1.5,0.25,-0.125,2],\"sum_hessian\":[10,6,4,1,5],"                  \
    "\"base_weights\":[0,0,0,0,0],\"categories_nodes\":[]}"
#define MODEL                                                                                      \
    "{\"learner\":{\"attributes\":{},\"feature_names\":[\"a\",\"b\"],\"gradient_booster\":"        \
    "{\"model\":{\"gbtree_model_param\":{},\"tree_info\":[0],\"trees\":[" TREE                     \
    "]},\"name\":\"gbtree\"},\"learner_model_param\":{\"base_score\":\"5E-1\","                    \
    "\"num_class\":\"0\",\"num_feature\":\"2\",\"num_target\":\"1\"},"                             \
    "\"objective\":{\"name\":\"binary:logistic\"}},\"version\":[1,7,4]}"

/* Reads a copy with nothing behind it, for AddressSanitizer. */
static inline int read_exactly(struct ensemble **out, const void *bytes, size_t n, struct err *e)
{
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    *e = (struct err){0};
    int rc = ensemble_read(out, str_bytes(copy, n), e);
    free(copy);
    return rc;
}

static inline void assert_refused(const void *bytes, size_t n, int code, const char *part)
{
    struct ensemble *m = NULL;
    struct err e;
    int rc = read_exactly(&m, bytes, n, &e);
    if (rc != code || e.code != code)
        fail_msg("code %d in place of %d: %s (%s)", rc, code, e.msg, part);
    assert_null(m);
    assert_contains(e.msg, "model file: ");
    assert_contains(e.msg, part);
}

/* MODEL with one text in place of another that is in it. */
static inline void put_changed(struct buf *out, const char *from, const char *to)
{
    static const char model[] = MODEL;
    const char *at = strstr(model, from);
    if (!at)
        fail_msg("%s is not in the model", from);
    buf_reset(out);
    buf_put(out, model, (size_t)(at - model));
    buf_put_text(out, to);
    buf_put_text(out, at + strlen(from));
    assert_true(buf_ok(out));
}

/* What was read can be used: numbers come out, and contributions add up. */
static inline void assert_sound(const struct ensemble *m)
{
    double *out = malloc((m->column_count + 1) * sizeof *out);
    float *row = malloc((m->column_count + 1) * sizeof *row);
    struct prng r;
    assert_true(out && row);
    prng_seed(&r, 1);
    for (int i = 0; i < 4; i++) {
        double sum = 0, size = 1;
        for (size_t c = 0; c < m->column_count; c++)
            row[c] = prng_below(&r, 4) ? (float)prng_normal(&r) : NAN;
        for (size_t t = 0; t < m->tree_count; t++)
            for (size_t j = 0; j < m->trees[t].count; j++)
                size += fabs((double)m->trees[t].nodes[j].value);
        float margin = ensemble_margin(m, row);
        float score = ensemble_score(m, margin);
        assert_false(isnan(score) && !isnan(margin));
        assert_int_equal(ensemble_contributions(m, row, out, NULL), 0);
        for (size_t c = 0; c <= m->column_count; c++)
            sum += out[c];
        assert_true(!isfinite(margin) || fabs(sum - (double)margin) <= 1e-5 * size);
    }
    free(out);
    free(row);
}

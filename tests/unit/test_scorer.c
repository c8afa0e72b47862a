/* The scorer against the plain walk of the same trees, bit for bit, by every path. */
#include "model/scorer.h"
#include "model/scorer_parts.h"
#include "unit.h"

#include "base/prng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CANDIDATES = 600, MOST_TREES = 400 };

/* ------------------------------------------------------------ random trees */

/* What trees look like. */
struct shape {
    const char *name;
    size_t trees, columns;
    int depth;           /* at most */
    uint32_t leaf_in;    /* one of so many nodes above that is a leaf; 0: none */
    uint32_t thresholds; /* different ones of a column */
    uint32_t shared_in;  /* one column of so many is not shared; 0: all are; 1: none is */
    bool chain;          /* one child of each node is a leaf */
    bool mixed;          /* each tree has a depth of its own, up to this one */
};

static const struct shape usual[] = {
    {"depth 6, half shared", 130, 50, 6, 20, 200, 2, false, false},
    {"depth 6, most shared", 70, 30, 6, 10, 254, 4, false, false},
    {"complete, none shared", 65, 10, 6, 0, 60, 1, false, false},
    {"all shared", 64, 10, 6, 8, 30, 0, false, false},
    {"few thresholds", 63, 6, 5, 6, 3, 2, false, false},
    {"fifteen thresholds", 20, 6, 6, 0, 15, 2, false, false},
    {"sixteen thresholds", 20, 6, 6, 0, 16, 2, false, false},
    {"127 thresholds", 40, 4, 6, 0, 127, 2, false, false},
    {"128 thresholds", 40, 4, 6, 0, 128, 2, false, false},
    {"254 thresholds", 60, 4, 6, 0, 254, 2, false, false},
    {"255 thresholds", 60, 4, 6, 0, 255, 2, false, false},
    {"stumps", 200, 5, 1, 0, 40, 2, false, false},
    {"lone leaves", 100, 3, 0, 0, 1, 2, false, false},
    {"no tree", 0, 3, 0, 0, 1, 2, false, false},
    {"one tree", 1, 3, 3, 0, 9, 2, false, false},
};

static const struct shape unusual[] = {
    {"depth 7", 70, 20, 7, 20, 100, 2, false, false},
    {"depth 8, half shared", 30, 20, 8, 0, 100, 2, false, false},
    {"depth 8, none shared", 10, 20, 8, 0, 100, 1, false, false},
    {"depth 8, most shared", 70, 30, 8, 0, 100, 5, false, false},
    {"depth 10, nearly all shared", 20, 30, 10, 0, 100, 8, false, false},
    {"depth 0 to 8, half shared", 150, 20, 8, 0, 100, 2, false, true},
    {"depth 12", 12, 20, 12, 6, 300, 2, false, false},
    {"chains of 64", 20, 20, 64, 0, 100, 2, true, false},
    {"chains of 64, none shared", 20, 20, 64, 0, 100, 1, true, false},
    {"thousands of thresholds", 150, 3, 6, 0, 5000, 2, false, false},
    {"100 columns, most shared", 100, 100, 6, 15, 50, 8, false, false},
    {"200 columns, most shared", 100, 200, 6, 15, 50, 8, false, false},
    {"thousands of columns", 100, 4000, 6, 15, 50, 2, false, false},
    {"thousands of columns, none shared", 60, 4000, 6, 15, 50, 1, false, false},
};

/* Wide enough that more leaves are left than steps can number. */
static const struct shape walked[] = {
    {"depth 9, none shared", 70, 20, 9, 0, 100, 1, false, false},
    {"depth 11, none shared", 6, 20, 11, 30, 300, 1, false, false},
    {"depth 0 to 9, none shared", 100, 20, 9, 0, 100, 1, false, true},
};

struct forest {
    struct ensemble m;
    struct ensemble_tree trees[MOST_TREES];
    bool *shared;
    struct prng random;
    const struct shape *shape;
    int depth; /* of the tree that grows, at most */
};

/* Zeros of both signs and a denormal number are among them. */
static float threshold(struct prng *r, const struct shape *shape)
{
    uint32_t i = prng_below(r, shape->thresholds);
    if (i == 0)
        return prng_below(r, 2) ? 0.0f : -0.0f;
    return i == 1 ? 1e-41f : ((float)i - (float)(shape->thresholds / 2) - 0.25f) * 0.37f;
}

static int32_t grow(struct forest *f, struct ensemble_tree *t, int depth, bool leaf)
{
    const struct shape *s = f->shape;
    int32_t at = (int32_t)t->count++;
    struct ensemble_node *n = &t->nodes[at];
    if (depth > t->depth)
        t->depth = depth;
    if (leaf || depth == f->depth || (depth && s->leaf_in && !prng_below(&f->random, s->leaf_in))) {
        *n = (struct ensemble_node){.left = -1, .right = -1};
        n->value = (float)(prng_unit(&f->random) - 0.5) * (at % 7 ? 0.1f : 1e6f);
        return at;
    }
    n->column = (int32_t)prng_below(&f->random, (uint32_t)s->columns);
    n->value = threshold(&f->random, s);
    n->missing_left = prng_below(&f->random, 2);
    bool left = s->chain && prng_below(&f->random, 2);
    int32_t child = grow(f, t, depth + 1, left);
    t->nodes[at].left = child;
    child = grow(f, t, depth + 1, s->chain && !left);
    t->nodes[at].right = child;
    return at;
}

static void forest_fill(struct forest *f, const struct shape *shape, uint64_t seed)
{
    *f = (struct forest){.shape = shape};
    prng_seed(&f->random, seed);
    f->m.trees = f->trees;
    f->m.tree_count = shape->trees;
    f->m.column_count = shape->columns;
    f->m.base_margin = 0.3f;
    f->shared = test_calloc(shape->columns, sizeof *f->shared);
    for (size_t c = 0; c < shape->columns; c++)
        f->shared[c] = !shape->shared_in || prng_below(&f->random, shape->shared_in);
    for (size_t k = 0; k < shape->trees; k++) {
        size_t nodes = shape->chain ? 2 * (size_t)shape->depth + 1 : (size_t)2 << shape->depth;
        f->trees[k].nodes = test_calloc(nodes, sizeof *f->trees[k].nodes);
        f->depth = shape->depth;
        if (shape->mixed && k % 3)
            f->depth = (int)prng_below(&f->random, (uint32_t)shape->depth);
        grow(f, &f->trees[k], 0, false);
    }
}

static void forest_free(struct forest *f)
{
    for (size_t k = 0; k < f->m.tree_count; k++)
        test_free(f->trees[k].nodes);
    test_free(f->shared);
}

/* ------------------------------------------------------------ random rows */

static float value(struct prng *r, const struct shape *shape)
{
    float t = threshold(r, shape);
    switch (prng_below(r, 12)) {
    case 0:
        return NAN;
    case 1:
        return INFINITY;
    case 2:
        return -INFINITY;
    case 3:
        return -0.0f;
    case 4:
    case 5:
        return nextafterf(t, INFINITY);
    case 6:
    case 7:
        return nextafterf(t, -INFINITY);
    case 8:
    case 9:
        return t;
    default:
        return (float)(prng_unit(r) - 0.5) * (float)shape->thresholds;
    }
}

/* `count` rows that agree in the shared columns. */
static float *rows_new(struct forest *f, size_t stride, size_t count)
{
    float *rows = test_calloc(stride * count + 1, sizeof *rows);
    for (size_t c = 0; c < count; c++)
        for (size_t i = 0; i < stride; i++)
            rows[c * stride + i] =
                c && i < f->shape->columns && f->shared[i] ? rows[i] : value(&f->random, f->shape);
    return rows;
}

/* Shared columns of candidates are not read: anything may stand there. */
static void spoil_shared(struct forest *f, float *rows, size_t stride, size_t count)
{
    for (size_t c = 0; c < count; c++)
        for (size_t i = 0; i < f->shape->columns; i++)
            if (f->shared[i])
                rows[c * stride + i] = value(&f->random, f->shape);
}

static void check_request(struct forest *f, const struct scorer *s, struct scorer_scratch *w,
                          enum scorer_path path, size_t count)
{
    static float margins[MOST_CANDIDATES + 1], expected[MOST_CANDIDATES];
    struct err e;
    size_t stride = f->shape->columns + prng_below(&f->random, 3);
    float *rows = rows_new(f, stride, count);
    for (size_t c = 0; c < count; c++)
        expected[c] = ensemble_margin(&f->m, rows + c * stride);
    assert_int_equal(scorer_specialise(s, w, path, rows, &e), 0);
    spoil_shared(f, rows, stride, count);
    margins[count] = 77;
    scorer_margins(s, w, path, rows, stride, count, margins);
    for (size_t c = 0; c < count; c++)
        if (memcmp(&margins[c], &expected[c], sizeof margins[c]))
            fail_msg("%s, candidate %zu of %zu: %a, not %a", f->shape->name, c, count,
                     (double)margins[c], (double)expected[c]);
    assert_true(margins[count] == 77);
    test_free(rows);
}

static enum scorer_path path_of(void **test_state)
{
    enum scorer_path path = *(const enum scorer_path *)*test_state;
    if (!scorer_can(path)) {
        print_message("this processor cannot go the path %s\n", scorer_path_name(path));
        skip();
    }
    return path;
}

/* ------------------------------------------------------------ tests */

static const size_t counts[] = {1,  2,   7,   8,   16,  24,  31,  32,  33,  63, 64,
                                65, 100, 128, 129, 255, 256, 257, 300, 512, 600};

static void check_shapes(enum scorer_path path, const struct shape *shapes, size_t n,
                         uint64_t seeds, bool is_walked)
{
    static struct forest f;
    struct scorer_scratch *w = NULL;
    struct err e;
    assert_int_equal(scorer_scratch_new(&w, &e), 0);
    for (uint64_t seed = 1; seed <= seeds; seed++)
        for (size_t i = 0; i < n; i++) {
            struct scorer *s = NULL;
            forest_fill(&f, &shapes[i], seed * 1000 + i);
            assert_int_equal(scorer_new(&s, &f.m, f.shared, &e), 0);
            for (size_t j = 0; j < sizeof counts / sizeof *counts; j++)
                if (shapes[i].columns < 1000 || j % 4 == seed % 4)
                    check_request(&f, s, w, path, counts[j]);
            if (shapes[i].trees)
                assert_int_equal(w->program.chunks[0].walked, is_walked);
            if (shapes == usual && path != SCORER_PLAIN)
                assert_int_equal(w->program.step_count, 0); /* all of it by blocks */
            scorer_free(s);
            forest_free(&f);
        }
    scorer_scratch_free(w);
}

static void usual_trees_are_bit_equal(void **test_state)
{
    check_shapes(path_of(test_state), usual, sizeof usual / sizeof *usual, 6, false);
}

static void unusual_trees_are_bit_equal(void **test_state)
{
    check_shapes(path_of(test_state), unusual, sizeof unusual / sizeof *unusual, 3, false);
}

static void trees_with_too_many_leaves_are_walked_bit_equal(void **test_state)
{
    check_shapes(path_of(test_state), walked, sizeof walked / sizeof *walked, 3, true);
}

/* By hand: 0.5 + 1 where x < 2 or x is missing, 0.5 + 4 elsewhere; y turns it round. */
static void a_tree_of_three_nodes_says_what_it_should(void **test_state)
{
    enum scorer_path path = path_of(test_state);
    struct ensemble_node nodes[] = {
        {.left = 1, .right = 4, .column = 1, .value = 0},
        {.left = 2, .right = 3, .column = 0, .value = 2, .missing_left = true},
        {.left = -1, .value = 1},
        {.left = -1, .value = 4},
        {.left = -1, .value = 8}};
    struct ensemble_tree tree = {nodes, 5, 2};
    struct ensemble m = {.trees = &tree, .tree_count = 1, .column_count = 2, .base_margin = 0.5f};
    const float rows[] = {1.5f, -1, 2, 9, NAN, 9, INFINITY, 9};
    const float other[] = {1, -0.0f};
    const bool shared[] = {false, true};
    struct scorer *s = NULL;
    struct scorer_scratch *w = NULL;
    struct err e;
    float margins[4];
    assert_int_equal(scorer_new(&s, &m, shared, &e), 0);
    assert_int_equal(scorer_scratch_new(&w, &e), 0);
    assert_int_equal(scorer_specialise(s, w, path, rows, &e), 0);
    scorer_margins(s, w, path, rows, 2, 4, margins);
    assert_true(margins[0] == 1.5f && margins[1] == 4.5f);
    assert_true(margins[2] == 1.5f && margins[3] == 4.5f);
    scorer_margins(s, w, path, rows, 2, 0, margins); /* none: nothing is touched */
    assert_true(margins[0] == 1.5f);
    assert_int_equal(scorer_specialise(s, w, path, other, &e), 0);
    scorer_margins(s, w, path, rows, 2, 2, margins);
    assert_true(margins[0] == 8.5f && margins[1] == 8.5f);
    assert_true(margins[2] == 1.5f);
    scorer_scratch_free(w);
    scorer_free(s);
}

/* A search tree over [low, high) of column 0, whose leaves say the whole part of the value; halved,
 * or a comb: eight numbers hang on the right of each node of a spine. */
static int32_t search_tree(struct ensemble_tree *t, int low, int high, bool comb)
{
    int32_t at = (int32_t)t->count++;
    struct ensemble_node *n = &t->nodes[at];
    *n = (struct ensemble_node){.left = -1, .right = -1, .value = (float)low};
    if (high - low == 1)
        return at;
    int middle = comb && high - low > 8 ? high - 8 : (low + high) / 2;
    int32_t left = search_tree(t, low, middle, comb);
    int32_t right = search_tree(t, middle, high, comb);
    *n = (struct ensemble_node){.left = left, .right = right, .value = (float)middle};
    return at;
}

static void check_search_tree(enum scorer_path path, int leaves, bool comb)
{
    static struct ensemble_node nodes[600];
    static float rows[300], margins[300];
    struct ensemble_tree tree = {nodes, 0, ENSEMBLE_MAX_DEPTH};
    struct ensemble m = {.trees = &tree, .tree_count = 1, .column_count = 1};
    struct scorer *s = NULL;
    struct scorer_scratch *w = NULL;
    struct err e;
    search_tree(&tree, 0, leaves, comb);
    for (int i = 0; i < leaves; i++)
        rows[i] = (float)i + (i % 2 ? 0.5f : 0);
    assert_int_equal(scorer_new(&s, &m, (const bool[]){false}, &e), 0);
    assert_int_equal(scorer_scratch_new(&w, &e), 0);
    assert_int_equal(scorer_specialise(s, w, path, rows, &e), 0);
    scorer_margins(s, w, path, rows, 1, (size_t)leaves, margins);
    for (int i = 0; i < leaves; i++)
        if (margins[i] != (float)i)
            fail_msg("leaf %d of %d: %g", i, leaves, (double)margins[i]);
    scorer_scratch_free(w);
    scorer_free(s);
}

static void
each_of_as_many_leaves_as_numbers_and_slots_hold_and_some_more_is_found(void **test_state)
{
    enum scorer_path path = path_of(test_state);
    for (int leaves = 2; leaves < 270; leaves++) {
        check_search_tree(path, leaves, false);
        check_search_tree(path, leaves, true);
    }
}

static void memory_that_cannot_be_had_is_an_error_and_the_next_call_succeeds(void **test_state)
{
    static struct forest f;
    enum scorer_path path = path_of(test_state);
    struct scorer *s = NULL;
    struct scorer_scratch *w = NULL;
    struct err e = {0};
    int rc, failures = 0;
    forest_fill(&f, &usual[0], 1);
    float *rows = rows_new(&f, f.shape->columns, 1), margin;
    for (int step = 0; step < 3; step++)
        for (int n = 1;; n++) {
            fail_alloc_at(n);
            rc = step == 0   ? scorer_new(&s, &f.m, f.shared, &e)
                 : step == 1 ? scorer_scratch_new(&w, &e)
                             : scorer_specialise(s, w, path, rows, &e);
            if (!fail_alloc_end())
                break;
            assert_int_equal(rc, ERR_NOMEM);
            assert_int_equal(e.code, ERR_NOMEM);
            failures++;
        }
    assert_int_equal(rc, 0);
    assert_int_equal(failures, 2 + 2 + 1);
    scorer_margins(s, w, path, rows, f.shape->columns, 1, &margin);
    assert_true(margin == ensemble_margin(&f.m, rows));
    fail_alloc_at(1); /* the second time there is memory */
    assert_int_equal(scorer_specialise(s, w, path, rows, &e), 0);
    assert_false(fail_alloc_end());
    scorer_scratch_free(w);
    scorer_free(s);
    test_free(rows);
    forest_free(&f);
}

static void the_best_path_can_be_gone_and_the_plain_one_always(void **test_state)
{
    (void)test_state;
    assert_true(scorer_can(SCORER_PLAIN));
    assert_true(scorer_can(scorer_best()));
    for (int path = (int)scorer_best() + 1; path < SCORER_PATHS; path++)
        assert_false(scorer_can((enum scorer_path)path));
    assert_string_equal(scorer_path_name(SCORER_AVX512), "avx512");
}

static const enum scorer_path paths[] = {SCORER_PLAIN, SCORER_AVX2, SCORER_AVX512};

#define BY(test, path)                                                                             \
    {                                                                                              \
#test " (" #path ")", test, NULL, NULL, (void *)&paths[SCORER_##path]                      \
    }
#define BY_ALL(test) BY(test, PLAIN), BY(test, AVX2), BY(test, AVX512)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BY_ALL(usual_trees_are_bit_equal),
        BY_ALL(unusual_trees_are_bit_equal),
        BY_ALL(trees_with_too_many_leaves_are_walked_bit_equal),
        BY_ALL(a_tree_of_three_nodes_says_what_it_should),
        BY_ALL(each_of_as_many_leaves_as_numbers_and_slots_hold_and_some_more_is_found),
        BY_ALL(memory_that_cannot_be_had_is_an_error_and_the_next_call_succeeds),
        cmocka_unit_test(the_best_path_can_be_gone_and_the_plain_one_always),
    };
    return RUN(tests);
}

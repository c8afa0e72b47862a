/*
 * Models as XGBoost writes them, read and walked; XGBoost itself says what comes out.
 */
#include "base/file.h"
#include "base/prng.h"
#include "model/ensemble.h"
#include "support/booster.h"
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 600 };

static struct ensemble *read_model(const struct buf *bytes)
{
    struct ensemble *m = NULL;
    struct err e = {0};
    if (ensemble_read(&m, buf_str(bytes), &e))
        fail_msg("%s", e.msg);
    return m;
}

static void assert_bits(float ours, float theirs, const char *what, size_t row)
{
    if (memcmp(&ours, &theirs, sizeof ours) != 0 && !(isnan(ours) && isnan(theirs)))
        fail_msg("%s of row %zu: %a, XGBoost's is %a", what, row, (double)ours, (double)theirs);
}

/* One of the thresholds, or a float next to it. */
static float near_threshold(struct prng *r, const struct ensemble *m, int32_t column)
{
    for (int tries = 0; tries < 50 && m->tree_count; tries++) {
        const struct ensemble_tree *t = &m->trees[prng_below(r, (uint32_t)m->tree_count)];
        const struct ensemble_node *node = &t->nodes[prng_below(r, (uint32_t)t->count)];
        if (node->left >= 0 && node->column == column) {
            uint32_t which = prng_below(r, 3);
            return which == 0   ? node->value
                   : which == 1 ? nextafterf(node->value, INFINITY)
                                : nextafterf(node->value, -INFINITY);
        }
    }
    return 0;
}

/* infinite: with values that XGBoost takes in its fast prediction only. */
static float any_value(struct prng *r, const struct ensemble *m, size_t column, bool infinite)
{
    static const float special[] = {NAN, -0.0f, 0, 1e-45f, -1e-45f, 3.4e38f, INFINITY, -INFINITY};
    uint32_t kind = prng_below(r, 10);
    return kind < 4   ? near_threshold(r, m, (int32_t)column)
           : kind < 6 ? special[prng_below(r, infinite ? 8 : 6)]
                      : (float)(2 * prng_normal(r));
}

static float *any_rows(const struct ensemble *m, uint64_t seed, bool infinite)
{
    float *rows = malloc(ROWS * m->column_count * sizeof *rows);
    struct prng r;
    assert_non_null(rows);
    prng_seed(&r, seed);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t c = 0; c < m->column_count; c++)
            rows[i * m->column_count + c] = any_value(&r, m, c, infinite);
    return rows;
}

static void check_predictions(struct booster *b, const struct ensemble *m)
{
    float *rows = any_rows(m, 7, true), margins[ROWS], scores[ROWS];
    booster_predict(b, BOOSTER_MARGIN, rows, ROWS, m->column_count, margins);
    booster_predict(b, BOOSTER_SCORE, rows, ROWS, m->column_count, scores);
    for (size_t i = 0; i < ROWS; i++) {
        float margin = ensemble_margin(m, rows + i * m->column_count);
        assert_bits(margin, margins[i], "the margin", i);
        assert_bits(ensemble_score(m, margin), scores[i], "the score", i);
    }
    free(rows);
}

static void check_contributions(struct booster *b, const struct ensemble *m)
{
    size_t width = m->column_count + 1;
    float *rows = any_rows(m, 8, false), *theirs = malloc(ROWS * width * sizeof *theirs);
    double *ours = malloc(width * sizeof *ours);
    assert_true(theirs && ours);
    booster_contributions(b, rows, ROWS, m->column_count, theirs);
    for (size_t i = 0; i < ROWS; i++) {
        double sum = 0, size = 1;
        assert_int_equal(ensemble_contributions(m, rows + i * m->column_count, ours, NULL), 0);
        for (size_t c = 0; c < width; c++)
            size += fabs(ours[c]);
        for (size_t c = 0; c < width; c++) {
            sum += ours[c];
            if (!(fabs(ours[c] - (double)theirs[i * width + c]) <= 1e-5 * size))
                fail_msg("row %zu, column %zu: %g, XGBoost's is %g", i, c, ours[c],
                         (double)theirs[i * width + c]);
        }
        double margin = (double)ensemble_margin(m, rows + i * m->column_count);
        assert_true(fabs(sum - margin) <= 1e-6 * size);
    }
    free(rows);
    free(theirs);
    free(ours);
}

static bool is_same_tree(const struct ensemble_tree *a, const struct ensemble_tree *b)
{
    bool same = a->count == b->count && a->depth == b->depth;
    for (size_t i = 0; same && i < a->count; i++) {
        const struct ensemble_node *x = &a->nodes[i], *y = &b->nodes[i];
        same = x->left == y->left && x->right == y->right && x->column == y->column &&
               memcmp(&x->value, &y->value, sizeof x->value) == 0 &&
               memcmp(&x->cover, &y->cover, sizeof x->cover) == 0 &&
               x->missing_left == y->missing_left;
    }
    return same;
}

/* Both formats hold the same, and all that is computed from it is what XGBoost computes. */
static void check_model(const struct booster_data *data, int rounds, const char *const *parameters)
{
    struct buf bytes = {0};
    struct booster *b = booster_train(data, rounds, parameters);
    booster_save(b, "json", &bytes);
    struct ensemble *json = read_model(&bytes);
    booster_save(b, "ubj", &bytes);
    struct ensemble *m = read_model(&bytes);
    assert_int_equal(m->column_count, data->columns);
    assert_int_equal(m->tree_count, json->tree_count);
    assert_bits(m->base_margin, json->base_margin, "the base margin", 0);
    for (size_t i = 0; i < m->tree_count; i++)
        assert_true(is_same_tree(&m->trees[i], &json->trees[i]));
    check_predictions(b, m);
    check_contributions(b, m);
    ensemble_free(m);
    ensemble_free(json);
    booster_free(b);
    buf_free(&bytes);
}

/* ------------------------------------------------------------ what XGBoost trains */

static void every_objective_that_is_served_predicts_as_xgboost_does(void **state)
{
    static const char *const objectives[] = {
        "reg:squarederror",  "reg:squaredlogerror", "reg:pseudohubererror",
        "reg:absoluteerror", "rank:pairwise",       "rank:ndcg",
        "rank:map",          "binary:logistic",     "reg:logistic",
        "count:poisson",     "reg:gamma",           "reg:tweedie"};
    (void)state;
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++) {
        const char *parameters[] = {"objective",  objectives[i], "max_depth", "4",
                                    "base_score", "0.3",         NULL};
        struct booster_data data = {.rows = 400, .columns = 7, .seed = i, .missing = 0.1f};
        check_model(&data, 12, parameters);
    }
}

static void trees_of_every_depth_and_way_to_grow_predict_as_xgboost_does(void **state)
{
    (void)state;
    for (int depth = 1; depth <= 10; depth++) {
        char text[12];
        snprintf(text, sizeof text, "%d", depth);
        const char *parameters[] = {"objective",
                                    "binary:logistic",
                                    "min_child_weight",
                                    "0.01",
                                    "max_depth",
                                    text,
                                    "eta",
                                    "0.8",
                                    "tree_method",
                                    depth % 3 == 0   ? "exact"
                                    : depth % 3 == 1 ? "hist"
                                                     : "approx",
                                    NULL};
        struct booster_data data = {.rows = 800,
                                    .columns = 5,
                                    .seed = (uint64_t)depth,
                                    .missing = depth % 2 ? 0.2f : 0,
                                    .whole = depth % 4 < 2};
        check_model(&data, 6, parameters);
    }
}

static void nodes_that_pruning_deleted_are_left_out(void **state)
{
    (void)state;
    const char *parameters[] = {"objective", "binary:logistic", "max_depth", "8", "gamma",
                                "2",         "tree_method",     "exact",     NULL};
    struct booster_data data = {.rows = 500, .columns = 5, .seed = 3, .missing = 0.1f};
    struct buf bytes = {0};
    struct booster *b = booster_train(&data, 5, parameters);
    booster_save(b, "json", &bytes);
    buf_put_u8(&bytes, 0);
    /* The file has some, so that the test tests something. */
    assert_non_null(strstr((const char *)bytes.data, "\"split_indices\":["));
    assert_non_null(strstr((const char *)bytes.data, "2147483647,2147483647"));
    check_model(&data, 5, parameters);
    booster_free(b);
    buf_free(&bytes);
}

static void a_model_may_have_no_tree_or_one_or_a_forest(void **state)
{
    (void)state;
    const char *plain[] = {"objective", "binary:logistic", "base_score", "0.05", NULL};
    const char *forest[] = {
        "objective", "binary:logistic", "num_parallel_tree", "5", "subsample", "0.5", NULL};
    struct booster_data data = {.rows = 200, .columns = 3, .seed = 1};
    check_model(&data, 0, plain);
    check_model(&data, 1, plain);
    check_model(&data, 3, forest);
}

static void lone_leaves_and_columns_that_are_never_used_count_as_they_should(void **state)
{
    (void)state;
    const char *parameters[] = {"objective", "count:poisson", NULL};
    struct booster_data constant = {.rows = 100, .columns = 2, .seed = 1, .constant = true};
    struct booster_data unused = {.rows = 200, .columns = 40, .seed = 1, .unused = 37};
    struct buf bytes = {0};
    struct booster *b = booster_train(&constant, 3, parameters);
    booster_save(b, "ubj", &bytes);
    struct ensemble *m = read_model(&bytes);
    assert_int_equal(m->tree_count, 3);
    assert_int_equal(m->trees[2].count, 1);
    assert_int_equal(m->trees[2].depth, 0);
    check_model(&constant, 3, parameters);
    check_model(&unused, 8, parameters);
    ensemble_free(m);
    booster_free(b);
    buf_free(&bytes);
}

/* Deep chains: where XGBoost's floats still hold, that is to 1e-5, ours are the same. */
static void contributions_of_leafwise_trees_are_those_of_xgboost(void **state)
{
    (void)state;
    const char *parameters[] = {
        "objective", "reg:squarederror", "tree_method", "hist", "max_depth", "0", "max_leaves",
        "24",        "grow_policy",      "lossguide",   NULL};
    struct booster_data data = {.rows = 1500, .columns = 12, .seed = 5, .missing = 0.05f};
    check_model(&data, 10, parameters);
}

static void names_of_columns_are_read(void **state)
{
    (void)state;
    static const char text[] =
        "{\"learner\":{\"feature_names\":[\"a\",\"\\u00e4 \\\"b\\\"\"],\"gradient_booster\":"
        "{\"name\":\"gbtree\",\"model\":{\"trees\":[]}},\"learner_model_param\":"
        "{\"base_score\":\"5E-1\",\"num_feature\":\"2\"},\"objective\":{\"name\":\"rank:ndcg\"}}}";
    struct ensemble *m;
    struct err e = {0};
    assert_int_equal(ensemble_read(&m, str_of(text), &e), 0);
    assert_string_equal(m->objective_name, "rank:ndcg");
    assert_string_equal(m->column_names[0], "a");
    assert_string_equal(m->column_names[1], "\xc3\xa4 \"b\"");
    assert_true(m->base_margin == 0.5f);
    ensemble_free(m);
}

/* ------------------------------------------------------------ scores */

/* From far below what underflows to far above what overflows, each bit pattern as likely. */
static void every_margin_has_the_score_of_xgboost(void **state)
{
    (void)state;
    enum { MARGINS = 200000 };
    static const char *const objectives[] = {"binary:logistic", "count:poisson", "rank:ndcg"};
    static const float ends[] = {0,        -0.0f,     88.7f,      -88.7f, 88.70001f, 103.97f,
                                 -103.98f, 88.72284f, -88.72284f, 1e-45f, 3.4e38f,   -3.4e38f,
                                 INFINITY, -INFINITY, 16.6f,      -16.6f, NAN};
    static float margins[MARGINS], scores[MARGINS];
    struct prng r;
    prng_seed(&r, 4);
    for (size_t i = 0; i < MARGINS; i++)
        margins[i] = i < sizeof ends / sizeof *ends ? ends[i]
                     : i % 2                        ? (float)(prng_unit(&r) * 220 - 110)
                                                    : (float)(prng_normal(&r) * 3);
    for (size_t i = 0; i < 3; i++) {
        const char *parameters[] = {"objective", objectives[i], NULL};
        struct booster_data data = {.rows = 40, .columns = 1, .seed = 1};
        struct booster *b = booster_train(&data, 0, parameters);
        struct buf bytes = {0};
        booster_save(b, "ubj", &bytes);
        struct ensemble *m = read_model(&bytes);
        booster_scores(b, margins, MARGINS, scores);
        for (size_t j = 0; j < MARGINS; j++)
            assert_bits(ensemble_score(m, margins[j]), scores[j], objectives[i], j);
        ensemble_free(m);
        booster_free(b);
        buf_free(&bytes);
    }
}

/* ------------------------------------------------------------ other versions of XGBoost */

/* Models of XGBoost 3.2.0 with rows and what it predicts for them: make.py writes them. */
static void models_of_a_later_version_predict_as_it_does(void **state)
{
    static const char *const names[] = {"logistic", "rank", "poisson", "pruned"};
    (void)state;
    for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
        char path[300];
        struct buf bytes = {0}, expected = {0};
        snprintf(path, sizeof path, FLOTILLA_SOURCE_DIR "/tests/data/models/%s.%s", names[i / 2],
                 i % 2 ? "json" : "ubj");
        assert_int_equal(file_read(&bytes, path, 1 << 20, NULL), 0);
        struct ensemble *m = read_model(&bytes);
        snprintf(path, sizeof path, FLOTILLA_SOURCE_DIR "/tests/data/models/%s.txt", names[i / 2]);
        assert_int_equal(file_read(&expected, path, 1 << 20, NULL), 0);
        buf_put_u8(&expected, 0);
        char *at = (char *)expected.data;
        size_t rows = 0;
        float values[16];
        assert_true(m->column_count + 2 <= 16);
        for (;; rows++) {
            size_t n = 0;
            for (char *end; n < m->column_count + 2; n++, at = end) {
                values[n] = strtof(at, &end);
                if (end == at)
                    break;
            }
            if (n < m->column_count + 2)
                break;
            float margin = ensemble_margin(m, values);
            assert_bits(margin, values[m->column_count], names[i / 2], rows);
            assert_bits(ensemble_score(m, margin), values[m->column_count + 1], names[i / 2], rows);
        }
        assert_int_equal(rows, 200);
        ensemble_free(m);
        buf_free(&bytes);
        buf_free(&expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_objective_that_is_served_predicts_as_xgboost_does),
        cmocka_unit_test(trees_of_every_depth_and_way_to_grow_predict_as_xgboost_does),
        cmocka_unit_test(nodes_that_pruning_deleted_are_left_out),
        cmocka_unit_test(a_model_may_have_no_tree_or_one_or_a_forest),
        cmocka_unit_test(lone_leaves_and_columns_that_are_never_used_count_as_they_should),
        cmocka_unit_test(contributions_of_leafwise_trees_are_those_of_xgboost),
        cmocka_unit_test(names_of_columns_are_read),
        cmocka_unit_test(every_margin_has_the_score_of_xgboost),
        cmocka_unit_test(models_of_a_later_version_predict_as_it_does),
    };
    return RUN(tests);
}

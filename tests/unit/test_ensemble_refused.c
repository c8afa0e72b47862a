/*
 * Model files that are damaged, or of a kind that is not served.
 */
#include "base/file.h"
#include "model_text.h"
#include "support/booster.h"

#include <stdio.h>

/* ------------------------------------------------------------ one change each */

static void a_model_that_nobody_changed_is_read(void **state)
{
    (void)state;
    struct ensemble *m = NULL;
    struct err e;
    float left[] = {0.25f, -2}, missing[] = {NAN, NAN}, right[] = {0.5f, 0};
    assert_int_equal(read_exactly(&m, MODEL, strlen(MODEL), &e), 0);
    assert_int_equal(m->trees[0].depth, 2);
    assert_true(m->base_margin == 0);
    assert_true(ensemble_margin(m, left) == -0.125f);
    assert_true(ensemble_margin(m, missing) == 2);
    assert_true(ensemble_margin(m, right) == 0.25f);
    ensemble_free(m);
}

/* Just above the middle of 1 and the next float: a double between would be the middle itself, and
 * round to 1. */
static void decimals_are_rounded_to_floats_once(void **state)
{
    (void)state;
    struct buf b = {0};
    struct ensemble *m = NULL;
    struct err e;
    put_changed(&b, "[0.5,-1.5,", "[1.0000000596046447753907,-15e-1,");
    assert_int_equal(read_exactly(&m, b.data, b.len, &e), 0);
    assert_true(m->trees[0].nodes[0].value == 0x1.000002p0f);
    assert_true(m->trees[0].nodes[1].value == -1.5f);
    ensemble_free(m);
    buf_free(&b);
}

/* By hand: of the root's rows 0.6 go left, of those 1/6 left again; v(no column) = 0.6 (1/6 *
 * -0.125 + 5/6 * 2) + 0.4 * 0.25 = 1.0875; v(a) = 1/6 * -0.125 + 5/6 * 2 = 1.6458333;
 * v(b) = 0.6 * -0.125 + 0.4 * 0.25 = 0.025; v(both) = -0.125. */
static void contributions_are_those_of_the_definition(void **state)
{
    (void)state;
    struct ensemble *m = NULL;
    struct err e;
    float row[] = {0.25f, -2};
    double out[3];
    assert_int_equal(read_exactly(&m, MODEL, strlen(MODEL), &e), 0);
    assert_int_equal(ensemble_contributions(m, row, out, &e), 0);
    assert_true(fabs(out[2] - 1.0875) < 1e-12);
    assert_true(fabs(out[0] - ((1.64583333333333333 - 1.0875) + (-0.125 - 0.025)) / 2) < 1e-12);
    assert_true(fabs(out[1] - ((0.025 - 1.0875) + (-0.125 - 1.64583333333333333)) / 2) < 1e-12);
    ensemble_free(m);
}

static void a_change_that_makes_no_sense_is_refused_and_named(void **state)
{
    static const struct {
        const char *from, *to, *part;
        int code;
    } cases[] = {
        {"[1,3,-1,-1,-1]", "[1,0,-1,-1,-1]", "node 1: its child 0 is reached by another way", 0},
        {"[1,3,-1,-1,-1]", "[1,2,-1,-1,-1]", "node 1: its child 2 is reached by another way", 0},
        {"[1,3,-1,-1,-1]", "[1,1,-1,-1,-1]", "node 1: its child 1 is reached by another way", 0},
        {"[1,3,-1,-1,-1]", "[1,5,-1,-1,-1]", "node 1: its child 5 is not one of 5 nodes", 0},
        {"[1,3,-1,-1,-1]", "[1,-2,-1,-1,-1]", "node 1: its child -2 is not one of 5 nodes", 0},
        {"[1,3,-1,-1,-1]", "[1,-1,-1,-1,-1]", "node 1: its child -1 is not one of 5 nodes", 0},
        {"[1,3,-1,-1,-1],\"right_children\":[2,4,", "[1,-1,-1,-1,-1],\"right_children\":[2,-1,",
         "tree 0: node 3: nothing leads to it", 0},
        {"[1,3,-1,-1,-1]", "[1,3,-1,-1]", "left_children has 4 entries for 5 nodes", 0},
        {"[10,6,4,1,5]", "[10,6,4,1,5,1]", "sum_hessian has 6 entries for 5 nodes", 0},
        {"[2147483647,0,0,1,1]", "[2147483647,0,0,1,2]", "names node 2 as its parent", 0},
        {"\"num_nodes\":\"5\"", "\"num_nodes\":\"0\"", "it has no nodes", 0},
        {"\"num_nodes\":\"5\"", "\"num_nodes\":\"-5\"", "num_nodes, byte", 0},
        {"\"num_nodes\":\"5\"", "\"num_nodes\":\"99999999999999999999\"", "not a whole number", 0},
        {"\"num_deleted\":\"0\"", "\"num_deleted\":\"1\"", "and 1 are deleted", 0},
        {"[0,1,0,0,0],\"default_left\":[1,0,", "[0,2147483647,0,0,0],\"default_left\":[1,1,",
         "node 1 is deleted, but in use", 0},
        {"[0,1,0,0,0]", "[0,2,0,0,0]", "node 1: there is no column 2", 0},
        {"[0,1,0,0,0]", "[0,-1,0,0,0]", "node 1: there is no column -1", 0},
        {"[0,1,0,0,0]", "[0,4294967296,0,0,0]", "over the range of 32 bits", 0},
        {"\"default_left\":[1,", "\"default_left\":[2,", "neither 0 nor 1", 0},
        {"[0.5,-1.5", "[1e39,-1.5", "node 0: its threshold is not finite", 0},
        {"0.25,-0.125", "0.25,-1e39", "node 3: its value is not finite", 0},
        {"0.25,-0.125", "0.25,NaN", "node 3: its value is not finite", 0},
        {"[0.5,-1.5", "[0.5,-Infinity", "node 1: its threshold is not finite", 0},
        {"[0.5,-1.5", "[0.5,-", "trees.0.split_conditions, byte", 0},
        {"[10,6,4,1,5]", "[10,6,4,-1,5]", "its sum_hessian is -1", 0},
        {"[10,6,4,1,5]", "[10,6,4,1e40,5]", "its sum_hessian is inf", 0},
        {"\"id\":0", "\"id\":1", "trees.0.id, byte", 0},
        {"\"id\":0", "\"id\":0,\"id\":0", "trees.0.id, byte", 0},
        {"\"id\":0,", "", "id is missing", 0},
        {"\"sum_hessian\"", "\"sum_of_hessian\"", "sum_hessian is missing", 0},
        {"{\"learner\":", "{\"teacher\":", "learner is missing", 0},
        {"\"num_feature\":\"2\",\"num_target\"", "\"num_feature\":\"3\",\"num_target\"",
         "feature_names has 2 names for 3 columns", 0},
        {"\"num_feature\":\"2\",\"num_target\"", "\"num_feature\":\"4097\",\"num_target\"",
         "more than 4096 columns", ERR_TOO_LARGE},
        {"5E-1", "half", "base_score \"half\" is not a number", 0},
        {"5E-1", "", "base_score \"\" is not a number", 0},
        {"5E-1", "0x1p-1", "base_score \"0x1p-1\" is not a number", 0},
        {"5E-1", "1", "binary:logistic cannot have the base_score 1", 0},
        {"5E-1", "-3E-1", "binary:logistic cannot have the base_score -3E-1", 0},
        {"5E-1", "[5E-1,5E-1]", "several classes or targets", 0},
        {"[\"a\",\"b\"]", "[\"a\",\"b\\u0000\"]", "has a byte 0", 0},
        {"[1,7,4]}", "[1,7,4]}}", "something follows the model", 0},
        {"\"split_type\":[0,0,", "\"split_type\":[0,1,", "categorical splits are not served", 0},
        {"\"categories_nodes\":[]", "\"categories_nodes\":[1]", "categorical splits are not", 0},
        {"\"tree_info\":[0]", "\"tree_info\":[1]", "multi-class", 0},
        {"\"num_class\":\"0\"", "\"num_class\":\"3\"", "multi-class", 0},
        {"\"num_target\":\"1\"", "\"num_target\":\"2\"", "several classes or targets", 0},
        {"\"size_leaf_vector\":\"1\"", "\"size_leaf_vector\":\"2\"", "multi-target", 0},
        {"binary:logistic", "binary:hinge", "the objective \"binary:hinge\" is not served", 0},
        {"\"gbtree\"", "\"gbforest\"", "the booster \"gbforest\" is not served", 0},
    };
    struct buf b = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_changed(&b, cases[i].from, cases[i].to);
        assert_refused(b.data, b.len, cases[i].code ? cases[i].code : ERR_INVALID, cases[i].part);
    }
    buf_free(&b);
}

/* ------------------------------------------------------------ what XGBoost can and we do not */

static void kinds_of_models_that_are_not_served_are_refused_by_name(void **state)
{
    static const struct {
        const char *name, *value, *part;
    } cases[] = {
        {"booster", "dart", "the booster \"dart\" is not served"},
        {"booster", "gblinear", "the booster \"gblinear\" is not served"},
        {"objective", "multi:softprob", "several classes or targets (multi-class) are not served"},
        {"objective", "binary:logitraw", "the objective \"binary:logitraw\" is not served"},
        {"objective", "survival:cox", "the objective \"survival:cox\" is not served"},
    };
    struct booster_data data = {.rows = 100, .columns = 3, .seed = 1};
    struct buf b = {0};
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        bool several = strcmp(cases[i / 2].value, "multi:softprob") == 0;
        const char *parameters[] = {cases[i / 2].name, cases[i / 2].value,
                                    several ? "num_class" : NULL, "3", NULL};
        struct booster *model = booster_train(&data, 2, parameters);
        booster_save(model, i % 2 ? "json" : "ubj", &b);
        assert_refused(b.data, b.len, ERR_INVALID, cases[i / 2].part);
        booster_free(model);
    }
    buf_free(&b);
}

static void refused_file(const char *name, const char *part)
{
    struct buf b = {0};
    char path[300];
    snprintf(path, sizeof path, FLOTILLA_SOURCE_DIR "/tests/data/models/%s", name);
    assert_int_equal(file_read(&b, path, 1 << 20, NULL), 0);
    assert_refused(b.data, b.len, ERR_INVALID, part);
    buf_free(&b);
}

static void categorical_splits_and_several_targets_are_refused_as_xgboost_writes_them(void **state)
{
    (void)state;
    refused_file("categorical.ubj", "categorical splits are not served");
    refused_file("targets.ubj", "multi-target");
}

/* ------------------------------------------------------------ damage */

static void save_small(const char *format, struct buf *out)
{
    const char *parameters[] = {"objective", "binary:logistic", "max_depth", "3", NULL};
    struct booster_data data = {.rows = 200, .columns = 3, .seed = 1, .missing = 0.1f};
    struct booster *b = booster_train(&data, 2, parameters);
    booster_save(b, format, out);
    booster_free(b);
}

static void a_file_that_ends_early_is_refused_wherever_it_ends(void **state)
{
    struct buf b = {0};
    (void)state;
    for (int json = 0; json < 2; json++) {
        save_small(json ? "json" : "ubj", &b);
        assert_true(b.len > 1000);
        for (size_t n = 0; n < b.len; n++)
            assert_refused(b.data, n, ERR_INVALID, "");
    }
    buf_free(&b);
}

/* damage: of one bit, of a byte, of two places. Both outcomes are seen, so that both are tested. */
static void a_damaged_file_is_refused_or_can_be_used(void **state)
{
    struct buf b = {0};
    struct prng r;
    (void)state;
    prng_seed(&r, 11);
    for (int json = 0; json < 2; json++) {
        int refused = 0, used = 0;
        save_small(json ? "json" : "ubj", &b);
        for (int i = 0; i < 15000; i++) {
            struct ensemble *m = NULL;
            struct err e;
            struct buf damaged = {0};
            buf_put(&damaged, b.data, b.len);
            for (int places = 1 + i % 2; places; places--) {
                uint8_t *at = &damaged.data[prng_below(&r, (uint32_t)b.len)];
                bool one_bit = prng_below(&r, 2);
                *at = (uint8_t)(one_bit ? *at ^ 1u << prng_below(&r, 8) : prng_below(&r, 256));
            }
            int rc = read_exactly(&m, damaged.data, damaged.len, &e);
            if (!rc)
                assert_sound(m);
            else
                assert_true((rc == ERR_INVALID || rc == ERR_TOO_LARGE) && e.code == rc && *e.msg);
            refused += rc != 0;
            used += rc == 0;
            ensemble_free(m);
            buf_free(&damaged);
        }
        assert_true(refused > 1000 && used > 1000);
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_that_nobody_changed_is_read),
        cmocka_unit_test(decimals_are_rounded_to_floats_once),
        cmocka_unit_test(contributions_are_those_of_the_definition),
        cmocka_unit_test(a_change_that_makes_no_sense_is_refused_and_named),
        cmocka_unit_test(kinds_of_models_that_are_not_served_are_refused_by_name),
        cmocka_unit_test(categorical_splits_and_several_targets_are_refused_as_xgboost_writes_them),
        cmocka_unit_test(a_file_that_ends_early_is_refused_wherever_it_ends),
        cmocka_unit_test(a_damaged_file_is_refused_or_can_be_used),
    };
    return RUN(tests);
}

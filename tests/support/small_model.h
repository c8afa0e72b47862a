/*
 * A model so small that its margins are had by hand, with the definitions it was "trained" on.
 *
 * Columns price (of the proposition) and clicks_1h (of the user), base margin 0, one tree:
 *
 *     price < 0.5 (missing too) ? clicks_1h < 3 ? -0.125 : 2 (missing too) : 0.25
 *
 * Include after unit.h.
 */
#pragma once

#include "feature/definition.h"
#include "model/model_check.h"

#include <math.h>
#include <stdlib.h>

#define SMALL_DEFINITIONS                                                                          \
    "features:\n"                                                                                  \
    "  - {name: clicks, scope: user, count: {event: click, windows: [1h]}}\n"                      \
    "  - {name: ctr, scope: proposition, rate: {of: click, per: impression, windows: [1h], "       \
    "weight: 1, prior: 0.1}}\n"                                                                    \
    "  - {name: price, scope: proposition, attribute: {field: price}}\n"

#define SMALL_MODEL                                                                                \
    "{\"learner\":{\"attributes\":{},\"feature_names\":[\"price\",\"clicks_1h\"],"                 \
    "\"gradient_booster\":{\"model\":{\"gbtree_model_param\":{\"num_trees\":\"1\"},"               \
    "\"tree_info\":[0],\"trees\":[{\"id\":0,\"tree_param\":{\"num_deleted\":\"0\","                \
    "\"num_feature\":\"2\",\"num_nodes\":\"5\",\"size_leaf_vector\":\"1\"},"                       \
    "\"left_children\":[1,3,-1,-1,-1],\"right_children\":[2,4,-1,-1,-1],"                          \
    "\"parents\":[2147483647,0,0,1,1],\"split_indices\":[0,1,0,0,0],"                              \
    "\"default_left\":[1,0,0,0,0],\"split_type\":[0,0,0,0,0],"                                     \
    "\"split_conditions\":[0.5,3,0.25,-0.125,2],\"sum_hessian\":[10,6,4,1,5],"                     \
    "\"base_weights\":[0,0,0,0,0],\"categories_nodes\":[]}]},\"name\":\"gbtree\"},"                \
    "\"learner_model_param\":{\"base_score\":\"0\",\"num_class\":\"0\",\"num_feature\":\"2\","     \
    "\"num_target\":\"1\"},\"objective\":{\"name\":\"reg:squarederror\"}},\"version\":[1,7,4]}"

/* Everything that a version consists of, to be spoilt by tests. */
struct small_model {
    struct feature_set *set;
    struct model_parts parts;
    struct str names[2];
    struct buf bytes, fingerprints, rows, margins;
    uint8_t sha256[MODEL_SHA256_BYTES];
};

static inline void small_model_sum(struct small_model *s)
{
    assert_int_equal(model_sha256(s->sha256, buf_str(&s->bytes), NULL), 0);
    s->parts.bytes = buf_str(&s->bytes);
    s->parts.sha256 = str_bytes(s->sha256, sizeof s->sha256);
}

static inline void small_model_start(struct small_model *s)
{
    /* price, clicks_1h, and the margin by hand. */
    static const float rows[][2] = {{0, 2},     {0, 3},         {0.5F, 0},
                                    {NAN, NAN}, {0.49F, 2.99F}, {-INFINITY, INFINITY}};
    static const float margins[] = {-0.125F, 2, 0.25F, 2, -0.125F, 2};
    struct err e = {0};
    *s = (struct small_model){0};
    if (feature_set_parse(&s->set, "t.yaml", str_of(SMALL_DEFINITIONS), &e))
        fail_msg("%s", e.msg);
    for (size_t i = 0; i < 2; i++) {
        const char *names[] = {"price", "clicks_1h"};
        s->names[i] = str_of(names[i]);
        for (size_t o = 0; o < s->set->output_count; o++)
            if (str_is(s->names[i], s->set->outputs[o].name))
                buf_put(&s->fingerprints, s->set->outputs[o].feature->fingerprint,
                        FINGERPRINT_BYTES);
    }
    buf_put_text(&s->bytes, SMALL_MODEL);
    buf_put(&s->rows, rows, sizeof rows);
    buf_put(&s->margins, margins, sizeof margins);
    s->parts = (struct model_parts){.name = str_of("shop"),
                                    .version = 7,
                                    .features = {s->names, 2},
                                    .fingerprints = buf_str(&s->fingerprints),
                                    .canary_rows = buf_str(&s->rows),
                                    .canary_margins = buf_str(&s->margins)};
    small_model_sum(s);
}

static inline void small_model_end(struct small_model *s)
{
    feature_set_free(s->set);
    buf_free(&s->bytes);
    buf_free(&s->fingerprints);
    buf_free(&s->rows);
    buf_free(&s->margins);
}

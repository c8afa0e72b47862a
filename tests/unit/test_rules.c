#include "model/rules.h"
#include "unit.h"

#include "support/fixture.h"

/* Every kind of value that a term can read. */
static const char all[] =
    "features:\n"
    "  - {name: genre_rate, scope: proposition.genres, rate: {of: click, per: impression, "
    "windows: [1h], weight: 0, prior: 0.2}}\n"
    "  - {name: ctr, scope: proposition, rate: {of: click, per: impression, windows: [1h, 7d, 1d], "
    "weight: 10, prior: global}}\n"
    "  - {name: heat, scope: proposition, decay: {event: click, half_life: 1h}}\n"
    "  - {name: clicks, scope: proposition, count: {event: click, windows: [1h, 1d]}}\n"
    "  - {name: user_age, scope: user, age: {field: born}}\n"
    "  - {name: age, scope: proposition, age: {field: released}}\n"
    "  - {name: price, scope: proposition, attribute: {field: price}}\n"
    "  - {name: taste, scope: user, overlap: {event: click, attribute: genres, last: 9, within: "
    "30d}}\n"
    "  - {name: user_ctr, scope: user, rate: {of: click, per: impression, windows: [1h], weight: "
    "10, prior: 0.1}}\n"
    "  - {name: genre_ctr, scope: user*proposition.genres, rate: {of: click, per: impression, "
    "windows: [30d, 1d], weight: 5, prior: 0.1}}\n"
    "  - {name: device_ctr, scope: proposition*context.device, rate: {of: click, per: impression, "
    "windows: [7d], weight: 20, prior: global}}\n"
    "  - {name: seen, scope: user*proposition, count: {event: click, windows: [1d]}}\n"
    "  - {name: match, scope: proposition, match: {context: query, attribute: title}}\n"
    "  - {name: hour, scope: context, time: {part: hour_of_day, zone: UTC}}\n";

struct fixture {
    struct feature_set *set;
    struct rules *rules;
    double vector[32];
};

static struct fixture make(const char *text)
{
    struct fixture f = {.set = definitions(text)};
    assert_int_equal(rules_new(&f.rules, f.set, NULL), 0);
    for (size_t i = 0; i < f.set->output_count; i++)
        f.vector[i] = NAN;
    return f;
}

static void unmake(struct fixture *f)
{
    rules_free(f->rules);
    feature_set_free(f->set);
}

static double *value(struct fixture *f, const char *name)
{
    for (size_t i = 0; i < f->set->output_count; i++)
        if (strcmp(f->set->outputs[i].name, name) == 0)
            return &f->vector[i];
    fail_msg("no value %s", name);
    return NULL;
}

static struct rule_opts opts_of(enum rule_kind kind, const char *name)
{
    return (struct rule_opts){.kind = kind, .value = name, .weight = 1, .missing = NAN};
}

static void add(struct fixture *f, struct rule_opts opts)
{
    struct err e = {0};
    if (rules_add(f->rules, &opts, &e))
        fail_msg("%s", e.msg);
}

static void assert_near(double got, double expected)
{
    if (!(fabs(got - expected) <= 1e-12 * fmax(1, fabs(expected))))
        fail_msg("expected %.17g, got %.17g", expected, got);
}

static void terms_are_found_in_the_features_where_nothing_is_said(void **state)
{
    (void)state;
    static const char *const names[] = {"popularity.ctr_7d", "recency.age", "taste.taste",
                                        "taste.genre_ctr_30d", "match.match"};
    static const bool is_personal[] = {false, false, true, true, true};
    struct fixture f = make(all);
    assert_int_equal(rules_add_rest(f.rules, NULL), 0);
    assert_int_equal(rules_count(f.rules), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(rules_term_name(f.rules, i), names[i]);
        assert_int_equal(rules_term_is_personal(f.rules, i), is_personal[i]);
        const char *output = f.set->outputs[rules_term_output(f.rules, i)].name;
        assert_string_equal(strchr(names[i], '.') + 1, output);
    }
    unmake(&f);
}

static void popularity_is_a_decay_or_a_count_where_there_is_no_rate(void **state)
{
    (void)state;
    static const char decay[] = "  - {name: heat, scope: proposition, decay: {event: click, "
                                "half_life: 1h}}\n",
                      count[] = "  - {name: clicks, scope: proposition, count: {event: click, "
                                "windows: [1h, 1d]}}\n";
    char text[512];
    snprintf(text, sizeof text, "features:\n%s%s", count, decay);
    struct fixture f = make(text);
    assert_int_equal(rules_add_rest(f.rules, NULL), 0);
    assert_string_equal(rules_term_name(f.rules, 0), "popularity.heat");
    unmake(&f);
    snprintf(text, sizeof text, "features:\n%s", count);
    f = make(text);
    assert_int_equal(rules_add_rest(f.rules, NULL), 0);
    assert_string_equal(rules_term_name(f.rules, 0), "popularity.clicks_1d");
    unmake(&f);
}

/* 0.04 * 2^(-0.3 * 15 / 30) * (1 + 0.5) * (1 + 0.2)^2 * (1 + 1/3) */
static void the_score_is_the_product_of_terms_to_the_power_of_their_weights(void **state)
{
    (void)state;
    struct fixture f = make(all);
    struct rule_opts recency = opts_of(RULE_RECENCY, "age"),
                     genre = opts_of(RULE_TASTE, "genre_ctr_30d");
    recency.weight = 0.3;
    genre.weight = 2;
    add(&f, recency);
    add(&f, opts_of(RULE_TASTE, "taste"));
    add(&f, genre);
    assert_int_equal(rules_add_rest(f.rules, NULL), 0);
    *value(&f, "ctr_7d") = 0.04;
    *value(&f, "age") = 15 * 86400;
    *value(&f, "taste") = 0.5;
    *value(&f, "genre_ctr_30d") = 0.2;
    *value(&f, "match") = 1.0 / 3;
    double expected = 0.04 * pow(2, -0.3 * 0.5) * 1.5 * 1.44 * (4.0 / 3);
    assert_near(rules_score(rules_ln_score(f.rules, f.vector)), expected);
    assert_near(exp(rules_ln_base(f.rules, f.vector)), 0.04 * pow(2, -0.15));
    assert_near(exp(rules_ln_personal(f.rules, f.vector)), 1.5 * 1.44 * (4.0 / 3));
    double sum = 0;
    for (size_t i = 0; i < rules_count(f.rules); i++)
        sum += rules_term_ln(f.rules, i, f.vector);
    assert_near(sum, rules_ln_score(f.rules, f.vector));
    unmake(&f);
}

static void a_count_has_one_added_and_a_rate_has_not(void **state)
{
    (void)state;
    struct fixture f = make(all);
    add(&f, opts_of(RULE_POPULARITY, "clicks_1d"));
    add(&f, opts_of(RULE_POPULARITY, "heat"));
    add(&f, opts_of(RULE_POPULARITY, "ctr_1h"));
    add(&f, opts_of(RULE_POPULARITY, "price"));
    *value(&f, "clicks_1d") = 0;
    *value(&f, "heat") = 3;
    *value(&f, "ctr_1h") = 0;
    *value(&f, "price") = 20;
    assert_near(rules_term_ln(f.rules, 0, f.vector), 0);
    assert_near(rules_term_ln(f.rules, 1, f.vector), log(4));
    assert_near(rules_term_ln(f.rules, 2, f.vector), log(1e-9));
    assert_near(rules_term_ln(f.rules, 3, f.vector), log(20));
    unmake(&f);
}

static void what_lies_in_the_future_is_as_recent_as_now(void **state)
{
    (void)state;
    struct fixture f = make(all);
    struct rule_opts opts = opts_of(RULE_RECENCY, "age");
    opts.half_life_ms = 3600000;
    add(&f, opts);
    *value(&f, "age") = -86400;
    assert_near(rules_ln_score(f.rules, f.vector), 0);
    *value(&f, "age") = 7200;
    assert_near(rules_score(rules_ln_score(f.rules, f.vector)), 0.25);
    unmake(&f);
}

static void a_missing_value_is_the_prior_nothing_or_a_half_life(void **state)
{
    (void)state;
    struct fixture f = make(all);
    add(&f, opts_of(RULE_POPULARITY, "genre_rate_1h"));
    add(&f, opts_of(RULE_POPULARITY, "ctr_7d"));
    add(&f, opts_of(RULE_POPULARITY, "heat"));
    add(&f, opts_of(RULE_RECENCY, "age"));
    add(&f, opts_of(RULE_TASTE, "taste"));
    add(&f, opts_of(RULE_TASTE, "genre_ctr_30d"));
    add(&f, opts_of(RULE_MATCH, "match"));
    static const double expected[] = {0.2, 0.01, 1, 0.5, 1, 1.1, 1};
    for (size_t i = 0; i < 7; i++)
        assert_near(exp(rules_term_ln(f.rules, i, f.vector)), expected[i]);
    unmake(&f);
    f = make(all);
    struct rule_opts opts = opts_of(RULE_POPULARITY, "ctr_7d");
    opts.missing = 0.07;
    add(&f, opts);
    assert_near(exp(rules_ln_score(f.rules, f.vector)), 0.07);
    unmake(&f);
}

static void shares_of_taste_count_from_0_to_1_and_so_have_a_bound(void **state)
{
    (void)state;
    struct fixture f = make(all);
    struct rule_opts against = opts_of(RULE_TASTE, "taste");
    against.weight = -3;
    add(&f, opts_of(RULE_TASTE, "genre_ctr_30d"));
    add(&f, against);
    add(&f, opts_of(RULE_MATCH, "match"));
    add(&f, opts_of(RULE_RECENCY, "user_age"));
    assert_near(rules_ln_personal_bound(f.rules), 2 * log(2));
    *value(&f, "genre_ctr_30d") = 5;
    *value(&f, "taste") = -1;
    *value(&f, "match") = 1;
    *value(&f, "user_age") = -1;
    assert_near(rules_ln_personal(f.rules, f.vector), 2 * log(2));
    add(&f, opts_of(RULE_TASTE, "seen_1d"));
    assert_true(rules_ln_personal_bound(f.rules) == INFINITY);
    unmake(&f);
}

static void no_vector_is_above_the_bound(void **state)
{
    (void)state;
    struct fixture f = make(all);
    struct random random = {7};
    struct rule_opts opts = opts_of(RULE_TASTE, "user_ctr_1h");
    opts.weight = -2;
    add(&f, opts);
    assert_int_equal(rules_add_rest(f.rules, NULL), 0);
    double bound = rules_ln_personal_bound(f.rules);
    assert_true(isfinite(bound));
    for (int n = 0; n < 10000; n++) {
        for (size_t i = 0; i < f.set->output_count; i++)
            f.vector[i] = random_below(&random, 5) ? random_unit(&random) * 4 - 1 : NAN;
        assert_true(rules_ln_personal(f.rules, f.vector) <= bound);
        assert_near(rules_ln_base(f.rules, f.vector) + rules_ln_personal(f.rules, f.vector),
                    rules_ln_score(f.rules, f.vector));
    }
    unmake(&f);
}

static void the_base_reads_nothing_of_user_and_context(void **state)
{
    (void)state;
    struct fixture f = make(all);
    add(&f, opts_of(RULE_POPULARITY, "device_ctr_7d"));
    add(&f, opts_of(RULE_POPULARITY, "genre_rate_1h"));
    add(&f, opts_of(RULE_RECENCY, "user_age"));
    *value(&f, "device_ctr_7d") = 0.5;
    *value(&f, "genre_rate_1h") = 0.25;
    *value(&f, "user_age") = 1e9;
    assert_near(exp(rules_ln_base(f.rules, f.vector)), 0.25);
    unmake(&f);
}

static void without_terms_every_score_is_one(void **state)
{
    (void)state;
    struct fixture f =
        make("features:\n  - {name: hour, scope: context, time: {part: month, zone: UTC}}\n");
    assert_int_equal(rules_add_rest(f.rules, NULL), 0);
    assert_int_equal(rules_count(f.rules), 0);
    assert_near(rules_score(rules_ln_score(f.rules, f.vector)), 1);
    assert_near(rules_ln_base(f.rules, f.vector), 0);
    assert_near(rules_ln_personal_bound(f.rules), 0);
    unmake(&f);
}

static void weight_0_leaves_a_term_out_and_nothing_takes_its_place(void **state)
{
    (void)state;
    struct fixture f = make(all);
    for (int kind = 0; kind < RULE_KINDS; kind++) {
        struct rule_opts opts = opts_of((enum rule_kind)kind, NULL);
        opts.weight = 0;
        add(&f, opts);
    }
    assert_int_equal(rules_add_rest(f.rules, NULL), 0);
    assert_int_equal(rules_count(f.rules), 0);
    unmake(&f);
}

static void absurd_values_give_finite_scores(void **state)
{
    (void)state;
    static const double absurd[] = {INFINITY, -INFINITY, 1e308, -1e308, 0};
    struct fixture f = make(all);
    struct rule_opts opts = opts_of(RULE_POPULARITY, "price");
    opts.weight = 1e6;
    add(&f, opts);
    opts = opts_of(RULE_RECENCY, "age");
    opts.weight = -1e6;
    add(&f, opts);
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < 5; k++) {
            *value(&f, "price") = absurd[i];
            *value(&f, "age") = absurd[k];
            double ln = rules_ln_score(f.rules, f.vector);
            assert_true(isfinite(ln) && isfinite(rules_ln_base(f.rules, f.vector)));
            assert_true(rules_score(ln) > 0 && isfinite(rules_score(ln)));
        }
    }
    unmake(&f);
}

static void what_a_term_cannot_read_is_refused_and_said_what_it_can(void **state)
{
    (void)state;
    static const struct {
        enum rule_kind kind;
        const char *name, *what;
    } wrong[] = {
        {RULE_POPULARITY, "ctr",
         "popularity: the features have no value \"ctr\": name one with its window, as "
         "prop_ctr_7d"},
        {RULE_POPULARITY, "hour",
         "popularity: \"hour\" is of kind time: give one of kind rate, count, sum, decay, "
         "distinct, "
         "mean, min, max or attribute"},
        {RULE_RECENCY, "price",
         "recency: \"price\" is of kind attribute: give one of kind age or "
         "recency"},
        {RULE_TASTE, "match", "taste: \"match\" is of kind match: give one of kind overlap"},
        {RULE_MATCH, "taste", "match: \"taste\" is of kind overlap: give one of kind match"},
    };
    struct fixture f = make(all);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err e = {0};
        struct rule_opts opts = opts_of(wrong[i].kind, wrong[i].name);
        assert_int_equal(rules_add(f.rules, &opts, &e), ERR_INVALID);
        assert_contains(e.msg, wrong[i].what);
    }
    unmake(&f);
    f = make("features:\n  - {name: hour, scope: context, time: {part: month, zone: UTC}}\n");
    struct err e = {0};
    struct rule_opts opts = opts_of(RULE_TASTE, NULL);
    assert_int_equal(rules_add(f.rules, &opts, &e), ERR_NOT_FOUND);
    assert_contains(e.msg, "taste: the features have no value that it could read by itself");
    unmake(&f);
}

static void memory_that_is_short_is_said(void **state)
{
    (void)state;
    struct feature_set *set = definitions(all);
    for (int n = 1;; n++) {
        struct rules *r = NULL;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = rules_new(&r, set, &e);
        if (!rc)
            rc = rules_add_rest(r, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        rules_free(r);
        if (!failed)
            break;
        assert_true(n < 20);
    }
    feature_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_are_found_in_the_features_where_nothing_is_said),
        cmocka_unit_test(popularity_is_a_decay_or_a_count_where_there_is_no_rate),
        cmocka_unit_test(the_score_is_the_product_of_terms_to_the_power_of_their_weights),
        cmocka_unit_test(a_count_has_one_added_and_a_rate_has_not),
        cmocka_unit_test(what_lies_in_the_future_is_as_recent_as_now),
        cmocka_unit_test(a_missing_value_is_the_prior_nothing_or_a_half_life),
        cmocka_unit_test(shares_of_taste_count_from_0_to_1_and_so_have_a_bound),
        cmocka_unit_test(no_vector_is_above_the_bound),
        cmocka_unit_test(the_base_reads_nothing_of_user_and_context),
        cmocka_unit_test(without_terms_every_score_is_one),
        cmocka_unit_test(weight_0_leaves_a_term_out_and_nothing_takes_its_place),
        cmocka_unit_test(absurd_values_give_finite_scores),
        cmocka_unit_test(what_a_term_cannot_read_is_refused_and_said_what_it_can),
        cmocka_unit_test(memory_that_is_short_is_said),
    };
    return RUN(tests);
}

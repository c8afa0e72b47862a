#include "ranker/placement.h"
#include "unit.h"

#include "support/fixture.h"

static const char features[] =
    "features:\n"
    "  - {name: ctr, scope: proposition, rate: {of: click, per: impression, windows: [7d], weight: "
    "10, prior: global}}\n"
    "  - {name: age, scope: proposition, age: {field: released}}\n"
    "  - {name: taste, scope: user, overlap: {event: click, attribute: genres, last: 9, within: "
    "30d}}\n"
    "  - {name: dismissed, scope: user*proposition, recency: {event: dismiss}}\n"
    "  - {name: bought, scope: proposition*user, recency: {event: convert}}\n"
    "  - {name: clicked, scope: user, recency: {event: click}}\n";

static const char whole[] = "default:\n"
                            "  model: home\n"
                            "  candidates: 300\n"
                            "  filters:\n"
                            "    - {attribute: country, equals: de}\n"
                            "    - {attribute: genres, in: [drama, comedy]}\n"
                            "    - {attribute: price, to: 20}\n"
                            "    - {attribute: year, from: 1990, to: 1999.5}\n"
                            "  hide:\n"
                            "    - {event: dismiss, within: 30d}\n"
                            "    - {event: convert, within: 1h}\n"
                            "  diversity: {attribute: genres, most: 2, first: 10}\n"
                            "  exploration: {share: 0.05, temperature: 0.5}\n"
                            "  log: 0.1\n"
                            "  rules:\n"
                            "    popularity: {value: ctr_7d, weight: 2, missing: 0.03}\n"
                            "    recency: {half_life: 7d, weight: 0.3}\n"
                            "    taste: [{value: taste}, {value: taste, weight: 0.5}]\n"
                            "    match: {weight: 0}\n"
                            "kids:\n";

static int parse(struct placements **out, const char *text, struct feature_set *set, struct err *e)
{
    struct yaml_tree *y = NULL;
    if (yaml_tree_parse(&y, "f.yaml", str_of(text), e))
        fail_msg("%s", e->msg);
    int rc = placements_parse(out, yaml_tree_root(y), "f.yaml", set, e);
    yaml_tree_free(y);
    return rc;
}

static struct placements *parsed(const char *text, struct feature_set *set)
{
    struct placements *p = NULL;
    struct err e = {0};
    if (parse(&p, text, set, &e))
        fail_msg("%s", e.msg);
    return p;
}

static void every_line_is_read(void **state)
{
    (void)state;
    struct feature_set *set = definitions(features);
    struct placements *all = parsed(whole, set);
    assert_int_equal(placements_count(all), 3);
    const struct placement *p = placements_at(all, 1);
    assert_string_equal(p->name, "default");
    assert_string_equal(p->model, "home");
    assert_int_equal(p->candidates, 300);
    assert_int_equal(p->filter_count, 4);
    assert_string_equal(p->filters[0].attribute, "country");
    assert_int_equal(p->filters[0].kind, FILTER_IN);
    assert_string_equal(p->filters[0].values[0], "de");
    assert_int_equal(p->filters[1].value_count, 2);
    assert_string_equal(p->filters[1].values[1], "comedy");
    assert_int_equal(p->filters[2].kind, FILTER_RANGE);
    assert_true(p->filters[2].from == -INFINITY && p->filters[2].to == 20);
    assert_true(p->filters[3].from == 1990 && p->filters[3].to == 1999.5);
    assert_int_equal(p->hide_count, 2);
    assert_string_equal(p->hides[0].event, "dismiss");
    assert_int_equal(p->hides[0].within_ms, INT64_C(2592000000));
    assert_string_equal(set->outputs[p->hides[0].output].name, "dismissed");
    assert_string_equal(set->outputs[p->hides[1].output].name, "bought");
    assert_string_equal(p->diversity, "genres");
    assert_int_equal(p->most, 2);
    assert_int_equal(p->first, 10);
    assert_true(p->explored_share == 0.05 && p->temperature == 0.5 && p->logged_share == 0.1);
    assert_int_equal(rules_count(p->rules), 4);
    assert_string_equal(rules_term_name(p->rules, 0), "popularity.ctr_7d");
    assert_string_equal(rules_term_name(p->rules, 1), "recency.age");
    double vector[] = {NAN, 7 * 86400, 1, NAN, NAN, NAN};
    double ln = 2 * log(0.03) - 0.3 * log(2) + 1.5 * log(2);
    assert_true(fabs(rules_ln_score(p->rules, vector) - ln) < 1e-12);
    placements_free(all);
    feature_set_free(set);
}

static void assert_plain(const struct placement *p)
{
    assert_null(p->model);
    assert_int_equal(p->candidates, 200);
    assert_int_equal(p->filter_count, 0);
    assert_int_equal(p->hide_count, 0);
    assert_null(p->diversity);
    assert_true(p->explored_share == 0 && p->temperature == 1 && p->logged_share == 1);
    assert_int_equal(rules_count(p->rules), 3);
}

static void one_without_lines_is_like_one_that_is_not_declared(void **state)
{
    (void)state;
    struct feature_set *set = definitions(features);
    struct placements *all = parsed(whole, set);
    assert_int_equal(placements_find(all, str_of("default")), 1);
    assert_int_equal(placements_find(all, str_of("kids")), 2);
    assert_int_equal(placements_find(all, str_of("elsewhere")), 0);
    assert_int_equal(placements_find(all, str_of("")), 0);
    assert_plain(placements_at(all, 0));
    assert_plain(placements_at(all, 2));
    placements_free(all);
    assert_int_equal(placements_parse(&all, NULL, "f.yaml", set, NULL), 0);
    assert_int_equal(placements_count(all), 1);
    assert_int_equal(placements_find(all, str_of("default")), 0);
    assert_plain(placements_at(all, 0));
    placements_free(all);
    feature_set_free(set);
}

static void what_a_user_did_within_the_time_is_hidden(void **state)
{
    (void)state;
    struct feature_set *set = definitions(features);
    struct placements *all = parsed(whole, set);
    const struct placement *p = placements_at(all, 1);
    double vector[] = {0, 0, 0, NAN, NAN, 0};
    assert_false(placement_hides(p, vector));
    vector[3] = 30 * 86400;
    assert_true(placement_hides(p, vector));
    vector[3] = 30 * 86400 + 1;
    assert_false(placement_hides(p, vector));
    vector[4] = 3600;
    assert_true(placement_hides(p, vector));
    placements_free(all);
    feature_set_free(set);
}

static void what_is_wrong_is_said_with_its_line_and_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        const char *text, *what;
    } wrong[] = {
        {"[a]", "f.yaml:1: placements are a map: write `placements: {default: {candidates: 200}}`"},
        {"a: [x]", "f.yaml:1: placement a: it: write model, candidates"},
        {"a:\n  modle: x", "f.yaml:2: placement a: it has no \"modle\": write model, candidates"},
        {"a:\n  model: [x]", "f.yaml:2: placement a: model must be one text"},
        {"a: {candidates: 0}", "candidates is \"0\": give a whole number from 1 to 10000"},
        {"a: {candidates: 1.5}", "candidates is \"1.5\": give a whole number from 1 to 10000"},
        {"a: {candidates: 10001}", "candidates is \"10001\": give"},
        {"a: {log: 1.1}", "log is \"1.1\": give a number from 0 to 1"},
        {"a: {log: }", "log is \"\": give a number from 0 to 1"},
        {"a: {exploration: {share: -0.1}}", "share is \"-0.1\": give a number from 0 to 1"},
        {"a: {exploration: {temperature: 1}}",
         "exploration lacks \"share\": write {share: 0.05, temperature: 1}"},
        {"a: {exploration: {share: 1, temperature: 0}}",
         "temperature is \"0\": give a number from 1e-9 to 1e9"},
        {"a: {diversity: {attribute: g, most: 2}}", "diversity lacks \"first\": write {attribute"},
        {"a: {diversity: {attribute: g, most: 3, first: 2}}",
         "diversity: most is 3 of the first 2: give fewer than those"},
        {"a: {filters: {attribute: g, equals: x}}", "filters must be a list: write [{attribute"},
        {"a: {filters: [x]}", "a filter: write {attribute: country, equals: de}"},
        {"a: {filters: [{equals: x}]}", "a filter lacks \"attribute\": write"},
        {"a: {filters: [{attribute: g}]}", "a filter has one condition: write"},
        {"a: {filters: [{attribute: g, equals: x, from: 1}]}", "a filter has one condition"},
        {"a: {filters: [{attribute: g, is: x}]}", "a filter has no \"is\": write"},
        {"a: {filters: [{attribute: g, in: []}]}", "in is an empty list: nothing would pass"},
        {"a: {filters: [{attribute: g, in: x}]}", "in must be a list: write [drama, comedy]"},
        {"a: {filters: [{attribute: g, from: x}]}", "from is \"x\": give a number"},
        {"a: {filters: [{attribute: g, from: 2, to: 1}]}", "from is above to"},
        {"a: {hide: [{event: dismiss, within: 30}]}",
         "within is \"30\": give a duration above 0 as 30s, 5m, 1h or 7d"},
        {"a:\n  hide:\n    - {event: click, within: 1d}",
         "f.yaml:3: placement a: hide: no feature knows when a user last did \"click\" with a "
         "proposition: add to the feature definitions - {name: since_click, scope: "
         "user*proposition, recency: {event: click}}"},
        {"a: {rules: {fame: {weight: 1}}}", "rules has no \"fame\": write popularity, recency"},
        {"a:\n  rules:\n    popularity:\n      value: prop_ctr\n",
         "f.yaml:4: placement a: rules: popularity: the features have no value \"prop_ctr\""},
        {"a: {rules: {recency: {value: ctr_7d}}}", "\"ctr_7d\" is of kind rate: give one of kind"},
        {"a: {rules: {match: {weight: 1}}}", "match: the features have no value that it could"},
        {"a: {rules: {popularity: {half_life: 1d}}}", "popularity has no \"half_life\": write"},
        {"a: {rules: {popularity: {weight: heavy}}}", "weight is \"heavy\": give a number"},
        {"a: {rules: {popularity: {missing: -1}}}", "missing is \"-1\": give a number that is not"},
    };
    struct feature_set *set = definitions(features);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct placements *p = NULL;
        struct err e = {0};
        assert_int_equal(parse(&p, wrong[i].text, set, &e), ERR_INVALID);
        assert_contains(e.msg, wrong[i].what);
    }
    feature_set_free(set);
}

static void all_problems_are_told_at_once(void **state)
{
    (void)state;
    struct feature_set *set = definitions(features);
    struct placements *p = NULL;
    struct err e = {0};
    assert_int_equal(parse(&p, "a:\n  log: 2\n  candidates: x\nb:\n  model: ''\n", set, &e),
                     ERR_INVALID);
    assert_contains(e.msg, "f.yaml:2: placement a: log is \"2\"");
    assert_contains(e.msg, "f.yaml:3: placement a: candidates is \"x\"");
    assert_contains(e.msg, "f.yaml:5: placement b: model must be one text");
    feature_set_free(set);
}

static void more_placements_than_can_be_are_refused(void **state)
{
    (void)state;
    struct feature_set *set = definitions(features);
    struct placements *p = NULL;
    struct err e = {0};
    char text[1024] = "";
    for (int i = 0; i < MAX_PLACEMENTS - 1; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "p%d:\n", i);
    placements_free(parsed(text, set));
    snprintf(text + strlen(text), sizeof text - strlen(text), "more:\n");
    assert_int_equal(parse(&p, text, set, &e), ERR_INVALID);
    assert_contains(e.msg, "f.yaml:1: 64 placements: at most 63 can be declared");
    feature_set_free(set);
}

static void memory_that_is_short_is_said(void **state)
{
    (void)state;
    struct feature_set *set = definitions(features);
    struct yaml_tree *y = NULL;
    assert_int_equal(yaml_tree_parse(&y, "f.yaml", str_of(whole), NULL), 0);
    for (int n = 1;; n++) {
        struct placements *p = NULL;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = placements_parse(&p, yaml_tree_root(y), "f.yaml", set, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        placements_free(p);
        if (!failed)
            break;
    }
    yaml_tree_free(y);
    feature_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_read),
        cmocka_unit_test(one_without_lines_is_like_one_that_is_not_declared),
        cmocka_unit_test(what_a_user_did_within_the_time_is_hidden),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line_and_what_would_be_right),
        cmocka_unit_test(all_problems_are_told_at_once),
        cmocka_unit_test(more_placements_than_can_be_are_refused),
        cmocka_unit_test(memory_that_is_short_is_said),
    };
    return RUN(tests);
}

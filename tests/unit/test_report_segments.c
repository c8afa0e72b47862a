/* Segments of a report: which there are, what each is judged by, which are named as worse. */
#include "unit.h"

#include "support/reports.h"

#include "report/report_words.h"

/* NDCG of a list whose only positive is at the second place: 1 / log2(3). */
static const double SECOND = 0.6309297535714575;

static const struct report_segment *segment_named(const struct report *r, const char *name)
{
    for (size_t i = 0; i < r->segment_count; i++)
        if (strcmp(r->segments[i].name, name) == 0)
            return &r->segments[i];
    fail_msg("no segment %s", name);
    return NULL;
}

/* The first five rows of each request are brand 0, text 603, and all others brand 1; the brands, to
 * be changed further. */
static uint32_t *halve_by_brand(struct report_made *m)
{
    uint32_t *brands = (uint32_t *)(uintptr_t)m->rows.proposition_segments;
    for (size_t i = 0; i < REQUESTS * CANDIDATES; i++)
        brands[i] = i % CANDIDATES < 5 ? 603 : 604;
    return brands;
}

static void a_segment_is_judged_by_its_requests_alone(void **state)
{
    (void)state;
    struct report_made m;
    make_by_hand(&m);
    struct report *r = make_report(&m);
    const struct report_segment *gold = segment_named(r, "user.tier=gold");
    const struct report_segment *basic = segment_named(r, "user.tier=basic");
    assert_int_equal(gold->requests, 20);
    assert_int_equal(gold->rows, 200);
    assert_int_equal(gold->positives, 20);
    assert_near(gold->model.value, 1, 1e-12);
    assert_near(gold->baseline.value, SECOND, 1e-12);
    assert_near(gold->gain.value, 1 - SECOND, 1e-12);
    assert_near(basic->model.value, SECOND, 1e-12);
    assert_near(basic->gain.value, SECOND - 1, 1e-12);
    assert_near(row_of(r, "model", "", "ndcg@10")->value, (1 + SECOND) / 2, 1e-12);
    assert_near(row_of(r, "model", "user.tier=basic", "ndcg@10")->value, SECOND, 1e-12);
    assert_near(row_of(r, "model - rules", "user.tier=basic", "ndcg@10")->value, SECOND - 1, 1e-12);
    model_report_free(r);
    report_made_free(&m);
}

static void a_segment_of_too_few_rows_is_left_out_and_a_cold_one_is_counted(void **state)
{
    (void)state;
    struct report_made m;
    make_by_hand(&m);
    /* One row of gold loses its label: 199 are left. */
    put_row(&m, 5, NAN, 0, 0);
    struct report *r = make_report(&m);
    for (size_t i = 0; i < r->segment_count; i++)
        assert_string_not_equal(r->segments[i].name, "user.tier=gold");
    assert_true(r->segments_too_small > 0);
    assert_int_equal(segment_named(r, "user=unseen")->requests, 4);
    assert_int_equal(segment_named(r, "user=unseen")->rows, 39);
    assert_int_equal(segment_named(r, "user=cold")->requests, 12);
    assert_int_equal(segment_named(r, "user=cold")->positives, 12);
    assert_int_equal(segment_named(r, "proposition=cold")->rows, 0);
    assert_false(segment_named(r, "user=cold")->judged);
    assert_null(row_of(r, "model", "user=cold", "ndcg@10"));
    model_report_free(r);
    report_made_free(&m);
}

/* A text that only rows without a label have is met when nothing is counted any more. */
static void what_only_unlabelled_rows_have_is_no_segment(void **state)
{
    (void)state;
    struct report_made m;
    make_by_hand(&m);
    uint32_t *brands = halve_by_brand(&m);
    ((uint32_t *)(uintptr_t)m.rows.segments)[7] = 500;
    for (size_t j = 0; j < CANDIDATES; j++) {
        put_row(&m, 7 * CANDIDATES + j, NAN, 0, 0);
        brands[7 * CANDIDATES + j] = 610;
    }
    struct report *r = make_report(&m);
    for (size_t i = 0; i < r->segment_count; i++)
        assert_string_not_equal(r->segments[i].name, "proposition.brand=brand 7");
    model_report_free(r);
    report_made_free(&m);
}

static void a_segment_of_propositions_is_judged_by_its_rows_alone(void **state)
{
    (void)state;
    struct report_made m;
    make_by_hand(&m);
    halve_by_brand(&m);
    struct report *r = make_report(&m);
    const struct report_segment *s = segment_named(r, "proposition.brand=brand 0");
    assert_int_equal(s->metric, METRIC_AUC);
    assert_int_equal(s->rows, 200);
    /* Gold's positives have 0.5, basic's 0.485, negatives 0.49, 0.48, 0.47 and 0.46: the former lie
     * above all of them, the latter below the first of four. */
    assert_near(s->model.value, (1 + 0.75) / 2, 1e-12);
    model_report_free(r);
    report_made_free(&m);
}

static void the_segment_that_is_worse_than_rules_is_named(void **state)
{
    (void)state;
    struct report_made m;
    struct buf text = {0};
    struct report_case of = ten_candidates(1);
    of.requests = 2000;
    of.values = 3;
    of.knows_model = 0.6;
    of.knows_rules = 0.42;
    of.base_rate = 0.1;
    of.scorers = 4;
    report_make(&m, &of);
    struct report *r = make_report(&m);
    /* The model knows least of users of tier gold. */
    assert_true(segment_named(r, "user.tier=gold")->below_baseline);
    assert_true(segment_named(r, "user.tier=gold")->below_all);
    assert_false(segment_named(r, "user.tier=basic")->below_baseline);
    report_put_worst(&text, r);
    assert_contains(text_in(&text), "Credibly worse than rules for user.tier=gold (NDCG@10 0.");
    buf_reset(&text);
    report_put_headline(&text, r);
    assert_contains(text_in(&text), "Better than rules: NDCG@10 0.");
    buf_free(&text);
    model_report_free(r);
    report_made_free(&m);
}

/* Users of 50 countries that are all alike: at 5 % for each of some 70 segments, three or four
 * would be worse by chance alone, in either of two ways. */
static void many_segments_of_one_kind_give_no_false_alarm(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct report_made m;
        struct report_case of = ten_candidates(seed);
        of.requests = 5000;
        of.values = 50;
        of.base_rate = 0.2;
        report_make(&m, &of);
        struct report *r = make_report(&m);
        size_t alarms = 0;
        for (size_t i = 0; i < r->segment_count; i++)
            alarms += r->segments[i].below_baseline + r->segments[i].below_all;
        assert_true(r->segment_count > 50);
        assert_true(alarms <= 1);
        model_report_free(r);
        report_made_free(&m);
    }
}

static void an_attribute_of_very_many_values_is_named_but_not_judged(void **state)
{
    (void)state;
    struct report_made m;
    struct buf page = {0};
    struct report_case of = ten_candidates(1);
    of.requests = 2000;
    of.values = 51;
    of.knows_model = 0.5;
    of.knows_rules = 0.4;
    of.base_rate = 0.3;
    report_make(&m, &of);
    struct report *r = make_report(&m);
    for (size_t i = 0; i < r->segment_count; i++)
        assert_null(strstr(r->segments[i].name, "user.country"));
    assert_int_equal(r->many_valued.count, 1);
    model_report_html(r, &page);
    assert_contains(text_in(&page), "Not looked at, having more than 50 values: user.country.");
    buf_free(&page);
    model_report_free(r);
    report_made_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_is_judged_by_its_requests_alone),
        cmocka_unit_test(a_segment_of_too_few_rows_is_left_out_and_a_cold_one_is_counted),
        cmocka_unit_test(what_only_unlabelled_rows_have_is_no_segment),
        cmocka_unit_test(a_segment_of_propositions_is_judged_by_its_rows_alone),
        cmocka_unit_test(the_segment_that_is_worse_than_rules_is_named),
        cmocka_unit_test(many_segments_of_one_kind_give_no_false_alarm),
        cmocka_unit_test(an_attribute_of_very_many_values_is_named_but_not_judged),
    };
    return RUN(tests);
}

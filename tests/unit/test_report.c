/* What a report says of all requests; what it says of some of them is in test_report_segments.c. */
#include "unit.h"

#include "support/reports.h"

#include "ctl/report_print.h"
#include "report/report_words.h"

static void advise(struct buf *advice, const struct report *r)
{
    buf_reset(advice);
    report_put_advice(advice, r);
}

/* ---- Rows ---- */

static void rows_of_the_registry_are_what_the_metrics_give(void **state)
{
    (void)state;
    struct report_made m;
    struct err e;
    struct metric_results expected[2], random;
    const struct report_case of = {.seed = 3,
                                   .requests = 300,
                                   .candidates = 12,
                                   .columns = 1,
                                   .values = 2,
                                   .knows_model = 0.6,
                                   .knows_rules = 0.4,
                                   .base_rate = 0.2,
                                   .scorers = 2};
    report_make(&m, &of);
    struct report *r = make_report(&m);
    struct metric_rows rows = {.request_count = of.requests,
                               .first = m.rows.first,
                               .labels = m.rows.labels,
                               .clusters = m.rows.users};
    struct metric_scorer scorers[] = {{"model", m.scorers[0].scores, true, NAN, NULL},
                                      {"rules", m.scorers[1].scores, false, NAN, NULL}};
    struct metric_opts opts = {.k = 10, .replicates = 1000, .level = 0.95, .seed = m.data.seed};
    assert_int_equal(metrics_of(expected, &rows, scorers, 2, &opts, &e), 0);
    assert_int_equal(metrics_of_random(&random, &rows, &opts, &e), 0);

    const struct report_row *row = row_of(r, "model", "", "ndcg@10");
    assert_memory_equal(&row->value, &expected[0].values[METRIC_NDCG].value, sizeof(double));
    assert_memory_equal(&row->low, &expected[0].values[METRIC_NDCG].low, sizeof(double));
    assert_memory_equal(&row->high, &expected[0].values[METRIC_NDCG].high, sizeof(double));
    assert_int_equal(row->rows, expected[0].requests);
    row = row_of(r, "rules", "", "auc");
    assert_memory_equal(&row->value, &expected[1].values[METRIC_AUC].value, sizeof(double));
    assert_int_equal(row->rows, 300 * 12);
    row = row_of(r, "random", "", "mrr");
    assert_memory_equal(&row->value, &random.values[METRIC_MRR].value, sizeof(double));
    row = row_of(r, "model - rules", "", "ndcg@10");
    assert_true(row->value == -expected[1].against[METRIC_NDCG].value);
    assert_true(row->low == -expected[1].against[METRIC_NDCG].high);
    assert_true(row->high == -expected[1].against[METRIC_NDCG].low);
    assert_null(row_of(r, "rules", "", "log_loss"));
    model_report_free(r);
    report_made_free(&m);
}

/* ---- Orders ---- */

static void a_model_is_judged_by_what_it_orders_by(void **state)
{
    (void)state;
    struct report_made m;
    float margins[REQUESTS * CANDIDATES];
    make_by_hand(&m);
    /* Published scores are all equal, as calibrated ones may be; the margins are those of a perfect
     * order. */
    for (size_t i = 0; i < REQUESTS * CANDIDATES; i++) {
        scores_of(&m, 0)[i] = 0.1f;
        margins[i] = -(float)(i % CANDIDATES);
    }
    struct report *r = make_report(&m);
    assert_true(row_of(r, "model", "", "ndcg@10")->value < 0.6);
    model_report_free(r);
    m.data.margins = margins;
    for (size_t i = 0; i < REQUESTS; i++)
        ((int64_t *)(uintptr_t)m.rows.timestamps_ms)[i] = 1760000000000;
    r = make_report(&m);
    assert_near(row_of(r, "model", "", "ndcg@10")->value, 1, 1e-12);
    assert_near(row_of(r, "model", "user.tier=gold", "ndcg@10")->value, 1, 1e-12);
    assert_near(r->periods[0].model.value, 1, 1e-12);
    assert_near(row_of(r, "model", "", "auc")->value, 0.5, 1e-12);
    model_report_free(r);
    report_made_free(&m);
}

static void an_order_that_is_better_than_the_rules_is_named(void **state)
{
    (void)state;
    struct report_made m;
    struct buf text = {0};
    make_by_hand(&m);
    m.data.scorer_count = 3;
    for (size_t i = 0; i < REQUESTS * CANDIDATES; i++)
        scores_of(&m, 2)[i] = -(float)(i % CANDIDATES);
    struct report *r = make_report(&m);
    report_put_certainty(&text, r);
    assert_contains(text_in(&text), "But popularity orders better than rules (1.000)");
    assert_contains(text_in(&text), "so that would be the better choice");
    advise(&text, r);
    assert_contains(text_in(&text), "Do not serve it: popularity ranks better.");
    buf_free(&text);
    model_report_free(r);
    report_made_free(&m);
}

/* ---- Few requests ---- */

/* 19 or 20 users with a positive, which the model has first and the rules have second. */
static void judge_few(enum report_verdict *verdict, struct buf *advice, size_t positive)
{
    struct report_made m;
    make_by_hand(&m);
    for (size_t i = 0; i < REQUESTS; i++)
        for (size_t j = 0; j < CANDIDATES; j++)
            put_row(&m, i * CANDIDATES + j, i < positive && j == 0, -(float)j,
                    j == 0 ? -1.5f : -(float)j);
    struct report *r = make_report(&m);
    *verdict = report_verdict(r);
    advise(advice, r);
    model_report_free(r);
    report_made_free(&m);
}

static void fewer_than_twenty_with_a_positive_decide_nothing(void **state)
{
    (void)state;
    enum report_verdict verdict;
    struct buf advice = {0};
    judge_few(&verdict, &advice, 19);
    assert_int_equal(verdict, VERDICT_OPEN);
    assert_contains(text_in(&advice), "this test part is too small to decide by");
    judge_few(&verdict, &advice, 21);
    assert_int_equal(verdict, VERDICT_BETTER);
    assert_contains(text_in(&advice), "Give it a share of the users: `flotilla models plan shop");
    buf_free(&advice);
}

/* Half of what the model scores 0.9 is positive. */
static void scores_that_are_no_chances_are_said_to_be_none(void **state)
{
    (void)state;
    struct report_made m;
    struct buf advice = {0};
    make_by_hand(&m);
    for (size_t i = 0; i < REQUESTS * CANDIDATES; i++)
        put_row(&m, i, i % 2 == 0, 0.9f, 0);
    struct report *r = make_report(&m);
    advise(&advice, r);
    assert_contains(text_in(&advice), "Its scores are no chances (calibration error 0.4000");
    assert_contains(text_in(&advice), "calibrate before anything");
    model_report_free(r);
    m.calibration.kind = CALIBRATION_PLATT;
    m.data.calibration = &m.calibration;
    r = make_report(&m);
    advise(&advice, r);
    assert_contains(text_in(&advice), "it was calibrated, so the test part is of another kind");
    model_report_free(r);
    for (size_t i = 0; i < REQUESTS * CANDIDATES; i++)
        put_row(&m, i, i % 2 == 0, 0.49f, 0);
    r = make_report(&m);
    advise(&advice, r);
    assert_null(strstr(text_in(&advice), "no chances"));
    buf_free(&advice);
    model_report_free(r);
    report_made_free(&m);
}

/* Labels of pure noise: at 2.5 % on each side, one in twenty is taken for a difference. */
static void noise_is_rarely_taken_for_a_difference(void **state)
{
    (void)state;
    size_t better = 0, worse = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct report_made m;
        struct report_case of = ten_candidates(seed);
        of.requests = 60;
        of.values = 2;
        of.base_rate = 0.1;
        report_make(&m, &of);
        struct report *r = make_report(&m);
        better += report_verdict(r) == VERDICT_BETTER;
        worse += report_verdict(r) == VERDICT_WORSE;
        model_report_free(r);
        report_made_free(&m);
    }
    assert_true(better <= 4);
    assert_true(worse <= 4);
}

/* ---- Curves ---- */

static void groups_of_scores_say_what_happened_in_them(void **state)
{
    (void)state;
    struct report_made m;
    make_by_hand(&m);
    /* 400 rows of 100 scores: row i has the score of its hundredth, and every fourth row of the
     * highest tenth is positive. */
    for (size_t i = 0; i < REQUESTS * CANDIDATES; i++)
        put_row(&m, i, i >= 360 && i % 4 == 0, (float)i / 400, 0);
    struct report *r = make_report(&m);
    assert_int_equal(r->curves.bin_count, 10);
    const struct report_bin *top = &r->curves.bins[9];
    assert_int_equal(top->rows, 40);
    assert_near(top->said, 379.5 / 400, 1e-6);
    assert_near(top->happened.value, 0.25, 1e-12);
    /* scipy.stats.binomtest(10, 40).proportion_ci(method="wilson") */
    assert_near(top->happened.low, 0.14187118639, 1e-7);
    assert_near(top->happened.high, 0.40193961421, 1e-7);
    assert_near(r->curves.bins[0].happened.value, 0, 1e-12);
    /* All positives are in the first tenth: half of them in its first half. */
    assert_near(r->curves.gain[0][0], 0, 1e-12);
    assert_near(r->curves.gain[0][5], 0.5, 1e-12);
    assert_near(r->curves.gain[0][10], 1, 1e-12);
    /* The rules' scores are all equal: chance. */
    assert_near(r->curves.gain[1][37], 0.37, 1e-12);
    model_report_free(r);
    report_made_free(&m);
}

static void columns_are_in_the_order_of_what_they_contribute(void **state)
{
    (void)state;
    struct report_made m;
    static const float values[] = {1, 5, 2, 6, 3, NAN};
    static const float contributions[] = {0.1f, -0.5f, 9, -0.2f, 1.0f, 9, 0.3f, -1.5f, 9};
    make_by_hand(&m);
    const struct report_sample made = m.data.sample;
    m.data.sample = (struct report_sample){3, 2, values, contributions, NULL};
    struct report *r = make_report(&m);
    assert_int_equal(r->columns[0].column, 1);
    assert_near(r->columns[0].importance, 1, 1e-6);
    assert_near(r->columns[1].importance, 0.2, 1e-6);
    assert_near(r->columns[0].share, 1 / 1.2, 1e-6);
    assert_near(r->columns[0].missing, 1 / 3.0, 1e-12);
    /* numpy.corrcoef([1, 2, 3], [0.1, -0.2, 0.3])[0, 1] */
    assert_near(r->columns[1].direction, 0.39735971, 1e-6);
    model_report_free(r);
    m.data.sample = made;
    report_made_free(&m);
}

/* ---- What cannot be judged ---- */

static void assert_refused(const struct report_made *m, const char *part)
{
    struct report *r = NULL;
    struct err e = {0};
    assert_int_equal(model_report_new(&r, &m->data, &e), ERR_INVALID);
    assert_null(r);
    assert_contains(e.msg, part);
}

static void nothing_to_judge_is_refused_with_the_reason(void **state)
{
    (void)state;
    struct report_made m;
    make_by_hand(&m);
    for (size_t i = 0; i < REQUESTS * CANDIDATES; i++)
        put_row(&m, i, 0, 0, 0);
    assert_refused(&m, "none of the 400 labelled rows of the test part is positive");
    for (size_t i = 0; i < REQUESTS * CANDIDATES; i++)
        put_row(&m, i, NAN, 0, 0);
    assert_refused(&m, "none of the 40 requests of the test part has a label");
    m.data.test_requests = 0;
    assert_refused(&m, "the test part has no requests");
    report_made_free(&m);
}

static void a_model_without_anything_beside_it_is_judged_alone(void **state)
{
    (void)state;
    struct report_made m;
    struct buf text = {0};
    make_by_hand(&m);
    m.data.scorer_count = 1;
    struct report *r = make_report(&m);
    assert_int_equal(report_verdict(r), VERDICT_ALONE);
    report_put_headline(&text, r);
    assert_buf_is(&text, "Nothing to compare it with: NDCG@10 0.8155.");
    for (size_t i = 0; i < model_report_row_count(r); i++)
        assert_true(strcmp(model_report_rows(r)[i].scorer, "model") == 0 ||
                    strcmp(model_report_rows(r)[i].scorer, "random") == 0);
    buf_free(&text);
    model_report_free(r);
    report_made_free(&m);
}

static void the_version_may_be_known_after_the_report_was_made(void **state)
{
    (void)state;
    struct report_made m;
    struct buf page = {0};
    make_by_hand(&m);
    m.data.version = 0;
    struct report *r = make_report(&m);
    m.data.version = 12;
    model_report_html(r, &page);
    assert_contains(text_in(&page), "<h1>Report on shop, version 12</h1>");
    buf_free(&page);
    model_report_free(r);
    report_made_free(&m);
}

/* ---- Memory ---- */

static void the_same_rows_give_the_same_page(void **state)
{
    (void)state;
    struct report_made m;
    struct buf pages[2] = {{0}, {0}};
    make_by_hand(&m);
    for (int i = 0; i < 2; i++) {
        struct report *r = make_report(&m);
        model_report_html(r, &pages[i]);
        model_report_free(r);
    }
    assert_bytes(&pages[0], pages[1].data, pages[1].len);
    buf_free(&pages[0]);
    buf_free(&pages[1]);
    report_made_free(&m);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct report_made m;
    make_by_hand(&m);
    for (int n = 1;; n++) {
        struct report *r = NULL;
        struct buf page = {0}, text = {0};
        struct err e = {0};
        fail_alloc_at(n);
        int rc = model_report_new(&r, &m.data, &e);
        if (!rc) {
            model_report_html(r, &page);
            model_report_print(r, 80, true, &text);
        }
        bool failed = fail_alloc_end();
        assert_int_equal(rc, rc ? ERR_NOMEM : 0);
        assert_int_equal(!rc && buf_ok(&page) && buf_ok(&text), !failed);
        buf_free(&page);
        buf_free(&text);
        model_report_free(r);
        if (!failed)
            break;
    }
    report_made_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_the_registry_are_what_the_metrics_give),
        cmocka_unit_test(a_model_is_judged_by_what_it_orders_by),
        cmocka_unit_test(an_order_that_is_better_than_the_rules_is_named),
        cmocka_unit_test(fewer_than_twenty_with_a_positive_decide_nothing),
        cmocka_unit_test(scores_that_are_no_chances_are_said_to_be_none),
        cmocka_unit_test(noise_is_rarely_taken_for_a_difference),
        cmocka_unit_test(groups_of_scores_say_what_happened_in_them),
        cmocka_unit_test(columns_are_in_the_order_of_what_they_contribute),
        cmocka_unit_test(nothing_to_judge_is_refused_with_the_reason),
        cmocka_unit_test(a_model_without_anything_beside_it_is_judged_alone),
        cmocka_unit_test(the_version_may_be_known_after_the_report_was_made),
        cmocka_unit_test(the_same_rows_give_the_same_page),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return RUN(tests);
}

#include "base/prng.h"
#include "stats/float_order.h"
#include "stats/metrics.h"
#include "unit.h"

#include <math.h>

static const struct metric_opts at_two = {.k = 2, .level = 0.95};

static void assert_near(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-12))
        fail_msg("%.17g is not %.17g", found, expected);
}

static void assert_value(const struct metric_results *r, enum metric_kind m, double expected)
{
    if (!(fabs(r->values[m].value - expected) <= 1e-12))
        fail_msg("%s is %.17g, not %.17g", metric_name(m), r->values[m].value, expected);
}

static struct metric_results of_one(const struct metric_rows *rows, const float *scores,
                                    const struct metric_opts *opts)
{
    struct metric_results out;
    struct metric_scorer scorer = {.scores = scores, .is_probability = true, .threshold = 0.5};
    assert_int_equal(metrics_of(&out, rows, &scorer, 1, opts, NULL), 0);
    return out;
}

/* ------------------------------------------------------------ order of floats */

static void floats_are_put_in_order_with_nan_first_and_equal_ones_as_they_were(void **state)
{
    (void)state;
    const float values[] = {3, -0.0F, NAN, -INFINITY, 0, INFINITY, -2.5F, NAN, 1e-40F, 3};
    const uint32_t expected[] = {2, 7, 3, 6, 1, 4, 8, 0, 9, 5};
    uint32_t order[10];
    assert_int_equal(float_order(order, values, 10, NULL), 0);
    assert_memory_equal(order, expected, sizeof order);
    assert_true(float_rank(-0.0F) == float_rank(0));
    struct err e = {0};
    assert_int_equal(float_order(order, values, UINT32_MAX, &e), ERR_TOO_LARGE);
    assert_contains(e.msg, "fewer than 4294967295 can be sorted");
}

/* ------------------------------------------------------------ by hand */

static void one_request_by_hand(void **state)
{
    (void)state;
    const uint64_t first[] = {0, 3};
    const float labels[] = {0, 1, 1}, scores[] = {0.9F, 0.6F, 0.25F};
    struct metric_rows rows = {.request_count = 1, .first = first, .labels = labels};
    struct metric_results r = of_one(&rows, scores, &at_two);
    assert_value(&r, METRIC_NDCG, (1 / log2(3)) / (1 + 1 / log2(3)));
    assert_value(&r, METRIC_MAP, (1.0 / 2 + 2.0 / 3) / 2);
    assert_value(&r, METRIC_MRR, 1.0 / 2);
    assert_value(&r, METRIC_PRECISION_AT_K, 1.0 / 2);
    assert_value(&r, METRIC_RECALL_AT_K, 1.0 / 2);
    assert_value(&r, METRIC_AUC, 0);
    assert_value(&r, METRIC_GINI, -1);
    assert_value(&r, METRIC_KS, 1);
    assert_value(&r, METRIC_ACCURACY, 1.0 / 3);
    assert_value(&r, METRIC_PRECISION, 1.0 / 2);
    assert_value(&r, METRIC_RECALL, 1.0 / 2);
    assert_value(&r, METRIC_F1, 1.0 / 2);
    assert_value(&r, METRIC_LOG_LOSS,
                 -(log(1 - (double)0.9F) + log((double)0.6F) + log((double)0.25F)) / 3);
    assert_int_equal(r.rows, 3);
    assert_int_equal(r.positives, 2);
    assert_int_equal(r.requests, 1);
    assert_true(isnan(r.values[METRIC_RMSE].value));
}

static void equal_scores_share_their_places(void **state)
{
    (void)state;
    const uint64_t first[] = {0, 2};
    const float labels[] = {1, 0}, scores[] = {0.5F, 0.5F};
    const struct metric_opts at_one = {.k = 1, .level = 0.95};
    struct metric_rows rows = {.request_count = 1, .first = first, .labels = labels};
    struct metric_results r = of_one(&rows, scores, &at_one);
    assert_value(&r, METRIC_NDCG, 0.5);
    assert_value(&r, METRIC_MAP, (1 + 0.5) / 2);
    assert_value(&r, METRIC_MRR, (1 + 0.5) / 2);
    assert_value(&r, METRIC_PRECISION_AT_K, 0.5);
    assert_value(&r, METRIC_RECALL_AT_K, 0.5);
    assert_value(&r, METRIC_AUC, 0.5);
    assert_value(&r, METRIC_KS, 0);
}

/* The means over all orders that keep the scores sorted, of requests of five rows. */
static void equal_scores_give_the_mean_over_all_their_orders(void **state)
{
    (void)state;
    enum { N = 5, ORDERS = 3125 };
    const uint64_t first[] = {0, N};
    struct prng random;
    prng_seed(&random, 4);
    for (int trial = 0; trial < 100; trial++) {
        float labels[N], scores[N];
        double found[3] = {0}, orders = 0, positives = 0;
        for (int i = 0; i < N; i++) {
            labels[i] = (float)prng_below(&random, 2);
            scores[i] = (float)prng_below(&random, 3) / 4;
            positives += (double)labels[i];
        }
        if (positives == 0)
            continue;
        for (int code = 0; code < ORDERS; code++) {
            int at[N], used = 0, rest = code;
            bool is_sorted = true;
            for (int i = 0; i < N; i++, rest /= N) {
                at[i] = rest % N;
                used |= 1 << at[i];
                is_sorted &= !i || scores[at[i]] <= scores[at[i - 1]];
            }
            if (!is_sorted || used != (1 << N) - 1)
                continue;
            double hits = 0, precision = 0, reciprocal = 0, gain = 0, ideal = 0;
            for (int i = 0; i < N; i++) {
                bool is_hit = labels[at[i]] > 0;
                hits += is_hit;
                precision += is_hit ? hits / (i + 1) : 0;
                reciprocal += is_hit && hits == 1 ? 1.0 / (i + 1) : 0;
                gain += is_hit && i < 2 ? 1 / log2(i + 2) : 0;
                ideal += i < positives && i < 2 ? 1 / log2(i + 2) : 0;
            }
            found[0] += precision / positives;
            found[1] += reciprocal;
            found[2] += gain / ideal;
            orders++;
        }
        struct metric_rows rows = {.request_count = 1, .first = first, .labels = labels};
        struct metric_results r = of_one(&rows, scores, &at_two);
        assert_value(&r, METRIC_MAP, found[0] / orders);
        assert_value(&r, METRIC_MRR, found[1] / orders);
        assert_value(&r, METRIC_NDCG, found[2] / orders);
    }
}

static void requests_count_by_their_weight_and_only_with_a_positive(void **state)
{
    (void)state;
    const uint64_t first[] = {0, 2, 4, 6, 6};
    const float labels[] = {1, 0, 0, 1, 0, 0}, scores[] = {0.9F, 0.1F, 0.9F, 0.1F, 0.5F, 0.4F};
    const double weights[] = {3, 1, 100, 100};
    struct metric_rows rows = {
        .request_count = 4, .first = first, .labels = labels, .weights = weights};
    struct metric_results r = of_one(&rows, scores, &at_two);
    assert_int_equal(r.requests, 2);
    assert_value(&r, METRIC_MRR, (3 * 1 + 1 * 0.5) / 4);
    /* Weight of negatives 3 at 0.1, 1 at 0.9, 100 at 0.5 and 0.4; of positives 3 at 0.9, 1 at 0.1.
     */
    assert_value(&r, METRIC_AUC, (3 * (203 + 0.5) + 1 * (0 + 1.5)) / (4 * 204.0));
    assert_int_equal(r.rows, 6);
}

static void rows_without_a_label_are_not_there(void **state)
{
    (void)state;
    const uint64_t all_first[] = {0, 3, 4, 7}, known_first[] = {0, 2, 4};
    const float labels[] = {1, NAN, 0, NAN, 0, NAN, 1}, known[] = {1, 0, 0, 1};
    const float scores[] = {0.3F, 0.9F, 0.6F, 0.7F, 0.2F, NAN, 0.4F};
    const float known_scores[] = {0.3F, 0.6F, 0.2F, 0.4F};
    struct metric_rows rows = {.request_count = 3, .first = all_first, .labels = labels};
    struct metric_results with = of_one(&rows, scores, &at_two);
    rows = (struct metric_rows){.request_count = 2, .first = known_first, .labels = known};
    struct metric_results without = of_one(&rows, known_scores, &at_two);
    assert_int_equal(with.rows, 4);
    for (enum metric_kind m = 0; m < METRIC_RMSE; m++)
        assert_near(with.values[m].value, without.values[m].value);
}

static void requests_are_shown_by_an_order_of_their_own_where_there_is_one(void **state)
{
    (void)state;
    const uint64_t first[] = {0, 2};
    const float labels[] = {1, 0}, scores[] = {0.5F, 0.5F}, margins[] = {0.1F, 0};
    struct metric_rows rows = {.request_count = 1, .first = first, .labels = labels};
    struct metric_scorer scorer = {
        .scores = scores, .is_probability = true, .threshold = NAN, .order = margins};
    struct metric_results r;
    assert_int_equal(metrics_of(&r, &rows, &scorer, 1, &at_two, NULL), 0);
    assert_value(&r, METRIC_MRR, 1);
    assert_value(&r, METRIC_AUC, 0.5);
    assert_value(&r, METRIC_LOG_LOSS, log(2));
}

static void graded_labels_gain_exponentially_and_numbers_as_they_are(void **state)
{
    (void)state;
    const uint64_t first[] = {0, 3};
    const float labels[] = {1, 3, -2}, scores[] = {0.9F, 0.6F, 0.3F};
    struct metric_rows rows = {.request_count = 1, .first = first, .labels = labels};
    struct metric_opts opts = at_two;
    struct metric_results r = of_one(&rows, scores, &opts);
    assert_value(&r, METRIC_NDCG, (1 + 7 / log2(3)) / (7 + 1 / log2(3)));
    opts.regression = 1;
    r = of_one(&rows, scores, &opts);
    assert_value(&r, METRIC_NDCG, (1 + 3 / log2(3)) / (3 + 1 / log2(3)));
    assert_value(&r, METRIC_MAE,
                 ((1 - (double)0.9F) + (3 - (double)0.6F) + (2 + (double)0.3F)) / 3);
    assert_true(isnan(r.values[METRIC_AUC].value) && isnan(r.threshold));
}

static void nothing_to_judge_is_told_as_unknown(void **state)
{
    (void)state;
    const uint64_t first[] = {0, 2};
    const float labels[] = {NAN, NAN}, scores[] = {0.5F, 0.5F};
    struct metric_opts opts = {.k = 10, .replicates = 20, .level = 0.95};
    struct metric_rows rows = {.request_count = 1, .first = first, .labels = labels};
    for (int with = 0; with < 2; with++) {
        rows.request_count = (size_t)with;
        struct metric_results r = of_one(&rows, scores, &opts);
        assert_int_equal(r.rows + r.requests + r.positives, 0);
        for (enum metric_kind m = 0; m < METRICS; m++)
            assert_true(isnan(r.values[m].value) && isnan(r.values[m].low));
    }
}

/* ------------------------------------------------------------ intervals */

/* Users with tastes of their own, who each come a few times. */
struct sample {
    size_t requests, rows;
    uint64_t *first;
    uint32_t *users;
    float *labels, *good, *poor;
};

enum { ROWS_EACH = 6 };

static void sample_make(struct sample *s, size_t users, struct prng *random)
{
    size_t most = users * 4;
    *s = (struct sample){.first = malloc((most + 1) * sizeof *s->first),
                         .users = malloc(most * sizeof *s->users),
                         .labels = malloc(most * ROWS_EACH * sizeof *s->labels),
                         .good = malloc(most * ROWS_EACH * sizeof *s->good),
                         .poor = malloc(most * ROWS_EACH * sizeof *s->poor)};
    for (uint32_t u = 0; u < users; u++) {
        double taste = prng_normal(random) - 1;
        for (size_t visits = 1 + prng_below(random, 4); visits > 0; visits--) {
            s->users[s->requests] = u * 7 + 3;
            s->first[s->requests++] = s->rows;
            for (int i = 0; i < ROWS_EACH; i++, s->rows++) {
                double margin = prng_normal(random);
                double p = 1 / (1 + exp(-taste - margin));
                s->labels[s->rows] = prng_unit(random) < p ? 1 : 0;
                s->good[s->rows] = (float)(1 / (1 + exp(-margin + 1)));
                s->poor[s->rows] =
                    (float)(1 / (1 + exp(-(margin + 2 * prng_normal(random)) / 3 + 1)));
            }
        }
    }
    s->first[s->requests] = s->rows;
}

static void sample_free(struct sample *s)
{
    free(s->poor);
    free(s->good);
    free(s->labels);
    free(s->users);
    free(s->first);
}

static void judge(struct metric_results out[2], const struct sample *s, int replicates,
                  uint64_t seed)
{
    struct metric_rows rows = {
        .request_count = s->requests, .first = s->first, .labels = s->labels, .clusters = s->users};
    struct metric_scorer scorers[] = {{"good", s->good, true, 0.5, NULL},
                                      {"poor", s->poor, true, 0.5, NULL}};
    struct metric_opts opts = {.k = 3, .replicates = replicates, .level = 0.95, .seed = seed};
    assert_int_equal(metrics_of(out, &rows, scorers, 2, &opts, NULL), 0);
}

/* 95 % intervals of 200 samples must have the value of a very large one in them as often. */
static void intervals_have_the_truth_in_them_as_often_as_they_say(void **state)
{
    (void)state;
    enum { SAMPLES = 200, KINDS = 5 };
    static const enum metric_kind kinds[KINDS] = {METRIC_AUC, METRIC_LOG_LOSS, METRIC_F1,
                                                  METRIC_NDCG, METRIC_MRR};
    struct metric_results truth[2], got[2];
    struct prng random;
    struct sample s;
    int inside[KINDS] = {0}, difference_inside[KINDS] = {0};
    prng_seed(&random, 5);
    sample_make(&s, 60000, &random);
    judge(truth, &s, 0, 0);
    sample_free(&s);
    for (uint64_t seed = 0; seed < SAMPLES; seed++) {
        sample_make(&s, 100, &random);
        judge(got, &s, 250, seed);
        sample_free(&s);
        for (int k = 0; k < KINDS; k++) {
            const struct metric_value *v = &got[1].values[kinds[k]];
            const struct metric_value *d = &got[1].against[kinds[k]];
            double value = truth[1].values[kinds[k]].value;
            double difference = value - truth[0].values[kinds[k]].value;
            inside[k] += v->low <= value && value <= v->high;
            difference_inside[k] += d->low <= difference && difference <= d->high;
        }
    }
    /* Of 200 at 95 %, 190 are expected, give or take 3.1; too wide ones would have nearly all. */
    for (int k = 0; k < KINDS; k++) {
        print_message("%s: %d of %d, difference: %d\n", metric_name(kinds[k]), inside[k], SAMPLES,
                      difference_inside[k]);
        assert_in_range(inside[k], 178, 199);
        assert_in_range(difference_inside[k], 178, 199);
    }
}

static void a_scorer_does_not_differ_from_itself(void **state)
{
    (void)state;
    struct metric_results got[2];
    struct prng random;
    struct sample s;
    prng_seed(&random, 6);
    sample_make(&s, 50, &random);
    memcpy(s.poor, s.good, s.rows * sizeof *s.poor);
    judge(got, &s, 50, 1);
    for (enum metric_kind m = 0; m < METRIC_RMSE; m++) {
        assert_true(got[1].against[m].low == 0 && got[1].against[m].high == 0);
        assert_true(got[1].values[m].low <= got[1].values[m].value);
        assert_true(got[1].values[m].high >= got[1].values[m].value);
        assert_true(got[1].values[m].low < got[1].values[m].high);
    }
    sample_free(&s);
}

static void one_cluster_has_no_interval(void **state)
{
    (void)state;
    struct metric_results got[2];
    struct prng random;
    struct sample s;
    prng_seed(&random, 7);
    sample_make(&s, 10, &random);
    for (size_t i = 0; i < s.requests; i++)
        s.users[i] = 9;
    judge(got, &s, 50, 1);
    assert_true(!isnan(got[0].values[METRIC_AUC].value));
    assert_true(isnan(got[0].values[METRIC_AUC].low) && isnan(got[0].against[METRIC_AUC].high));
    sample_free(&s);
}

/* More scores than there are bins: the value is exact, the interval lies around it. */
static void many_different_scores_share_bins_in_replicates_alone(void **state)
{
    (void)state;
    struct metric_results got[2];
    struct prng random;
    struct sample s;
    prng_seed(&random, 8);
    sample_make(&s, 5000, &random);
    assert_true(s.rows > 50000);
    judge(got, &s, 60, 1);
    for (int i = 0; i < 2; i++) {
        const struct metric_value *v = &got[i].values[METRIC_AUC];
        assert_true(v->low < v->value && v->value < v->high);
        assert_true(v->high - v->low < 0.02);
        double middle = (v->low + v->high) / 2;
        assert_true(fabs(middle - v->value) < 0.3 * (v->high - v->low));
    }
    sample_free(&s);
}

/* ------------------------------------------------------------ */

static void random_orders_by_hand(void **state)
{
    (void)state;
    const uint64_t first[] = {0, 4};
    const float labels[] = {0, 1, 0, 0};
    struct metric_rows rows = {.request_count = 1, .first = first, .labels = labels};
    struct metric_results r;
    assert_int_equal(metrics_of_random(&r, &rows, &at_two, NULL), 0);
    assert_value(&r, METRIC_NDCG, (1 + 1 / log2(3)) / 4);
    assert_value(&r, METRIC_MRR, (1 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4) / 4);
    assert_value(&r, METRIC_MAP, (1 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4) / 4);
    assert_value(&r, METRIC_RECALL_AT_K, 0.5);
    assert_value(&r, METRIC_AUC, 0.5);
    assert_true(isnan(r.values[METRIC_KS].value) && isnan(r.values[METRIC_LOG_LOSS].value));
}

static void names_and_signs_are_known(void **state)
{
    (void)state;
    for (enum metric_kind m = 0; m < METRICS; m++)
        assert_true(metric_name(m) && abs(metric_sign(m)) == 1);
    assert_string_equal(metric_name(METRIC_RECALL_AT_K), "recall_at_k");
    assert_int_equal(metric_sign(METRIC_LOG_LOSS), -1);
    assert_int_equal(metric_sign(METRIC_NDCG), 1);
}

static void memory_that_is_short_is_said(void **state)
{
    (void)state;
    const uint64_t first[] = {0, 2, 4};
    const float labels[] = {1, 0, 0, 1}, scores[] = {0.5F, 0.2F, 0.1F, 0.7F};
    struct metric_rows rows = {.request_count = 2, .first = first, .labels = labels};
    struct metric_scorer scorer = {.scores = scores, .is_probability = true, .threshold = NAN};
    struct metric_opts opts = {.k = 3, .replicates = 5, .level = 0.95};
    for (int n = 1;; n++) {
        struct metric_results r;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = metrics_of(&r, &rows, &scorer, 1, &opts, &e);
        if (!rc)
            rc = metrics_of_random(&r, &rows, &opts, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_put_in_order_with_nan_first_and_equal_ones_as_they_were),
        cmocka_unit_test(one_request_by_hand),
        cmocka_unit_test(equal_scores_share_their_places),
        cmocka_unit_test(equal_scores_give_the_mean_over_all_their_orders),
        cmocka_unit_test(requests_count_by_their_weight_and_only_with_a_positive),
        cmocka_unit_test(rows_without_a_label_are_not_there),
        cmocka_unit_test(requests_are_shown_by_an_order_of_their_own_where_there_is_one),
        cmocka_unit_test(graded_labels_gain_exponentially_and_numbers_as_they_are),
        cmocka_unit_test(nothing_to_judge_is_told_as_unknown),
        cmocka_unit_test(intervals_have_the_truth_in_them_as_often_as_they_say),
        cmocka_unit_test(a_scorer_does_not_differ_from_itself),
        cmocka_unit_test(one_cluster_has_no_interval),
        cmocka_unit_test(many_different_scores_share_bins_in_replicates_alone),
        cmocka_unit_test(random_orders_by_hand),
        cmocka_unit_test(names_and_signs_are_known),
        cmocka_unit_test(memory_that_is_short_is_said),
    };
    return RUN(tests);
}

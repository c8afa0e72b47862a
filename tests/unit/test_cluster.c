#include "stats/cluster.h"
#include "unit.h"

#include <math.h>

static void assert_close(double found, double expected, double part)
{
    if (!(fabs(found - expected) <= part * fabs(expected)))
        fail_msg("%.17g is not %.17g", found, expected);
}

static void clusters_get_numbers_in_their_order(void **state)
{
    (void)state;
    uint32_t clusters[] = {70, 5, UINT32_MAX, 5, 70, 0};
    const uint32_t expected[] = {2, 1, 3, 1, 2, 0};
    size_t different = 9;
    assert_int_equal(clusters_number(clusters, 6, &different, NULL), 0);
    assert_memory_equal(clusters, expected, sizeof expected);
    assert_int_equal(different, 4);
    assert_int_equal(clusters_number(clusters, 0, &different, NULL), 0);
    assert_int_equal(different, 0);
    fail_alloc_at(1);
    assert_int_equal(clusters_number(clusters, 6, &different, NULL), ERR_NOMEM);
    assert_true(fail_alloc_end());
}

/* scipy.stats.t.interval(0.95, 4, 3, scipy.stats.sem([1, 2, 3, 4, 5])); the kurtosis of 1.7 gives
 * more degrees of freedom than there are. */
static void few_even_values_have_students_interval(void **state)
{
    (void)state;
    const double sums[] = {1, 2, 3, 4, 5}, weights[] = {1, 1, 1, 1, 1};
    struct metric_value v = cluster_mean(sums, weights, 5, 0.95);
    assert_true(v.value == 3);
    assert_close(v.low, 1.0367568385224393, 0.01);
    assert_close(v.high, 4.9632431614775607, 0.01);
}

/* Of a ratio with unequal weights, the residuals are of the sums: 2 / 1, 1 / 2 and 3 / 1 have mean
 * 6 / 4, residuals 0.5, -2 and 1.5, and three of them a standard error of sqrt(6.5 * 3 / 2) / 4. */
static void a_mean_of_unequal_clusters_is_linearised(void **state)
{
    (void)state;
    const double sums[] = {2, 1, 3, 0}, weights[] = {1, 2, 1, 0};
    struct metric_value v = cluster_mean(sums, weights, 4, 0.95);
    assert_true(v.value == 1.5);
    double reach = sqrt(6.5 * 3 / 2) / 4 * 4.302652729911275; /* t of two degrees of freedom */
    assert_close(v.high - v.value, reach, 0.05);
    assert_close(v.value - v.low, reach, 0.05);
}

/* Two of a hundred values carry all: as wide as two degrees of freedom and a bit make it, that is
 * 2 * 100 / (kurtosis - 1), the kurtosis of a share p of ones being (1 - 3p + 3p^2) / (p - p^2). */
static void few_large_values_among_many_give_a_wide_interval(void **state)
{
    (void)state;
    double sums[100] = {0}, weights[100];
    for (int i = 0; i < 100; i++)
        weights[i] = 1;
    sums[17] = sums[60] = 1;
    struct metric_value v = cluster_mean(sums, weights, 100, 0.95);
    /* Kurtosis 48.02, 4.25 degrees of freedom: scipy.stats.t.ppf(0.975, 4.2532) */
    double error = sqrt(0.02 * 0.98 / 99);
    assert_close((v.high - v.value) / error, 2.7124, 0.01);
}

static void what_has_no_spread_or_no_weight_is_told_so(void **state)
{
    (void)state;
    const double sums[] = {3, 0}, weights[] = {1, 0}, even[] = {2, 2}, ones[] = {1, 1};
    struct metric_value v = cluster_mean(sums, weights, 2, 0.95);
    assert_true(v.value == 3 && isnan(v.low) && isnan(v.high));
    v = cluster_mean(sums, weights, 0, 0.95);
    assert_true(isnan(v.value) && isnan(v.low));
    v = cluster_mean(even, ones, 2, 0.95);
    assert_true(v.value == 2 && v.low == 2 && v.high == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clusters_get_numbers_in_their_order),
        cmocka_unit_test(few_even_values_have_students_interval),
        cmocka_unit_test(a_mean_of_unequal_clusters_is_linearised),
        cmocka_unit_test(few_large_values_among_many_give_a_wide_interval),
        cmocka_unit_test(what_has_no_spread_or_no_weight_is_told_so),
    };
    return RUN(tests);
}

#include "net/metrics.h"
#include "unit.h"

#include <math.h>
#include <pthread.h>

static struct metrics *make(void)
{
    struct metrics *m = NULL;
    assert_int_equal(metrics_new(&m, NULL), 0);
    return m;
}

static void counters_and_gauges_are_printed_with_help_and_type(void **state)
{
    (void)state;
    struct metrics *m = make();
    struct buf b = {0};
    metric_add(metric_get(m, METRIC_COUNTER, "a_total", "What a is.", NULL, NULL), 2);
    metric_set(metric_get(m, METRIC_GAUGE, "b", "What b is.", NULL, NULL), -0.5);
    metrics_print(m, &b);
    assert_buf_is(&b, "# HELP a_total What a is.\n# TYPE a_total counter\na_total 2\n"
                      "# HELP b What b is.\n# TYPE b gauge\nb -0.5\n");
    buf_free(&b);
    metrics_free(m);
}

static void series_of_one_name_share_help_and_type(void **state)
{
    (void)state;
    struct metrics *m = make();
    struct buf b = {0};
    metric_add(metric_get(m, METRIC_COUNTER, "rows_total", "Rows.", "table", "x"), 1);
    metric_add(metric_get(m, METRIC_COUNTER, "rows_total", "Rows.", "table", "y"), 2);
    metric_add(metric_get(m, METRIC_COUNTER, "rows_total", "Rows.", "table", "x"), 4);
    metrics_print(m, &b);
    assert_buf_is(&b, "# HELP rows_total Rows.\n# TYPE rows_total counter\n"
                      "rows_total{table=\"x\"} 5\nrows_total{table=\"y\"} 2\n");
    buf_free(&b);
    metrics_free(m);
}

static void help_and_label_values_are_escaped(void **state)
{
    (void)state;
    struct metrics *m = make();
    struct buf b = {0};
    metric_get(m, METRIC_GAUGE, "g", "One\\two\nthree \"four\".", "label",
               "back\\slash \"quoted\"\nline");
    metrics_print(m, &b);
    assert_buf_is(&b, "# HELP g One\\\\two\\nthree \"four\".\n# TYPE g gauge\n"
                      "g{label=\"back\\\\slash \\\"quoted\\\"\\nline\"} 0\n");
    buf_free(&b);
    metrics_free(m);
}

static void numbers_that_are_none_have_names_of_their_own(void **state)
{
    (void)state;
    struct metrics *m = make();
    struct buf b = {0};
    metric_set(metric_get(m, METRIC_GAUGE, "n", "N.", "is", "nan"), NAN);
    metric_set(metric_get(m, METRIC_GAUGE, "n", "N.", "is", "up"), INFINITY);
    metric_set(metric_get(m, METRIC_GAUGE, "n", "N.", "is", "down"), -INFINITY);
    metric_set(metric_get(m, METRIC_GAUGE, "n", "N.", "is", "large"), 1e21);
    metrics_print(m, &b);
    assert_buf_is(
        &b,
        "# HELP n N.\n# TYPE n gauge\nn{is=\"nan\"} NaN\nn{is=\"up\"} +Inf\nn{is=\"down\"} -Inf\n"
        "n{is=\"large\"} 1e+21\n");
    buf_free(&b);
    metrics_free(m);
}

static void a_removed_series_is_not_printed_and_starts_from_zero_when_it_comes_back(void **state)
{
    (void)state;
    struct metrics *m = make();
    struct buf b = {0};
    struct metric *lag = metric_get(m, METRIC_GAUGE, "lag", "Lag.", "partition", "0");
    metric_set(lag, 7);
    metric_remove(m, "lag", "0");
    metric_remove(m, "lag", "1"); /* was never there */
    metrics_print(m, &b);
    assert_buf_is(&b, "# HELP lag Lag.\n# TYPE lag gauge\n");
    metric_set(lag, 8); /* its holder may not know yet */
    buf_reset(&b);
    assert_ptr_equal(metric_get(m, METRIC_GAUGE, "lag", "Lag.", "partition", "0"), lag);
    metrics_print(m, &b);
    assert_buf_is(&b, "# HELP lag Lag.\n# TYPE lag gauge\nlag{partition=\"0\"} 0\n");
    buf_free(&b);
    metrics_free(m);
}

static void a_histogram_counts_each_bucket_with_those_below_it(void **state)
{
    (void)state;
    struct metrics *m = make();
    struct buf b = {0};
    struct histogram *h = metric_histogram(m, "s", "S.", (const double[]){0.25, 1}, 2);
    /* A bound is part of its bucket: 0.25 | 0.5, 1 | 1.5. Sum 3.25. */
    histogram_observe(h, 0.25);
    histogram_observe(h, 0.5);
    histogram_observe(h, 1);
    histogram_observe(h, 1.5);
    metrics_print(m, &b);
    assert_buf_is(&b,
                  "# HELP s S.\n# TYPE s histogram\ns_bucket{le=\"0.25\"} 1\ns_bucket{le=\"1\"} 3\n"
                  "s_bucket{le=\"+Inf\"} 4\ns_sum 3.25\ns_count 4\n");
    buf_free(&b);
    metrics_free(m);
}

static void *add_many(void *arg)
{
    for (int i = 0; i < 100000; i++)
        metric_add(arg, 1);
    return NULL;
}

static void additions_of_two_threads_all_count(void **state)
{
    (void)state;
    struct metrics *m = make();
    struct metric *c = metric_get(m, METRIC_COUNTER, "c_total", "C.", NULL, NULL);
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, add_many, c), 0);
    add_many(c);
    pthread_join(other, NULL);
    assert_true(metric_value(c) == 200000);
    metrics_free(m);
}

static void without_memory_a_metric_can_be_used_and_is_not_printed(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int n = 1;; n++) {
        struct metrics *m = make();
        fail_alloc_at(n);
        struct metric *s = metric_get(m, METRIC_GAUGE, "g", "G.", "label", "value");
        bool failed = fail_alloc_end();
        assert_non_null(s);
        metric_set(s, 1);
        buf_reset(&b);
        metrics_print(m, &b);
        buf_put_u8(&b, 0);
        assert_int_equal(strstr((const char *)b.data, "value") == NULL, failed);
        metrics_free(m);
        if (!failed)
            break;
    }
    buf_free(&b);
}

static void without_memory_there_is_no_histogram_and_observing_does_nothing(void **state)
{
    (void)state;
    struct metrics *m = make();
    int n = 1;
    struct histogram *h = NULL;
    for (; !h; n++) {
        fail_alloc_at(n);
        h = metric_histogram(m, "h", "H.", (const double[]){1}, 1);
        assert_int_equal(fail_alloc_end(), h == NULL);
        histogram_observe(h, 1);
    }
    assert_true(n > 3);
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges_are_printed_with_help_and_type),
        cmocka_unit_test(series_of_one_name_share_help_and_type),
        cmocka_unit_test(help_and_label_values_are_escaped),
        cmocka_unit_test(numbers_that_are_none_have_names_of_their_own),
        cmocka_unit_test(a_removed_series_is_not_printed_and_starts_from_zero_when_it_comes_back),
        cmocka_unit_test(a_histogram_counts_each_bucket_with_those_below_it),
        cmocka_unit_test(additions_of_two_threads_all_count),
        cmocka_unit_test(without_memory_a_metric_can_be_used_and_is_not_printed),
        cmocka_unit_test(without_memory_there_is_no_histogram_and_observing_does_nothing),
    };
    return RUN(tests);
}

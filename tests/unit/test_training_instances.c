#include "unit.h"

#include "training/instances.h"

#include <math.h>

enum { ROWS = 6, REQUESTS = 3 };

/* Three requests of two rows. */
struct rows {
    uint64_t first[REQUESTS + 1];
    double shares[REQUESTS];
    float labels[ROWS];
    double propensities[ROWS];
    uint32_t ids[REQUESTS];
    struct str texts[1];
    struct set_rows rows;
};

static void set_up(struct rows *r, const float labels[ROWS])
{
    *r = (struct rows){.first = {0, 2, 4, 6}, .shares = {1, 1, 1}, .texts = {{"r-1", 3}}};
    for (int i = 0; i < ROWS; i++) {
        r->labels[i] = labels[i];
        r->propensities[i] = NAN;
    }
    r->rows = (struct set_rows){.request_count = REQUESTS,
                                .row_count = ROWS,
                                .first = r->first,
                                .labels = r->labels,
                                .shares = r->shares,
                                .propensities = r->propensities,
                                .ids = r->ids,
                                .texts = r->texts,
                                .text_count = 1};
}

static void make(struct instances *i, const struct rows *r, enum instances_kind kind)
{
    struct instances_opts opts = {.kind = kind};
    struct err e;
    if (instances_make(i, &r->rows, 0, REQUESTS, &opts, &e))
        fail_msg("%s", e.msg);
}

static void rows_without_a_label_are_left_out(void **state)
{
    struct rows r;
    struct instances i;
    (void)state;
    set_up(&r, (float[]){1, NAN, NAN, NAN, 0, 1});
    make(&i, &r, INSTANCES_BINARY);
    assert_int_equal(i.count, 3);
    assert_int_equal(i.group_count, 2);
    assert_int_equal(i.groups[0], 1);
    assert_int_equal(i.groups[1], 2);
    assert_int_equal(i.positives, 2);
    assert_int_equal(i.unequal, 1);
    assert_null(i.weights);
    assert_true(fabs(i.mean - 2.0 / 3) < 1e-12);
    instances_free(&i);
}

/* Weights 1, 6, 1, 1, 1, 1: the mean is 11 / 6. */
static void a_conversion_counts_as_its_label_in_a_classification(void **state)
{
    struct rows r;
    struct instances i;
    (void)state;
    set_up(&r, (float[]){0, 6, 0, 0, 1, 0});
    make(&i, &r, INSTANCES_BINARY);
    assert_true(i.targets[1] == 1 && i.targets[4] == 1);
    assert_true(fabs((double)i.weights[1] - 6 * 6.0 / 11) < 1e-6);
    assert_true(fabs((double)i.weights[0] - 6.0 / 11) < 1e-6);
    assert_true(fabs(i.mean - 7.0 / 11) < 1e-6);
    instances_free(&i);
    /* Where probabilities are wanted all count alike. */
    struct instances_opts flat = {INSTANCES_BINARY, false, true};
    struct err e;
    assert_int_equal(instances_make(&i, &r.rows, 0, REQUESTS, &flat, &e), 0);
    assert_null(i.weights);
    instances_free(&i);
    /* Labels that are all the same weigh nothing more. */
    set_up(&r, (float[]){0, 5, 0, 0, 5, 0});
    make(&i, &r, INSTANCES_BINARY);
    assert_null(i.weights);
    instances_free(&i);
}

/* 1 / p: 2, 1, 20 in place of 1000, and 1 where nothing is known; the sum is 2 + 1 + 20 + 3. */
static void explored_rows_count_by_their_propensity_up_to_a_bound(void **state)
{
    struct rows r;
    struct instances i;
    (void)state;
    set_up(&r, (float[]){0, 1, 0, 1, 0, 1});
    r.propensities[0] = 0.5;
    r.propensities[1] = 1;
    r.propensities[2] = 0.001;
    make(&i, &r, INSTANCES_BINARY);
    assert_true(i.explored);
    assert_int_equal(i.cut, 1);
    assert_true(fabs((double)i.weights[0] - 2 * 6.0 / 26) < 1e-6);
    assert_true(fabs((double)i.weights[2] - 20 * 6.0 / 26) < 1e-6);
    instances_free(&i);
    struct instances_opts off = {INSTANCES_BINARY, true, false};
    struct err e;
    assert_int_equal(instances_make(&i, &r.rows, 0, REQUESTS, &off, &e), 0);
    assert_null(i.weights);
    assert_false(i.explored);
    instances_free(&i);
}

/* Request 1 was logged one time in four, so it stands for four: weights 1, 4, 1, their mean 2. */
static void a_group_has_one_weight(void **state)
{
    struct rows r;
    struct instances i;
    (void)state;
    set_up(&r, (float[]){0, 2, 1, 0, 0, 0});
    r.shares[1] = 0.25;
    make(&i, &r, INSTANCES_RANKING);
    assert_true(i.targets[1] == 2);
    assert_true((double)i.weights[0] == 0.5 && (double)i.weights[1] == 2 &&
                (double)i.weights[2] == 0.5);
    instances_free(&i);
    /* Of a group with positive rows their propensities count, not those of others. */
    r.shares[1] = 1;
    r.propensities[1] = 0.25;
    r.propensities[3] = 0.1;
    make(&i, &r, INSTANCES_RANKING);
    assert_true((double)i.weights[0] == 2 && (double)i.weights[1] == 0.5);
    instances_free(&i);
}

static void labels_that_cannot_be_learned_are_refused_by_their_request(void **state)
{
    struct rows r;
    struct instances i;
    struct instances_opts ranking = {.kind = INSTANCES_RANKING};
    struct err e;
    static const struct {
        float label;
        const char *why;
    } cases[] = {{INFINITY, "a label of request r-1 is infinite"},
                 {-1, "below 0"},
                 {32, "above 31"},
                 {0.5, "no whole number"}};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        set_up(&r, (float[]){0, cases[c].label, 0, 0, 0, 0});
        assert_int_equal(instances_make(&i, &r.rows, 0, REQUESTS, &ranking, &e), ERR_INVALID);
        assert_contains(e.msg, cases[c].why);
        instances_free(&i);
    }
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
    struct rows r;
    struct instances i;
    struct instances_opts opts = {.kind = INSTANCES_BINARY};
    struct err e;
    (void)state;
    set_up(&r, (float[]){0, 6, 0, 0, 1, 0});
    for (int n = 1;; n++) {
        fail_alloc_at(n);
        int rc = instances_make(&i, &r.rows, 0, REQUESTS, &opts, &e);
        bool failed = fail_alloc_end();
        instances_free(&i);
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_without_a_label_are_left_out),
        cmocka_unit_test(a_conversion_counts_as_its_label_in_a_classification),
        cmocka_unit_test(explored_rows_count_by_their_propensity_up_to_a_bound),
        cmocka_unit_test(a_group_has_one_weight),
        cmocka_unit_test(labels_that_cannot_be_learned_are_refused_by_their_request),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
    };
    return RUN(tests);
}

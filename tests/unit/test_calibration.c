/* Calibration, held against scikit-learn's isotonic regression and SciPy's optimiser
 * (tests/data/calibration/make.py). */
#include "unit.h"

#include "base/prng.h"
#include "model/calibration.h"

#include <math.h>
#include <stdio.h>

enum { MOST_ROWS = 5000, MANY_ROWS = 200000 };

static const char *const cases[] = {"plain", "rare", "ties"};
enum { CASES = sizeof cases / sizeof *cases };

static const enum calibration_kind kinds[] = {CALIBRATION_PLATT, CALIBRATION_ISOTONIC};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct rows {
    float margins[MOST_ROWS], labels[MOST_ROWS];
    double weights[MOST_ROWS];
    size_t count;
};

static FILE *open_data(const char *name, const char *suffix)
{
    char path[512];
    snprintf(path, sizeof path, FLOTILLA_SOURCE_DIR "/tests/data/calibration/%s.%s", name, suffix);
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("no %s", path);
    return f;
}

static struct rows *read_rows(const char *name)
{
    struct rows *r = calloc(1, sizeof *r);
    FILE *f = open_data(name, "rows");
    double margin, label, weight;
    assert_non_null(r);
    while (fscanf(f, "%la %la %la", &margin, &label, &weight) == 3) {
        assert_true(r->count < MOST_ROWS);
        r->margins[r->count] = (float)margin;
        r->labels[r->count] = (float)label;
        r->weights[r->count++] = weight;
    }
    fclose(f);
    assert_true(r->count > 100);
    return r;
}

static struct calibration *fit(enum calibration_kind kind, const struct rows *r)
{
    struct calibration *c = NULL;
    struct err e = {0};
    if (calibration_fit(&c, kind, r->margins, r->labels, r->weights, r->count, &e))
        fail_msg("%s", e.msg);
    return c;
}

static void assert_near(double a, double b, double most)
{
    if (!(fabs(a - b) <= most))
        fail_msg("%.17g is not %.17g", a, b);
}

/* ---- Fits ---- */

static void platt_finds_what_scipy_finds(void **state)
{
    (void)state;
    char name[32];
    double slope, intercept;
    int n = 0;
    FILE *f = open_data("platt", "fits");
    for (; fscanf(f, "%31s %la %la", name, &slope, &intercept) == 3; n++) {
        struct rows *r = read_rows(name);
        struct calibration *c = fit(CALIBRATION_PLATT, r);
        assert_near(c->slope, slope, 1e-7);
        assert_near(c->intercept, intercept, 1e-7);
        assert_near((double)calibration_apply(c, 0.75F, 9),
                    1 / (1 + exp(-slope * 0.75 - intercept)), 1e-7);
        calibration_free(c);
        free(r);
    }
    fclose(f);
    assert_int_equal(n, CASES);
}

static void isotonic_has_the_pools_of_scikit_learn(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct rows *r = read_rows(cases[i]);
        struct calibration *c = fit(CALIBRATION_ISOTONIC, r);
        FILE *f = open_data(cases[i], "pools");
        double margin, value;
        size_t n = 0;
        for (; fscanf(f, "%la %la", &margin, &value) == 2; n++) {
            assert_true(n < c->count);
            assert_near(c->margins[n], margin, 1e-9);
            assert_near(c->values[n], value, 1e-9);
            assert_near((double)calibration_apply(c, (float)margin, 9), value, 1e-5);
        }
        assert_int_equal(n, c->count);
        assert_true(n > 5);
        fclose(f);
        calibration_free(c);
        free(r);
    }
}

static void more_pools_than_knots_are_joined_and_stay_near_the_truth(void **state)
{
    (void)state;
    static float margins[MANY_ROWS], labels[MANY_ROWS];
    struct prng p;
    struct calibration *c = NULL;
    struct err e = {0};
    prng_seed(&p, 3);
    /* Every pool of a margin has a higher share of positives than the one before: none violate. */
    for (int i = 0; i < MANY_ROWS; i++) {
        margins[i] = (float)(i / 100);
        labels[i] = (i % 100) * 20 < i / 100 ? 1 : 0;
    }
    assert_int_equal(
        calibration_fit(&c, CALIBRATION_ISOTONIC, margins, labels, NULL, MANY_ROWS, &e), 0);
    assert_true(c->count <= CALIBRATION_MOST_KNOTS && c->count > 20);
    for (int i = 0; i < MANY_ROWS; i += 997)
        assert_near((double)calibration_apply(c, margins[i], 0), (i / 100 + 10) / 2000.0, 0.02);
    calibration_free(c);
    c = NULL;
    for (int i = 0; i < MANY_ROWS; i++) {
        double z = 4 * prng_normal(&p);
        margins[i] = (float)z;
        labels[i] = prng_unit(&p) < 1 / (1 + exp(-z)) ? 1 : 0;
    }
    assert_int_equal(
        calibration_fit(&c, CALIBRATION_ISOTONIC, margins, labels, NULL, MANY_ROWS, &e), 0);
    assert_near((double)calibration_apply(c, 0, 0), 0.5, 0.03);
    assert_near((double)calibration_apply(c, 1, 0), 1 / (1 + exp(-1)), 0.03);
    calibration_free(c);
}

static void rows_without_a_label_count_for_nothing(void **state)
{
    (void)state;
    struct rows *r = read_rows("plain"), *more = read_rows("plain");
    for (int k = 0; k < KINDS; k++) {
        more->count = r->count;
        for (int i = 0; i < 50; i++, more->count++) {
            more->margins[more->count] = 100;
            more->labels[more->count] = NAN;
            more->weights[more->count] = 1;
        }
        struct calibration *a = fit(kinds[k], r), *b = fit(kinds[k], more);
        struct buf one = {0}, other = {0};
        calibration_write(a, &one);
        calibration_write(b, &other);
        assert_bytes(&one, other.data, other.len);
        buf_free(&one);
        buf_free(&other);
        calibration_free(a);
        calibration_free(b);
    }
    free(r);
    free(more);
}

static void too_few_positives_are_said(void **state)
{
    (void)state;
    struct rows *r = read_rows("plain");
    struct calibration *c = NULL;
    size_t positives = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->labels[i] > 0 && ++positives > 19)
            r->labels[i] = 0;
    for (int k = 0; k < KINDS; k++) {
        struct err e = {0};
        assert_int_equal(
            calibration_fit(&c, kinds[k], r->margins, r->labels, r->weights, r->count, &e),
            ERR_INVALID);
        assert_contains(e.msg, "19 positive");
        assert_null(c);
    }
    free(r);
}

static void platt_refuses_margins_that_fall_where_labels_rise(void **state)
{
    (void)state;
    struct rows *r = read_rows("plain");
    struct calibration *c = NULL;
    struct err e = {0};
    for (size_t i = 0; i < r->count; i++)
        r->margins[i] = -r->margins[i];
    assert_int_equal(
        calibration_fit(&c, CALIBRATION_PLATT, r->margins, r->labels, r->weights, r->count, &e),
        ERR_INVALID);
    assert_contains(e.msg, "not more often positive");
    free(r);
}

/* ---- Applying ---- */

static void a_higher_margin_never_gets_a_lower_score(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct rows *r = read_rows(cases[i]);
        for (int k = 0; k < KINDS; k++) {
            struct calibration *c = fit(kinds[k], r);
            float before = 0;
            for (float margin = -12; margin < 12; margin = nextafterf(margin + 0.0004F, 13)) {
                float score = calibration_apply(c, margin, 0);
                assert_true(score >= before && score <= 1);
                before = score;
            }
            assert_true(before > 0);
            calibration_free(c);
        }
        free(r);
    }
}

static void between_two_knots_is_a_straight_line_and_outside_a_flat_one(void **state)
{
    (void)state;
    struct calibration *c = NULL;
    struct err e = {0};
    const char text[] = "{\"kind\":\"isotonic\",\"margins\":[-1,1,3],\"values\":[0.125,0.25,0.75]}";
    assert_int_equal(calibration_read(&c, str_of(text), &e), 0);
    assert_true(calibration_apply(c, -5, 9) == 0.125F);
    assert_true(calibration_apply(c, -1, 9) == 0.125F);
    assert_true(calibration_apply(c, 0, 9) == 0.1875F);
    assert_true(calibration_apply(c, 1, 9) == 0.25F);
    assert_true(calibration_apply(c, 2, 9) == 0.5F);
    assert_true(calibration_apply(c, 2.5F, 9) == 0.625F);
    assert_true(calibration_apply(c, 3, 9) == 0.75F);
    assert_true(calibration_apply(c, INFINITY, 9) == 0.75F);
    calibration_free(c);
}

static void none_gives_the_score_back_bit_for_bit(void **state)
{
    (void)state;
    struct calibration *c = NULL;
    struct buf b = {0};
    assert_int_equal(calibration_read(&c, str_of(""), NULL), 0);
    assert_int_equal(c->kind, CALIBRATION_NONE);
    float score = nextafterf(0.1F, 1), got = calibration_apply(c, -7, score);
    assert_memory_equal(&got, &score, sizeof got);
    calibration_write(c, &b);
    assert_int_equal(b.len, 0);
    calibration_free(c);
}

/* ---- Text ---- */

static void what_was_written_is_read_bit_for_bit(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct rows *r = read_rows(cases[i]);
        for (int k = 0; k < KINDS; k++) {
            struct calibration *c = fit(kinds[k], r), *again = NULL;
            struct buf b = {0};
            calibration_write(c, &b);
            assert_true(buf_ok(&b));
            assert_int_equal(calibration_read(&again, buf_str(&b), NULL), 0);
            assert_int_equal(again->kind, kinds[k]);
            assert_memory_equal(&again->slope, &c->slope, sizeof c->slope);
            assert_memory_equal(&again->intercept, &c->intercept, sizeof c->intercept);
            assert_int_equal(again->count, c->count);
            assert_memory_equal(again->margins, c->margins, c->count * sizeof *c->margins);
            assert_memory_equal(again->values, c->values, c->count * sizeof *c->values);
            buf_free(&b);
            calibration_free(c);
            calibration_free(again);
        }
        free(r);
    }
}

static void what_is_none_is_refused_and_said(void **state)
{
    (void)state;
    static const struct {
        const char *text, *what;
    } bad[] = {
        {"{", "no JSON"},
        {"[]", "neither platt nor isotonic"},
        {"{\"kind\":\"none\"}", "neither platt nor isotonic"},
        {"{\"kind\":7}", "neither platt nor isotonic"},
        {"{\"kind\":\"platt\",\"slope\":0,\"intercept\":1}", "slope is not above 0"},
        {"{\"kind\":\"platt\",\"slope\":1}", "intercept is no number"},
        {"{\"kind\":\"platt\",\"slope\":null,\"intercept\":1}", "slope is no number"},
        {"{\"kind\":\"isotonic\",\"margins\":[],\"values\":[]}", "0 margins and 0 values"},
        {"{\"kind\":\"isotonic\",\"margins\":[1,2],\"values\":[0]}", "2 margins and 1 values"},
        {"{\"kind\":\"isotonic\",\"margins\":[1,1],\"values\":[0,1]}", "falls at knot 1"},
        {"{\"kind\":\"isotonic\",\"margins\":[1,2],\"values\":[0.5,0.25]}", "falls at knot 1"},
        {"{\"kind\":\"isotonic\",\"margins\":[1],\"values\":[1.5]}", "outside 0 to 1"},
        {"{\"kind\":\"isotonic\",\"margins\":[1],\"values\":[\"x\"]}", "value is no number"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct calibration *c = NULL;
        struct err e = {0};
        assert_int_equal(calibration_read(&c, str_of(bad[i].text), &e), ERR_CORRUPT);
        assert_contains(e.msg, bad[i].what);
        assert_null(c);
    }
}

static void memory_that_cannot_be_had_is_an_error_and_nothing_leaks(void **state)
{
    (void)state;
    struct rows *r = read_rows("plain");
    for (int k = 0; k < KINDS; k++) {
        bool failed = true;
        for (int nth = 1; failed; nth++) {
            struct calibration *c = NULL;
            struct err e = {0};
            fail_alloc_at(nth);
            int rc = calibration_fit(&c, kinds[k], r->margins, r->labels, r->weights, r->count, &e);
            failed = fail_alloc_end();
            assert_int_equal(rc, failed ? ERR_NOMEM : 0);
            calibration_free(c);
        }
    }
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(platt_finds_what_scipy_finds),
        cmocka_unit_test(isotonic_has_the_pools_of_scikit_learn),
        cmocka_unit_test(more_pools_than_knots_are_joined_and_stay_near_the_truth),
        cmocka_unit_test(rows_without_a_label_count_for_nothing),
        cmocka_unit_test(too_few_positives_are_said),
        cmocka_unit_test(platt_refuses_margins_that_fall_where_labels_rise),
        cmocka_unit_test(a_higher_margin_never_gets_a_lower_score),
        cmocka_unit_test(between_two_knots_is_a_straight_line_and_outside_a_flat_one),
        cmocka_unit_test(none_gives_the_score_back_bit_for_bit),
        cmocka_unit_test(what_was_written_is_read_bit_for_bit),
        cmocka_unit_test(what_is_none_is_refused_and_said),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error_and_nothing_leaks),
    };
    return RUN(tests);
}

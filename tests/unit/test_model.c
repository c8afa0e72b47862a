/*
 * One version of a model as it serves: what is refused, and what its columns are.
 */
#include "unit.h"

#include "model/model.h"
#include "support/small_model.h"

static int setup(void **state)
{
    struct small_model *s = malloc(sizeof *s);
    assert_non_null(s);
    small_model_start(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    small_model_end(*state);
    free(*state);
    return 0;
}

static struct model *make(const struct small_model *s)
{
    struct model *m = NULL;
    struct err e = {0};
    if (model_new(&m, s->set, &s->parts, &e))
        fail_msg("%s", e.msg);
    return m;
}

static void assert_refused(const struct small_model *s, int code, const char *part)
{
    struct model *m = NULL;
    struct err e = {0};
    assert_int_equal(model_new(&m, s->set, &s->parts, &e), code);
    assert_int_equal(e.code, code);
    assert_contains(e.msg, part);
    assert_null(m);
}

/* ---- Serving ---- */

static void columns_are_found_by_their_names(void **state)
{
    struct model *m = make(*state);
    assert_string_equal(m->name, "shop");
    assert_int_equal(m->version, 7);
    assert_int_equal(m->column_count, 2);
    assert_string_equal(m->columns[0], "price");
    assert_string_equal(m->columns[1], "clicks_1h");
    assert_int_equal(m->outputs[0], 2);
    assert_int_equal(m->outputs[1], 0);
    assert_false(m->shared[0]);
    assert_true(m->shared[1]);
    model_free(m);
}

static void vectors_become_rows_that_score_as_by_hand(void **state)
{
    /* clicks_1h, ctr_1h, price */
    static const double vectors[] = {2, 0.1, 0.1, 2, 0.1, 0.7, 2, 0.1, NAN};
    static const float expected[] = {-0.125F, 0.25F, -0.125F};
    float rows[6], margins[3];
    struct model *m = make(*state);
    struct scorer_scratch *w = NULL;
    model_rows(m, vectors, 3, rows);
    assert_true(rows[0] == 0.1F && rows[1] == 2 && rows[2] == 0.7F && isnan(rows[4]));
    assert_int_equal(scorer_scratch_new(&w, NULL), 0);
    assert_int_equal(scorer_specialise(m->scorer, w, scorer_best(), rows, NULL), 0);
    scorer_margins(m->scorer, w, scorer_best(), rows, 2, 3, margins);
    for (size_t i = 0; i < 3; i++)
        assert_true(margins[i] == expected[i]);
    scorer_scratch_free(w);
    model_free(m);
}

static void numbers_beyond_a_float_are_infinite(void **state)
{
    static const double vectors[] = {1e300, 0, -1e300};
    float rows[2];
    struct model *m = make(*state);
    model_rows(m, vectors, 1, rows);
    assert_true(rows[0] == -INFINITY && rows[1] == INFINITY);
    model_free(m);
}

static void what_hangs_on_the_candidate_is_not_shared(void **state)
{
    static const char text[] =
        "features:\n"
        "  - {name: a, scope: user, count: {event: click, windows: [1h, 1d]}}\n"
        "  - {name: b, scope: proposition, count: {event: click, windows: [1h]}}\n"
        "  - {name: c, scope: user*proposition.genre, count: {event: click, windows: [1h]}}\n"
        "  - {name: d, scope: user*context.device, count: {event: click, windows: [1h]}}\n"
        "  - {name: g, scope: global, count: {event: click, windows: [1h]}}\n"
        "  - {name: f, scope: user, gap: {event: click, attribute: price, windows: [1d]}}\n"
        "  - {name: o, scope: user, overlap: {event: click, attribute: genre, last: 5, within: "
        "1d}}\n"
        "  - {name: p, scope: proposition, attribute: {field: price}}\n"
        "  - {name: t, scope: user, attribute: {field: tier, values: [a, b]}}\n"
        "  - {name: v, scope: context, attribute: {field: device, values: [a, b]}}\n"
        "  - {name: h, scope: context, time: {part: hour_of_day, zone: UTC}}\n"
        "  - {name: m, scope: proposition, match: {context: query, attribute: title}}\n"
        "  - {name: s, scope: candidate, standing: {of: b_1h}}\n"
        "  - {name: w, scope: candidate, position: {at_serving: 0}}\n";
    static const struct {
        const char *output;
        bool shared;
    } expected[] = {{"a_1h", true}, {"a_1d", true}, {"b_1h", false}, {"c_1h", false},
                    {"d_1h", true}, {"g_1h", true}, {"f_1d", false}, {"o", false},
                    {"p", false},   {"t", true},    {"v", true},     {"h", true},
                    {"m", false},   {"s", false},   {"w", true}};
    struct feature_set *set = NULL;
    struct err e = {0};
    (void)state;
    if (feature_set_parse(&set, "t.yaml", str_of(text), &e))
        fail_msg("%s", e.msg);
    assert_int_equal(set->output_count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < set->output_count; i++) {
        assert_string_equal(set->outputs[i].name, expected[i].output);
        if (model_output_is_shared(set, &set->outputs[i]) != expected[i].shared)
            fail_msg("%s: shared is not %d", expected[i].output, expected[i].shared);
    }
    feature_set_free(set);
}

/* ---- Refused ---- */

static void a_changed_definition_is_named_with_both_fingerprints(void **state)
{
    struct small_model *s = *state;
    s->fingerprints.data[FINGERPRINT_BYTES] ^= 1;
    assert_refused(s, ERR_NOT_FOUND, "clicks_1h: the model was trained on fingerprint ");
    assert_refused(s, ERR_NOT_FOUND, ", this fleet has ");
}

static void a_feature_that_is_not_defined_is_named(void **state)
{
    struct small_model *s = *state;
    s->names[0] = str_of("prize");
    assert_refused(s, ERR_NOT_FOUND, "prize: this fleet has no such feature");
}

static void another_sha256_is_refused(void **state)
{
    struct small_model *s = *state;
    s->sha256[31] ^= 1;
    assert_refused(s, ERR_CORRUPT, "SHA-256");
    s->parts.sha256.len = 31;
    assert_refused(s, ERR_CORRUPT, "SHA-256 has 32 bytes, not 31");
}

static void a_margin_that_is_off_by_a_bit_is_refused(void **state)
{
    struct small_model *s = *state;
    s->margins.data[8] ^= 1; /* the lowest of the third margin */
    assert_refused(s, ERR_CORRUPT, "canary row 2: the margin is 0.25, but it was 0.25000003 when");
}

static void parts_that_do_not_fit_together_are_refused(void **state)
{
    struct small_model *s = *state;
    s->parts.features.count = 1;
    assert_refused(s, ERR_CORRUPT, "1 columns are named, with 16 bytes of fingerprints");
    s->parts.fingerprints.len = 8;
    assert_refused(s, ERR_CORRUPT, "the file has 2 columns, 1 are named");
    s->parts.features.count = 2;
    s->parts.fingerprints.len = 16;
    s->parts.canary_rows.len -= 4;
    assert_refused(s, ERR_CORRUPT, "canary rows");
    s->parts.canary_rows.len = s->parts.canary_margins.len = 0;
    assert_refused(s, ERR_CORRUPT, "0 bytes of canary rows");
}

static void a_damaged_file_with_the_right_sum_is_refused(void **state)
{
    struct small_model *s = *state;
    s->bytes.len -= 3;
    small_model_sum(s);
    assert_refused(s, ERR_INVALID, "model file");
}

static void a_calibration_that_is_none_is_refused(void **state)
{
    struct small_model *s = *state;
    s->parts.calibration = str_of("{\"kind\":\"platt\",\"slope\":-1,\"intercept\":0}");
    assert_refused(s, ERR_CORRUPT, "the calibration's slope is not above 0");
}

static void the_published_score_is_the_calibrated_one_where_there_is_a_calibration(void **state)
{
    struct small_model *s = *state;
    struct model *m = make(s);
    for (float margin = -2; margin < 2; margin += 0.125F)
        assert_true(model_score(m, margin) == ensemble_score(m->ensemble, margin));
    model_free(m);
    s->parts.calibration =
        str_of("{\"kind\":\"isotonic\",\"margins\":[-1,1],\"values\":[0.25,0.75]}");
    m = make(s);
    assert_true(model_score(m, -3) == 0.25F && model_score(m, 0.5F) == 0.625F);
    model_free(m);
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
    struct small_model *s = *state;
    int n = 1;
    for (;; n++) {
        struct model *m = NULL;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = model_new(&m, s->set, &s->parts, &e);
        bool failed = fail_alloc_end();
        model_free(m);
        if (!failed) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, ERR_NOMEM);
    }
    assert_true(n > 5);
}

/* ---- Canaries ---- */

static void canary_rows_lie_at_thresholds_and_far_out(void **state)
{
    struct small_model *s = *state;
    struct ensemble *m = NULL;
    struct buf rows = {0}, margins = {0};
    bool missing = false, at = false, below = false, above = false, infinite = false, zero = false;
    assert_int_equal(ensemble_read(&m, s->parts.bytes, NULL), 0);
    model_canaries(m, &rows, &margins);
    assert_int_equal(rows.len, MODEL_CANARY_ROWS * 2 * sizeof(float));
    assert_int_equal(margins.len, MODEL_CANARY_ROWS * sizeof(float));
    const float *row = (const float *)(const void *)rows.data;
    for (size_t i = 0; i < MODEL_CANARY_ROWS; i++) {
        float price = row[2 * i];
        missing |= isnan(price) != 0;
        at |= price == 0.5F;
        below |= price == nextafterf(0.5F, 0);
        above |= price == nextafterf(0.5F, 1);
        infinite |= isinf(price) != 0;
        zero |= price == 0;
    }
    assert_true(missing && at && below && above && infinite && zero);
    s->parts.canary_rows = buf_str(&rows);
    s->parts.canary_margins = buf_str(&margins);
    model_free(make(s));
    buf_free(&rows);
    buf_free(&margins);
    ensemble_free(m);
}

static void canary_rows_are_the_same_every_time(void **state)
{
    struct small_model *s = *state;
    struct ensemble *m = NULL;
    struct buf rows = {0}, margins = {0}, again = {0}, margins_again = {0};
    assert_int_equal(ensemble_read(&m, s->parts.bytes, NULL), 0);
    model_canaries(m, &rows, &margins);
    model_canaries(m, &again, &margins_again);
    assert_bytes(&again, rows.data, rows.len);
    assert_bytes(&margins_again, margins.data, margins.len);
    fail_alloc_at(1);
    model_canaries(m, &again, &margins_again);
    assert_true(fail_alloc_end());
    assert_false(buf_ok(&again));
    buf_free(&rows);
    buf_free(&margins);
    buf_free(&again);
    buf_free(&margins_again);
    ensemble_free(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(columns_are_found_by_their_names),
        TEST(vectors_become_rows_that_score_as_by_hand),
        TEST(numbers_beyond_a_float_are_infinite),
        TEST(what_hangs_on_the_candidate_is_not_shared),
        TEST(a_changed_definition_is_named_with_both_fingerprints),
        TEST(a_feature_that_is_not_defined_is_named),
        TEST(another_sha256_is_refused),
        TEST(a_margin_that_is_off_by_a_bit_is_refused),
        TEST(parts_that_do_not_fit_together_are_refused),
        TEST(a_damaged_file_with_the_right_sum_is_refused),
        TEST(a_calibration_that_is_none_is_refused),
        TEST(the_published_score_is_the_calibrated_one_where_there_is_a_calibration),
        TEST(memory_that_cannot_be_had_is_an_error),
        TEST(canary_rows_lie_at_thresholds_and_far_out),
        TEST(canary_rows_are_the_same_every_time),
    };
    return RUN(tests);
}

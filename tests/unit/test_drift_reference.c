#include "base/prng.h"
#include "stats/drift_reference.h"
#include "unit.h"

#include <float.h>
#include <math.h>

static struct drift_reference *make(const struct str *names, size_t columns, uint64_t rows)
{
    struct drift_reference *r = NULL;
    assert_int_equal(drift_reference_new(&r, names, columns, rows, NULL), 0);
    return r;
}

static void assert_edges(const struct drift_bins *b, const float *edges, size_t count)
{
    assert_int_equal(b->edge_count, count);
    for (size_t i = 0; i < count; i++)
        if (b->edges[i] != edges[i])
            fail_msg("edge %zu is %.9g, not %.9g", i, (double)b->edges[i], (double)edges[i]);
}

static void assert_counts(const struct drift_bins *b, const uint64_t *counts)
{
    for (size_t i = 0; i <= b->edge_count; i++)
        assert_int_equal(b->counts[i], counts[i]);
}

/* ------------------------------------------------------------ */

static void twenty_different_values_have_deciles_of_two(void **state)
{
    (void)state;
    float vectors[20], scores[20];
    for (int i = 0; i < 20; i++) {
        vectors[i] = (float)(20 - i);
        scores[i] = 0.5F;
    }
    struct str name = str_of("price");
    struct drift_reference *r = make(&name, 1, 20);
    drift_reference_put(r, 0, vectors, scores, 20);
    assert_int_equal(drift_reference_finish(r, NULL), 0);
    const struct drift_bins *price = drift_reference_column(r, 0);
    /* The value at each tenth, and none of them has a tenth of the rows. */
    const float edges[] = {2, 4, 6, 8, 10, 12, 14, 16, 18};
    const uint64_t twos[] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2};
    assert_edges(price, edges, 9);
    assert_counts(price, twos);
    /* All scores are one value: below it, it, above it. */
    const float around[] = {nextafterf(0.5F, 0), 0.5F};
    const uint64_t all[] = {0, 20, 0};
    assert_edges(drift_reference_score(r), around, 2);
    assert_counts(drift_reference_score(r), all);
    drift_reference_free(r);
}

static void a_value_of_a_tenth_of_the_rows_has_its_own_bin(void **state)
{
    (void)state;
    float values[100];
    for (int i = 0; i < 100; i++)
        values[i] = (float)i;
    for (int i = 0; i < 10; i++)
        values[i + 41] = 45; /* ten of a hundred have one of their own, nine do not */
    for (int i = 0; i < 9; i++)
        values[i + 61] = 65;
    struct str name = str_of("x");
    struct drift_reference *r = make(&name, 1, 100);
    drift_reference_put(r, 0, values, NULL, 100);
    assert_int_equal(drift_reference_finish(r, NULL), 0);
    const struct drift_bins *x = drift_reference_column(r, 0);
    const float edges[] = {9, 19, 29, 39, nextafterf(45, 0), 45, 59, 65, 79, 89};
    assert_edges(x, edges, 10);
    assert_int_equal(drift_bins_place(x, 44), 4);
    assert_int_equal(drift_bins_place(x, 45), 5);
    assert_int_equal(drift_bins_place(x, nextafterf(45, 100)), 6);
    assert_int_equal(x->counts[5], 10);
    drift_reference_free(r);
}

static void missing_and_infinite_values_have_bins_of_their_own(void **state)
{
    (void)state;
    const float values[] = {NAN, 1, INFINITY, -INFINITY, -0.0F, 0, FLT_MAX, -FLT_MAX, NAN, NAN};
    struct str name = str_of("x");
    struct drift_reference *r = make(&name, 1, 10);
    drift_reference_put(r, 0, values, NULL, 10);
    assert_int_equal(drift_reference_finish(r, NULL), 0);
    const struct drift_bins *x = drift_reference_column(r, 0);
    assert_int_equal(x->missing, 3);
    assert_int_equal(x->infinite, 2);
    /* Five finite values of which each has at least a tenth, two of them being zero. */
    const float edges[] = {-FLT_MAX, nextafterf(0, -1),      0,      nextafterf(1, 0),
                           1,        nextafterf(FLT_MAX, 0), FLT_MAX};
    const uint64_t counts[] = {1, 0, 2, 0, 1, 0, 1, 0};
    assert_edges(x, edges, 7);
    assert_counts(x, counts);
    assert_int_equal(drift_bins_place(x, NAN), 8);
    assert_int_equal(drift_bins_place(x, -INFINITY), 9);
    /* A score that was never given is missing. */
    assert_int_equal(drift_reference_score(r)->missing, 10);
    assert_int_equal(drift_reference_score(r)->edge_count, 0);
    drift_reference_free(r);
}

static void rows_may_come_in_any_number_of_calls(void **state)
{
    (void)state;
    enum { ROWS = 5000 };
    static float vectors[2 * ROWS], scores[ROWS];
    struct str names[] = {str_of("a"), str_of("b")};
    struct buf whole = {0}, parts = {0};
    struct prng random;
    prng_seed(&random, 1);
    for (int i = 0; i < ROWS; i++) {
        vectors[2 * i] = (float)prng_normal(&random);
        vectors[2 * i + 1] = (float)prng_below(&random, 30);
        scores[i] = (float)prng_unit(&random);
    }
    struct drift_reference *r = make(names, 2, ROWS);
    drift_reference_put(r, 0, vectors, scores, ROWS);
    assert_int_equal(drift_reference_finish(r, NULL), 0);
    drift_reference_write(r, &whole);
    drift_reference_free(r);
    r = make(names, 2, ROWS);
    for (uint64_t i = ROWS, n; i > 0; i -= n) {
        n = 1 + prng_below(&random, 300);
        n = n < i ? n : i;
        drift_reference_put(r, i - n, vectors + 2 * (i - n), NULL, n);
        drift_reference_put(r, i - n, NULL, scores + (i - n), n);
    }
    drift_reference_put(r, ROWS + 5, vectors, scores, 3); /* behind the last: nothing */
    assert_int_equal(drift_reference_finish(r, NULL), 0);
    drift_reference_write(r, &parts);
    drift_reference_free(r);
    assert_bytes(&whole, parts.data, parts.len);
    buf_free(&whole);
    buf_free(&parts);
}

/* 2,500,000 rows of which each has its own value: one of each stretch of two or three is there. */
static void of_many_rows_one_of_each_stretch_is_looked_at(void **state)
{
    (void)state;
    enum { ROWS = 2500000, STEP = 10007 };
    static float scores[STEP];
    struct drift_reference *r = make(NULL, 0, ROWS);
    for (uint64_t first = 0; first < ROWS; first += STEP) {
        uint64_t n = ROWS - first < STEP ? ROWS - first : STEP;
        for (uint64_t i = 0; i < n; i++)
            scores[i] = (float)(first + i);
        drift_reference_put(r, first, NULL, scores, n);
    }
    assert_int_equal(drift_reference_finish(r, NULL), 0);
    const struct drift_bins *b = drift_reference_score(r);
    assert_int_equal(drift_reference_rows(r), DRIFT_REFERENCE_ROWS);
    assert_int_equal(b->missing, 0);
    assert_int_equal(b->edge_count, 9);
    for (int k = 0; k < 9; k++)
        assert_true(fabs((double)b->edges[k] - (k + 1) * ROWS / 10.0) <= 3);
    for (int k = 0; k < 10; k++)
        assert_int_equal(b->counts[k], DRIFT_REFERENCE_ROWS / 10);
    drift_reference_free(r);
}

static void what_was_written_comes_back_bit_for_bit(void **state)
{
    (void)state;
    enum { ROWS = 1000 };
    static float vectors[3 * ROWS];
    struct str names[] = {str_of("a \"quoted\" name"), str_of("z\xc3\xa4hler"), str_of("")};
    struct buf first = {0}, second = {0};
    struct prng random;
    prng_seed(&random, 2);
    for (int i = 0; i < ROWS; i++) {
        vectors[3 * i] = (float)exp(20 * prng_normal(&random));
        vectors[3 * i + 1] = i % 3 ? 0.1F : NAN;
        vectors[3 * i + 2] = NAN;
    }
    struct drift_reference *r = make(names, 3, ROWS), *again = NULL;
    drift_reference_put(r, 0, vectors, NULL, ROWS);
    assert_int_equal(drift_reference_finish(r, NULL), 0);
    drift_reference_write(r, &first);
    assert_int_equal(drift_reference_read(&again, buf_str(&first), NULL), 0);
    assert_int_equal(drift_reference_columns(again), 3);
    for (size_t c = 0; c < 3; c++) {
        const struct drift_bins *a = drift_reference_column(r, c);
        const struct drift_bins *b = drift_reference_column(again, c);
        assert_true(str_equal(a->name, b->name));
        assert_edges(b, a->edges, a->edge_count);
        assert_counts(b, a->counts);
        assert_int_equal(a->missing, b->missing);
    }
    drift_reference_write(again, &second);
    assert_bytes(&second, first.data, first.len);
    drift_reference_free(again);
    drift_reference_free(r);
    buf_free(&first);
    buf_free(&second);
}

static void damaged_text_is_refused_with_where_it_is(void **state)
{
    (void)state;
#define SCORE "\"score\": {\"edges\": [], \"counts\": [2], \"missing\": 0, \"infinite\": 0}}"
#define COLUMN(edges, counts, missing)                                                             \
    "{\"rows\": 2, \"columns\": [{\"name\": \"x\", \"edges\": " edges ", \"counts\": " counts      \
    ", \"missing\": " missing ", \"infinite\": 0}], " SCORE
    static const char *const wrong[][2] = {
        {"", "the drift reference is no JSON"},
        {"[]", "the drift reference has no rows or columns"},
        {"{\"rows\": -1, \"columns\": []}", "no rows or columns"},
        {"{\"rows\": 2, \"columns\": [{}], " SCORE, "column 0 of the drift reference has no name"},
        {COLUMN("[1, 1]", "[1, 0, 1]", "0"), "edges of x are not up to 29 numbers that rise"},
        {COLUMN("[1e39]", "[1, 1]", "0"), "edges of x"},
        {COLUMN("[\"1\"]", "[1, 1]", "0"), "edges of x"},
        {COLUMN("null", "[1, 1]", "0"), "edges of x"},
        {COLUMN("[1]", "[1]", "0"), "counts of x are not 2 that make 2 rows"},
        {COLUMN("[1]", "[1, 1]", "1"), "counts of x"},
        {COLUMN("[1]", "[1, -1]", "2"), "counts of x"},
        {COLUMN("[1]", "[1, 1.0]", "0"), "counts of x"},
        {"{\"rows\": 2, \"columns\": []}", "edges of the score"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct drift_reference *r = NULL;
        struct err e = {0};
        assert_int_equal(drift_reference_read(&r, str_of(wrong[i][0]), &e), ERR_CORRUPT);
        assert_contains(e.msg, wrong[i][1]);
        assert_null(r);
    }
    struct drift_reference *r = NULL;
    assert_int_equal(drift_reference_read(&r, str_of(COLUMN("[1]", "[1, 1]", "0")), NULL), 0);
    drift_reference_free(r);
}

static void no_rows_are_refused(void **state)
{
    (void)state;
    struct drift_reference *r = NULL;
    struct err e = {0};
    assert_int_equal(drift_reference_new(&r, NULL, 0, 0, &e), ERR_INVALID);
    assert_contains(e.msg, "a drift reference of 0 rows: there must be at least one");
}

static int make_and_read(struct err *e)
{
    const float values[] = {1, 2};
    struct str name = str_of("x");
    struct drift_reference *r = NULL, *again = NULL;
    struct buf text = {0};
    int rc = drift_reference_new(&r, &name, 1, 2, e);
    if (!rc) {
        drift_reference_put(r, 0, values, values, 2);
        rc = drift_reference_finish(r, e);
    }
    if (!rc) {
        drift_reference_write(r, &text);
        rc = buf_ok(&text) ? drift_reference_read(&again, buf_str(&text), e) : err_nomem(e);
    }
    drift_reference_free(again);
    drift_reference_free(r);
    buf_free(&text);
    return rc;
}

static void memory_that_is_short_is_said(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct err e = {0};
        fail_alloc_at(n);
        int rc = make_and_read(&e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_different_values_have_deciles_of_two),
        cmocka_unit_test(a_value_of_a_tenth_of_the_rows_has_its_own_bin),
        cmocka_unit_test(missing_and_infinite_values_have_bins_of_their_own),
        cmocka_unit_test(rows_may_come_in_any_number_of_calls),
        cmocka_unit_test(of_many_rows_one_of_each_stretch_is_looked_at),
        cmocka_unit_test(what_was_written_comes_back_bit_for_bit),
        cmocka_unit_test(damaged_text_is_refused_with_where_it_is),
        cmocka_unit_test(no_rows_are_refused),
        cmocka_unit_test(memory_that_is_short_is_said),
    };
    return RUN(tests);
}

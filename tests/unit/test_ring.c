#include "feature/ring.h"
#include "unit.h"

#include "support/rings.h"

#include <limits.h>

static struct bucket counted(uint64_t n)
{
    return (struct bucket){.n = n};
}

static struct bucket summed(double high)
{
    return (struct bucket){.n = 1, .sum = {high, 0}};
}

/* A ring with one bucket. */
static struct ring ring_of(uint8_t age, struct bucket b)
{
    struct ring r;
    r.count = 1;
    r.ages[0] = age;
    r.buckets[0] = b;
    return r;
}

static void what_was_encoded_is_read_back(void **state)
{
    (void)state;
    struct random random = {1};
    struct buf out = {0};
    struct ring back;
    for (int round = 0; round < 2000; round++) {
        enum feature_kind kind = (enum feature_kind)(round % (FEATURE_GAP + 1));
        struct ring r = any_ring(&random, kind);
        buf_reset(&out);
        ring_encode(&out, &r, kind);
        struct cursor c = cursor_of(out.data, out.len);
        ring_decode(&back, &c, kind);
        assert_false(c.bad);
        assert_int_equal(cursor_left(&c), 0);
        same_rings(&r, &back);
    }
    buf_free(&out);
}

/* A byte for the number of buckets, one for each bucket's age and flags, and what is not in those.
 */
static void small_contents_cost_one_byte_a_bucket(void **state)
{
    (void)state;
    static const struct {
        enum feature_kind kind;
        struct bucket content;
        size_t bytes;
    } cases[] = {
        {FEATURE_COUNT, {.n = 1}, 2},
        {FEATURE_COUNT, {.n = 2}, 3},
        {FEATURE_COUNT, {.n = 127}, 3},
        {FEATURE_COUNT, {.n = 128}, 4},
        {FEATURE_RATE, {.n = 1}, 2},
        {FEATURE_RATE, {.per = 1}, 2},
        {FEATURE_RATE, {.n = 1, .per = 1}, 4},
        {FEATURE_SUM, {.sum = {0.1, 0}}, 10},
        {FEATURE_SUM, {.sum = {0.1, 1e-18}}, 18},
        {FEATURE_MEAN, {.n = 1, .sum = {0.1, 0}}, 11},
        {FEATURE_MIN, {.sum = {0.1, 0}}, 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        struct ring r = ring_of(63, cases[i].content);
        ring_encode(&out, &r, cases[i].kind);
        assert_int_equal(out.len, cases[i].bytes);
        buf_free(&out);
    }
    struct buf none = {0};
    struct ring r = {0};
    ring_encode(&none, &r, FEATURE_COUNT);
    assert_int_equal(none.len, 1);
    buf_free(&none);
}

static void the_64th_bucket_is_remembered_and_the_65th_is_not(void **state)
{
    (void)state;
    struct ring a = ring_of(0, counted(3)), b = ring_of(0, counted(5)), both;
    ring_merge(&both, &a, 63, &b, 0, FEATURE_COUNT);
    assert_int_equal(both.count, 2);
    assert_int_equal(both.ages[0], 0);
    assert_int_equal(both.buckets[0].n, 5);
    assert_int_equal(both.ages[1], 63);
    assert_int_equal(both.buckets[1].n, 3);
    ring_merge(&both, &a, 64, &b, 0, FEATURE_COUNT);
    assert_int_equal(both.count, 1);
    assert_int_equal(both.buckets[0].n, 5);
    ring_merge(&both, &a, INT64_MAX / 100, &b, 0, FEATURE_COUNT);
    assert_int_equal(both.count, 1);
}

static void buckets_of_one_age_become_one(void **state)
{
    (void)state;
    struct ring a = ring_of(2, (struct bucket){.n = 3, .per = 4}),
                b = ring_of(1, (struct bucket){.n = 5, .per = 0}), both;
    ring_merge(&both, &a, 0, &b, 1, FEATURE_RATE);
    assert_int_equal(both.count, 1);
    assert_int_equal(both.ages[0], 2);
    assert_int_equal(both.buckets[0].n, 8);
    assert_int_equal(both.buckets[0].per, 4);
    a = ring_of(0, summed(-2));
    b = ring_of(0, summed(7));
    ring_merge(&both, &a, 0, &b, 0, FEATURE_MIN);
    assert_true(both.buckets[0].sum.high == -2);
    ring_merge(&both, &a, 0, &b, 0, FEATURE_MAX);
    assert_true(both.buckets[0].sum.high == 7);
    ring_merge(&both, &a, 0, &b, 0, FEATURE_SUM);
    assert_true(both.buckets[0].sum.high == 5);
}

static void two_full_rings_merge_into_a_full_one(void **state)
{
    (void)state;
    struct ring a, b, both;
    a.count = b.count = REMEMBERED_BUCKETS;
    for (uint8_t i = 0; i < REMEMBERED_BUCKETS; i++) {
        a.ages[i] = b.ages[i] = i;
        a.buckets[i] = b.buckets[i] = counted(1);
    }
    ring_merge(&both, &a, 0, &b, 0, FEATURE_COUNT);
    assert_int_equal(both.count, 64);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(both.buckets[i].n, 2);
    ring_merge(&both, &a, 10, &b, 0, FEATURE_COUNT);
    assert_int_equal(both.count, 64);
    assert_int_equal(both.buckets[9].n, 1);
    assert_int_equal(both.buckets[10].n, 2);
}

/* Counts 1, 2, 4 at ages 0, 10, 20, read from ages `from` to `to`. */
static struct ring_sum sum_of(int64_t from, int64_t to, int64_t most)
{
    struct ring r;
    struct buf bytes = {0};
    struct ring_sum sum;
    r.count = 3;
    for (uint8_t i = 0; i < 3; i++) {
        r.ages[i] = (uint8_t)(10 * i);
        r.buckets[i] = counted(1u << i);
    }
    ring_encode(&bytes, &r, FEATURE_COUNT);
    struct cursor c = cursor_of(bytes.data, bytes.len), full = {.bad = true};
    ring_read(&sum, &c, &full, FEATURE_COUNT, from, to, most);
    assert_false(c.bad);
    assert_int_equal(cursor_left(&c), 0);
    buf_free(&bytes);
    return sum;
}

static void a_total_is_of_the_ages_asked_for_and_no_others(void **state)
{
    (void)state;
    assert_int_equal(sum_of(0, 20, 63).total.n, 7); /* 1 + 2 + 4 */
    assert_int_equal(sum_of(1, 19, 63).total.n, 2);
    assert_int_equal(sum_of(-5, 9, 63).total.n, 1);
    assert_int_equal(sum_of(-5, 20, 19).total.n, 3);
    assert_int_equal(sum_of(11, 19, 63).count, 0);
    assert_int_equal(sum_of(21, 80, 63).total.n, 0);
}

static void a_total_names_the_ages_next_to_its_ends(void **state)
{
    (void)state;
    struct ring_sum s = sum_of(5, 15, 63);
    assert_int_equal(s.youngest, 10);
    assert_int_equal(s.oldest, 10);
    assert_int_equal(s.before, 0);
    assert_int_equal(s.after, 20);
    s = sum_of(0, 20, 63);
    assert_int_equal(s.youngest, 0);
    assert_int_equal(s.oldest, 20);
    assert_int_equal(s.before, INT_MIN);
    assert_int_equal(s.after, INT_MAX);
    /* What is forgotten is next to nothing. */
    assert_int_equal(sum_of(0, 5, 9).after, INT_MAX);
}

static void a_ring_that_is_the_same_is_read_from_the_one_before(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 0x47, RING_SAME, RING_SAME}; /* one contribution, age 7 */
    struct cursor c = cursor_of(bytes, sizeof bytes), full = {.bad = true};
    struct ring_sum sum;
    for (int i = 0; i < 3; i++) {
        ring_read(&sum, &c, &full, FEATURE_COUNT, 7 - i, 7, 63);
        assert_int_equal(sum.total.n, 1);
        assert_int_equal(sum.youngest, 7);
    }
    assert_int_equal(cursor_left(&c), 0);
    /* The first one has none before it. */
    c = cursor_of(bytes + 2, 1);
    full = (struct cursor){.bad = true};
    ring_read(&sum, &c, &full, FEATURE_COUNT, 0, 59, 63);
    assert_int_equal(sum.count, 0);
}

/* 1e15 + 0.1 - 1e15 is 0.125 in doubles; the pair keeps what they drop. */
static void sums_that_cancel_keep_what_is_left(void **state)
{
    (void)state;
    static const double numbers[] = {1e15, 0.1, -1e15, 1e-3, 3e15, -3e15, 1e300, 0.2, -1e300};
    struct double_double sum = {0, 0};
    for (size_t i = 0; i < 6; i++)
        sum = double_double_add(sum, (struct double_double){numbers[i], 0});
    assert_value(sum.high + sum.low, 0.101);
    struct double_double most = {1.7e308, 0};
    sum = double_double_add(most, most);
    assert_true(isinf(sum.high) && sum.low == 0); /* no NaN of inf - inf */
}

static void bytes_of_any_kind_are_read_within_their_bounds(void **state)
{
    (void)state;
    struct random random = {2};
    for (int round = 0; round < 200000; round++) {
        size_t n = (size_t)random_below(&random, 24);
        uint8_t *bytes = malloc(n + !n);
        enum feature_kind kind = (enum feature_kind)random_below(&random, FEATURE_GAP + 1);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)random_next(&random);
        if (n && random_below(&random, 2))
            bytes[0] &= 0x3f;
        struct cursor c = cursor_of(bytes, n);
        struct ring r;
        ring_decode(&r, &c, kind);
        assert_true(r.count <= REMEMBERED_BUCKETS);
        for (size_t i = 0; i < r.count; i++)
            assert_true(r.ages[i] < REMEMBERED_BUCKETS);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_is_read_back),
        cmocka_unit_test(small_contents_cost_one_byte_a_bucket),
        cmocka_unit_test(the_64th_bucket_is_remembered_and_the_65th_is_not),
        cmocka_unit_test(buckets_of_one_age_become_one),
        cmocka_unit_test(two_full_rings_merge_into_a_full_one),
        cmocka_unit_test(a_total_is_of_the_ages_asked_for_and_no_others),
        cmocka_unit_test(a_total_names_the_ages_next_to_its_ends),
        cmocka_unit_test(a_ring_that_is_the_same_is_read_from_the_one_before),
        cmocka_unit_test(sums_that_cancel_keep_what_is_left),
        cmocka_unit_test(bytes_of_any_kind_are_read_within_their_bounds),
    };
    return RUN(tests);
}

#include "feature/distinct.h"
#include "unit.h"

#include "support/fixture.h"

/* Buckets of 5 s. */
static const char *const ENTRY = "scope: user, distinct: {event: a, of: proposition, window: 5m}";
enum { BUCKET_MS = 5000, MOST = 40 };

/* Contributes the values first ... first + count - 1 of a seed at once. */
static void see(struct kept *k, const struct feature *f, uint64_t seed, int64_t first,
                int64_t count, int64_t time_ms)
{
    static char texts[MOST][48];
    static struct situation situations[MOST];
    for (int64_t done = 0; done < count;) {
        size_t n = 0;
        for (; n < MOST && done < count; n++, done++) {
            snprintf(texts[n], sizeof texts[n], "%llx-%lld", (unsigned long long)seed,
                     (long long)(first + done));
            situations[n] = (struct situation){.proposition_id = str_of(texts[n])};
        }
        struct contribution c = {0, time_ms, {false, 0}, situations, n};
        kept_add(k, f, &c);
    }
}

static double count_at(const struct kept *k, const struct feature *f, int64_t as_of_ms)
{
    return kept_value(k, f, 0, as_of_ms);
}

static void up_to_256_values_are_counted_exactly(void **state)
{
    (void)state;
    struct feature_set *set = definition(ENTRY);
    const struct feature *f = &set->features[0];
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct kept k = {0};
        for (int64_t i = 0; i < 256; i++) {
            see(&k, f, seed, i, 1, i * 1000);
            see(&k, f, seed, i / 2, 1, i * 1000); /* one that was there */
        }
        assert_true(count_at(&k, f, 255000) == 256);
        kept_free(&k);
    }
    feature_set_free(set);
}

static void values_are_counted_by_when_they_were_last_seen(void **state)
{
    (void)state;
    struct feature_set *set = definition(ENTRY);
    const struct feature *f = &set->features[0];
    struct kept k = {0};
    see(&k, f, 1, 0, 1, 100000); /* bucket 20 */
    see(&k, f, 1, 1, 1, 0);      /* late, bucket 0 */
    see(&k, f, 1, 0, 1, 4999);
    assert_true(count_at(&k, f, 299999) == 2);
    assert_true(count_at(&k, f, 300000) == 1);
    assert_true(count_at(&k, f, 0) == 2); /* later ones are not left out */
    see(&k, f, 1, 2, 1, 320000);          /* bucket 64 forgets bucket 0 */
    assert_true(count_at(&k, f, 0) == 2);
    kept_free(&k);
    feature_set_free(set);
}

static void it_is_exact_again_once_thousands_have_left_the_window(void **state)
{
    (void)state;
    struct feature_set *set = definition(ENTRY);
    const struct feature *f = &set->features[0];
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct kept k = {0};
        see(&k, f, seed, 0, 5000, 0);
        see(&k, f, seed, 10000, 100, 30 * BUCKET_MS);
        see(&k, f, seed, 20000, 2000, 20 * BUCKET_MS); /* late */
        see(&k, f, seed, 30000, 156, 40 * BUCKET_MS);
        assert_true(count_at(&k, f, 80 * BUCKET_MS) == 256); /* buckets 21 ... */
        assert_true(count_at(&k, f, 89 * BUCKET_MS) == 256); /* 30 ... */
        assert_true(count_at(&k, f, 90 * BUCKET_MS) == 156); /* 31 ... */
        see(&k, f, seed, 40000, 3000, 25 * BUCKET_MS);
        see(&k, f, seed, 30000, 100, 70 * BUCKET_MS); /* seen again */
        assert_true(count_at(&k, f, 85 * BUCKET_MS) == 256);
        assert_true(count_at(&k, f, 100 * BUCKET_MS) == 100);
        kept_free(&k);
    }
    feature_set_free(set);
}

static void within_25_percent(double got, double expected)
{
    if (!(fabs(got - expected) <= 0.25 * expected))
        fail_msg("%.1f is not within 25 %% of %.1f", got, expected);
}

static void above_256_it_is_within_25_percent_for_many_seeds(void **state)
{
    (void)state;
    static const int64_t sizes[] = {257, 300, 500, 1000, 1025, 1100, 2047, 2049, 4000, 20000};
    struct feature_set *set = definition(ENTRY);
    const struct feature *f = &set->features[0];
    for (uint64_t seed = 0; seed < 150; seed++) {
        struct kept k = {0};
        int64_t size = sizes[seed % 10];
        see(&k, f, seed, 0, size, 0);
        within_25_percent(count_at(&k, f, 0), (double)size);
        assert_true(k.part.body.len <= 1024 * 8 + 64 * 4);
        kept_free(&k);
    }
    feature_set_free(set);
}

/* Values come at any time and again; parts are merged as a tree or a list. Every reading is exact
 * up to 256 and within 25 % above. */
static void any_grouping_of_parts_keeps_the_promise_at_every_time(void **state)
{
    (void)state;
    enum { VALUES = 3000, ROUNDS = 30, PARTS = 7 };
    static int64_t last[VALUES]; /* bucket in which a value was last seen */
    struct feature_set *set = definition(ENTRY);
    const struct feature *f = &set->features[0];
    struct random random = {7};
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct kept parts[PARTS] = {0};
        int64_t newest = 0;
        for (size_t v = 0; v < VALUES; v++)
            last[v] = INT64_MIN;
        for (int i = 0; i < 120; i++) {
            /* Old buckets get many values, new ones few. */
            int64_t bucket = random_below(&random, 1 + random_below(&random, 100));
            int64_t first = random_below(&random, VALUES - 60),
                    count = 1 + random_below(&random, bucket < 40 ? 60 : 6);
            see(&parts[random_below(&random, PARTS)], f, round, first, count, bucket * BUCKET_MS);
            for (int64_t v = first; v < first + count; v++)
                last[v] = last[v] > bucket ? last[v] : bucket;
            newest = newest > bucket ? newest : bucket;
        }
        for (size_t step = 1; step < PARTS; step *= 2)
            for (size_t i = 0; i + step < PARTS; i += round % 2 ? 2 * step : 1)
                kept_merge(&parts[i], f, parts[i + step].part);
        if (round % 2 == 0)
            for (size_t i = PARTS - 1; i > 0; i--)
                kept_merge(&parts[0], f, parts[i].part);
        for (int64_t as_of = newest - 10; as_of < newest + 62; as_of++) {
            double expected = 0;
            for (size_t v = 0; v < VALUES; v++)
                expected += last[v] >= as_of - 59 && last[v] > newest - 64;
            double got = count_at(&parts[0], f, as_of * BUCKET_MS);
            if (expected <= 256)
                assert_true(got == expected);
            else
                within_25_percent(got, expected);
        }
        for (size_t i = 0; i < PARTS; i++)
            kept_free(&parts[i]);
    }
    feature_set_free(set);
}

static void one_by_one_is_as_good_as_at_once(void **state)
{
    (void)state;
    struct feature_set *set = definition(ENTRY);
    const struct feature *f = &set->features[0];
    struct kept single = {0}, whole = {0};
    for (int64_t i = 0; i < 3000; i++)
        see(&single, f, 5, i, 1, i);
    see(&whole, f, 5, 0, 3000, 2999);
    within_25_percent(count_at(&single, f, 3000), 3000);
    assert_true(count_at(&single, f, 3000) == count_at(&whole, f, 3000));
    kept_merge(&whole, f, single.part); /* the same values */
    assert_true(count_at(&single, f, 3000) == count_at(&whole, f, 3000));
    kept_free(&single);
    kept_free(&whole);
    feature_set_free(set);
}

static void bytes_of_any_kind_are_read_and_merged_within_their_bounds(void **state)
{
    (void)state;
    struct random random = {8};
    struct buf out = {0};
    for (int round = 0; round < 20000; round++) {
        struct buf bodies[2] = {0};
        for (size_t b = 0; b < 2; b++) {
            for (int64_t n = random_below(&random, 4); n > 0; n--) {
                int64_t count = random_below(&random, 4);
                buf_put_u8(&bodies[b], (uint8_t)random_next(&random));
                buf_put_u8(&bodies[b], (uint8_t)random_next(&random));
                buf_put_varint(&bodies[b],
                               random_below(&random, 9) ? (uint64_t)count : random_next(&random));
                for (int64_t i = 0; i < count; i++)
                    buf_put_u64(&bodies[b], random_next(&random));
            }
            bodies[b].len -= bodies[b].len && random_below(&random, 2);
        }
        buf_reset(&out);
        distinct_merge(&out, buf_str(&bodies[0]), random_below(&random, 70), buf_str(&bodies[1]),
                       0);
        assert_true(distinct_read(buf_str(&out), 63) >= 0);
        assert_true(distinct_read(buf_str(&bodies[0]), 63) >= 0);
        buf_free(&bodies[0]);
        buf_free(&bodies[1]);
    }
    buf_free(&out);
}

/* A foreign body may name more values than this program ever writes. */
/* As bodies have it: 5 bytes. */
static void put_hash(struct buf *body, uint64_t hash)
{
    buf_put(body, &hash, 5);
}

static void a_body_with_too_many_values_is_cut_down(void **state)
{
    (void)state;
    struct random random = {9};
    struct buf body = {0}, out = {0};
    for (uint8_t age = 0; age < 3; age++) {
        buf_put_u8(&body, age);
        buf_put_u8(&body, 0);
        buf_put_varint(&body, 5000);
        for (int i = 0; i < 5000; i++)
            put_hash(&body, random_next(&random));
    }
    distinct_merge(&out, buf_str(&body), 0, buf_str(&body), 1);
    within_25_percent(distinct_read(buf_str(&out), 63), 15000);
    assert_true(out.len <= 1024 * 5 + 64 * 4);
    buf_free(&body);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(up_to_256_values_are_counted_exactly),
        cmocka_unit_test(values_are_counted_by_when_they_were_last_seen),
        cmocka_unit_test(it_is_exact_again_once_thousands_have_left_the_window),
        cmocka_unit_test(above_256_it_is_within_25_percent_for_many_seeds),
        cmocka_unit_test(any_grouping_of_parts_keeps_the_promise_at_every_time),
        cmocka_unit_test(one_by_one_is_as_good_as_at_once),
        cmocka_unit_test(bytes_of_any_kind_are_read_and_merged_within_their_bounds),
        cmocka_unit_test(a_body_with_too_many_values_is_cut_down),
    };
    return RUN(tests);
}

#include "feature/aggregate.h"
#include "unit.h"

#include "support/rings.h"

static const struct optional_double NO_VALUE = {false, 0};

/* The window's kinds, recency and decay, each with two windows where it has any: 5 m has buckets of
 * 5 s, 7 s has buckets of 117 ms. Event 0 is `a`, and of a rate `b` is 1. */
static const char *const KINDS[] = {
    "scope: user, count: {event: a, windows: [5m, 7s]}",
    "scope: user, sum: {event: a, windows: [5m, 7s]}",
    "scope: user, mean: {event: a, windows: [5m, 7s]}",
    "scope: user, min: {event: a, windows: [5m, 7s]}",
    "scope: user, max: {event: a, windows: [5m, 7s]}",
    "scope: user, rate: {of: a, per: b, windows: [5m, 7s], weight: 2, prior: 0.25}",
    "scope: user, recency: {event: a}",
    "scope: user, decay: {event: a, half_life: 30s}",
    "scope: user, distinct: {event: a, of: proposition, window: 5m}",
};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS, PART_COUNT = 3, EACH = 12 };

/* One contribution as the oracle would keep it: whole. */
struct plain {
    int event;
    int64_t time_ms;
    struct optional_double value;
    int proposition;
};

static const char *const NAMES[] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"};

static struct plain any_plain(struct random *r, int64_t spread_ms)
{
    struct plain p = {(int)random_below(r, 2),
                      random_below(r, 2 * spread_ms) - spread_ms,
                      {random_below(r, 4) != 0, random_unit(r) * 2000 - 1000},
                      (int)random_below(r, 8)};
    return p;
}

static void add_plain(struct kept *k, const struct feature *f, const struct plain *p)
{
    if (p->event != f->event && !(f->kind == FEATURE_RATE && p->event == f->per))
        return;
    kept_add_one(k, f, p->event, p->time_ms, p->value, NAMES[p->proposition]);
}

static int64_t floor_of(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q * b > a ? q - 1 : q;
}

/* Counts nothing to the kind: not the event, or without a value where it has to have one. */
static bool is_nothing(const struct feature *f, const struct plain *p)
{
    bool needs_value = f->kind >= FEATURE_SUM && f->kind <= FEATURE_MAX;
    return (p->event != f->event && !(f->kind == FEATURE_RATE && p->event == f->per)) ||
           (needs_value && !p->value.given);
}

/* The value by the words of features.md, from all contributions. */
static double plainly(const struct feature *f, size_t window, const struct plain *all, size_t count,
                      int64_t as_of_ms)
{
    double of = 0, per = 0, sum = 0, least = INFINITY, most = -INFINITY, decayed = 0;
    int64_t newest_ms = INT64_MIN;
    bool seen[8] = {false};
    for (size_t i = 0; i < count; i++)
        if (!is_nothing(f, &all[i]) && all[i].time_ms > newest_ms)
            newest_ms = all[i].time_ms;
    bool any = newest_ms != INT64_MIN;
    int64_t at_ms = as_of_ms > newest_ms ? as_of_ms : newest_ms;
    if (f->kind == FEATURE_RECENCY)
        return any ? (double)(at_ms - newest_ms) / 1000 : NAN;
    int64_t b = f->window_count ? f->windows[window].bucket_ms : 1;
    for (size_t i = 0; any && i < count; i++) {
        int64_t bucket = floor_of(all[i].time_ms, b), last = floor_of(as_of_ms, b);
        if (is_nothing(f, &all[i]))
            continue;
        if (f->kind == FEATURE_DECAY)
            decayed += exp2((double)(all[i].time_ms - at_ms) / (double)f->half_life_ms);
        if (bucket < last - 59 || bucket <= floor_of(newest_ms, b) - 64 ||
            (bucket > last && f->kind != FEATURE_DISTINCT))
            continue;
        of += all[i].event == f->event;
        per += f->kind == FEATURE_RATE && all[i].event == f->per;
        sum += all[i].value.value;
        least = fmin(least, all[i].value.value);
        most = fmax(most, all[i].value.value);
        seen[all[i].proposition] = true;
    }
    double values = 0;
    for (size_t i = 0; i < 8; i++)
        values += seen[i];
    switch (f->kind) {
    case FEATURE_COUNT:
        return of;
    case FEATURE_SUM:
        return sum;
    case FEATURE_MEAN:
        return of > 0 ? sum / of : NAN;
    case FEATURE_MIN:
        return of > 0 ? least : NAN;
    case FEATURE_MAX:
        return of > 0 ? most : NAN;
    case FEATURE_RATE:
        return (of + f->weight * f->prior) / (per + f->weight);
    case FEATURE_DISTINCT:
        return values;
    default:
        return decayed;
    }
}

/* Sums of numbers up to 1000: a relative 1e-12 of those, whatever is left of them. */
static void assert_near(double got, double expected)
{
    if (isnan(got) && isnan(expected))
        return;
    if (!(fabs(got - expected) <= 1e-12 * fmax(100, fabs(expected))))
        fail_msg("expected %.17g, got %.17g", expected, got);
}

static void same_values(const struct feature *f, const struct kept *k, const struct plain *all,
                        size_t count, struct random *r, int64_t spread_ms)
{
    for (int i = 0; i < 20; i++) {
        int64_t as_of_ms = random_below(r, 4 * spread_ms) - 2 * spread_ms;
        size_t windows = f->window_count ? f->window_count : 1;
        for (size_t w = 0; w < windows; w++)
            assert_near(kept_value(k, f, w, as_of_ms), plainly(f, w, all, count, as_of_ms));
    }
}

static void merging_is_associative_and_commutative_and_zero_is_neutral(void **state)
{
    (void)state;
    struct random random = {3};
    for (int round = 0; round < 900; round++) {
        struct feature_set *set = definition(KINDS[round % KIND_COUNT]);
        const struct feature *f = &set->features[0];
        int64_t spread_ms =
            (int64_t[]){500, 8000, 200000, 400000, 3000000}[random_below(&random, 5)];
        struct plain all[PART_COUNT * EACH];
        struct kept parts[PART_COUNT] = {0}, sequence = {0}, left = {0}, right = {0}, turned = {0};
        size_t each = (size_t)random_below(&random, EACH + 1);
        for (size_t i = 0; i < PART_COUNT * each; i++) {
            all[i] = any_plain(&random, spread_ms);
            add_plain(&parts[i / each], f, &all[i]);
            add_plain(&sequence, f, &all[i]);
        }
        kept_merge(&left, f, parts[0].part); /* (0 a) b) c */
        kept_merge(&left, f, parts[1].part);
        kept_merge(&left, f, parts[2].part);
        kept_merge(&right, f, parts[1].part); /* a (b c) */
        kept_merge(&right, f, parts[2].part);
        struct kept whole = {0};
        kept_merge(&whole, f, parts[0].part);
        kept_merge(&whole, f, right.part);
        kept_merge(&turned, f, parts[2].part); /* c (b a) */
        kept_merge(&turned, f, parts[0].part);
        kept_merge(&turned, f, parts[1].part);
        kept_merge(&turned, f, (struct part){0});
        struct kept *kept[] = {&sequence, &left, &whole, &turned};
        for (size_t i = 0; i < 4; i++) {
            struct random same = random;
            same_values(f, kept[i], all, PART_COUNT * each, &same, spread_ms);
            kept_free(kept[i]);
        }
        kept_free(&right);
        for (size_t i = 0; i < PART_COUNT; i++)
            kept_free(&parts[i]);
        feature_set_free(set);
    }
}

/* Reads a feature after clicks at some times. The numbers and why are in
 * tests/oracle/test_oracle.py. */
struct edge {
    int64_t times_ms[4]; /* up to -9 */
    int64_t as_of_ms;
    double expected;
};

static void reads(const char *entry, const struct edge *edges, size_t count)
{
    struct feature_set *set = definition(entry);
    for (size_t i = 0; i < count; i++) {
        struct kept k = {0};
        for (size_t n = 0; n < 4 && edges[i].times_ms[n] != -9; n++)
            kept_add_one(&k, &set->features[0], 0, edges[i].times_ms[n],
                         (struct optional_double){true, 1}, "p");
        assert_value(kept_value(&k, &set->features[0], 0, edges[i].as_of_ms), edges[i].expected);
        kept_free(&k);
    }
    feature_set_free(set);
}

static void windows_have_the_edges_of_the_contract(void **state)
{
    (void)state;
    static const struct edge five_minutes[] = {
        {{0, -9}, 299999, 1},
        {{0, -9}, 300000, 0},
        {{4999, -9}, 299999, 1},
        {{4999, -9}, 300000, 0},
        {{5000, -9}, 304999, 1},
        {{5000, -9}, 305000, 0},
        {{-1, -9}, 294999, 1}, /* bucket -1 */
        {{-1, -9}, 295000, 0},
        {{-300000, -9}, -1, 1}, /* bucket -60 */
        {{-300000, -9}, 0, 0},
        {{14000, -9}, 9999, 0}, /* later buckets are left out */
        {{14000, -9}, 10000, 1},
        {{240000, 0, -9}, 299999, 2}, /* late, in its own bucket */
        {{240000, 0, -9}, 300000, 1},
        {{0, 315000, -9}, 299999, 1}, /* 64 buckets are remembered */
        {{0, 320000, -9}, 299999, 0},
        {{4999, 5000, 320000, -9}, 299999, 1},
        {{320000, 0, 5000, -9}, 299999, 1}, /* gone at once */
        {{0, 1, -9}, 600000, 0},
    };
    static const struct edge seven_seconds[] = {
        {{0, -9}, 7019, 1},
        {{0, -9}, 7020, 0},
        {{6903, 7019, -9}, 7019, 2},
        {{6902, 7020, -9}, 7019, 1},
    };
    reads(KINDS[0], five_minutes, sizeof five_minutes / sizeof *five_minutes);
    reads("scope: user, count: {event: a, windows: [7s]}", seven_seconds, 4);
}

static void recency_and_decay_are_read_at_the_newest_at_least(void **state)
{
    (void)state;
    const int64_t h = 3600000;
    const struct edge recency[] = {
        {{9500, 3000, -9}, 100000, 90.5}, {{3000, -9}, 1000, 0}, {{-9}, 5, NAN}};
    const struct edge decay[] = {
        {{h, h, 2 * h, 0}, 2 * h, 2.25}, /* 1/4 + 1/2 + 1/2 + 1 */
        {{0, -9}, h / 2, 0.7071067811865476},
        {{h, 0, -9}, 0, 1.5},
        {{-9}, 0, 0},
    };
    reads(KINDS[6], recency, 3);
    reads("scope: user, decay: {event: a, half_life: 1h}", decay, 4);
}

static void events_without_a_value_add_nothing_not_even_their_bucket(void **state)
{
    (void)state;
    struct feature_set *set = definition("scope: user, sum: {event: a, windows: [5m]}");
    const struct feature *f = &set->features[0];
    struct kept k = {0};
    kept_add_one(&k, f, 0, 0, (struct optional_double){true, 4}, "p");
    kept_add_one(&k, f, 0, 320000, NO_VALUE, "p");
    assert_value(kept_value(&k, f, 0, 299999), 4);
    kept_add_one(&k, f, 0, 320000, (struct optional_double){true, 1}, "p");
    assert_value(kept_value(&k, f, 0, 299999), 0);
    kept_free(&k);
    feature_set_free(set);
}

/* Or values that are read in between would be told apart from those that are not. */
static void zero_has_no_sign_in_whatever_order_it_comes(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct feature_set *set = definition(KINDS[i < 2 ? 3 : 4]);
        const struct feature *f = &set->features[0];
        struct kept k = {0};
        kept_add_one(&k, f, 0, 0, (struct optional_double){true, i % 2 ? 0.0 : -0.0}, "p");
        kept_add_one(&k, f, 0, 0, (struct optional_double){true, i % 2 ? -0.0 : 0.0}, "p");
        assert_value(kept_value(&k, f, 0, 1000), 0);
        assert_false(signbit(kept_value(&k, f, 0, 1000)));
        kept_free(&k);
        feature_set_free(set);
    }
}

/* Exact sums by hand: what is left when large ones have gone, in any order. */
static void sums_that_cancel_are_exact(void **state)
{
    (void)state;
    static const double cancel[][6] = {
        {1e15, 0.1, -1e15, 0, 0, 0},          {0.1, 1e15, -1e15, 0, 0, 0},
        {1e15, -1e15, 0.1, 0, 0, 0},          {1e15, 0.05, 1e15, 0.05, -2e15, 0},
        {0.025, 1e15, 0.025, -1e15, 0.05, 0}, {-1e15, 1e-1, 1e15, 1e14, -1e14, 0},
    };
    struct feature_set *set = definition("scope: user, sum: {event: a, windows: [1h]}");
    const struct feature *f = &set->features[0];
    struct random random = {4};
    for (int round = 0; round < 600; round++) {
        struct kept halves[2] = {0};
        for (size_t i = 0; i < 6; i++)
            kept_add_one(&halves[random_below(&random, 2)], f, 0, random_below(&random, 600000),
                         (struct optional_double){true, cancel[round % 6][i]}, "p");
        kept_merge(&halves[0], f, halves[1].part);
        double got = kept_value(&halves[0], f, 0, 600000);
        if (!(fabs(got - 0.1) <= 1e-12))
            fail_msg("%.17g is not 0.1", got);
        kept_free(&halves[0]);
        kept_free(&halves[1]);
    }
    feature_set_free(set);
}

/* Ten thousand times 0.1 and as many of -0.1 and 1e8: fsum gives 1e12 exactly. */
static void long_sums_do_not_drift(void **state)
{
    (void)state;
    struct feature_set *set = definition("scope: user, sum: {event: a, windows: [1h]}");
    const struct feature *f = &set->features[0];
    struct kept k = {0};
    for (int i = 0; i < 10000; i++) {
        kept_add_one(&k, f, 0, i, (struct optional_double){true, 0.1}, "p");
        kept_add_one(&k, f, 0, i * 300, (struct optional_double){true, 1e8}, "p");
        kept_add_one(&k, f, 0, i, (struct optional_double){true, -0.1}, "p");
    }
    assert_true(kept_value(&k, f, 0, 3000000) == 1e12);
    kept_free(&k);
    feature_set_free(set);
}

static void sparse_windows_cost_what_they_hold(void **state)
{
    (void)state;
    static const struct {
        const char *entry;
        size_t bytes[3]; /* of the body after 1, 2 (other bucket), 3 (the same) contributions */
    } cases[] = {
        {"scope: user, count: {event: a, windows: [5m, 1h]}",
         {2, 6, 8}}, /* two windows: 1, then 1 + 1 + 1, then 1 + 2 + 1 */
        {"scope: user, sum: {event: a, windows: [5m]}", {9, 19, 19}},
        {"scope: user, rate: {of: a, per: b, windows: [5m], weight: 1, prior: 0}", {1, 3, 5}},
        {"scope: user, recency: {event: a}", {0, 0, 0}},
        {"scope: user, decay: {event: a, half_life: 1h}", {8, 8, 8}},
        {"scope: user, distinct: {event: a, of: proposition, window: 5m}", {6, 6, 6}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct feature_set *set = definition(cases[i].entry);
        struct kept k = {0};
        static const int64_t times_ms[] = {0, 60000, 60001};
        for (size_t n = 0; n < 3; n++) {
            kept_add_one(&k, &set->features[0], 0, times_ms[n], (struct optional_double){true, 1},
                         "p");
            assert_int_equal(k.part.body.len, cases[i].bytes[n]);
        }
        kept_free(&k);
        feature_set_free(set);
    }
}

/* ------------------------------------------------------------ the two ways of merging windows */

/* Every ring decoded, merged, encoded; one that is the same as the last in full is written so. */
static void merge_by_decoding(struct buf *out, const struct feature *f, struct part a,
                              struct part b)
{
    struct cursor i = cursor_of(a.body.data, a.body.len), k = cursor_of(b.body.data, b.body.len);
    struct ring x = {0}, y = {0}, both;
    struct buf one = {0}, last = {0};
    for (size_t w = 0; w < f->window_count; w++) {
        int64_t a_newest = floor_of(a.newest_ms, f->windows[w].bucket_ms);
        int64_t b_newest = floor_of(b.newest_ms, f->windows[w].bucket_ms);
        int64_t newest = a_newest > b_newest ? a_newest : b_newest;
        ring_decode(&x, &i, f->kind);
        ring_decode(&y, &k, f->kind);
        ring_merge(&both, &x, newest - a_newest, &y, newest - b_newest, f->kind);
        buf_reset(&one);
        ring_encode(&one, &both, f->kind);
        if (one.len > 1 && str_equal(buf_str(&one), buf_str(&last))) {
            buf_put_u8(out, RING_SAME);
            continue;
        }
        buf_put_str(out, buf_str(&one));
        buf_reset(&last);
        buf_put_str(&last, buf_str(&one));
    }
    buf_free(&one);
    buf_free(&last);
}

static const char *const WINDOWED[] = {
    "scope: user, count: {event: a, windows: [5m, 7s, 8s, 1h]}",
    "scope: user, sum: {event: a, windows: [5m, 7s, 1h]}",
    "scope: user, mean: {event: a, windows: [7s, 8s]}",
    "scope: user, min: {event: a, windows: [5m, 7s]}",
    "scope: user, max: {event: a, windows: [30d, 31d, 7s]}",
    "scope: user, rate: {of: a, per: b, windows: [5m, 6m, 7s, 30d], weight: 2, prior: 0.25}",
};
enum { WINDOWED_COUNT = sizeof WINDOWED / sizeof *WINDOWED };

/* Many contributions, and one or a few near them: before, at the same time, or behind. */
static void any_two(struct kept two[2], const struct feature *f, struct random *r)
{
    int64_t spread_ms = (int64_t[]){1, 500, 8000, 200000, 400000, 3000000}[random_below(r, 6)];
    for (int64_t i = random_below(r, 60); i > 0; i--) {
        struct plain p = any_plain(r, spread_ms);
        add_plain(&two[0], f, &p);
    }
    for (int64_t i = 1 + random_below(r, 3) * random_below(r, 3); i > 0; i--) {
        struct plain p = any_plain(r, 1 + random_below(r, 2) * 100);
        p.time_ms += two[0].part.newest_ms + random_below(r, 3) * random_below(r, spread_ms);
        add_plain(&two[1], f, &p);
    }
}

static void windows_merge_into_the_bytes_that_decoding_and_merging_makes(void **state)
{
    (void)state;
    struct random random = {6};
    for (int round = 0; round < 3000; round++) {
        struct feature_set *set = definition(WINDOWED[round % WINDOWED_COUNT]);
        const struct feature *f = &set->features[0];
        struct kept two[2] = {0};
        any_two(two, f, &random);
        for (int turned = 0; turned < 2 && two[0].part.seen && two[1].part.seen; turned++) {
            struct buf got = {0}, expected = {0};
            aggregate_merge(&got, f, two[turned].part, two[!turned].part);
            merge_by_decoding(&expected, f, two[turned].part, two[!turned].part);
            assert_bytes(&got, expected.data, expected.len);
            buf_free(&got);
            buf_free(&expected);
        }
        kept_free(&two[0]);
        kept_free(&two[1]);
        feature_set_free(set);
    }
}

/* What can be read of a damaged body does not depend on the way of merging. */
static void damaged_windows_merge_into_what_decoding_and_merging_makes(void **state)
{
    (void)state;
    struct random random = {7};
    for (int round = 0; round < 3000; round++) {
        struct feature_set *set = definition(WINDOWED[round % WINDOWED_COUNT]);
        const struct feature *f = &set->features[0];
        struct kept two[2] = {0};
        any_two(two, f, &random);
        for (int times = 0; times < 30 && two[0].part.seen && two[1].part.seen; times++) {
            struct buf got = {0}, expected = {0};
            struct part a = two[0].part, b = two[1].part;
            size_t whole = a.body.len, cut = (size_t)random_below(&random, (int64_t)whole + 1);
            struct str bad = exact_copy(str_bytes(a.body.data, times % 3 ? whole : cut));
            damage(bad, &random);
            a.body = bad;
            aggregate_merge(&got, f, times % 2 ? a : b, times % 2 ? b : a);
            merge_by_decoding(&expected, f, times % 2 ? a : b, times % 2 ? b : a);
            struct cursor i = cursor_of(got.data, got.len);
            struct cursor k = cursor_of(expected.data, expected.len);
            struct ring x = {0}, y = {0};
            for (size_t w = 0; w < f->window_count; w++) {
                ring_decode(&x, &i, f->kind);
                ring_decode(&y, &k, f->kind);
                same_rings(&x, &y);
            }
            assert_false(i.bad || cursor_left(&i));
            buf_free(&got);
            buf_free(&expected);
            free((char *)(uintptr_t)bad.data);
        }
        kept_free(&two[0]);
        kept_free(&two[1]);
        feature_set_free(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_is_associative_and_commutative_and_zero_is_neutral),
        cmocka_unit_test(windows_have_the_edges_of_the_contract),
        cmocka_unit_test(recency_and_decay_are_read_at_the_newest_at_least),
        cmocka_unit_test(events_without_a_value_add_nothing_not_even_their_bucket),
        cmocka_unit_test(zero_has_no_sign_in_whatever_order_it_comes),
        cmocka_unit_test(sums_that_cancel_are_exact),
        cmocka_unit_test(long_sums_do_not_drift),
        cmocka_unit_test(sparse_windows_cost_what_they_hold),
        cmocka_unit_test(windows_merge_into_the_bytes_that_decoding_and_merging_makes),
        cmocka_unit_test(damaged_windows_merge_into_what_decoding_and_merging_makes),
    };
    return RUN(tests);
}

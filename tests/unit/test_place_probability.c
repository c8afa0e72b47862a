#include "base/prng.h"
#include "ranker/choose.h"
#include "stats/place_probability.h"
#include "unit.h"

#include <float.h>
#include <math.h>

enum { MOST = 7 };

/* P(candidate c stands at place p) of draws, by going through all orders. */
struct enumeration {
    const double *utilities;
    size_t count;
    double temperature;
    double shares[MOST][MOST]; /* [place][candidate] */
};

static void enumerate(struct enumeration *n, size_t place, unsigned taken, double probability)
{
    double total = 0;
    for (size_t c = 0; c < n->count; c++)
        if (!(taken >> c & 1))
            total += exp(n->utilities[c] / n->temperature);
    for (size_t c = 0; c < n->count; c++) {
        if (taken >> c & 1)
            continue;
        double own = probability * exp(n->utilities[c] / n->temperature) / total;
        n->shares[place][c] += own;
        enumerate(n, place + 1, taken | 1U << c, own);
    }
}

static size_t place_of_best(const double *utilities, size_t count, size_t candidate)
{
    size_t better = 0;
    for (size_t c = 0; c < count; c++)
        better += utilities[c] > utilities[candidate] ||
                  (utilities[c] == utilities[candidate] && c < candidate);
    return better;
}

static void shuffle(int32_t *order, size_t count, struct prng *random)
{
    for (size_t i = 0; i < count; i++)
        order[i] = (int32_t)i;
    for (size_t i = count; i > 1; i--) {
        size_t other = prng_below(random, (uint32_t)i);
        int32_t was = order[i - 1];
        order[i - 1] = order[other];
        order[other] = was;
    }
}

static void assert_near(double found, double expected, double part)
{
    if (!(fabs(found - expected) <= part * expected))
        fail_msg("%.17g is not %.17g", found, expected);
}

/* ------------------------------------------------------------ */

static void it_is_what_all_orders_add_up_to(void **state)
{
    (void)state;
    struct arena a = {0};
    struct prng random;
    prng_seed(&random, 3);
    for (int trial = 0; trial < 400; trial++) {
        double utilities[MOST], out[MOST], spread = trial % 4 ? 1 : 8;
        int32_t shown[MOST];
        size_t count = 1 + prng_below(&random, MOST);
        for (size_t c = 0; c < count; c++)
            utilities[c] = trial % 3 ? spread * prng_normal(&random) : prng_below(&random, 3);
        struct enumeration n = {utilities, count, exp(prng_normal(&random) / 2), {{0}}};
        enumerate(&n, 0, 0, 1);
        shuffle(shown, count, &random);
        struct place_ranking r = {.utilities = utilities,
                                  .count = count,
                                  .shown = shown,
                                  .shown_count = 1 + prng_below(&random, (uint32_t)count),
                                  .share = prng_unit(&random),
                                  .temperature = n.temperature};
        assert_int_equal(place_probabilities(out, &r, &a, NULL), 0);
        for (size_t p = 0; p < r.shown_count; p++) {
            size_t c = (size_t)shown[p];
            double best = place_of_best(utilities, count, c) == p ? 1 - r.share : 0;
            double expected = best + r.share * n.shares[p][c];
            if (expected > 1e-8)
                assert_near(out[p], expected, 1e-8);
        }
    }
    arena_free(&a);
}

static void without_exploration_it_is_certain(void **state)
{
    (void)state;
    struct arena a = {0};
    const double utilities[] = {1, 5, 3};
    const int32_t shown[] = {1, 2, 0};
    double out[3];
    struct place_ranking r = {
        .utilities = utilities, .count = 3, .shown = shown, .shown_count = 3, .temperature = 1};
    assert_int_equal(place_probabilities(out, &r, &a, NULL), 0);
    for (int p = 0; p < 3; p++)
        assert_true(out[p] == 1);
    arena_free(&a);
}

/* A ranking with the candidate at this place, and any others, but not the second "a": whatever
 * stands at the other places makes no difference. */
static void put_at(int32_t *shown, size_t count, size_t place, int32_t candidate)
{
    int32_t next = 0;
    for (size_t p = 0; p < count; p++) {
        if (p == place) {
            shown[p] = candidate;
            continue;
        }
        while (next == candidate || next == 5)
            next++;
        shown[p] = next++;
    }
}

/* Many answers of choose(): each candidate must be at each place as often as is said. */
static void it_is_how_often_rankings_put_it_there(void **state)
{
    (void)state;
    enum { COUNT = 12, LIMIT = 4, ANSWERS = 100000 };
    static const struct str ids[COUNT] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1},
                                          {"e", 1}, {"a", 1}, {"g", 1}, {"h", 1},
                                          {"i", 1}, {"j", 1}, {"k", 1}, {"l", 1}};
    const double utilities[COUNT] = {0.3, -1, NAN, 2, 0.3, 4, -0.5, 1.5, 0, -INFINITY, 1, 0.7};
    static int times[LIMIT][COUNT];
    struct chooser *c = NULL;
    struct choice got;
    struct arena a = {0};
    double sum[LIMIT] = {0};
    assert_int_equal(chooser_new(&c, NULL), 0);
    for (uint64_t seed = 0; seed < ANSWERS; seed++) {
        struct choose_request q = {.ids = ids,
                                   .utilities = utilities,
                                   .count = COUNT,
                                   .limit = LIMIT,
                                   .share = 0.6,
                                   .temperature = 0.8,
                                   .seed = prng_mix(seed)};
        assert_int_equal(choose(&got, c, &q, NULL), 0);
        for (size_t p = 0; p < LIMIT; p++)
            times[p][got.places[p]]++;
    }
    for (int32_t candidate = 0; candidate < COUNT; candidate++) {
        if (candidate == 5)
            continue; /* the second "a" */
        for (size_t p = 0; p < LIMIT; p++) {
            int32_t shown[LIMIT];
            put_at(shown, LIMIT, p, candidate);
            struct place_ranking r = {ids, utilities, COUNT, shown, LIMIT, 0.6, 0.8};
            double out[LIMIT];
            assert_int_equal(place_probabilities(out, &r, &a, NULL), 0);
            double error = sqrt(out[p] * (1 - out[p]) / ANSWERS);
            double off = (double)times[p][candidate] / ANSWERS - out[p];
            if (fabs(off) > 4.5 * error + 1e-9)
                fail_msg("candidate %d at place %zu: %d times, not %g of them", candidate, p,
                         times[p][candidate], out[p]);
            sum[p] += out[p];
        }
    }
    for (size_t p = 0; p < LIMIT; p++)
        assert_near(sum[p], 1, 1e-8);
    chooser_free(c);
    arena_free(&a);
}

static void utilities_of_any_range_have_sound_probabilities(void **state)
{
    (void)state;
    struct arena a = {0};
    const double utilities[] = {-1e300, 1e300, 0, 1e-3, -INFINITY, INFINITY, 700, NAN};
    const int32_t shown[] = {1, 6, 3, 2};
    double out[4];
    struct place_ranking r = {.utilities = utilities,
                              .count = 8,
                              .shown = shown,
                              .shown_count = 4,
                              .share = 1,
                              .temperature = 1e-9};
    assert_int_equal(place_probabilities(out, &r, &a, NULL), 0);
    /* Two share the first two places; then it is certain. */
    assert_near(out[0], 0.5, 1e-9);
    assert_true(out[1] > 0 && out[1] < 1e-15);
    assert_true(out[2] < 1e-15 && out[3] < 1e-15);
    const int32_t certain[] = {5, 1, 6, 3};
    r.shown = certain;
    assert_int_equal(place_probabilities(out, &r, &a, NULL), 0);
    assert_near(out[1], 0.5, 1e-8);
    assert_near(out[2], 1, 1e-8);
    assert_near(out[3], 1, 1e-8);
    arena_free(&a);
}

static void what_cannot_have_been_shown_is_refused(void **state)
{
    (void)state;
    static const struct str ids[] = {{"a", 1}, {"b", 1}, {"a", 1}};
    const double utilities[] = {1, 2, 3};
    const int32_t wrong[][2] = {{0, 3}, {-1, 0}, {1, 1}, {1, 2}};
    struct arena a = {0};
    struct err e = {0};
    double out[2];
    for (size_t i = 0; i < 4; i++) {
        struct place_ranking r = {ids, utilities, 3, wrong[i], 2, 0.5, 1};
        assert_int_equal(place_probabilities(out, &r, &a, &e), ERR_INVALID);
        assert_contains(e.msg, "which is none of its 3, or is shown before");
    }
    const int32_t right[] = {1, 0};
    struct place_ranking r = {ids, utilities, 3, right, 2, 0.5, 0};
    assert_int_equal(place_probabilities(out, &r, &a, &e), ERR_INVALID);
    assert_contains(e.msg, "temperature 0");
    r = (struct place_ranking){ids, utilities, 3, right, 0, 0.5, 1};
    assert_int_equal(place_probabilities(out, &r, &a, &e), 0);
    arena_free(&a);
}

static void memory_that_is_short_is_said(void **state)
{
    (void)state;
    enum { COUNT = 50000 }; /* more than a block of the arena holds */
    static double utilities[COUNT];
    const int32_t shown[] = {1, 0};
    double out[2];
    for (int n = 1;; n++) {
        struct arena a = {0};
        struct err e = {0};
        struct place_ranking r = {.utilities = utilities,
                                  .count = COUNT,
                                  .shown = shown,
                                  .shown_count = 2,
                                  .share = 0.5,
                                  .temperature = 1};
        fail_alloc_at(n);
        int rc = place_probabilities(out, &r, &a, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        arena_free(&a);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_all_orders_add_up_to),
        cmocka_unit_test(without_exploration_it_is_certain),
        cmocka_unit_test(it_is_how_often_rankings_put_it_there),
        cmocka_unit_test(utilities_of_any_range_have_sound_probabilities),
        cmocka_unit_test(what_cannot_have_been_shown_is_refused),
        cmocka_unit_test(memory_that_is_short_is_said),
    };
    return RUN(tests);
}

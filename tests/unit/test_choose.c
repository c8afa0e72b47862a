#include "ranker/choose.h"
#include "unit.h"

#include "support/fixture.h"

enum { FEW = 4, SEEDS = 200000, MOST_ORDERS = 64 };

static struct chooser *make(void)
{
    struct chooser *c = NULL;
    assert_int_equal(chooser_new(&c, NULL), 0);
    return c;
}

static const struct str ids[] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1},
                                 {"e", 1}, {"f", 1}, {"g", 1}, {"h", 1}};

static struct choose_request request_of(const double *utilities, size_t count, size_t limit)
{
    return (struct choose_request){
        .ids = ids, .utilities = utilities, .count = count, .limit = limit, .temperature = 1};
}

/* The order is this one, in letters. */
static void assert_order(struct chooser *c, const struct choose_request *q, const char *letters)
{
    struct choice got;
    char text[16] = "";
    assert_int_equal(choose(&got, c, q, NULL), 0);
    for (size_t i = 0; i < got.count; i++) {
        text[i] = q->ids[got.places[i]].data[0];
        if (q->share == 0)
            assert_true(got.propensities[i] == 1);
    }
    text[got.count] = 0;
    assert_string_equal(text, letters);
}

/* ---------------------------------------------------------- the best order */

static void the_highest_utility_stands_first_and_equal_ones_in_their_order(void **state)
{
    (void)state;
    struct chooser *c = make();
    double utilities[] = {1, 3, 2, 3, -1};
    struct choose_request q = request_of(utilities, 5, 10);
    assert_order(c, &q, "bdcae");
    q.limit = 3;
    assert_order(c, &q, "bdc");
    q.limit = 0;
    assert_order(c, &q, "");
    q.limit = 3;
    q.count = 0;
    assert_order(c, &q, "");
    chooser_free(c);
}

static void a_repeated_id_counts_once(void **state)
{
    (void)state;
    struct chooser *c = make();
    struct str repeated[] = {str_of("a"), str_of("b"), str_of("a"), str_of("b"), str_of("c")};
    double utilities[] = {1, 2, 1, 2, 0};
    struct choose_request q = request_of(utilities, 5, 10);
    struct choice got;
    q.ids = repeated;
    assert_int_equal(choose(&got, c, &q, NULL), 0);
    assert_int_equal(got.count, 3);
    assert_int_equal(got.places[0], 1);
    assert_int_equal(got.places[1], 0);
    assert_int_equal(got.places[2], 4);
    chooser_free(c);
}

static void nan_stands_last_and_infinity_first(void **state)
{
    (void)state;
    struct chooser *c = make();
    double utilities[] = {NAN, -INFINITY, 0, INFINITY};
    struct choose_request q = request_of(utilities, 4, 4);
    assert_order(c, &q, "dcab");
    chooser_free(c);
}

/* a, b, c, d are of value 1, e and f of 2, g of both, h of none. */
static const uint64_t one[] = {1}, two[] = {2}, both[] = {1, 2};
static const struct value_hashes values[] = {{one, 1}, {one, 1}, {one, 1},  {one, 1},
                                             {two, 1}, {two, 1}, {both, 2}, {NULL, 0}};

static void among_the_first_stand_at_most_so_many_of_a_value(void **state)
{
    (void)state;
    struct chooser *c = make();
    double utilities[] = {9, 8, 7, 6, 5, 4, 3, 2};
    struct choose_request q = request_of(utilities, 8, 8);
    q.values = values;
    q.most = 2;
    q.first = 4;
    assert_order(c, &q, "abefcdgh"); /* behind the first four, everything in order */
    q.most = 1;
    q.first = 3;
    assert_order(c, &q, "aehbcdfg");
    q.most = 4;
    assert_order(c, &q, "abcdefgh");
    q.most = 0;
    assert_order(c, &q, "abcdefgh");
    chooser_free(c);
}

static void where_no_candidate_is_allowed_the_rest_follows_in_order(void **state)
{
    (void)state;
    struct chooser *c = make();
    double utilities[] = {9, 8, 7, 6, 5, 4, 3, 2};
    struct choose_request q = request_of(utilities, 6, 6);
    q.values = values;
    q.most = 1;
    q.first = 6;
    assert_order(c, &q, "aebcdf");
    chooser_free(c);
}

static void one_with_two_values_counts_for_both(void **state)
{
    (void)state;
    struct chooser *c = make();
    double utilities[] = {1, 2, 3, 4, 5, 6, 9, 0};
    struct choose_request q = request_of(utilities, 8, 4);
    q.values = values;
    q.most = 1;
    q.first = 4;
    assert_order(c, &q, "ghfe");
    chooser_free(c);
}

/* ---------------------------------------------------------- exploration */

/* Probabilities by the definition: every order, place by place. */
struct expectation {
    const struct choose_request *q;
    uint32_t best[FEW];
    struct possible {
        uint32_t order[FEW];
        double drawn, probability, propensities[FEW];
        size_t seen;
    } orders[MOST_ORDERS];
    size_t count;
};

static bool is_in(const uint32_t *order, size_t n, uint32_t candidate)
{
    for (size_t i = 0; i < n; i++)
        if (order[i] == candidate)
            return true;
    return false;
}

static bool has_value(const struct choose_request *q, uint32_t candidate, uint64_t value)
{
    for (size_t i = 0; i < q->values[candidate].count; i++)
        if (q->values[candidate].items[i] == value)
            return true;
    return false;
}

static bool is_full(const struct choose_request *q, const uint32_t *order, size_t n,
                    uint32_t candidate)
{
    for (size_t k = 0; q->most && n < q->first && k < q->values[candidate].count; k++) {
        size_t have = 0;
        for (size_t i = 0; i < n; i++)
            have += has_value(q, order[i], q->values[candidate].items[k]);
        if (have >= q->most)
            return true;
    }
    return false;
}

/* Whether the candidate may stand behind the first n. Once nothing was allowed, everything is. */
static bool may_stand(const struct choose_request *q, const uint32_t *order, size_t n,
                      uint32_t candidate)
{
    if (is_in(order, n, candidate))
        return false;
    for (size_t places = n;; places--) {
        bool is_any = false;
        for (uint32_t i = 0; i < q->count; i++)
            is_any |= !is_in(order, places, i) && !is_full(q, order, places, i);
        if (!is_any)
            return true;
        if (places == 0)
            break;
    }
    return !is_full(q, order, n, candidate);
}

static void enumerate(struct expectation *x, struct possible *p, size_t n)
{
    const struct choose_request *q = x->q;
    if (n == q->limit) {
        x->orders[x->count++] = *p;
        return;
    }
    double sum = 0;
    for (uint32_t i = 0; i < q->count; i++)
        if (may_stand(q, p->order, n, i))
            sum += exp(q->utilities[i] / q->temperature);
    for (uint32_t i = 0; i < q->count; i++) {
        if (!may_stand(q, p->order, n, i))
            continue;
        struct possible next = *p;
        next.order[n] = i;
        next.drawn *= exp(q->utilities[i] / q->temperature) / sum;
        next.probability = q->share * next.drawn;
        if (memcmp(next.order, x->best, (n + 1) * sizeof *x->best) == 0)
            next.probability += 1 - q->share;
        next.propensities[n] = next.probability / p->probability;
        enumerate(x, &next, n + 1);
    }
}

static struct possible *find(struct expectation *x, const uint32_t *order)
{
    for (size_t i = 0; i < x->count; i++)
        if (memcmp(x->orders[i].order, order, x->q->limit * sizeof *order) == 0)
            return &x->orders[i];
    fail_msg("an order that cannot be");
    return NULL;
}

/* Draws with many seeds: how often each order comes, and what its propensities are. most: quantile
 * 1 - 1e-6 of chi-square with one degree of freedom less than there are orders (mpmath). */
static void check_draws(struct choose_request *q, size_t orders, double most)
{
    struct chooser *c = make();
    struct choice got;
    struct expectation x = {.q = q};
    struct possible none = {.drawn = 1, .probability = 1};
    double share = q->share, sum = 0, distance = 0;
    q->share = 0;
    assert_int_equal(choose(&got, c, q, NULL), 0);
    memcpy(x.best, got.places, got.count * sizeof *got.places);
    q->share = share;
    enumerate(&x, &none, 0);
    assert_int_equal(x.count, orders);
    for (q->seed = 0; q->seed < SEEDS; q->seed++) {
        assert_int_equal(choose(&got, c, q, NULL), 0);
        assert_int_equal(got.count, q->limit);
        struct possible *p = find(&x, got.places);
        for (size_t i = 0; i < got.count && p->seen == 0; i++)
            assert_true(fabs(got.propensities[i] / p->propensities[i] - 1) < 1e-12);
        p->seen++;
    }
    for (size_t i = 0; i < x.count; i++) {
        double expected = SEEDS * x.orders[i].probability;
        assert_true(expected > 5 && x.orders[i].seen > 0);
        distance += pow((double)x.orders[i].seen - expected, 2) / expected;
        sum += x.orders[i].probability;
    }
    assert_true(fabs(sum - 1) < 1e-12);
    if (distance > most)
        fail_msg("chi-square is %.1f, above %.1f", distance, most);
    chooser_free(c);
}

static void orders_come_as_often_as_plackett_and_luce_say(void **state)
{
    (void)state;
    double utilities[] = {0.3, 1.2, -0.5, 0.4};
    struct choose_request q = request_of(utilities, 4, 4);
    q.share = 1;
    q.temperature = 0.8;
    check_draws(&q, 24, 70.55);
}

static void the_mixture_comes_as_often_as_its_propensities_say(void **state)
{
    (void)state;
    double utilities[] = {0.3, 1.2, -0.5, 0.4};
    struct choose_request q = request_of(utilities, 4, 3);
    q.share = 0.3;
    check_draws(&q, 24, 70.55);
    q.limit = 2;
    q.share = 0.05;
    q.temperature = 3;
    check_draws(&q, 12, 48.87);
}

/* a and b are of value 1, e and f of 2. */
static void diversity_holds_in_draws_with_exact_propensities(void **state)
{
    (void)state;
    struct value_hashes pairs[] = {{one, 1}, {one, 1}, {two, 1}, {NULL, 0}};
    double utilities[] = {0.9, 0.7, 0.1, -0.4};
    struct choose_request q = request_of(utilities, 4, 4);
    q.values = pairs;
    q.most = 1;
    q.first = 2;
    q.share = 0.6;
    check_draws(&q, 20, 63.68);
    q.first = 3;
    check_draws(&q, 12, 48.87);
}

static void draws_behind_an_exhausted_diversity_are_exact_too(void **state)
{
    (void)state;
    struct value_hashes pairs[] = {{one, 1}, {one, 1}, {both, 2}, {two, 1}};
    double utilities[] = {0.9, 0.2, 0.1, -0.4};
    struct choose_request q = request_of(utilities, 4, 4);
    q.values = pairs;
    q.most = 1;
    q.first = 4;
    q.share = 1;
    check_draws(&q, 14, 52.75);
}

static void the_same_seed_gives_the_same_answer(void **state)
{
    (void)state;
    double utilities[] = {0.3, 1.2, -0.5, 0.4};
    struct chooser *c = make(), *another = make();
    struct choose_request q = request_of(utilities, 4, 4);
    struct choice got, again;
    q.share = 0.5;
    for (q.seed = 0; q.seed < 100; q.seed++) {
        assert_int_equal(choose(&got, c, &q, NULL), 0);
        assert_int_equal(choose(&again, another, &q, NULL), 0);
        assert_int_equal(got.explored, again.explored);
        assert_memory_equal(got.places, again.places, 4 * sizeof *got.places);
        assert_memory_equal(got.propensities, again.propensities, 4 * sizeof(double));
    }
    chooser_free(c);
    chooser_free(another);
}

/* Equal utilities that are huge: each order of the two below is equally likely, however small the
 * temperature is. The first is certain. */
static void no_noise_is_lost_next_to_huge_utilities(void **state)
{
    (void)state;
    double utilities[] = {1e6, -1e6, -1e6};
    struct choose_request q = request_of(utilities, 3, 3);
    struct chooser *c = make();
    struct choice got;
    size_t first = 0;
    q.share = 1;
    q.temperature = 1e-12;
    for (q.seed = 0; q.seed < 10000; q.seed++) {
        assert_int_equal(choose(&got, c, &q, NULL), 0);
        assert_int_equal(got.places[0], 0);
        first += got.places[1] == 1;
        assert_true(got.propensities[0] == 1 && got.propensities[1] == 0.5 &&
                    got.propensities[2] == 1);
    }
    assert_true(first > 4750 && first < 5250); /* 5 standard deviations */
    chooser_free(c);
}

static void ten_thousand_candidates_of_any_range_have_sound_propensities(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    static struct str names[MANY];
    static char text[MANY][8];
    static double utilities[MANY];
    static struct value_hashes few_values[MANY];
    static const uint64_t some[] = {0, 1, 2, 3, 4, 5, 6, 7};
    static const double temperatures[] = {1e-9, 1, 1e9};
    struct random random = {3};
    struct chooser *c = make();
    for (size_t i = 0; i < MANY; i++) {
        names[i] = str_bytes(text[i], (size_t)snprintf(text[i], sizeof text[i], "%zu", i));
        utilities[i] = (random_unit(&random) - 0.5) * 2e6;
        few_values[i] = (struct value_hashes){&some[random_below(&random, 8)], 1};
    }
    for (size_t n = 0; n < 6; n++) {
        struct choose_request q = {.ids = names,
                                   .utilities = utilities,
                                   .count = MANY,
                                   .values = few_values,
                                   .limit = n % 2 ? 10 : MANY,
                                   .most = 2,
                                   .first = 20,
                                   .share = 1,
                                   .temperature = temperatures[n / 2],
                                   .seed = n};
        struct choice got;
        static bool seen[MANY];
        memset(seen, 0, sizeof seen);
        assert_int_equal(choose(&got, c, &q, NULL), 0);
        assert_int_equal(got.count, q.limit);
        for (size_t i = 0; i < got.count; i++) {
            assert_false(seen[got.places[i]]);
            seen[got.places[i]] = true;
            assert_true(got.propensities[i] > 0 && got.propensities[i] <= 1);
        }
    }
    chooser_free(c);
}

static void memory_that_is_short_is_said(void **state)
{
    (void)state;
    double utilities[] = {9, 8, 7, 6, 5, 4, 3, 2};
    struct choose_request q = request_of(utilities, 8, 8);
    q.values = values;
    q.most = 1;
    q.first = 4;
    q.share = 1;
    for (int n = 1;; n++) {
        struct chooser *c = NULL;
        struct choice got;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = chooser_new(&c, &e);
        if (!rc)
            rc = choose(&got, c, &q, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        chooser_free(c);
        if (!failed)
            break;
    }
}

static void more_candidates_than_can_be_are_refused(void **state)
{
    (void)state;
    struct chooser *c = make();
    struct choice got;
    struct err e = {0};
    struct choose_request q = {.count = ((size_t)1 << 24) + 1, .limit = 1};
    assert_int_equal(choose(&got, c, &q, &e), ERR_TOO_LARGE);
    assert_contains(e.msg, "16777217 candidates: at most 16777216");
    chooser_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_utility_stands_first_and_equal_ones_in_their_order),
        cmocka_unit_test(a_repeated_id_counts_once),
        cmocka_unit_test(nan_stands_last_and_infinity_first),
        cmocka_unit_test(among_the_first_stand_at_most_so_many_of_a_value),
        cmocka_unit_test(where_no_candidate_is_allowed_the_rest_follows_in_order),
        cmocka_unit_test(one_with_two_values_counts_for_both),
        cmocka_unit_test(orders_come_as_often_as_plackett_and_luce_say),
        cmocka_unit_test(the_mixture_comes_as_often_as_its_propensities_say),
        cmocka_unit_test(diversity_holds_in_draws_with_exact_propensities),
        cmocka_unit_test(draws_behind_an_exhausted_diversity_are_exact_too),
        cmocka_unit_test(the_same_seed_gives_the_same_answer),
        cmocka_unit_test(no_noise_is_lost_next_to_huge_utilities),
        cmocka_unit_test(ten_thousand_candidates_of_any_range_have_sound_propensities),
        cmocka_unit_test(memory_that_is_short_is_said),
        cmocka_unit_test(more_candidates_than_can_be_are_refused),
    };
    return RUN(tests);
}

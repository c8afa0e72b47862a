/* What a model is worth in the simulated shop: ratios with their errors, and how they are told. */
#include "ctl/ratio.h"
#include "ctl/shop_best.h"
#include "ctl/simulate_gain.h"
#include "unit.h"

#include "base/prng.h"

#include <math.h>

enum { USERS = 200 };

static void assert_near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-9))
        fail_msg("%.17g is not %.17g", a, b);
}

/* ---- Ratios ---- */

/* By hand: R = 9/8; what is left is 0.75, -1.25, 0.5; sqrt(2.375 * 3/2) / 8. */
static void a_ratio_has_the_error_of_its_users(void **state)
{
    (void)state;
    struct ratio r;
    assert_int_equal(ratio_init(&r, 5, NULL), 0);
    assert_true(isnan(ratio_value(&r).value));
    ratio_add(&r, 0, 1, 1);
    assert_near(ratio_value(&r).value, 1);
    assert_true(isnan(ratio_value(&r).error));
    ratio_add(&r, 2, 1, 2);
    ratio_add(&r, 0, 2, 1); /* the first user again */
    ratio_add(&r, 4, 5, 4);
    assert_near(ratio_value(&r).value, 1.125);
    assert_near(ratio_value(&r).error, sqrt(2.375 * 3 / 2) / 8);
    ratio_clear(&r);
    assert_true(isnan(ratio_value(&r).value));
    ratio_free(&r);
}

/* Users click with probabilities of their own, so pages of one user hang together: an interval by
 * page would be too narrow by far. 95 % of 500, within four standard deviations. */
static void the_interval_covers_the_truth_as_often_as_it_says(void **state)
{
    (void)state;
    enum { TIMES = 500 };
    int covered = 0;
    struct prng p;
    prng_seed(&p, 11);
    for (int t = 0; t < TIMES; t++) {
        struct ratio r;
        assert_int_equal(ratio_init(&r, USERS, NULL), 0);
        for (uint32_t u = 0; u < USERS; u++) {
            double likes = prng_unit(&p);
            for (uint32_t n = 1 + prng_below(&p, 20); n > 0; n--)
                ratio_add(&r, u, prng_unit(&p) < likes ? 1 : 0, 1);
        }
        struct ratio_value v = ratio_value(&r);
        covered += fabs(v.value - 0.5) < 1.96 * v.error;
        ratio_free(&r);
    }
    assert_in_range(covered, 475 - 20, 475 + 20);
}

/* ---- The best list ---- */

/* Sums over all orders of a few candidates. */
static double best_of_orders(const struct shop *s, uint32_t user, const uint32_t *list, uint32_t n,
                             int64_t time_ms)
{
    double best = 0;
    for (uint32_t a = 0; a < n; a++)
        for (uint32_t b = 0; b < n; b++)
            for (uint32_t c = 0; c < n; c++) {
                uint32_t three[] = {list[a], list[b], list[c]};
                struct shop_look at = {user, 1, three, 3, time_ms};
                double mean = a == b || b == c || a == c ? 0 : shop_list_mean(s, &at);
                best = mean > best ? mean : best;
            }
    return best;
}

static void the_best_list_is_the_best_of_all_orders(void **state)
{
    (void)state;
    const int64_t time_ms = INT64_C(1735689600000);
    struct shop s;
    assert_int_equal(shop_init(&s, 5, 20, 60, time_ms, NULL), 0);
    for (uint32_t user = 0; user < 20; user++) {
        uint32_t list[] = {user, user + 7, user + 13, user + 20, user + 31, user + 40};
        struct shop_choice of = {user, 1, list, 6, 3, time_ms};
        assert_near(shop_best_mean(&s, &of), best_of_orders(&s, user, list, 6, time_ms));
        uint32_t active[60], n = 0;
        for (uint32_t p = 0; p < 60; p++)
            if (s.propositions[p].active)
                active[n++] = p;
        of.candidates = NULL;
        assert_near(shop_best_mean(&s, &of), best_of_orders(&s, user, active, n, time_ms));
    }
    shop_free(&s);
}

/* ---- Telling ---- */

static struct visits_shown page(uint32_t user, bool by_model, int64_t version, uint32_t clicks)
{
    return (struct visits_shown){
        .is_expected = true,
        .is_seen = true,
        .user = user,
        .clicks = clicks,
        .pair = {.user = user, .by_model = by_model, .version = version},
    };
}

static void assert_told(const struct gain *g, const char *text)
{
    struct buf b = {0};
    gain_print(g, &b);
    assert_buf_is(&b, text);
    buf_free(&b);
}

static void add(struct gain *g, uint32_t user, bool by_model, int64_t version, uint32_t clicks)
{
    struct visits_shown shown = page(user, by_model, version, clicks);
    gain_add(g, &shown);
}

static void clicks_of_both_arms_are_told_with_intervals(void **state)
{
    (void)state;
    struct gain *g;
    assert_int_equal(gain_new(&g, USERS, NULL), 0);
    assert_told(g, "");
    add(g, 0, false, 0, 9);
    assert_told(g, "clicks      rules 9.000 a page\n");
    /* With the first page of a model both begin anew. */
    add(g, 1, true, 3, 2);
    add(g, 2, true, 3, 0);
    add(g, 3, false, 0, 1);
    add(g, 4, false, 0, 0);
    /* Errors are sqrt(2 * 2 / 1) / 2 = 1 and 0.5, of their difference sqrt(1.25). */
    assert_told(g,
                "clicks      model v3 1.000 a page [-0.960, 2.960], rules 0.500 [-0.480, 1.480]: "
                "+0.500 [-1.691, 2.691]\n");
    add(g, 5, true, 2, 50); /* an older version is neither */
    assert_told(g,
                "clicks      model v3 1.000 a page [-0.960, 2.960], rules 0.500 [-0.480, 1.480]: "
                "+0.500 [-1.691, 2.691]\n");
    add(g, 5, true, 4, 5);
    assert_told(g, "clicks      model v4 5.000 a page\n");
    gain_free(g);
}

static void the_gain_is_the_share_of_what_is_possible_on_the_same_requests(void **state)
{
    (void)state;
    struct gain *g;
    assert_int_equal(gain_new(&g, USERS, NULL), 0);
    for (uint32_t user = 0; user < 2; user++) {
        struct visits_shown shown = page(user, true, 1, 1);
        shown.is_pair = true;
        shown.pair.shown = user ? 1.75 : 1.5;
        shown.pair.twin = 1;
        shown.pair.best = 2;
        gain_add(g, &shown);
    }
    /* Shares 0.5 and 0.75: mean 0.625, what is left is 0.125 of both, sqrt(2 * 2 / 64) / 2. */
    assert_told(g,
                "clicks      model v1 1.000 a page [1.000, 1.000]\n"
                "gain        model v1 62.5 % [38.0, 87.0] of what is possible: expected clicks a "
                "page 1.625, rules 1.000, best 2.000 (2 pages)\n");
    gain_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ratio_has_the_error_of_its_users),
        cmocka_unit_test(the_interval_covers_the_truth_as_often_as_it_says),
        cmocka_unit_test(the_best_list_is_the_best_of_all_orders),
        cmocka_unit_test(clicks_of_both_arms_are_told_with_intervals),
        cmocka_unit_test(the_gain_is_the_share_of_what_is_possible_on_the_same_requests),
    };
    return RUN(tests);
}

#include "stats/off_policy.h"
#include "unit.h"

#include "off_policy_world.h"

/* Two requests with three candidates and two places each. */
static const uint64_t two_first[] = {0, 3, 6};
static const int32_t two_places[] = {0, 1, -1, 1, 0, -1};
static const double two_propensities[] = {0.5, 0.25, NAN, 0.4, 0.8, NAN};
static const float two_rewards[] = {1, 0, NAN, 1, 0, NAN};

static struct off_policy_log two(void)
{
    return (struct off_policy_log){.request_count = 2,
                                   .first = two_first,
                                   .places = two_places,
                                   .propensities = two_propensities,
                                   .rewards = two_rewards};
}

static void assert_near(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-9))
        fail_msg("%.17g is not %.17g", found, expected);
}

static void assert_no_numbers(const struct off_policy_estimates *o, const char *reason)
{
    assert_true(isnan(o->ips.value) && isnan(o->snips.value) && isnan(o->dr.value));
    assert_true(isnan(o->ips.low) && isnan(o->ips_against.value) && isnan(o->dr_against.high));
    assert_non_null(o->reason);
    assert_contains(o->reason, reason);
}

/* ------------------------------------------------------------ by hand */

static void two_requests_by_hand(void **state)
{
    (void)state;
    /* The order a, c of the first agrees with a alone; a, b of the second with nothing. */
    const float scores[] = {3, 1, 2, 3, 2, 1}, expected[] = {0.5F, 0.25F, 0.25F, 0.4F, 0.2F, 0.1F};
    struct off_policy_log log = two();
    struct off_policy_target target = {scores, expected};
    struct off_policy_requests r;
    struct off_policy_estimates o;
    assert_int_equal(off_policy_estimate(&r, &o, &log, &target, 1, 0.95, NULL), 0);
    assert_int_equal(r.used, 2);
    assert_near(r.logged.value, 1);
    assert_near(o.ips.value, (2 * 1 + 0) / 2.0);
    /* One reward of weight 2 among a weight of 2: 1 a place, and two places a request. */
    assert_near(o.snips.value, 2);
    assert_near(o.overlap, 0.5);
    assert_near(o.effective, 1);
    assert_near(o.mean_weight.value, 2.0 / 4);
    /* What places bring of what is expected, with a hundred rows' worth of the mean of all. */
    double shown[] = {(double)0.5F + (double)0.2F, (double)0.25F + (double)0.4F};
    double all = shown[0] + shown[1], prior = 100 * all / 4;
    double at[] = {(1 + prior * 2 / all) / (shown[0] + prior),
                   (1 + prior * 2 / all) / (shown[1] + prior)};
    double first = at[0] * 0.5 + at[1] * 0.25 + 2 * (1 - at[0] * 0.5);
    double second = at[0] * (double)0.4F + at[1] * (double)0.2F;
    assert_near(o.dr.value, (first + second) / 2);
    assert_contains(o.reason, "do not rely on these numbers");
}

static void the_order_that_was_shown_for_certain_gives_what_it_brought(void **state)
{
    (void)state;
    /* Nearly certain: what is certain cannot be told from what did not explore. */
    const double sure = 1 - 1e-12;
    const double propensities[] = {sure, sure, NAN, sure, sure, NAN};
    const float scores[] = {3, 2, 1, 2, 3, 1};
    const double weights[] = {3, 1};
    struct off_policy_log log = two();
    struct off_policy_target target = {scores, two_rewards};
    struct off_policy_requests r;
    struct off_policy_estimates o;
    const float rewards[] = {1, 0, NAN, 0, 0, NAN};
    log.propensities = propensities;
    log.rewards = rewards;
    log.weights = weights;
    assert_int_equal(off_policy_estimate(&r, &o, &log, &target, 1, 0.95, NULL), 0);
    assert_near(r.logged.value, 0.75);
    assert_near(o.ips.value, 0.75);
    assert_near(o.snips.value, 0.75);
    assert_near(o.overlap, 1);
    assert_near(o.mean_weight.value, 1);
}

static void an_item_that_comes_again_is_one(void **state)
{
    (void)state;
    /* The best row of each request comes twice; without it, the second best was shown below it. */
    const uint64_t first[] = {0, 4, 8};
    const uint32_t items[] = {7, 7, 8, 9, 7, 7, 8, 9};
    const int32_t places[] = {0, -1, 1, -1, 0, -1, 1, -1};
    const double half[] = {0.5, NAN, 0.5, NAN, 0.5, NAN, 0.5, NAN};
    const float rewards[] = {0, NAN, 1, NAN, 0, NAN, 1, NAN}, scores[] = {5, 5, 4, 3, 5, 5, 4, 3};
    struct off_policy_log log = {2, first, items, places, half, rewards, NULL, NULL};
    struct off_policy_target target = {scores, NULL};
    struct off_policy_requests r;
    struct off_policy_estimates o;
    assert_int_equal(off_policy_estimate(&r, &o, &log, &target, 1, 0.95, NULL), 0);
    assert_near(o.ips.value, 2);
    assert_true(isnan(o.dr.value));
    log.items = NULL;
    assert_int_equal(off_policy_estimate(&r, &o, &log, &target, 1, 0.95, NULL), 0);
    assert_near(o.ips.value, 0);
}

/* ------------------------------------------------------------ what cannot be told */

static void what_did_not_explore_is_left_out_and_said(void **state)
{
    (void)state;
    const double certain[] = {1, 1, NAN, 0.4, 0.8, NAN}, all_certain[] = {1, 1, NAN, 1, 1, NAN};
    const float scores[] = {1, 2, 3, 1, 2, 3};
    struct off_policy_log log = two();
    struct off_policy_target target = {scores, NULL};
    struct off_policy_requests r;
    struct off_policy_estimates o;
    log.propensities = certain;
    assert_int_equal(off_policy_estimate(&r, &o, &log, &target, 1, 0.95, NULL), 0);
    assert_int_equal(r.used, 1);
    assert_int_equal(r.unexplored, 1);
    assert_no_numbers(&o, "nothing was ever shown where this order would have put it");
    log.propensities = all_certain;
    assert_int_equal(off_policy_estimate(&r, &o, &log, &target, 1, 0.95, NULL), 0);
    assert_int_equal(r.unexplored, 2);
    assert_true(isnan(r.logged.value));
    assert_no_numbers(&o, "nothing was explored");
}

static void what_is_not_known_is_left_out_and_said(void **state)
{
    (void)state;
    const double unknown[] = {0.5, NAN, NAN, 0.4, 0.8, NAN};
    const float unknown_rewards[] = {1, 0, NAN, NAN, 0, NAN}, scores[] = {1, 2, 3, 1, 2, 3};
    struct off_policy_log log = two();
    struct off_policy_target target = {scores, NULL};
    struct off_policy_requests r;
    struct off_policy_estimates o;
    log.propensities = unknown;
    log.rewards = unknown_rewards;
    assert_int_equal(off_policy_estimate(&r, &o, &log, &target, 1, 0.95, NULL), 0);
    assert_int_equal(r.unknown, 2);
    assert_int_equal(r.used, 0);
    assert_no_numbers(&o, "no request is logged");
    log.request_count = 0;
    assert_int_equal(off_policy_estimate(&r, &o, &log, &target, 1, 0.95, NULL), 0);
    assert_no_numbers(&o, "no request is logged");
}

static void levels_beside_those_of_intervals_are_refused(void **state)
{
    (void)state;
    struct off_policy_log log = two();
    struct off_policy_requests r;
    struct err e = {0};
    assert_int_equal(off_policy_estimate(&r, NULL, &log, NULL, 0, 1, &e), ERR_INVALID);
    assert_contains(e.msg, "intervals of level 1: it must be between 0 and 1");
}

static void memory_that_is_short_is_said(void **state)
{
    (void)state;
    const float scores[] = {1, 2, 3, 1, 2, 3};
    struct off_policy_log log = two();
    struct off_policy_target target = {scores, NULL};
    for (int n = 1;; n++) {
        struct off_policy_requests r;
        struct off_policy_estimates o;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = off_policy_estimate(&r, &o, &log, &target, 1, 0.95, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        if (!failed)
            break;
    }
}

/* ------------------------------------------------------------ in simulated shops */

static struct world world;

struct tools {
    struct chooser *chooser;
    struct arena arena;
};

static void make_world(struct tools *t, uint64_t seed)
{
    struct err e = {0};
    if (world_new(&world, seed, 0.2, 1, t->chooser, &t->arena, &e))
        fail_msg("%s", e.msg);
}

static void estimate(struct off_policy_estimates out[2], const struct off_policy_log *log)
{
    struct off_policy_requests r;
    struct off_policy_target targets[] = {{world.other, world.expected},
                                          {world.target, world.expected}};
    assert_int_equal(off_policy_estimate(&r, out, log, targets, 2, 0.95, NULL), 0);
    assert_int_equal(r.used, WORLD_REQUESTS);
}

/* How often an interval has the truth in it, and how far off its middle is. */
struct coverage {
    const char *name;
    int inside;
    double off, width;
};

static void cover(struct coverage *c, const struct metric_value *v, double truth)
{
    c->inside += v->low <= truth && truth <= v->high;
    c->off += v->value - truth;
    c->width += v->high - v->low;
}

/* A ranking that explores in a fifth of its answers, and two orders that it was not. */
static void intervals_have_the_truth_in_them_in_nine_worlds_of_ten(void **state)
{
    (void)state;
    enum { SEEDS = 200, KINDS = 6 };
    struct coverage kinds[KINDS] = {{.name = "IPS"},
                                    {.name = "SNIPS"},
                                    {.name = "DR"},
                                    {.name = "IPS difference"},
                                    {.name = "SNIPS difference"},
                                    {.name = "DR difference"}};
    struct tools t = {0};
    double clicks = 0;
    assert_int_equal(chooser_new(&t.chooser, NULL), 0);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct off_policy_estimates o[2];
        make_world(&t, seed);
        struct off_policy_log log = world_log(&world);
        estimate(o, &log);
        double truth = world.target_clicks, gain = truth - world.other_clicks;
        cover(&kinds[0], &o[1].ips, truth);
        cover(&kinds[1], &o[1].snips, truth);
        cover(&kinds[2], &o[1].dr, truth);
        cover(&kinds[3], &o[1].ips_against, gain);
        cover(&kinds[4], &o[1].snips_against, gain);
        cover(&kinds[5], &o[1].dr_against, gain);
        clicks += truth / SEEDS;
        shop_free(&world.shop);
    }
    print_message("true clicks a request: %.3f\n", clicks);
    for (int k = 0; k < KINDS; k++)
        print_message("%s: in %d of %d intervals, off by %+.4f, width %.3f\n", kinds[k].name,
                      kinds[k].inside, SEEDS, kinds[k].off / SEEDS, kinds[k].width / SEEDS);
    for (int k = 0; k < KINDS; k++) {
        assert_true(kinds[k].inside >= 0.9 * SEEDS);
        /* Neither are they so wide that they could not but hold it, nor off in one direction. */
        assert_true(kinds[k].width / SEEDS < 2 * clicks);
        assert_true(fabs(kinds[k].off / SEEDS) < 0.05 * clicks);
    }
    chooser_free(t.chooser);
    arena_free(&t.arena);
}

static void an_order_does_not_differ_from_itself_and_its_numbers_can_be_relied_on(void **state)
{
    (void)state;
    struct tools t = {0};
    struct off_policy_estimates o[2];
    assert_int_equal(chooser_new(&t.chooser, NULL), 0);
    make_world(&t, 1);
    struct off_policy_log log = world_log(&world);
    memcpy(world.other, world.target, sizeof world.other);
    estimate(o, &log);
    assert_true(o[1].ips_against.low == 0 && o[1].dr_against.high == 0);
    assert_near(o[0].snips.value, o[1].snips.value);
    assert_null(o[1].reason);
    assert_true(o[1].effective > 30 && o[1].overlap > 0.3);
    shop_free(&world.shop);
    chooser_free(t.chooser);
    arena_free(&t.arena);
}

/* As if everything had been a third as likely. */
static void probabilities_that_do_not_fit_are_noticed(void **state)
{
    (void)state;
    struct tools t = {0};
    struct off_policy_estimates o[2];
    assert_int_equal(chooser_new(&t.chooser, NULL), 0);
    make_world(&t, 2);
    struct off_policy_log log = world_log(&world);
    for (size_t i = 0; i < WORLD_ROWS; i++)
        world.propensities[i] /= 3;
    estimate(o, &log);
    assert_non_null(o[1].reason);
    assert_contains(o[1].reason, "do not fit");
    shop_free(&world.shop);
    chooser_free(t.chooser);
    arena_free(&t.arena);
}

/* What choose() logs is given what stands above: another number, with another expectation. */
static void places_of_a_draw_are_not_what_is_logged_with_a_ranking(void **state)
{
    (void)state;
    static const struct str ids[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    const double utilities[] = {2, 0, 0};
    struct chooser *c = NULL;
    struct choice got;
    struct arena a = {0};
    assert_int_equal(chooser_new(&c, NULL), 0);
    for (uint64_t seed = 0;; seed++) {
        struct choose_request q = {.ids = ids,
                                   .utilities = utilities,
                                   .count = 3,
                                   .limit = 2,
                                   .share = 1,
                                   .temperature = 1,
                                   .seed = seed};
        assert_int_equal(choose(&got, c, &q, NULL), 0);
        if (got.places[0] != 1 || got.places[1] != 0)
            continue;
        const int32_t shown[] = {1, 0};
        double out[2], other = 1 / (exp(2) + 2);
        struct place_ranking r = {ids, utilities, 3, shown, 2, 1, 1};
        assert_int_equal(place_probabilities(out, &r, &a, NULL), 0);
        /* The best is second where one of the two others is first. */
        assert_near(got.propensities[1], exp(2) / (exp(2) + 1));
        assert_near(out[1], 2 * other * exp(2) / (exp(2) + 1));
        assert_near(out[0], other);
        assert_near(got.propensities[0], other);
        break;
    }
    chooser_free(c);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_requests_by_hand),
        cmocka_unit_test(the_order_that_was_shown_for_certain_gives_what_it_brought),
        cmocka_unit_test(an_item_that_comes_again_is_one),
        cmocka_unit_test(what_did_not_explore_is_left_out_and_said),
        cmocka_unit_test(what_is_not_known_is_left_out_and_said),
        cmocka_unit_test(levels_beside_those_of_intervals_are_refused),
        cmocka_unit_test(memory_that_is_short_is_said),
        cmocka_unit_test(intervals_have_the_truth_in_them_in_nine_worlds_of_ten),
        cmocka_unit_test(an_order_does_not_differ_from_itself_and_its_numbers_can_be_relied_on),
        cmocka_unit_test(probabilities_that_do_not_fit_are_noticed),
        cmocka_unit_test(places_of_a_draw_are_not_what_is_logged_with_a_ranking),
    };
    return RUN(tests);
}

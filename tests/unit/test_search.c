#include "unit.h"

#include "training/search.h"

#include <math.h>

static struct space_point standard(void)
{
    struct space_point p;
    space_standard(&p, 10000, 20);
    return p;
}

static struct search *open_search(uint64_t seed)
{
    struct search *s;
    struct space_point p = standard();
    struct err e;
    assert_int_equal(search_new(&s, &p, seed, &e), 0);
    return s;
}

static void end(struct search *s, double score, bool stopped, bool better)
{
    search_end(s, &(struct search_trial){
                      .score = score, .trees = 10, .stopped = stopped, .better = better});
}

static void the_first_trial_is_the_standard_and_others_stay_in_their_ranges(void **state)
{
    struct search *s = open_search(7);
    const struct space_point first = standard();
    (void)state;
    assert_memory_equal(search_begin(s)->values, first.values, sizeof first.values);
    end(s, 1, false, false);
    for (int i = 0; i < 200; i++) {
        const double *v = search_begin(s)->values;
        assert_true(v[SPACE_ETA] >= 0.02 && v[SPACE_ETA] <= 0.15);
        assert_true(v[SPACE_MAX_DEPTH] >= 3 && v[SPACE_MAX_DEPTH] <= 8);
        assert_true(v[SPACE_MAX_DEPTH] == floor(v[SPACE_MAX_DEPTH]));
        assert_true(v[SPACE_SUBSAMPLE] >= 0.5 && v[SPACE_SUBSAMPLE] <= 1);
        assert_true(v[SPACE_MIN_CHILD_WEIGHT] >= 0.34 && v[SPACE_MIN_CHILD_WEIGHT] <= 68);
        assert_true(v[SPACE_ALPHA] == 0 && v[SPACE_MAX_BIN] == 256);
        end(s, 0, false, false);
    }
    search_free(s);
}

static void a_trial_hangs_on_the_seed_and_its_number_alone(void **state)
{
    struct search *a = open_search(7), *b = open_search(7), *c = open_search(8);
    bool differs = false;
    (void)state;
    for (int i = 0; i < 20; i++) {
        const struct space_point *x = search_begin(a), *y = search_begin(b), *z = search_begin(c);
        assert_memory_equal(x->values, y->values, sizeof x->values);
        differs |= memcmp(x->values, z->values, sizeof x->values) != 0;
        if (i == 10) { /* taken back, it is the same again */
            double kept = y->values[SPACE_LAMBDA];
            search_abandon(b);
            assert_true(search_begin(b)->values[SPACE_LAMBDA] == kept);
        }
        end(a, i, false, true);
        end(b, -i, false, false); /* whatever came of those before */
        end(c, 0, false, false);
    }
    assert_true(differs);
    search_free(a);
    search_free(b);
    search_free(c);
}

static void what_was_given_is_left_alone_and_changes_nothing_else(void **state)
{
    struct space_point p = standard(), free_one, held;
    struct prng r;
    struct err e;
    (void)state;
    prng_seed(&r, 3);
    space_draw(&free_one, &p, &r);
    assert_int_equal(space_give(&p, "max_depth=11", &e), 0);
    prng_seed(&r, 3);
    space_draw(&held, &p, &r);
    assert_true(held.values[SPACE_MAX_DEPTH] == 11);
    assert_true(held.values[SPACE_ETA] == free_one.values[SPACE_ETA]);
    assert_true(held.values[SPACE_LAMBDA] == free_one.values[SPACE_LAMBDA]);
}

/* Looks are at 1, 2, 4, ... of eta times trees: with eta 0.05 behind 20, 40, 80 trees. */
static void looks_are_at_equal_amounts_of_learning(void **state)
{
    struct search *s = open_search(1);
    (void)state;
    search_begin(s);
    assert_int_equal(search_round_of(s, 0), 20);
    assert_int_equal(search_round_of(s, 1), 40);
    assert_int_equal(search_round_of(s, 4), 320);
    search_free(s);
}

/* Scores 1, 2, 3, 4 at the first look: their median is 2.5. */
static void a_trial_below_the_median_of_four_is_given_up(void **state)
{
    struct search *s = open_search(1);
    (void)state;
    for (int i = 1; i <= 4; i++) {
        search_begin(s);
        assert_true(search_look(s, i));
        end(s, i, false, true);
    }
    search_begin(s);
    assert_false(search_look(s, 2.4));
    end(s, 2.4, true, true);
    search_begin(s);
    assert_true(search_look(s, 2.6));
    /* Nobody has come to a second look; and what was reached once is not taken back. */
    assert_true(search_look(s, -100));
    end(s, 2.6, false, true);
    assert_true(search_trials(s)[5].seen[1] == 2.6);
    search_free(s);
}

static void the_best_beats_the_standard_by_more_than_luck(void **state)
{
    struct search *s = open_search(1);
    (void)state;
    search_begin(s);
    end(s, 0.60, false, false);
    assert_int_equal(search_best(s), 0);
    search_begin(s);
    end(s, 0.63, false, false); /* higher, and within the error */
    search_begin(s);
    end(s, 0.62, true, true); /* stopped */
    assert_int_equal(search_best(s), 0);
    search_begin(s);
    end(s, 0.61, false, true);
    search_begin(s);
    end(s, 0.61, false, true);
    assert_int_equal(search_best(s), 3);
    search_free(s);
}

static void refused(const char *text, const char *why)
{
    struct space_point p = standard();
    struct err e;
    assert_int_equal(space_give(&p, text, &e), ERR_INVALID);
    assert_contains(e.msg, why);
}

static void parameters_that_cannot_be_are_refused(void **state)
{
    (void)state;
    refused("nthread=4", "there is no parameter \"nthread\"");
    refused("eta", "eta is \"\": give eta=a number from 0.0001 to 1");
    refused("eta=2", "from 0.0001 to 1");
    refused("eta=nan", "eta is \"nan\"");
    refused("max_depth=3.5", "a whole number from 1 to 12");
    refused("=1", "there is no parameter \"\"");
}

/* Rows times p * (1 - p): 1,000 rows of which a tenth is clicked have 90 of it. */
static void leaves_need_their_share_of_what_the_rows_tell(void **state)
{
    struct space_point p;
    (void)state;
    space_standard(&p, 90, 5);
    assert_true(p.values[SPACE_MIN_CHILD_WEIGHT] == 1);
    assert_true(p.values[SPACE_COLSAMPLE_BYTREE] == 1);
    space_standard(&p, 2700, 25);
    assert_true(p.values[SPACE_MIN_CHILD_WEIGHT] == 4.5);
    assert_true(p.values[SPACE_COLSAMPLE_BYTREE] == 0.4);
    space_standard(&p, 1e9, 500);
    assert_true(p.values[SPACE_MIN_CHILD_WEIGHT] == 50);
    assert_true(p.values[SPACE_COLSAMPLE_BYTREE] == 0.3);
}

static void points_read_well(void **state)
{
    struct space_point p = standard();
    struct buf b = {0};
    struct err e;
    (void)state;
    assert_int_equal(space_give(&p, "gamma=0.5", &e), 0);
    space_put_text(&b, &p);
    assert_buf_is(&b, "eta 0.05, max_depth 5, min_child_weight 17, subsample 0.8, "
                      "colsample_bytree 0.5, lambda 5, gamma 0.5");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_trial_is_the_standard_and_others_stay_in_their_ranges),
        cmocka_unit_test(a_trial_hangs_on_the_seed_and_its_number_alone),
        cmocka_unit_test(what_was_given_is_left_alone_and_changes_nothing_else),
        cmocka_unit_test(looks_are_at_equal_amounts_of_learning),
        cmocka_unit_test(a_trial_below_the_median_of_four_is_given_up),
        cmocka_unit_test(the_best_beats_the_standard_by_more_than_luck),
        cmocka_unit_test(parameters_that_cannot_be_are_refused),
        cmocka_unit_test(leaves_need_their_share_of_what_the_rows_tell),
        cmocka_unit_test(points_read_well),
    };
    return RUN(tests);
}

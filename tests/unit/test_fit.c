#include "unit.h"

#include "support/training_set.h"
#include "training/boosting.h"
#include "training/fit.h"
#include "training/judged.h"

/* A set, and what is made of it. */
struct bench {
    char dir[64];
    struct set *set;
    struct feature_set *definitions;
    struct space_point given;
    struct fit_opts opts;
    struct fit *fit;
    int64_t clock_us;
    bool stop;
    size_t rounds_to_stop, rounds, trials;
    struct err e;
};

static int64_t now_us(void *arg)
{
    struct bench *b = arg;
    return b->clock_us += 1000;
}

static bool stopping(void *arg)
{
    struct bench *b = arg;
    return b->rounds_to_stop && b->rounds >= b->rounds_to_stop;
}

static void on_round(void *arg, size_t trial, uint32_t round)
{
    struct bench *b = arg;
    (void)trial;
    (void)round;
    b->rounds++;
}

static void on_trial(void *arg, size_t trial, const struct search_trial *t, enum metric_kind score,
                     bool is_best)
{
    struct bench *b = arg;
    (void)t;
    (void)score;
    (void)is_best;
    assert_int_equal(trial, b->trials);
    b->trials++;
}

static void set_up(struct bench *b, const struct training_opts *o)
{
    memset(b, 0, sizeof *b);
    training_directory(b->dir);
    training_write(b->dir, o);
    if (set_open(&b->set, b->dir, &b->e))
        fail_msg("%s", b->e.msg);
    assert_int_equal(
        feature_set_parse(&b->definitions, "test", set_info(b->set)->definitions, &b->e), 0);
    b->opts = (struct fit_opts){.objective = fit_objective_find("binary:logistic"),
                                .definitions = b->definitions,
                                .split = {0.2, 0.125, SPLIT_BY_SHARE, false},
                                .given = &b->given,
                                .trials = 1,
                                .seed = 1,
                                .threads = 1,
                                .rounds = 60,
                                .k = 10,
                                .calibration = FIT_AUTO,
                                .hooks = {.arg = b,
                                          .now_us = now_us,
                                          .stopping = stopping,
                                          .round = on_round,
                                          .trial = on_trial}};
}

static void tear_down(struct bench *b)
{
    fit_free(b->fit);
    feature_set_free(b->definitions);
    set_free(b->set);
    training_remove(b->dir);
}

static void make(struct bench *b)
{
    if (fit_make(&b->fit, b->set, &b->opts, &b->e))
        fail_msg("%s", b->e.msg);
}

static const struct training_opts usual = {.requests = 600, .rows = 10, .seed = 1};

static void what_labels_hang_on_is_found(void **state)
{
    struct bench b;
    struct judged j;
    double importance[TRAINING_COLUMNS] = {0};
    (void)state;
    set_up(&b, &(struct training_opts){.requests = 3000, .rows = 10, .seed = 1});
    make(&b);
    /* `empty` and `same` say nothing; the trees are those that early stopping kept. */
    assert_int_equal(b.fit->survey.used_count, 4);
    assert_int_equal(b.fit->survey.columns[3].use, SURVEY_MISSING);
    assert_int_equal(b.fit->survey.columns[4].use, SURVEY_CONSTANT);
    assert_int_equal(b.fit->ensemble->tree_count, b.fit->trials[0].trees);
    assert_string_equal(b.fit->ensemble->column_names[3], "place");
    assert_true(b.fit->trials[0].score > 0.6);
    assert_int_equal(judged_make(&j, b.set, b.fit, b.definitions, &b.e), 0);
    for (size_t i = 0; i < j.sample.rows; i++)
        for (size_t c = 0; c < 4; c++)
            importance[c] += fabs((double)j.sample.contributions[i * 5 + c]);
    /* The margin is 2 * taste - price, of standard deviations 1 and 0.29. */
    assert_true(importance[0] > 3 * importance[1] && importance[1] > importance[2]);
    judged_free(&j);
    tear_down(&b);
}

static void the_same_again_gives_the_same_bytes(void **state)
{
    struct bench b;
    struct buf first = {0};
    (void)state;
    set_up(&b, &usual);
    b.opts.trials = 5;
    make(&b);
    buf_put_str(&first, buf_str(&b.fit->bytes));
    fit_free(b.fit);
    b.trials = 0;
    make(&b);
    assert_bytes(&b.fit->bytes, first.data, first.len);
    /* Another seed draws other rows. */
    fit_free(b.fit);
    b.opts.seed = 2;
    b.trials = 0;
    make(&b);
    assert_false(str_equal(buf_str(&b.fit->bytes), buf_str(&first)));
    buf_free(&first);
    tear_down(&b);
}

static void a_search_ended_by_time_is_repeated_by_its_number_of_trials(void **state)
{
    struct bench b;
    struct buf first = {0};
    (void)state;
    set_up(&b, &usual);
    b.opts.trials = 0;
    b.opts.time_us = 250 * 1000; /* each look at the clock takes a millisecond */
    make(&b);
    size_t trials = b.fit->trial_count;
    assert_true(trials > 1 && trials < 100);
    buf_put_str(&first, buf_str(&b.fit->bytes));
    fit_free(b.fit);
    b.trials = 0;
    b.opts.trials = trials;
    b.opts.time_us = 0;
    make(&b);
    assert_bytes(&b.fit->bytes, first.data, first.len);
    buf_free(&first);
    tear_down(&b);
}

static void asked_to_stop_it_ends_with_the_best_so_far(void **state)
{
    struct bench b;
    (void)state;
    set_up(&b, &usual);
    b.opts.trials = 50;
    b.rounds_to_stop = 150;
    make(&b);
    assert_true(b.fit->was_stopped);
    assert_true(b.fit->trial_count >= 2 && b.fit->trial_count < 50);
    fit_free(b.fit);
    b.fit = NULL;
    b.rounds = b.trials = 0;
    b.rounds_to_stop = 3;
    assert_int_equal(fit_make(&b.fit, b.set, &b.opts, &b.e), ERR_ABORTED);
    assert_contains(b.e.msg, "before the first trial was done");
    tear_down(&b);
}

/* Held against the library with the trees that were kept: a file that was cut is what it was. */
static void the_trees_that_were_not_kept_are_gone(void **state)
{
    struct bench b;
    struct judged j;
    (void)state;
    set_up(&b, &usual);
    b.opts.rounds = 400;
    b.opts.patience = 10;
    make(&b);
    assert_int_equal(b.rounds, b.fit->trials[0].trees + 10);
    assert_int_equal(b.fit->ensemble->tree_count, b.fit->trials[0].trees);
    /* scoring_model() asks XGBoost for a sample, bit for bit. */
    assert_int_equal(judged_make(&j, b.set, b.fit, b.definitions, &b.e), 0);
    judged_free(&j);
    tear_down(&b);
}

static void every_objective_learns_the_order(void **state)
{
    static const char *const names[] = {"binary:logistic", "rank:ndcg", "rank:pairwise"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct bench b;
        set_up(
            &b,
            &(struct training_opts){
                .requests = 600, .rows = 10, .seed = 1, .labels = LABELS_GRADED, .explored = true});
        b.opts.objective = fit_objective_find(names[i]);
        make(&b);
        assert_true(b.fit->score == METRIC_NDCG && b.fit->trials[0].score > 0.55);
        assert_int_equal(b.fit->calibration->kind, i == 0 ? CALIBRATION_PLATT : CALIBRATION_NONE);
        tear_down(&b);
    }
}

static void numbers_are_learned_as_numbers(void **state)
{
    struct bench b;
    (void)state;
    set_up(&b,
           &(struct training_opts){.requests = 6000, .rows = 1, .seed = 1, .labels = LABELS_REAL});
    b.opts.objective = fit_objective_find("reg:squarederror");
    b.opts.split.regression = true;
    b.opts.rounds = 300;
    make(&b);
    /* The noise's standard deviation is 1, that of the labels above 6. */
    assert_true(b.fit->score == METRIC_RMSE);
    assert_true(b.fit->trials[0].score < -0.95 && b.fit->trials[0].score > -2);
    tear_down(&b);
}

static void infinite_values_and_rows_without_labels_are_no_obstacle(void **state)
{
    struct bench b;
    struct judged j;
    (void)state;
    set_up(&b, &(struct training_opts){.requests = 400,
                                       .rows = 12,
                                       .seed = 5,
                                       .unlabelled = 0.5,
                                       .infinite = true,
                                       .explored = true});
    make(&b);
    assert_true(b.fit->survey.columns[1].infinite > 0);
    assert_true(b.fit->train.explored && b.fit->train.cut > 0);
    assert_int_equal(judged_make(&j, b.set, b.fit, b.definitions, &b.e), 0);
    assert_int_equal(j.scorer_count, 2);
    assert_string_equal(j.scorers[1].name, "as shown");
    judged_free(&j);
    tear_down(&b);
}

static void refused(const struct training_opts *o, const char *objective, const char *why)
{
    struct bench b;
    set_up(&b, o);
    b.opts.objective = fit_objective_find(objective);
    b.opts.split.regression = b.opts.objective->kind == INSTANCES_REGRESSION;
    assert_int_equal(fit_make(&b.fit, b.set, &b.opts, &b.e), ERR_INVALID);
    assert_contains(b.e.msg, why);
    assert_null(b.fit);
    tear_down(&b);
}

static void sets_that_say_nothing_are_refused_with_the_reason(void **state)
{
    (void)state;
    refused(&(struct training_opts){.requests = 50, .rows = 5, .labels = LABELS_NONE},
            "binary:logistic", "none has a row with a label above 0");
    refused(&(struct training_opts){.requests = 50, .rows = 5, .labels = LABELS_ALL},
            "binary:logistic", "nothing to tell apart");
    refused(&(struct training_opts){.requests = 50, .rows = 5, .labels = LABELS_ALL}, "rank:ndcg",
            "all labels are the same");
    refused(&(struct training_opts){.requests = 50, .rows = 5, .labels = LABELS_ALL},
            "reg:squarederror", "the label of all");
    refused(&(struct training_opts){.requests = 1, .rows = 20, .labels = LABELS_ALL},
            "binary:logistic", "part has 0 requests");
    refused(&(struct training_opts){.requests = 50, .rows = 5, .seed = 2, .one_time = true},
            "binary:logistic", "part has 0 requests");
    refused(&(struct training_opts){.requests = 50, .rows = 5, .unlabelled = 1}, "binary:logistic",
            "nothing to learn");
}

static void a_set_of_a_few_rows_is_enough(void **state)
{
    struct bench b;
    (void)state;
    set_up(&b, &(struct training_opts){.requests = 12, .rows = 4, .seed = 3});
    make(&b);
    /* Too few positives for a calibration: the model is there, and says why it has none. */
    assert_int_equal(b.fit->calibration->kind, CALIBRATION_NONE);
    assert_true(b.fit->no_calibration[0] != 0);
    tear_down(&b);
}

/* Clicks fall with the place; served, all stand at the same. */
static void validation_rows_stand_at_the_place_that_is_served(void **state)
{
    struct bench b;
    struct judged j;
    (void)state;
    set_up(&b, &usual);
    make(&b);
    assert_int_equal(b.fit->fixed_count, 1);
    assert_int_equal(b.fit->fixed[0].column, 5);
    assert_int_equal(judged_make(&j, b.set, b.fit, b.definitions, &b.e), 0);
    for (size_t i = 0; i < j.sample.rows; i++)
        assert_true(j.sample.values[i * 4 + 3] == 0);
    judged_free(&j);
    tear_down(&b);
}

/* The lower half of a list is clicked less and counts much more in training: what is published is
 * the rate of the rows as they come. */
static void published_scores_are_the_rate_of_rows_as_they_come(void **state)
{
    struct bench b;
    struct judged j;
    double said = 0, happened = 0;
    (void)state;
    set_up(&b, &(struct training_opts){.requests = 3000, .rows = 10, .seed = 1, .explored = true});
    make(&b);
    assert_true(b.fit->train.explored);
    assert_int_equal(judged_make(&j, b.set, b.fit, b.definitions, &b.e), 0);
    const struct split_range *test = &b.fit->split.parts[SPLIT_TEST];
    const float *labels = set_rows(b.set)->labels + set_rows(b.set)->first[test->first];
    size_t n = test->count * 10;
    for (size_t i = 0; i < n; i++) {
        said += (double)j.scorers[0].scores[i] / (double)n;
        happened += (double)labels[i] / (double)n;
    }
    /* 6,000 rows: the standard error of the rate is below 0.005. */
    assert_true(fabs(said - happened) < 0.015);
    judged_free(&j);
    tear_down(&b);
}

static void memory_that_cannot_be_had_is_an_error_wherever_it_is_wanted(void **state)
{
    struct bench b;
    struct judged j;
    (void)state;
    set_up(&b, &(struct training_opts){.requests = 40, .rows = 4, .seed = 3, .explored = true});
    b.opts.rounds = 2;
    for (int n = 1;; n++) {
        struct fit *f = NULL;
        b.trials = 0;
        memset(&j, 0, sizeof j);
        fail_alloc_at(n);
        int rc = fit_make(&f, b.set, &b.opts, &b.e);
        if (!rc)
            rc = judged_make(&j, b.set, f, b.definitions, &b.e);
        bool failed = fail_alloc_end();
        judged_free(&j);
        fit_free(f);
        if (!failed) {
            assert_int_equal(rc, 0);
            assert_true(n > 100);
            break;
        }
        /* A calibration that could not be fitted for want of rows is none; of memory it is no
         * model. */
        if (rc != ERR_NOMEM)
            fail_msg("allocation %d: %d, %s", n, rc, b.e.msg);
    }
    tear_down(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_labels_hang_on_is_found),
        cmocka_unit_test(the_same_again_gives_the_same_bytes),
        cmocka_unit_test(a_search_ended_by_time_is_repeated_by_its_number_of_trials),
        cmocka_unit_test(asked_to_stop_it_ends_with_the_best_so_far),
        cmocka_unit_test(the_trees_that_were_not_kept_are_gone),
        cmocka_unit_test(every_objective_learns_the_order),
        cmocka_unit_test(numbers_are_learned_as_numbers),
        cmocka_unit_test(infinite_values_and_rows_without_labels_are_no_obstacle),
        cmocka_unit_test(sets_that_say_nothing_are_refused_with_the_reason),
        cmocka_unit_test(a_set_of_a_few_rows_is_enough),
        cmocka_unit_test(validation_rows_stand_at_the_place_that_is_served),
        cmocka_unit_test(published_scores_are_the_rate_of_rows_as_they_come),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error_wherever_it_is_wanted),
    };
    return RUN(tests);
}

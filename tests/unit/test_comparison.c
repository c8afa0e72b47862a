#include "backfill/comparison.h"
#include "unit.h"

#include "support/fixture.h"

#include <math.h>

static const char DEFINITIONS[] =
    "features:\n"
    "  - {name: own,      scope: user, count: {event: click, windows: [1h]}}\n"
    "  - {name: pair,     scope: user*proposition, rate: {of: click, per: impression, windows: "
    "[1h], "
    "weight: 1, prior: 0.1}}\n"
    "  - {name: smoothed, scope: user*proposition, rate: {of: click, per: impression, windows: "
    "[1h], "
    "weight: 1, prior: global}}\n"
    "  - {name: by_genre, scope: user*proposition.genres, count: {event: click, windows: [1h]}}\n"
    "  - {name: on_tv,    scope: user*context.device, count: {event: click, windows: [1h]}}\n"
    "  - {name: variety,  scope: user, distinct: {event: click, of: proposition, window: 1h}}\n"
    "  - {name: tastes,   scope: user, distinct: {event: click, of: proposition.genres, window: "
    "1h}}\n"
    "  - {name: shared,   scope: proposition, count: {event: click, windows: [1h]}}\n"
    "  - {name: price,    scope: proposition, attribute: {field: price}}\n"
    "  - {name: device,   scope: context, attribute: {field: device, values: [tv]}}\n"
    "  - {name: hour,     scope: context, time: {part: hour_of_day, zone: UTC}}\n"
    "  - {name: own_standing,    scope: candidate, standing: {of: pair_1h}}\n"
    "  - {name: shared_standing, scope: candidate, standing: {of: shared_1h}}\n"
    "  - {name: position, scope: candidate, position: {at_serving: 0}}\n";

enum {
    OWN,
    PAIR,
    SMOOTHED,
    BY_GENRE,
    ON_TV,
    VARIETY,
    TASTES,
    SHARED,
    PRICE,
    DEVICE,
    HOUR,
    OWN_STANDING,
    SHARED_STANDING,
    POSITION
};

/* A record of two candidates with all columns of the set, in their order, each with this value. */
struct record {
    struct score_log log;
    struct str names[32], candidates[2];
    uint8_t fingerprints[32 * FINGERPRINT_BYTES];
    float values[2 * 32];
};

static void fill_record(struct record *r, const struct feature_set *set, float value)
{
    *r = (struct record){.candidates = {str_of("a"), str_of("b")}};
    for (size_t i = 0; i < set->output_count; i++) {
        r->names[i] = str_of(set->outputs[i].name);
        memcpy(r->fingerprints + i * FINGERPRINT_BYTES, set->outputs[i].feature->fingerprint,
               FINGERPRINT_BYTES);
    }
    for (size_t i = 0; i < 2 * set->output_count; i++)
        r->values[i] = value;
    r->log = (struct score_log){
        .request_id = str_of("r"),
        .features = {r->names, set->output_count},
        .fingerprints = str_bytes(r->fingerprints, set->output_count * FINGERPRINT_BYTES),
        .candidates = {r->candidates, 2},
        .vectors = str_bytes(r->values, 2 * set->output_count * sizeof(float)),
    };
}

static bool take(struct comparison *c, const struct score_log *log, bool came_late, float *vectors)
{
    struct err e = {0};
    bool usable = false;
    if (comparison_take(c, log, came_late, false, vectors, &usable, &e))
        fail_msg("%s", e.msg);
    return usable;
}

struct world {
    struct feature_set *set;
    struct comparison c;
    struct record record;
    float vectors[2 * 32];
};

static void make_world(struct world *w, float logged, float replayed)
{
    struct err e = {0};
    w->set = definitions(DEFINITIONS);
    assert_int_equal(comparison_init(&w->c, w->set, &e), 0);
    fill_record(&w->record, w->set, logged);
    for (size_t i = 0; i < 2 * w->set->output_count; i++)
        w->vectors[i] = replayed;
}

static void free_world(struct world *w)
{
    comparison_free(&w->c);
    feature_set_free(w->set);
}

static void only_the_users_own_the_context_and_the_time_must_be_equal(void **state)
{
    (void)state;
    static const enum comparison_class expected[] = {
        [OWN] = COMPARED_EXACT,
        [PAIR] = COMPARED_EXACT,
        [SMOOTHED] = COMPARED_SHARED,
        [SHARED] = COMPARED_SHARED,
        [BY_GENRE] = COMPARED_SHARED,
        [ON_TV] = COMPARED_EXACT,
        [VARIETY] = COMPARED_EXACT,
        [TASTES] = COMPARED_SHARED,
        [PRICE] = COMPARED_SHARED,
        [DEVICE] = COMPARED_EXACT,
        [HOUR] = COMPARED_EXACT,
        [OWN_STANDING] = COMPARED_EXACT,
        [SHARED_STANDING] = COMPARED_SHARED,
        [POSITION] = COMPARED_NEVER,
    };
    struct world w;
    make_world(&w, 0, 0);
    for (size_t i = 0; i < w.set->output_count; i++)
        assert_int_equal(w.c.columns[i].class, expected[i]);
    free_world(&w);
}

static void logged_values_are_taken_and_counted_where_they_differ(void **state)
{
    (void)state;
    struct world w;
    make_world(&w, 7, 8);
    assert_true(take(&w.c, &w.record.log, false, w.vectors));
    assert_true(w.vectors[OWN] == 7 && w.vectors[SHARED] == 7);
    assert_true(w.vectors[POSITION] == 8); /* where it was shown, not what serving had */
    assert_int_equal(w.c.columns[OWN].values, 2);
    assert_int_equal(w.c.columns[OWN].different, 2);
    assert_int_equal(w.c.columns[POSITION].values, 0);
    assert_int_equal(comparison_defects(&w.c), 2 * 7);
    assert_int_equal(comparison_lags(&w.c), 2 * 6);
    free_world(&w);
}

static void what_an_event_that_came_late_explains_is_no_defect(void **state)
{
    (void)state;
    struct world w;
    make_world(&w, 7, 8);
    assert_true(take(&w.c, &w.record.log, true, w.vectors));
    assert_int_equal(comparison_defects(&w.c), 0);
    assert_int_equal(w.c.columns[OWN].late, 2);
    assert_int_equal(w.c.example_count, 0);
    free_world(&w);
}

static void missing_is_missing_and_zero_has_no_sign(void **state)
{
    (void)state;
    struct world w;
    make_world(&w, NAN, NAN);
    assert_true(take(&w.c, &w.record.log, false, w.vectors));
    assert_int_equal(comparison_defects(&w.c) + comparison_lags(&w.c), 0);
    fill_record(&w.record, w.set, 0);
    for (size_t i = 0; i < 2 * w.set->output_count; i++)
        w.vectors[i] = -0.0F;
    assert_true(take(&w.c, &w.record.log, false, w.vectors));
    assert_int_equal(comparison_defects(&w.c) + comparison_lags(&w.c), 0);
    for (size_t i = 0; i < 2 * w.set->output_count; i++)
        w.vectors[i] = NAN;
    assert_true(take(&w.c, &w.record.log, false, w.vectors));
    assert_int_equal(comparison_defects(&w.c), 2 * 7);
    free_world(&w);
}

/* The same name with another definition is another column. */
static void a_column_is_known_by_name_and_fingerprint(void **state)
{
    (void)state;
    struct world w;
    make_world(&w, 7, 8);
    w.record.fingerprints[OWN * FINGERPRINT_BYTES] ^= 1;
    w.record.names[SHARED] = str_of("other");
    assert_true(take(&w.c, &w.record.log, false, w.vectors));
    assert_true(w.vectors[OWN] == 8 && w.vectors[SHARED] == 8 && w.vectors[PAIR] == 7);
    assert_int_equal(w.c.columns[OWN].missing, 2);
    assert_int_equal(w.c.columns[SHARED].missing, 2);
    /* Other columns of the next record are found anew. */
    w.record.fingerprints[OWN * FINGERPRINT_BYTES] ^= 1;
    assert_true(take(&w.c, &w.record.log, false, w.vectors));
    assert_true(w.vectors[OWN] == 7);
    free_world(&w);
}

static void dropped_keys_of_a_user_whose_events_came_out_of_order_explain_a_difference(void **state)
{
    (void)state;
    struct world w;
    struct err e = {0};
    bool usable = false;
    make_world(&w, 7, 8);
    assert_int_equal(comparison_take(&w.c, &w.record.log, false, true, w.vectors, &usable, &e), 0);
    assert_int_equal(w.c.columns[PAIR].late, 2);
    assert_int_equal(w.c.columns[OWN_STANDING].late, 2);
    assert_int_equal(w.c.columns[OWN].different, 2);
    free_world(&w);
}

/* Its window is an hour: an hour behind the first record that has it, it knows all of its past. */
static void a_column_that_is_new_in_the_log_may_differ_for_its_longest_window(void **state)
{
    (void)state;
    struct world w;
    make_world(&w, 7, 8);
    w.record.fingerprints[OWN * FINGERPRINT_BYTES] ^= 1;
    assert_true(take(&w.c, &w.record.log, false, w.vectors));
    w.record.fingerprints[OWN * FINGERPRINT_BYTES] ^= 1;
    for (int i = 0; i < 3; i++) {
        w.record.log.timestamp = 1000 + i * INT64_C(1800001);
        w.vectors[OWN] = 8;
        assert_true(take(&w.c, &w.record.log, false, w.vectors));
    }
    assert_int_equal(w.c.columns[OWN].late,
                     4 - 1); /* of the second candidate only the first time */
    assert_int_equal(w.c.columns[OWN].different, 1);
    free_world(&w);
}

static void a_column_is_new_after_records_that_were_not_used_as_well(void **state)
{
    (void)state;
    struct world w;
    struct err e = {0};
    make_world(&w, 7, 8);
    w.record.fingerprints[OWN * FINGERPRINT_BYTES] ^= 1;
    assert_int_equal(comparison_note(&w.c, &w.record.log, &e), 0);
    w.record.fingerprints[OWN * FINGERPRINT_BYTES] ^= 1;
    w.record.log.timestamp = 1000;
    assert_true(take(&w.c, &w.record.log, false, w.vectors));
    assert_int_equal(w.c.columns[OWN].late, 2);
    assert_int_equal(w.c.columns[OWN].different, 0);
    assert_int_equal(w.c.requests, 1);
    free_world(&w);
}

static void a_record_without_any_of_these_columns_is_not_used(void **state)
{
    (void)state;
    struct world w;
    make_world(&w, 7, 8);
    for (size_t i = 0; i < w.set->output_count; i++)
        w.record.names[i] = str_of("other");
    assert_false(take(&w.c, &w.record.log, false, w.vectors));
    assert_int_equal(w.c.requests, 0);
    assert_int_equal(w.c.unusable, 0);
    free_world(&w);
}

static void a_record_whose_parts_do_not_fit_is_not_used(void **state)
{
    (void)state;
    struct world w;
    make_world(&w, 7, 8);
    struct score_log short_of_a_value = w.record.log, without_columns = w.record.log,
                     short_of_a_fingerprint = w.record.log, of_three = w.record.log;
    short_of_a_value.vectors.len -= sizeof(float);
    without_columns.features.count = 0;
    short_of_a_fingerprint.fingerprints.len -= 1;
    of_three.candidates.count = 1;
    assert_false(take(&w.c, &short_of_a_value, false, w.vectors));
    assert_false(take(&w.c, &without_columns, false, w.vectors));
    assert_false(take(&w.c, &short_of_a_fingerprint, false, w.vectors));
    assert_false(take(&w.c, &of_three, false, w.vectors));
    assert_int_equal(w.c.unusable, 4);
    assert_true(w.vectors[OWN] == 8);
    free_world(&w);
}

/* Shared columns fill the places first; no column gets more than three. */
static void examples_of_defects_push_out_those_of_lags(void **state)
{
    (void)state;
    struct world w;
    make_world(&w, 7, 7);
    for (int request = 0; request < 10; request++) {
        for (size_t row = 0; row < 2; row++)
            for (size_t i = 0; i < w.set->output_count; i++)
                w.vectors[row * w.set->output_count + i] =
                    w.c.columns[i].class == COMPARED_SHARED ? 8 : 7;
        assert_true(take(&w.c, &w.record.log, false, w.vectors));
    }
    assert_int_equal(w.c.example_count, 6 * 3);
    for (int request = 0; request < 10; request++) {
        for (size_t i = 0; i < 2 * w.set->output_count; i++)
            w.vectors[i] = 8;
        assert_true(take(&w.c, &w.record.log, false, w.vectors));
    }
    size_t exact = 0;
    for (size_t i = 0; i < w.c.example_count; i++)
        exact += w.c.columns[w.c.examples[i].column].class == COMPARED_EXACT;
    assert_int_equal(w.c.example_count, COMPARISON_EXAMPLES);
    assert_int_equal(exact, COMPARISON_EXAMPLES);
    free_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_users_own_the_context_and_the_time_must_be_equal),
        cmocka_unit_test(logged_values_are_taken_and_counted_where_they_differ),
        cmocka_unit_test(what_an_event_that_came_late_explains_is_no_defect),
        cmocka_unit_test(missing_is_missing_and_zero_has_no_sign),
        cmocka_unit_test(a_column_is_known_by_name_and_fingerprint),
        cmocka_unit_test(
            dropped_keys_of_a_user_whose_events_came_out_of_order_explain_a_difference),
        cmocka_unit_test(a_column_that_is_new_in_the_log_may_differ_for_its_longest_window),
        cmocka_unit_test(a_column_is_new_after_records_that_were_not_used_as_well),
        cmocka_unit_test(a_record_without_any_of_these_columns_is_not_used),
        cmocka_unit_test(a_record_whose_parts_do_not_fit_is_not_used),
        cmocka_unit_test(examples_of_defects_push_out_those_of_lags),
    };
    return RUN(tests);
}

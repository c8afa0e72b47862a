#include "feature/replay.h"
#include "unit.h"

#include "support/fixture.h"

#include <math.h>

/* The values of one candidate of user u, by name. */
static double read_value(struct replay *r, const struct feature_set *set, const char *name,
                         const char *candidate, int64_t as_of_ms)
{
    struct str place = str_of(candidate);
    struct rank_request q = {.request_id = str_of("r"),
                             .user_id = str_of("u"),
                             .timestamp = as_of_ms,
                             .candidates = {&place, 1}};
    double *out = calloc(set->output_count, sizeof *out);
    struct err e = {0};
    if (replay_request(r, &q, NULL, out, &e))
        fail_msg("%s", e.msg);
    double value = NAN;
    for (size_t i = 0; i < set->output_count; i++)
        if (strcmp(set->outputs[i].name, name) == 0)
            value = out[i];
    free(out);
    return value;
}

static void click_at(struct replay *r, const char *id, int64_t time_ms, const char *proposition)
{
    struct str place;
    struct event event = event_of(&place, id, "click", "u", time_ms, proposition);
    replay_one(r, &event);
}

static bool accepts(struct replay *r, const struct event *event, int64_t kafka_ms)
{
    bool accepted = true;
    struct err e = {0};
    if (replay_event(r, event, kafka_ms, &accepted, &e))
        fail_msg("%s", e.msg);
    return accepted;
}

/* x and 63 others are the last 64; the 64th other pushes x out. tests/oracle/test_oracle.py. */
static void a_repeat_among_the_last_64_is_ignored_and_does_not_renew_its_id(void **state)
{
    (void)state;
    struct feature_set *set = definition("scope: user, count: {event: click, windows: [5m]}");
    struct replay *r = replay_of(set, 256);
    struct str place;
    struct event x = event_of(&place, "x", "click", "u", 0, "p");
    char id[16];
    assert_true(accepts(r, &x, APPLY_NO_TIME));
    for (int i = 0; i < 63; i++) {
        snprintf(id, sizeof id, "e%d", i);
        click_at(r, id, 0, "p");
        assert_false(accepts(r, &x, APPLY_NO_TIME));
    }
    assert_value(read_value(r, set, "f_5m", "p", 0), 64);
    click_at(r, "last", 0, "p");
    assert_true(accepts(r, &x, APPLY_NO_TIME));
    assert_value(read_value(r, set, "f_5m", "p", 0), 66);
    replay_free(r);
    feature_set_free(set);
}

static void what_is_too_far_ahead_is_no_event_and_takes_no_id(void **state)
{
    (void)state;
    struct feature_set *set = definition("scope: user, count: {event: click, windows: [1h]}");
    struct replay *r = replay_of(set, 256);
    struct str place;
    struct event x = event_of(&place, "x", "click", "u", 300001, "p");
    assert_false(accepts(r, &x, 0));
    x.timestamp = 300000;
    assert_true(accepts(r, &x, 0));
    assert_value(read_value(r, set, "f_1h", "p", 300001), 1);
    replay_free(r);
    feature_set_free(set);
}

static void values_that_are_no_numbers_are_an_error(void **state)
{
    (void)state;
    struct feature_set *set = definition("scope: user, sum: {event: click, windows: [1h]}");
    struct replay *r = replay_of(set, 256);
    struct str place;
    struct event x = event_of(&place, "x", "click", "u", 0, "p");
    bool accepted;
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        struct err e = {0};
        x.value = (struct optional_double){true, bad[i]};
        assert_int_equal(replay_event(r, &x, APPLY_NO_TIME, &accepted, &e), ERR_SCHEMA);
        assert_contains(e.msg, "finite");
        assert_false(accepted);
    }
    x.value.value = 3;
    assert_true(accepts(r, &x, APPLY_NO_TIME));
    assert_value(read_value(r, set, "f_1h", "p", 0), 3);
    replay_free(r);
    feature_set_free(set);
}

/* p0 ... p255, p0 again by arrival though oldest by time, then p256: p1 goes and p0 stays. */
static void key_257_drops_the_one_contributed_to_least_recently(void **state)
{
    (void)state;
    struct feature_set *set =
        definition("scope: user*proposition, count: {event: click, windows: [1h]}");
    struct replay *r = replay_of(set, 256);
    char id[16], p[16];
    for (int i = 0; i <= 257; i++) {
        snprintf(id, sizeof id, "e%d", i);
        snprintf(p, sizeof p, "p%d", i == 256 ? 0 : i == 257 ? 256 : i);
        click_at(r, id, i == 256 ? 0 : 9, p);
    }
    assert_value(read_value(r, set, "f_1h", "p0", 9), 2);
    assert_value(read_value(r, set, "f_1h", "p1", 9), 0);
    assert_value(read_value(r, set, "f_1h", "p2", 9), 1);
    assert_value(read_value(r, set, "f_1h", "p256", 9), 1);
    click_at(r, "back", 9, "p1"); /* from zero */
    assert_value(read_value(r, set, "f_1h", "p1", 9), 1);
    assert_value(read_value(r, set, "f_1h", "p2", 9), 0);
    replay_free(r);
    feature_set_free(set);
}

/* A click on p0 and a view of each of p0 ... p256: p0 is dropped, N = 1 / 257. */
static void a_global_prior_keeps_what_dropped_keys_held(void **state)
{
    (void)state;
    struct feature_set *set = definition("scope: user*proposition, rate: {of: click, per: view, "
                                         "windows: [1h], weight: 1, prior: global}");
    struct replay *r = replay_of(set, 256);
    char id[16], p[16];
    click_at(r, "x", 0, "p0");
    for (int i = 0; i <= 256; i++) {
        struct str place;
        snprintf(id, sizeof id, "e%d", i);
        snprintf(p, sizeof p, "p%d", i);
        struct event view = event_of(&place, id, "view", "u", 0, p);
        replay_one(r, &view);
    }
    assert_value(read_value(r, set, "f_1h", "p0", 0), 1.0 / 257);
    replay_free(r);
    feature_set_free(set);
}

static int count_keys(void *arg, const struct feature_values *v, struct err *e)
{
    (void)e;
    assert_int_equal(v->as_of, 5000);
    assert_true(str_is(v->scope, "proposition.year"));
    assert_true(str_is(v->key.items[0], "1995"));
    assert_int_equal(v->values.count, 1);
    assert_true(v->values.items[0].value == 1.5); /* 1 + 2^-1 an hour before it */
    ++*(int *)arg;
    return 0;
}

static void keys_are_read_at_their_newest_contribution(void **state)
{
    (void)state;
    struct feature_set *set =
        definition("scope: proposition.year, decay: {event: click, half_life: 1h}");
    struct replay *r = replay_of(set, 256);
    struct attribute place;
    struct entity p = entity_of(&place, "p", 0, number_attribute("year", 1995));
    struct err e = {0};
    int keys = 0;
    assert_int_equal(replay_entity(r, SIDE_PROPOSITION, &p, &e), 0);
    click_at(r, "a", 5000, "p");
    click_at(r, "b", 5000 - 3600000, "p");
    click_at(r, "c", 9000, "unknown"); /* no year: nowhere */
    assert_int_equal(replay_each_key(r, count_keys, &keys, &e), 0);
    assert_int_equal(keys, 1);
    replay_free(r);
    feature_set_free(set);
}

/* ---------------------------------------------------------- memory */

/* A dozen aggregates of the user alone, as an application would have them. */
static const char *const DOZEN =
    "features:\n"
    "  - {name: clicks, scope: user, count: {event: click, windows: [5m, 1h, 1d, 7d]}}\n"
    "  - {name: views, scope: user, count: {event: impression, windows: [1h, 1d]}}\n"
    "  - {name: ctr, scope: user, rate: {of: click, per: impression, windows: [7d], weight: 10, "
    "prior: 0.05}}\n"
    "  - {name: spend, scope: user, sum: {event: convert, windows: [1d, 30d]}}\n"
    "  - {name: mean_spend, scope: user, mean: {event: convert, windows: [30d]}}\n"
    "  - {name: largest, scope: user, max: {event: convert, windows: [30d]}}\n"
    "  - {name: since_click, scope: user, recency: {event: click}}\n"
    "  - {name: since_order, scope: user, recency: {event: convert}}\n"
    "  - {name: heat, scope: user, decay: {event: click, half_life: 1h}}\n"
    "  - {name: interest, scope: user, decay: {event: click, half_life: 7d}}\n"
    "  - {name: variety, scope: user, distinct: {event: click, of: proposition, window: 7d}}\n"
    "  - {name: devices, scope: user, distinct: {event: click, of: context.device, window: 30d}}\n";

/* A dozen values. */
static const char *const DOZEN_VALUES =
    "features:\n"
    "  - {name: clicks, scope: user, count: {event: click, windows: [5m, 1h, 1d, 7d]}}\n"
    "  - {name: views, scope: user, count: {event: impression, windows: [1h, 1d]}}\n"
    "  - {name: ctr, scope: user, rate: {of: click, per: impression, windows: [7d], weight: 10, "
    "prior: 0.05}}\n"
    "  - {name: spend, scope: user, sum: {event: convert, windows: [1d, 30d]}}\n"
    "  - {name: since_click, scope: user, recency: {event: click}}\n"
    "  - {name: heat, scope: user, decay: {event: click, half_life: 1h}}\n"
    "  - {name: variety, scope: user, distinct: {event: click, of: proposition, window: 7d}}\n";

enum { USERS = 100000, EVENTS_EACH = 8, THREE_DAYS_S = 3 * 86400 };

/* By Zipf's law with exponent 0.8: a few users have thousands of events, most have a handful. */
static int any_user(struct random *r, const double *up_to)
{
    double at = random_unit(r) * up_to[USERS - 1];
    int low = 0, high = USERS - 1;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (up_to[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* 6 of 10 are impressions of five, 3 clicks, 1 a conversion. */
static void any_event(struct replay *r, struct random *random, const double *up_to, int number)
{
    static const char *const devices[] = {"mobile", "desktop", "tv"};
    char id[40], user[24], names[5][16];
    struct str list[5];
    int64_t dice = random_below(random, 10);
    struct text_entry device = {str_of("device"), str_of(devices[random_below(random, 3)])};
    snprintf(id, sizeof id, "%016llx-%d", (unsigned long long)random_next(random), number);
    snprintf(user, sizeof user, "user-%d", any_user(random, up_to));
    for (size_t i = 0; i < 5; i++) {
        snprintf(names[i], sizeof names[i], "item-%d", (int)random_below(random, 5000));
        list[i] = str_of(names[i]);
    }
    struct event event = {
        .event_id = str_of(id),
        .event = str_of(dice < 6   ? "impression"
                        : dice < 9 ? "click"
                                   : "convert"),
        .user_id = str_of(user),
        .timestamp =
            INT64_C(1700000000000) + (int64_t)number * THREE_DAYS_S * 1000 / (USERS * EVENTS_EACH),
        .propositions = list_of(list, dice < 6 ? 5 : 1),
        .value = {dice == 9, (double)random_below(random, 20000) / 100},
        .context = {&device, 1},
    };
    replay_one(r, &event);
}

static void takes_at_most_200_bytes(const char *text)
{
    struct feature_set *set = definitions(text);
    struct replay *r = replay_of(set, 256);
    struct random random = {51};
    double *up_to = calloc(USERS, sizeof *up_to);
    size_t users = 0, outputs = set->output_count, features = set->feature_count;
    for (int i = 0; i < USERS; i++)
        up_to[i] = (i ? up_to[i - 1] : 0) + pow(i + 1, -0.8);
    for (int i = 0; i < USERS * EVENTS_EACH; i++)
        any_event(r, &random, up_to, i);
    double bytes = (double)replay_user_bytes(r, &users) / (double)users;
    print_message("%zu features, %zu values, %zu users, %d events: %.1f bytes a user\n", features,
                  outputs, users, USERS * EVENTS_EACH, bytes);
    free(up_to);
    replay_free(r);
    feature_set_free(set);
    assert_true(users > USERS / 2);
    if (bytes > 200)
        fail_msg("%.1f bytes a user", bytes);
}

static void typical_user_with_a_dozen_aggregates_takes_at_most_200_bytes(void **state)
{
    (void)state;
    takes_at_most_200_bytes(DOZEN);
}

/* Where each window is an aggregate of its own. */
static void typical_user_with_a_dozen_values_takes_at_most_200_bytes(void **state)
{
    (void)state;
    takes_at_most_200_bytes(DOZEN_VALUES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeat_among_the_last_64_is_ignored_and_does_not_renew_its_id),
        cmocka_unit_test(what_is_too_far_ahead_is_no_event_and_takes_no_id),
        cmocka_unit_test(values_that_are_no_numbers_are_an_error),
        cmocka_unit_test(key_257_drops_the_one_contributed_to_least_recently),
        cmocka_unit_test(a_global_prior_keeps_what_dropped_keys_held),
        cmocka_unit_test(keys_are_read_at_their_newest_contribution),
        cmocka_unit_test(typical_user_with_a_dozen_values_takes_at_most_200_bytes),
        cmocka_unit_test(typical_user_with_a_dozen_aggregates_takes_at_most_200_bytes),
    };
    return RUN(tests);
}

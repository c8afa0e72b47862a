#include "ctl/simulate.h"
#include "support/codec.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>

enum { HOUR_MS = 3600000, DAY_MS = 86400000 };

static struct simulate *opened(const struct simulate_opts *opts)
{
    struct simulate *s = NULL;
    struct err e = {0};
    assert_int_equal(simulate_new(&s, opts, &e), 0);
    return s;
}

static enum simulate_kind next(struct simulate *s, struct arena *a, struct simulate_item *item)
{
    struct err e = {0};
    arena_reset(a);
    assert_int_equal(simulate_next(s, a, item, &e), 0);
    return item->kind;
}

static bool is_a(const struct simulate_item *item, const char *event)
{
    return item->kind == SIMULATE_EVENT && str_is(item->event.event, event);
}

static bool is_probability(double p)
{
    return p > 0 && p <= 1;
}

/* The number behind the last letter or hyphen of an id. */
static unsigned long number_of(struct str id)
{
    char text[32] = {0};
    assert_in_range(id.len, 2, sizeof text - 1);
    memcpy(text, id.data, id.len);
    const char *hyphen = strrchr(text, '-');
    return strtoul(hyphen ? hyphen + 1 : text + 1, NULL, 10);
}

/* The item as bytes that tell it from any other. */
static struct str printed(struct buf *b, const struct simulate_item *item)
{
    buf_reset(b);
    buf_printf(b, "%d %lld ", (int)item->kind, (long long)item->arrival_ms);
    if (item->kind == SIMULATE_EVENT)
        record_print_json(b, &event_type, &item->event);
    else if (item->kind != SIMULATE_END)
        record_print_json(b, &entity_type, &item->entity);
    assert_true(buf_ok(b));
    return buf_str(b);
}

/* How many of the first items are the same in both simulations. */
static int same_items(const struct simulate_opts *one, const struct simulate_opts *other, int of)
{
    struct simulate *s[2] = {opened(one), opened(other)};
    struct arena a = {0};
    struct buf b[2] = {{0}, {0}};
    int same = 0;
    for (int i = 0; i < of; i++) {
        struct simulate_item item;
        struct str text[2];
        for (int k = 0; k < 2; k++) {
            next(s[k], &a, &item);
            text[k] = printed(&b[k], &item);
        }
        same += str_equal(text[0], text[1]);
    }
    for (int k = 0; k < 2; k++) {
        buf_free(&b[k]);
        simulate_free(s[k]);
    }
    arena_free(&a);
    return same;
}

static void the_same_options_give_the_same_items(void **state)
{
    (void)state;
    assert_int_equal(same_items(&simulate_defaults, &simulate_defaults, 20000), 20000);
}

static void another_seed_gives_other_items(void **state)
{
    (void)state;
    struct simulate_opts other = simulate_defaults;
    other.seed = 2;
    assert_in_range(same_items(&simulate_defaults, &other, 20000), 0, 20);
}

static void sizes_are_as_asked_and_entities_come_first(void **state)
{
    (void)state;
    struct simulate_opts opts = simulate_defaults;
    opts.users = 30;
    opts.propositions = 70;
    opts.events = 5000;
    struct simulate *s = opened(&opts);
    struct arena a = {0};
    struct simulate_item item;
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(next(s, &a, &item), i < 30 ? SIMULATE_USER : SIMULATE_PROPOSITION);
        assert_int_equal(number_of(item.entity.id), i < 30 ? i : i - 30);
        assert_true(item.entity.timestamp == opts.start_ms);
    }
    for (uint64_t i = 0; i < opts.events; i++) {
        assert_int_equal(next(s, &a, &item), SIMULATE_EVENT);
        size_t listed = item.event.propositions.count;
        assert_in_range(listed, is_a(&item, "search") ? 0 : 1, is_a(&item, "impression") ? 10 : 1);
        for (size_t p = 0; p < listed; p++)
            assert_true(is_probability(
                simulate_truth(s, item.event.user_id, item.event.propositions.items[p], 0)));
    }
    int64_t last_ms = item.arrival_ms;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(next(s, &a, &item), SIMULATE_END);
        assert_true(item.arrival_ms == last_ms);
    }
    arena_free(&a);
    simulate_free(s);
}

static void a_shop_of_one_user_and_one_proposition_is_open(void **state)
{
    (void)state;
    struct simulate_opts opts = simulate_defaults;
    opts.users = opts.propositions = 1;
    struct simulate *s = opened(&opts);
    struct arena a = {0};
    struct simulate_item item;
    int shown = 0;
    for (int i = 0; i < 1000; i++) {
        next(s, &a, &item);
        if (is_a(&item, "impression")) {
            assert_int_equal(item.event.propositions.count, 1);
            shown++;
        }
    }
    assert_in_range(shown, 200, 1000);
    arena_free(&a);
    simulate_free(s);
}

static void every_event_says_where_it_comes_from(void **state)
{
    (void)state;
    struct simulate *s = opened(&simulate_defaults);
    struct arena a = {0};
    struct simulate_item item;
    int searches = 0, converts = 0, dismissals = 0;
    for (int i = 0; i < 50000; i++) {
        if (next(s, &a, &item) != SIMULATE_EVENT)
            continue;
        const struct text_map *context = &item.event.context;
        assert_in_range(context->count, 2, 3);
        assert_true(str_is(context->items[0].name, "device"));
        assert_true(is_probability(simulate_examination(0, context->items[0].value)));
        assert_true(str_is(context->items[1].name, "placement"));
        assert_non_null(item.event.request_id.data);
        if (is_a(&item, "search")) {
            assert_true(str_is(context->items[2].name, "query") && context->items[2].value.len > 0);
            searches++;
        }
        assert_int_equal(item.event.value.given, is_a(&item, "convert"));
        if (is_a(&item, "convert"))
            assert_true(item.event.value.value >= 0.99);
        converts += is_a(&item, "convert");
        dismissals += is_a(&item, "dismiss");
    }
    assert_true(searches > 1000 && converts > 500 && dismissals > 1000);
    arena_free(&a);
    simulate_free(s);
}

/* Late events keep their time; repeats are the same record again. Shares within four standard
 * deviations. */
static void few_events_are_late_or_come_twice(void **state)
{
    (void)state;
    enum { EVENTS = 100000 };
    struct simulate_opts opts = simulate_defaults;
    opts.events = EVENTS;
    opts.late_share = 0.01;
    opts.repeat_share = 0.004;
    struct simulate *s = opened(&opts);
    struct arena a = {0};
    struct buf b = {0};
    struct simulate_item item;
    uint64_t *hashes = calloc(2 * EVENTS, sizeof *hashes); /* of each event's first arrival */
    int late = 0, repeats = 0;
    int64_t arrival_ms = opts.start_ms;
    assert_non_null(hashes);
    while (next(s, &a, &item) != SIMULATE_END) {
        assert_true(item.arrival_ms >= arrival_ms);
        arrival_ms = item.arrival_ms;
        if (item.kind != SIMULATE_EVENT)
            continue;
        uint64_t *hash = &hashes[number_of(item.event.event_id) % (2 * EVENTS)];
        buf_reset(&b);
        record_encode(&b, &event_type, &item.event);
        uint64_t now = schema_crc64(buf_str(&b));
        assert_true(*hash == 0 || *hash == now);
        repeats += *hash == now;
        late += *hash == 0 && item.event.timestamp < arrival_ms;
        assert_true(item.event.timestamp <= arrival_ms);
        *hash = now;
    }
    assert_in_range(late, 1000 - 126, 1000 + 126);
    assert_in_range(repeats, 400 - 80, 400 + 80);
    free(hashes);
    buf_free(&b);
    arena_free(&a);
    simulate_free(s);
}

/* Impressions by hour of the week, over ten weeks. */
static void count_hours(int64_t start_ms, double hours[7][24])
{
    struct simulate_opts opts = simulate_defaults;
    opts.start_ms = start_ms;
    struct simulate *s = opened(&opts);
    struct arena a = {0};
    struct simulate_item item = {0};
    while (item.kind != SIMULATE_EVENT || item.arrival_ms < start_ms + 70 * (int64_t)DAY_MS) {
        next(s, &a, &item);
        if (is_a(&item, "impression")) {
            /* 1970-01-05 was a Monday; 5000 weeks keep it positive. */
            int64_t hour =
                (item.event.timestamp - 4 * (int64_t)DAY_MS + 35000 * (int64_t)DAY_MS) / HOUR_MS;
            hours[hour / 24 % 7][hour % 24]++;
        }
    }
    arena_free(&a);
    simulate_free(s);
}

static void assert_near(double got, double expected, double share)
{
    if (fabs(got - expected) > share * expected)
        fail_msg("%g is not within %g %% of %g", got, 100 * share, expected);
}

/* The season is 1 + 0.7 cos of the hour after 20:00: over the four hours around the peak its mean
 * is 1 + 0.7 sin(a) / a = 1.668, a = 2 pi / 12; at the opposite hours 0.332. A day at the weekend
 * has 1.35 / 0.86 times the visits. */
static void evenings_and_weekends_are_busier(void **state)
{
    (void)state;
    static const int64_t starts_ms[] = {1735689600000, -40 * (int64_t)DAY_MS};
    for (int i = 0; i < 2; i++) {
        double hours[7][24] = {{0}}, evening = 0, morning = 0, weekend = 0, workdays = 0;
        count_hours(starts_ms[i], hours);
        for (int day = 0; day < 7; day++) {
            for (int hour = 0; hour < 24; hour++) {
                *(day >= 5 ? &weekend : &workdays) += hours[day][hour];
                evening += hour >= 18 && hour < 22 ? hours[day][hour] : 0;
                morning += hour >= 6 && hour < 10 ? hours[day][hour] : 0;
            }
        }
        assert_near(evening / morning, 1.668 / 0.332, 0.04);
        assert_near(weekend / 2 / (workdays / 5), 1.35 / 0.86, 0.02);
        assert_near((weekend + workdays) / 70, 2 * 1000 / 0.3,
                    0.02); /* two visits a user a day, 1 / 0.3 pages each */
    }
}

static void events_come_at_the_rate_that_is_asked(void **state)
{
    (void)state;
    static const double rates[] = {0.5, 3};
    for (int i = 0; i < 2; i++) {
        struct simulate_opts opts = simulate_defaults;
        opts.events_per_s = rates[i];
        opts.events = (uint64_t)(rates[i] * 7 * DAY_MS / 1000);
        struct simulate *s = opened(&opts);
        struct arena a = {0};
        struct simulate_item item;
        while (next(s, &a, &item) != SIMULATE_END)
            ;
        assert_near((double)(item.arrival_ms - opts.start_ms) / DAY_MS, 7, 0.05);
        arena_free(&a);
        simulate_free(s);
    }
}

/*
 * Every place of every list is a coin whose side is known beforehand: truth times examination.
 * Sorted into bins by that probability, the clicks of a bin have mean and variance of a sum of such
 * coins, and the squares of their deviations follow the chi-square distribution with as many
 * degrees of freedom as there are bins: 29.59 is passed once in a thousand times with ten (table of
 * Abramowitz and Stegun). The seed is fixed.
 */
enum { BINS = 10, KEPT_REQUESTS = 1 << 16 };

struct clicks {
    double expected[BINS], variance[BINS], got[BINS];
    struct shown {
        unsigned long request;
        uint32_t propositions[10];
        uint8_t bins[10];
        uint8_t count;
    } * shown; /* the newest, by request */
};

static int bin_of(double p)
{
    static const double bounds[BINS - 1] = {0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.11, 0.16, 0.25};
    int bin = 0;
    while (bin < BINS - 1 && p >= bounds[bin])
        bin++;
    return bin;
}

static void expect_clicks(struct clicks *c, const struct simulate *s,
                          const struct event *impression)
{
    unsigned long request = number_of(impression->request_id);
    struct shown *shown = &c->shown[request % KEPT_REQUESTS];
    shown->request = request;
    shown->count = (uint8_t)impression->propositions.count;
    for (uint32_t place = 0; place < shown->count; place++) {
        struct str id = impression->propositions.items[place];
        double p = simulate_truth(s, impression->user_id, id, impression->timestamp) *
                   simulate_examination(place, impression->context.items[0].value);
        int bin = bin_of(p);
        shown->propositions[place] = (uint32_t)number_of(id);
        shown->bins[place] = (uint8_t)bin;
        c->expected[bin] += p;
        c->variance[bin] += p * (1 - p);
    }
}

static void count_click(struct clicks *c, const struct event *click)
{
    unsigned long request = number_of(click->request_id);
    const struct shown *shown = &c->shown[request % KEPT_REQUESTS];
    if (shown->request != request)
        return; /* shown behind the end of what is expected */
    for (uint32_t place = 0; place < shown->count; place++)
        if (shown->propositions[place] == number_of(click->propositions.items[0]))
            c->got[shown->bins[place]]++;
}

static void clicks_follow_the_truth(void **state)
{
    (void)state;
    enum {
        EVENTS = 400000,
        MORE = 2000
    }; /* in the end only clicks on what was shown before are waited for */
    struct simulate_opts opts = simulate_defaults;
    opts.late_share = opts.repeat_share = 0;
    struct clicks c = {.shown = calloc(KEPT_REQUESTS, sizeof *c.shown)};
    struct simulate *s = opened(&opts);
    struct arena a = {0};
    struct simulate_item item;
    double chi_square = 0;
    assert_non_null(c.shown);
    for (int i = 0; i < EVENTS + MORE; i++) {
        next(s, &a, &item);
        if (is_a(&item, "impression") && i < EVENTS)
            expect_clicks(&c, s, &item.event);
        else if (is_a(&item, "click"))
            count_click(&c, &item.event);
    }
    for (int bin = 0; bin < BINS; bin++) {
        assert_true(c.expected[bin] > 500);
        chi_square += pow(c.got[bin] - c.expected[bin], 2) / c.variance[bin];
    }
    if (chi_square > 29.59)
        fail_msg("chi-square is %g", chi_square);
    free(c.shown);
    arena_free(&a);
    simulate_free(s);
}

/* Of 500 the most popular tenth gets more than a third of the home page, and hardly any active one
 * gets nothing. */
static void few_propositions_are_popular(void **state)
{
    (void)state;
    struct simulate *s = opened(&simulate_defaults);
    struct arena a = {0};
    struct simulate_item item;
    double shown[500] = {0}, total = 0, popular = 0;
    int never = 0;
    for (int i = 0; i < 50000; i++) {
        next(s, &a, &item);
        if (!is_a(&item, "impression") || !str_is(item.event.context.items[1].value, "home"))
            continue;
        for (size_t p = 0; p < item.event.propositions.count; p++, total++)
            shown[number_of(item.event.propositions.items[p])]++;
    }
    for (int i = 0; i < 500; i++) {
        int more = 0;
        for (int k = 0; k < 500; k++)
            more += shown[k] > shown[i];
        popular += more < 50 ? shown[i] : 0;
        never += shown[i] == 0;
    }
    assert_in_range((int)(100 * popular / total), 34, 60);
    assert_in_range(never, 5, 30); /* 3 % are not active */
    arena_free(&a);
    simulate_free(s);
}

static void unknown_ids_have_no_truth(void **state)
{
    (void)state;
    struct simulate *s = opened(&simulate_defaults);
    static const char *const unknown[] = {
        "", "u", "u1000", "p1", "u01", "u-1", "u1x", "u4294967296", "u99999999999999999999"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_true(isnan(simulate_truth(s, str_of(unknown[i]), str_of("p0"), 0)));
    assert_true(isnan(simulate_truth(s, str_of("u0"), str_of("p500"), 0)));
    assert_true(is_probability(simulate_truth(s, str_of("u999"), str_of("p499"), 0)));
    assert_true(isnan(simulate_examination(0, str_of("fax"))));
    assert_true(simulate_examination(0, str_of("tv")) == 1);
    simulate_free(s);
}

static void assert_refused(const struct simulate_opts *opts, const char *why)
{
    struct simulate *s = NULL;
    struct err e = {0};
    assert_int_equal(simulate_new(&s, opts, &e), ERR_INVALID);
    assert_string_equal(e.msg, why);
    assert_null(s);
}

static void impossible_options_are_refused(void **state)
{
    (void)state;
    struct simulate_opts opts = simulate_defaults;
    opts.users = 0;
    assert_refused(&opts, "users is 0: 1 to 10000000 are possible");
    opts = simulate_defaults;
    opts.propositions = 1000001;
    assert_refused(&opts, "propositions is 1000001: 1 to 1000000 are possible");
    opts = simulate_defaults;
    opts.list_size = 201;
    assert_refused(&opts, "list size is 201: 1 to 200 are possible");
    opts = simulate_defaults;
    opts.events_per_s = -1;
    assert_refused(&opts, "events per second is -1: 0 to 1000000 are possible");
    opts = simulate_defaults;
    opts.late_share = 1.5;
    assert_refused(&opts, "share of late events is 1.5: 0 to 1 is possible");
    opts = simulate_defaults;
    opts.repeat_share = NAN;
    assert_refused(&opts, "share of repeats is nan: 0 to 1 is possible");
}

/* Opens a shop and takes its first items; each allocation on the way can fail. */
static int open_and_use(struct err *e)
{
    struct simulate_opts opts = simulate_defaults;
    struct simulate *s = NULL;
    struct arena a = {0};
    struct simulate_item item;
    opts.users = opts.propositions = 40;
    int rc = simulate_new(&s, &opts, e);
    for (int i = 0; !rc && i < 200; i++)
        rc = simulate_next(s, &a, &item, e);
    arena_free(&a);
    simulate_free(s);
    return rc;
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct err e = {0};
        fail_alloc_at(n);
        int rc = open_and_use(&e);
        if (!fail_alloc_end()) {
            assert_int_equal(rc, 0);
            assert_true(n > 20);
            break;
        }
        assert_int_equal(rc, ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_options_give_the_same_items),
        cmocka_unit_test(another_seed_gives_other_items),
        cmocka_unit_test(sizes_are_as_asked_and_entities_come_first),
        cmocka_unit_test(a_shop_of_one_user_and_one_proposition_is_open),
        cmocka_unit_test(every_event_says_where_it_comes_from),
        cmocka_unit_test(few_events_are_late_or_come_twice),
        cmocka_unit_test(evenings_and_weekends_are_busier),
        cmocka_unit_test(events_come_at_the_rate_that_is_asked),
        cmocka_unit_test(clicks_follow_the_truth),
        cmocka_unit_test(few_propositions_are_popular),
        cmocka_unit_test(unknown_ids_have_no_truth),
        cmocka_unit_test(impossible_options_are_refused),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
    };
    return RUN(tests);
}

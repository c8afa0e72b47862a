#include "ctl/shop_best.h"
#include "ctl/shop_looks.h"
#include "ctl/shop_records.h"
#include "ctl/shop_visits.h"
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { USERS = 300, PROPOSITIONS = 200, LIST = 10, NOW_STEP_MS = 20 };

#define START_MS INT64_C(1735689600000)

/* Visits of a shop, with an arena and a clock of their own. */
struct floor {
    struct shop shop;
    struct visits *visits;
    struct arena arena;
    int64_t now_ms;
    int64_t sent; /* given with the last request */
};

static void open_floor_with(struct floor *f, const char *twins)
{
    struct err e = {0};
    *f = (struct floor){.now_ms = START_MS};
    assert_int_equal(shop_init(&f->shop, 7, USERS, PROPOSITIONS, START_MS, &e), 0);
    struct visits_opts opts = {.shop = &f->shop,
                               .seed = 7,
                               .start_ms = START_MS,
                               .list_size = LIST,
                               .patience_ms = 1000,
                               .twins = twins};
    assert_int_equal(visits_new(&f->visits, &opts, &e), 0);
}

static void open_floor(struct floor *f)
{
    open_floor_with(f, NULL);
}

static void close_floor(struct floor *f)
{
    visits_free(f->visits);
    shop_free(&f->shop);
    arena_free(&f->arena);
}

static void ask(struct floor *f, struct rank_request *q)
{
    struct err e = {0};
    arena_reset(&f->arena);
    assert_int_equal(visits_ask(f->visits, f->now_ms, ++f->sent, &f->arena, q, &e), 0);
}

static struct visits_shown show(struct floor *f, const struct ranking *r)
{
    struct err e = {0};
    struct visits_shown shown;
    assert_int_equal(visits_show(f->visits, r, f->now_ms, &f->arena, &shown, &e), 0);
    return shown;
}

static bool next(struct floor *f, struct event *out)
{
    struct err e = {0};
    bool due;
    assert_int_equal(visits_next(f->visits, f->now_ms, &f->arena, &due, out, &e), 0);
    return due;
}

/* An answer with so many items: p(first), p(first + 1) and so on. */
struct made {
    struct ranking ranking;
    struct ranked items[PROPOSITIONS];
    char ids[PROPOSITIONS][8];
};

static const struct ranking *made(struct made *m, const struct rank_request *q, size_t first,
                                  size_t count)
{
    m->ranking = (struct ranking){.request_id = q->request_id,
                                  .user_id = q->user_id,
                                  .placement = q->placement,
                                  .items = {m->items, count}};
    for (size_t i = 0; i < count; i++) {
        snprintf(m->ids[i], sizeof m->ids[i], "p%zu", first + i);
        m->items[i] = (struct ranked){.proposition_id = str_of(m->ids[i])};
    }
    return &m->ranking;
}

static unsigned long number_of(struct str id)
{
    char text[32] = {0};
    assert_in_range(id.len, 2, sizeof text - 1);
    memcpy(text, id.data, id.len);
    return strtoul(text + 1, NULL, 10);
}

static struct str context(const struct text_map *map, const char *name)
{
    for (size_t i = 0; i < map->count; i++)
        if (str_is(map->items[i].name, name))
            return map->items[i].value;
    return (struct str){0};
}

static bool has_genre(const struct shop *s, struct str id, struct str genre)
{
    const struct shop_proposition *p = &s->propositions[number_of(id)];
    for (int i = 0; i < p->genre_count; i++)
        if (str_is(genre, shop_genres[p->genres[i]]))
            return true;
    return false;
}

static void a_request_says_who_asks_where_and_by_when(void **state)
{
    (void)state;
    struct floor f;
    struct rank_request q;
    int home = 0, genre = 0, search = 0;
    open_floor(&f);
    for (int i = 0; i < 1000; i++) {
        ask(&f, &q);
        assert_in_range(number_of(q.user_id), 0, USERS - 1);
        assert_int_equal(q.limit, LIST);
        assert_true(q.timestamp == START_MS && q.deadline.value == START_MS + 1000);
        assert_true(str_equal(context(&q.context, "placement"), q.placement));
        assert_true(context(&q.context, "device").len > 0);
        home += str_is(q.placement, "home");
        genre += str_is(q.placement, "genre");
        search += str_is(q.placement, "search");
        if (str_is(q.placement, "home")) {
            assert_int_equal(q.candidates.count, 0);
            continue;
        }
        assert_in_range(q.candidates.count, 1, VISITS_CANDIDATES_MOST);
        for (size_t k = 0; str_is(q.placement, "genre") && k < q.candidates.count; k++)
            assert_true(has_genre(&f.shop, q.candidates.items[k], context(&q.context, "genre")));
    }
    /* 60, 20 and 20 % of pages, within four standard deviations. */
    assert_in_range(home, 600 - 62, 600 + 62);
    assert_in_range(genre, 200 - 51, 200 + 51);
    assert_in_range(search, 200 - 51, 200 + 51);
    close_floor(&f);
}

static void an_answer_is_shown_in_its_order_under_its_requests_id(void **state)
{
    (void)state;
    struct floor f;
    struct rank_request q;
    struct made m;
    open_floor(&f);
    ask(&f, &q);
    f.now_ms += 5;
    struct visits_shown shown = show(&f, made(&m, &q, 100, 8));
    assert_true(shown.is_expected && shown.is_seen);
    assert_true(shown.sent == f.sent);
    const struct event *i = &shown.impression;
    assert_true(str_is(i->event, "impression") && str_equal(i->request_id, q.request_id));
    assert_true(str_equal(i->user_id, q.user_id) && i->timestamp == f.now_ms);
    assert_int_equal(i->propositions.count, 8);
    for (size_t k = 0; k < 8; k++)
        assert_int_equal(number_of(i->propositions.items[k]), 100 + k);
    assert_int_equal(i->context.count, q.context.count);
    for (size_t k = 0; k < q.context.count; k++)
        assert_true(str_equal(i->context.items[k].value, q.context.items[k].value));
    close_floor(&f);
}

static void only_the_first_answer_to_a_request_of_these_visits_counts(void **state)
{
    (void)state;
    static const char *const others[] = {"", "0", "12345678-1", "order-17"};
    struct floor f;
    struct rank_request q;
    struct made m;
    char longer[40];
    open_floor(&f);
    ask(&f, &q);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        made(&m, &q, 0, 3);
        m.ranking.request_id = str_of(others[i]);
        assert_false(show(&f, &m.ranking).is_expected);
    }
    made(&m, &q, 0, 3);
    static const char *const behind[] = {"0", ".twin"}; /* neither was sent */
    for (size_t i = 0; i < 2; i++) {
        snprintf(longer, sizeof longer, "%.*s%s", STR_ARG(q.request_id), behind[i]);
        m.ranking.request_id = str_of(longer);
        assert_false(show(&f, &m.ranking).is_expected);
    }
    assert_true(show(&f, made(&m, &q, 0, 3)).is_expected);
    assert_false(show(&f, made(&m, &q, 0, 3)).is_expected);
    close_floor(&f);
}

static void ask_twin(struct floor *f, const struct rank_request *q, struct rank_request *twin)
{
    assert_int_equal(visits_twin(f->visits, q, &f->arena, twin, NULL), 0);
}

static void a_twin_asks_the_same_of_another_placement_and_is_never_shown(void **state)
{
    (void)state;
    struct floor f;
    struct rank_request q, twin;
    struct made m;
    open_floor_with(&f, "-rules");
    for (int i = 0; i < 100; i++) {
        ask(&f, &q);
        ask_twin(&f, &q, &twin);
        assert_true(str_equal(twin.user_id, q.user_id) && twin.timestamp == q.timestamp);
        assert_int_equal(twin.candidates.count, q.candidates.count);
        assert_int_equal(twin.limit, q.limit);
        assert_int_equal(twin.placement.len, q.placement.len + 6);
        assert_memory_equal(twin.placement.data + q.placement.len, "-rules", 6);
        struct visits_shown shown = show(&f, made(&m, &twin, 50, LIST));
        assert_false(shown.is_expected || shown.is_seen || shown.is_pair);
        assert_false(show(&f, made(&m, &twin, 50, LIST)).is_pair);
        shown = show(&f, made(&m, &q, 20, LIST));
        assert_true(shown.is_expected && shown.is_seen && shown.is_pair);
        assert_false(show(&f, made(&m, &q, 20, LIST)).is_pair);
    }
    close_floor(&f);
}

/* In either order, the pair has the truth of both lists, and of the best one. */
static void a_pair_has_the_expected_clicks_of_both_lists(void **state)
{
    (void)state;
    struct floor f;
    struct rank_request q, twin;
    struct made m;
    open_floor_with(&f, ".twin");
    for (int i = 0; i < 100; i++) {
        struct visits_shown shown;
        ask(&f, &q);
        ask_twin(&f, &q, &twin);
        uint32_t user = (uint32_t)number_of(q.user_id);
        unsigned device = 0;
        while (!str_is(context(&q.context, "device"), shop_devices[device]))
            device++;
        made(&m, &q, 20, LIST);
        m.ranking.model = str_of("shop");
        m.ranking.version = 4;
        if (i % 2)
            shown = show(&f, &m.ranking);
        else
            show(&f, made(&m, &twin, 90, LIST));
        made(&m, i % 2 ? &twin : &q, i % 2 ? 90 : 20, LIST);
        m.ranking.model = str_of(i % 2 ? "rules" : "shop");
        m.ranking.version = i % 2 ? 0 : 4;
        shown = show(&f, &m.ranking);
        assert_true(shown.is_pair && shown.pair.by_model);
        assert_int_equal(shown.pair.version, 4);
        assert_int_equal(shown.pair.user, user);
        double expected[2] = {0, 0};
        for (uint32_t place = 0; place < LIST; place++)
            for (uint32_t k = 0; k < 2; k++)
                expected[k] += shop_examination(place, device) *
                               shop_attraction(&f.shop, user, (k ? 90 : 20) + place, f.now_ms);
        assert_true(fabs(shown.pair.shown - expected[0]) < 1e-12);
        assert_true(fabs(shown.pair.twin - expected[1]) < 1e-12);
        uint32_t own[VISITS_CANDIDATES_MOST];
        for (size_t c = 0; c < q.candidates.count; c++)
            own[c] = (uint32_t)number_of(q.candidates.items[c]);
        struct shop_choice of = {.user = user,
                                 .device = device,
                                 .candidates = q.candidates.count ? own : NULL,
                                 .count = (uint32_t)q.candidates.count,
                                 .places = LIST,
                                 .time_ms = f.now_ms};
        assert_true(fabs(shown.pair.best - shop_best_mean(&f.shop, &of)) < 1e-12);
    }
    close_floor(&f);
}

static void an_empty_answer_and_one_of_another_shop_show_nothing(void **state)
{
    (void)state;
    struct floor f;
    struct rank_request q;
    struct made m;
    struct event event;
    open_floor(&f);
    for (int i = 0; i < 200; i++) {
        ask(&f, &q);
        struct visits_shown shown = show(&f, made(&m, &q, i % 2 ? PROPOSITIONS : 0, i % 2 ? 3 : 0));
        assert_true(shown.is_expected && !shown.is_seen);
    }
    f.now_ms += INT64_C(86400000);
    while (next(&f, &event))
        assert_true(str_is(event.event, "search")); /* which was made before its answer */
    close_floor(&f);
}

static void a_request_that_too_many_came_after_is_given_up(void **state)
{
    (void)state;
    struct floor f;
    struct rank_request q;
    struct made m;
    char first[40], user[16];
    open_floor(&f);
    ask(&f, &q);
    snprintf(first, sizeof first, "%.*s", STR_ARG(q.request_id));
    snprintf(user, sizeof user, "%.*s", STR_ARG(q.user_id));
    for (int i = 0; i < VISITS_OPEN_MOST; i++)
        ask(&f, &q);
    made(&m, &q, 0, 3);
    m.ranking.request_id = str_of(first);
    m.ranking.user_id = str_of(user);
    assert_false(show(&f, &m.ranking).is_expected);
    close_floor(&f);
}

/* 0.7 of the lists that are seen are followed by a page of the same user, 45 s later on average. */
static void users_open_further_pages_of_their_visit(void **state)
{
    (void)state;
    enum { VISITS = 200 };
    struct floor f;
    struct rank_request q;
    struct made m;
    bool came[USERS] = {false};
    int again = 0;
    open_floor(&f);
    for (int i = 0; i < VISITS; i++) {
        ask(&f, &q);
        came[number_of(q.user_id)] = true;
        show(&f, made(&m, &q, 0, LIST));
    }
    f.now_ms += INT64_C(3600000);
    for (int i = 0; i < VISITS; i++) {
        ask(&f, &q);
        again += came[number_of(q.user_id)];
    }
    assert_true(again > VISITS * 0.7 - 26); /* four standard deviations of 200 coins of 0.7 */
    close_floor(&f);
}

/*
 * Of each list's places the probability of a click is known: truth times examination. The sum over
 * many has the mean and variance of a sum of such coins.
 */
static void clicks_follow_the_truth_and_come_with_time(void **state)
{
    (void)state;
    enum { REQUESTS = 20000 };
    struct floor f;
    struct rank_request q;
    struct made m;
    struct event event;
    double expected = 0, variance = 0, clicks = 0;
    unsigned long dismissals = 0, converts = 0;
    open_floor(&f);
    for (int i = 0; i < REQUESTS; i++) {
        f.now_ms += NOW_STEP_MS;
        ask(&f, &q);
        show(&f, made(&m, &q, (size_t)i % (PROPOSITIONS - LIST), LIST));
        unsigned device = 0;
        while (!str_is(context(&q.context, "device"), shop_devices[device]))
            device++;
        for (uint32_t place = 0; place < LIST; place++) {
            double p = shop_examination(place, device) *
                       shop_attraction(&f.shop, (uint32_t)number_of(q.user_id),
                                       (uint32_t)(i % (PROPOSITIONS - LIST)) + place, f.now_ms);
            expected += p;
            variance += p * (1 - p);
        }
    }
    f.now_ms += INT64_C(86400000) * 10;
    int64_t last_ms = 0;
    while (next(&f, &event)) {
        assert_true(event.timestamp >= last_ms && event.timestamp <= f.now_ms);
        last_ms = event.timestamp;
        clicks += str_is(event.event, "click");
        dismissals += str_is(event.event, "dismiss");
        converts += str_is(event.event, "convert");
        assert_int_equal(event.propositions.count, str_is(event.event, "search") ? 0 : 1);
        assert_int_equal(event.value.given, str_is(event.event, "convert"));
    }
    assert_true(fabs(clicks - expected) < 4 * sqrt(variance));
    assert_true(fabs((double)converts - 0.12 * clicks) < 4 * sqrt(0.12 * 0.88 * clicks));
    assert_true(dismissals > 100);
    assert_true(visits_next_ms(f.visits) == INT64_MAX);
    close_floor(&f);
}

static void nothing_comes_before_its_time(void **state)
{
    (void)state;
    struct floor f;
    struct rank_request q;
    struct made m;
    struct event event;
    open_floor(&f);
    int events = 0;
    for (int i = 0; i < 300; i++) {
        ask(&f, &q);
        bool is_search = str_is(q.placement, "search");
        assert_int_equal(next(&f, &event), is_search);
        assert_true(!is_search ||
                    (str_is(event.event, "search") && str_equal(event.request_id, q.request_id)));
        if (is_search)
            assert_false(next(&f, &event));
        show(&f, made(&m, &q, 0, LIST));
        assert_false(next(&f, &event));
        assert_true(visits_next_ms(f.visits) > f.now_ms);
        f.now_ms += 10 * INT64_C(86400000);
        while (next(&f, &event))
            events++;
    }
    assert_true(events > 100);
    close_floor(&f);
}

/* Opens visits and uses them; each allocation on the way can fail. */
static int open_and_use(const struct shop *s, struct err *e)
{
    struct visits_opts opts = {
        .shop = s, .seed = 1, .list_size = LIST, .patience_ms = 1, .twins = "-rules"};
    struct visits *v = NULL;
    struct arena a = {0};
    struct rank_request q, twin;
    struct visits_shown shown;
    struct event event;
    struct made m;
    bool due = true;
    int rc = visits_new(&v, &opts, e);
    for (int i = 0; !rc && i < 20; i++) {
        rc = visits_ask(v, 0, 0, &a, &q, e);
        if (!rc)
            rc = visits_twin(v, &q, &a, &twin, e);
        if (!rc)
            rc = visits_show(v, made(&m, &q, 0, LIST), 0, &a, &shown, e);
    }
    while (!rc && due)
        rc = visits_next(v, INT64_C(864000000), &a, &due, &event, e);
    arena_free(&a);
    visits_free(v);
    return rc;
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
    (void)state;
    struct floor f;
    open_floor(&f);
    for (int n = 1;; n++) {
        struct err e = {0};
        fail_alloc_at(n);
        int rc = open_and_use(&f.shop, &e);
        if (!fail_alloc_end()) {
            assert_int_equal(rc, 0);
            assert_true(n > 4);
            break;
        }
        assert_int_equal(rc, ERR_NOMEM);
    }
    close_floor(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_says_who_asks_where_and_by_when),
        cmocka_unit_test(an_answer_is_shown_in_its_order_under_its_requests_id),
        cmocka_unit_test(only_the_first_answer_to_a_request_of_these_visits_counts),
        cmocka_unit_test(a_twin_asks_the_same_of_another_placement_and_is_never_shown),
        cmocka_unit_test(a_pair_has_the_expected_clicks_of_both_lists),
        cmocka_unit_test(an_empty_answer_and_one_of_another_shop_show_nothing),
        cmocka_unit_test(a_request_that_too_many_came_after_is_given_up),
        cmocka_unit_test(users_open_further_pages_of_their_visit),
        cmocka_unit_test(clicks_follow_the_truth_and_come_with_time),
        cmocka_unit_test(nothing_comes_before_its_time),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
    };
    return RUN(tests);
}

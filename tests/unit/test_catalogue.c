#include "ranker/catalogue.h"
#include "unit.h"

#include "support/fixture.h"

#include <xxhash.h>

enum { REFRESH_MS = 60000 };

static const char features[] = "features:\n  - {name: c, scope: user, count: {event: click, "
                               "windows: [1h]}}\n";

static const char section[] = "de: {filters: [{attribute: country, equals: de}], diversity: "
                              "{attribute: genres, most: 1, first: 3}}\n"
                              "cheap: {filters: [{attribute: price, to: 10}]}\n";

enum { ANY, DE, CHEAP, PLACEMENTS }; /* as the section makes them */

struct fixture {
    struct feature_set *set;
    struct placements *placements;
    struct catalogue *catalogue;
};

static struct fixture make(void)
{
    struct fixture f = {.set = definitions(features)};
    struct yaml_tree *y = NULL;
    struct err e = {0};
    assert_int_equal(yaml_tree_parse(&y, "f.yaml", str_of(section), &e), 0);
    if (placements_parse(&f.placements, yaml_tree_root(y), "f.yaml", f.set, &e))
        fail_msg("%s", e.msg);
    yaml_tree_free(y);
    struct catalogue_opts opts = {f.placements, REFRESH_MS};
    assert_int_equal(catalogue_new(&f.catalogue, &opts, NULL), 0);
    return f;
}

static void unmake(struct fixture *f)
{
    catalogue_free(f->catalogue);
    placements_free(f->placements);
    feature_set_free(f->set);
}

/* A proposition that is active and always valid. */
static struct entity plain(const char *id, struct attribute *attributes, size_t count)
{
    return (struct entity){.id = str_of(id), .active = true, .attributes = {attributes, count}};
}

static void put(struct fixture *f, const struct entity *record)
{
    assert_int_equal(catalogue_put(f->catalogue, record, NULL), 0);
}

static void score(struct fixture *f, const char *id, double ln_base)
{
    double bases[PLACEMENTS] = {ln_base, ln_base, ln_base};
    assert_int_equal(catalogue_score(f->catalogue, str_of(id), bases, 0, NULL), 0);
}

/* With a base score, and valid from one time until another (0: always). */
static void put_plain(struct fixture *f, const char *id, double ln_base, int64_t from_ms,
                      int64_t until_ms)
{
    struct entity record = plain(id, NULL, 0);
    record.valid_from = (struct optional_long){from_ms != 0, from_ms};
    record.valid_until = (struct optional_long){until_ms != 0, until_ms};
    put(f, &record);
    score(f, id, ln_base);
}

/* The best of a placement by their base scores are these, with spaces between. */
static void assert_best(struct fixture *f, size_t placement, int64_t as_of_ms, const char *expected)
{
    struct catalogue_ask ask = {.placement = placement, .as_of_ms = as_of_ms, .most = 10};
    struct catalogue_answer got;
    struct buf text = {0};
    assert_int_equal(catalogue_best(&got, f->catalogue, &ask, NULL), 0);
    for (size_t i = 0; i < got.count; i++)
        buf_printf(&text, "%s%.*s", i ? " " : "", STR_ARG(got.ids[i]));
    assert_true(got.is_proven);
    assert_buf_is(&text, expected);
    buf_free(&text);
}

static void the_best_base_scores_come_first_and_of_equal_ones_the_lesser_id(void **state)
{
    (void)state;
    struct fixture f = make();
    put_plain(&f, "d", 1, 0, 0);
    put_plain(&f, "b", 2, 0, 0);
    put_plain(&f, "c", 1, 0, 0);
    put_plain(&f, "a", 1, 0, 0);
    assert_best(&f, ANY, 0, "b a c d");
    score(&f, "c", 3);
    score(&f, "b", -1);
    assert_best(&f, ANY, 0, "c a d b");
    catalogue_remove(f.catalogue, str_of("a"));
    catalogue_remove(f.catalogue, str_of("unknown"));
    assert_best(&f, ANY, 0, "c d b");
    assert_int_equal(catalogue_count(f.catalogue), 3);
    assert_false(catalogue_has(f.catalogue, str_of("a")));
    unmake(&f);
}

static void a_placement_has_what_passes_its_filters(void **state)
{
    (void)state;
    struct fixture f = make();
    struct attribute cheap_german[] = {text_attribute("country", "de"),
                                       number_attribute("price", 5)},
                     french[] = {text_attribute("country", "fr"), number_attribute("price", 50)};
    struct entity a = plain("a", cheap_german, 2), b = plain("b", french, 2);
    put(&f, &a);
    put(&f, &b);
    score(&f, "a", 1);
    score(&f, "b", 2);
    assert_best(&f, ANY, 0, "b a");
    assert_best(&f, DE, 0, "a");
    assert_best(&f, CHEAP, 0, "a");
    a.attributes = (struct attribute_map){french, 2};
    a.timestamp = 1;
    put(&f, &a);
    assert_best(&f, ANY, 0, "b a");
    assert_best(&f, DE, 0, "");
    assert_int_equal(catalogue_shown(f.catalogue, DE), 0);
    assert_int_equal(catalogue_shown(f.catalogue, ANY), 2);
    unmake(&f);
}

static void each_placement_has_its_own_base_scores(void **state)
{
    (void)state;
    struct fixture f = make();
    struct attribute both[] = {text_attribute("country", "de"), number_attribute("price", 5)};
    struct entity a = plain("a", both, 2), b = plain("b", both, 2);
    double of_a[] = {1, 2, NAN}, of_b[] = {2, 1, -50};
    put(&f, &a);
    put(&f, &b);
    assert_int_equal(catalogue_score(f.catalogue, a.id, of_a, 0, NULL), 0);
    assert_int_equal(catalogue_score(f.catalogue, b.id, of_b, 0, NULL), 0);
    assert_best(&f, ANY, 0, "b a");
    assert_best(&f, DE, 0, "a b");
    assert_best(&f, CHEAP, 0, "b a");
    assert_true(catalogue_ln_base(f.catalogue, a.id, DE) == 2);
    assert_true(catalogue_ln_base(f.catalogue, b.id, CHEAP) == -50);
    assert_true(isnan(catalogue_ln_base(f.catalogue, str_of("unknown"), DE)));
    unmake(&f);
}

static void what_is_not_active_is_in_no_order(void **state)
{
    (void)state;
    struct fixture f = make();
    struct entity a = plain("a", NULL, 0);
    put(&f, &a);
    score(&f, "a", 1);
    a.active = false;
    a.timestamp = 1;
    put(&f, &a);
    assert_best(&f, ANY, 0, "");
    a.active = true;
    put(&f, &a); /* of equal timestamps the later arrival counts */
    assert_best(&f, ANY, 0, "a");
    a.active = false;
    a.timestamp = 0; /* an earlier one does not */
    put(&f, &a);
    assert_best(&f, ANY, 0, "a");
    unmake(&f);
}

static void what_has_no_base_score_is_in_no_order(void **state)
{
    (void)state;
    struct fixture f = make();
    struct entity a = plain("a", NULL, 0);
    put(&f, &a);
    assert_best(&f, ANY, 0, "");
    score(&f, "a", 1);
    score(&f, "unknown", 1);
    assert_best(&f, ANY, 0, "a");
    assert_int_equal(catalogue_count(f.catalogue), 1);
    unmake(&f);
}

static void what_is_valid_joins_and_leaves_with_time(void **state)
{
    (void)state;
    struct fixture f = make();
    put_plain(&f, "always", 0, 0, 0);
    put_plain(&f, "later", 3, 100, 0);
    put_plain(&f, "while", 2, 100, 200);
    put_plain(&f, "until", 1, 0, 150);
    put_plain(&f, "never", 4, 200, 100);
    static const struct {
        int64_t now_ms;
        const char *best;
        size_t count;
    } times[] = {{99, "until always", 2},
                 {100, "later while until always", 4},
                 {149, "later while until always", 4},
                 {150, "later while always", 3},
                 {199, "later while always", 3},
                 {200, "later always", 2},
                 {(int64_t)1 << 53, "later always", 2}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        assert_int_equal(catalogue_advance(f.catalogue, times[i].now_ms, NULL), 0);
        assert_best(&f, ANY, times[i].now_ms, times[i].best);
        assert_int_equal(catalogue_shown(f.catalogue, ANY), times[i].count);
    }
    unmake(&f);
}

static void a_request_is_answered_as_of_its_own_time(void **state)
{
    (void)state;
    struct fixture f = make();
    put_plain(&f, "a", 2, 0, 100);
    put_plain(&f, "b", 1, 0, 0);
    assert_int_equal(catalogue_advance(f.catalogue, 50, NULL), 0);
    assert_best(&f, ANY, 99, "a b");
    assert_best(&f, ANY, 100, "b");
    assert_int_equal(catalogue_advance(f.catalogue, 40, NULL), 0);
    assert_best(&f, ANY, 40, "a b");
    unmake(&f);
}

static void a_clock_that_was_ahead_for_a_moment_is_forgotten(void **state)
{
    enum { DAY_MS = 86400000 };
    (void)state;
    struct fixture f = make();
    put_plain(&f, "a", 2, 0, DAY_MS / 2);
    put_plain(&f, "b", 1, DAY_MS / 2, 0);
    assert_int_equal(catalogue_advance(f.catalogue, 1000, NULL), 0);
    assert_best(&f, ANY, 1000, "a");
    assert_int_equal(catalogue_advance(f.catalogue, DAY_MS, NULL), 0);
    assert_best(&f, ANY, DAY_MS, "b");
    assert_int_equal(catalogue_advance(f.catalogue, 2000, NULL), 0);
    assert_best(&f, ANY, 2000, "a");
    assert_non_null(catalogue_next_stale(f.catalogue, 2000).data);
    assert_int_equal(catalogue_advance(f.catalogue, DAY_MS, NULL), 0);
    assert_best(&f, ANY, DAY_MS, "b");
    unmake(&f);
}

static void those_scored_longest_ago_are_due_first(void **state)
{
    (void)state;
    struct fixture f = make();
    struct catalogue *c = f.catalogue;
    double bases[PLACEMENTS] = {0};
    struct entity off = plain("off", NULL, 0);
    off.active = false;
    put_plain(&f, "a", 0, 0, 0);
    put_plain(&f, "b", 0, 0, 0);
    put_plain(&f, "over", 0, 0, 10);
    put(&f, &off);
    assert_int_equal(catalogue_advance(c, 10, NULL), 0);
    assert_null(catalogue_next_stale(c, REFRESH_MS - 1).data);
    assert_true(str_is(catalogue_next_stale(c, REFRESH_MS), "a"));
    assert_int_equal(catalogue_score(c, str_of("a"), bases, REFRESH_MS, NULL), 0);
    assert_true(str_is(catalogue_next_stale(c, REFRESH_MS), "b"));
    assert_int_equal(catalogue_score(c, str_of("b"), bases, REFRESH_MS + 1, NULL), 0);
    assert_null(catalogue_next_stale(c, REFRESH_MS + 1).data);
    struct entity fresh = plain("c", NULL, 0);
    put(&f, &fresh);
    assert_true(str_is(catalogue_next_stale(c, 0), "c"));
    catalogue_remove(c, fresh.id);
    assert_true(str_is(catalogue_next_stale(c, 2 * REFRESH_MS), "a"));
    catalogue_remove(c, str_of("a"));
    assert_null(catalogue_next_stale(c, 2 * REFRESH_MS).data);
    assert_true(str_is(catalogue_next_stale(c, 2 * REFRESH_MS + 1), "b"));
    unmake(&f);
}

static void values_of_diversity_are_hashed_each_once(void **state)
{
    (void)state;
    struct fixture f = make();
    char names[40][8];
    struct str genres[41];
    for (int i = 0; i < 40; i++)
        genres[i + 1] = str_bytes(names[i], (size_t)snprintf(names[i], 8, "g%d", i));
    genres[0] = genres[1];
    struct attribute a = list_attribute("genres", genres, 3);
    struct entity record = plain("a", &a, 1);
    put(&f, &record);
    struct value_hashes got = catalogue_values(f.catalogue, record.id, DE);
    assert_int_equal(got.count, 2);
    assert_true(got.items[0] == XXH3_64bits("g0", 2) && got.items[1] == XXH3_64bits("g1", 2));
    assert_int_equal(catalogue_values(f.catalogue, record.id, CHEAP).count, 0);
    assert_int_equal(catalogue_values(f.catalogue, str_of("unknown"), DE).count, 0);
    a.list.count = 41;
    put(&f, &record);
    assert_int_equal(catalogue_values(f.catalogue, record.id, DE).count, MAX_DIVERSITY_VALUES);
    a = number_attribute("genres", 1995);
    put(&f, &record);
    got = catalogue_values(f.catalogue, record.id, DE);
    assert_true(got.count == 1 && got.items[0] == XXH3_64bits("1995", 4));
    unmake(&f);
}

/* ---------------------------------------------------------- against a scan */

enum { MANY = 3000, ASKED = 20 };

/* A catalogue the slow way, and how a user likes each. */
struct world {
    struct fixture f;
    char ids[MANY][8];
    double bases[MANY], personal[MANY];
    bool is_there[MANY], is_hidden[MANY];
    int64_t until_ms[MANY];
    size_t calls, scored;
};

static size_t number_of(struct str id)
{
    char text[8] = "";
    memcpy(text, id.data, id.len);
    return (size_t)strtol(text, NULL, 10);
}

static bool is_hidden(void *arg, struct str id)
{
    const struct world *w = arg;
    return w->is_hidden[number_of(id)];
}

static int score_fully(void *arg, const struct str *ids, size_t count, double *ln_scores,
                       struct err *e)
{
    struct world *w = arg;
    (void)e;
    w->calls++;
    for (size_t i = 0; i < count; i++) {
        size_t n = number_of(ids[i]);
        assert_true(ln_scores[i] == w->bases[n]);
        ln_scores[i] = w->bases[n] + w->personal[n];
    }
    w->scored += count;
    return 0;
}

static void change(struct world *w, struct random *random, size_t n)
{
    if (w->is_there[n] && random_below(random, 4) == 0) {
        catalogue_remove(w->f.catalogue, str_of(w->ids[n]));
        w->is_there[n] = false;
        return;
    }
    w->bases[n] = (double)random_below(random, 500) / 100;
    w->personal[n] = random_unit(random) * log(2);
    w->is_hidden[n] = random_below(random, 20) == 0;
    if (w->is_there[n] && random_below(random, 2)) {
        score(&w->f, w->ids[n], w->bases[n]);
        return;
    }
    w->until_ms[n] = random_below(random, 3) ? 0 : 1 + random_below(random, 1000);
    put_plain(&w->f, w->ids[n], w->bases[n], 0, w->until_ms[n]);
    w->is_there[n] = true;
}

/* The best of a scan, taken one after the other. */
static void assert_as_scanned(struct world *w, int64_t now_ms, const struct catalogue_answer *got)
{
    static bool is_taken[MANY];
    memset(is_taken, 0, sizeof is_taken);
    for (size_t i = 0; i < got->count; i++) {
        size_t best = MANY;
        for (size_t n = 0; n < MANY; n++) {
            if (!w->is_there[n] || w->is_hidden[n] || is_taken[n] ||
                (w->until_ms[n] && w->until_ms[n] <= now_ms))
                continue;
            double a = w->bases[n] + w->personal[n],
                   b = best < MANY ? w->bases[best] + w->personal[best] : -INFINITY;
            if (a > b)
                best = n;
        }
        assert_true(best < MANY);
        is_taken[best] = true;
        assert_int_equal(number_of(got->ids[i]), best);
        assert_true(got->ln_scores[i] == w->bases[best] + w->personal[best]);
    }
}

static void the_best_are_those_of_a_scan(void **state)
{
    (void)state;
    static struct world w;
    struct random random = {11};
    w = (struct world){.f = make()};
    for (size_t n = 0; n < MANY; n++)
        snprintf(w.ids[n], sizeof w.ids[n], "%zu", n);
    for (int64_t turn = 0; turn < 50; turn++) {
        int64_t now_ms = turn * 20;
        for (int n = 0; n < MANY; n++)
            change(&w, &random, (size_t)random_below(&random, MANY));
        assert_int_equal(catalogue_advance(w.f.catalogue, now_ms, NULL), 0);
        struct catalogue_ask ask = {.as_of_ms = now_ms,
                                    .most = ASKED,
                                    .most_scored = MANY,
                                    .ln_bound = log(2),
                                    .hidden = is_hidden,
                                    .score = score_fully,
                                    .arg = &w};
        struct catalogue_answer got;
        w.scored = 0;
        assert_int_equal(catalogue_best(&got, w.f.catalogue, &ask, NULL), 0);
        assert_int_equal(got.count, ASKED);
        assert_true(got.is_proven);
        assert_int_equal(got.scored, w.scored);
        assert_true(w.scored < catalogue_shown(w.f.catalogue, ANY) / 2);
        assert_as_scanned(&w, now_ms, &got);
    }
    unmake(&w.f);
}

static void without_a_bound_it_ends_after_ten_times_as_many_and_says_so(void **state)
{
    (void)state;
    static struct world w;
    w = (struct world){.f = make()};
    for (size_t n = 0; n < MANY; n++) {
        snprintf(w.ids[n], sizeof w.ids[n], "%zu", n);
        w.bases[n] = -(double)n;
        put_plain(&w.f, w.ids[n], w.bases[n], 0, 0);
    }
    w.personal[99] = 200;
    w.personal[100] = 1000;
    struct catalogue_ask ask = {.most = 10, .ln_bound = INFINITY, .score = score_fully, .arg = &w};
    struct catalogue_answer got;
    assert_int_equal(catalogue_best(&got, w.f.catalogue, &ask, NULL), 0);
    assert_int_equal(got.scored, 100);
    assert_false(got.is_proven);
    assert_int_equal(got.count, 10);
    assert_true(str_is(got.ids[0], "99") && str_is(got.ids[1], "0"));
    ask.most_scored = 101;
    assert_int_equal(catalogue_best(&got, w.f.catalogue, &ask, NULL), 0);
    assert_true(str_is(got.ids[0], "100") && str_is(got.ids[1], "99"));
    ask.ln_bound = 0.5; /* the eleventh is -10, and the tenth of those found -9 */
    assert_int_equal(catalogue_best(&got, w.f.catalogue, &ask, NULL), 0);
    assert_int_equal(got.scored, 10);
    assert_true(got.is_proven);
    unmake(&w.f);
}

static int refuse(void *arg, const struct str *ids, size_t count, double *ln_scores, struct err *e)
{
    (void)arg, (void)ids, (void)count, (void)ln_scores;
    return err_set(e, ERR_CORRUPT, "damaged");
}

static void few_none_and_a_failure_are_answered(void **state)
{
    (void)state;
    struct fixture f = make();
    struct catalogue_ask ask = {.most = 10};
    struct catalogue_answer got;
    struct err e = {0};
    assert_int_equal(catalogue_best(&got, f.catalogue, &ask, NULL), 0);
    assert_int_equal(got.count, 0);
    assert_true(got.is_proven);
    put_plain(&f, "a", 1, 0, 0);
    ask.most = SIZE_MAX;
    assert_int_equal(catalogue_best(&got, f.catalogue, &ask, NULL), 0);
    assert_int_equal(got.count, 1);
    ask.most = 0;
    assert_int_equal(catalogue_best(&got, f.catalogue, &ask, NULL), 0);
    assert_int_equal(got.count, 0);
    ask.most = 10;
    ask.score = refuse;
    assert_int_equal(catalogue_best(&got, f.catalogue, &ask, &e), ERR_CORRUPT);
    assert_string_equal(e.msg, "damaged");
    unmake(&f);
}

/* Puts and scores three; whatever fails, what is answered is in order and sound. */
static int fill(struct catalogue **c, const struct placements *p, struct err *e)
{
    static const char *const ids[] = {"a", "b", "c"};
    struct catalogue_opts opts = {p, REFRESH_MS};
    struct catalogue_ask ask = {.most = 2};
    struct catalogue_answer got;
    int rc = catalogue_new(c, &opts, e);
    for (int i = 0; i < 6 && !rc; i++) {
        double bases[PLACEMENTS] = {i, i, i};
        struct entity record = plain(ids[i % 3], NULL, 0);
        record.valid_until = (struct optional_long){i < 3, 10};
        rc = catalogue_put(*c, &record, e);
        if (!rc)
            rc = catalogue_score(*c, record.id, bases, 0, e);
    }
    if (!rc)
        rc = catalogue_advance(*c, 5, e);
    return rc ? rc : catalogue_best(&got, *c, &ask, e);
}

static void memory_that_is_short_is_said_and_leaves_it_sound(void **state)
{
    (void)state;
    struct fixture f = make();
    for (int n = 1;; n++) {
        struct catalogue *c = NULL;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = fill(&c, f.placements, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        if (c) {
            struct catalogue *whole = f.catalogue;
            f.catalogue = c;
            for (int i = 0; i < 3; i++)
                put_plain(&f, (const char *[]){"a", "b", "c"}[i], i, 0, 0);
            assert_best(&f, ANY, 0, "c b a");
            f.catalogue = whole;
        }
        catalogue_free(c);
        if (!failed)
            break;
    }
    unmake(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_base_scores_come_first_and_of_equal_ones_the_lesser_id),
        cmocka_unit_test(a_placement_has_what_passes_its_filters),
        cmocka_unit_test(each_placement_has_its_own_base_scores),
        cmocka_unit_test(what_is_not_active_is_in_no_order),
        cmocka_unit_test(what_has_no_base_score_is_in_no_order),
        cmocka_unit_test(what_is_valid_joins_and_leaves_with_time),
        cmocka_unit_test(a_request_is_answered_as_of_its_own_time),
        cmocka_unit_test(a_clock_that_was_ahead_for_a_moment_is_forgotten),
        cmocka_unit_test(those_scored_longest_ago_are_due_first),
        cmocka_unit_test(values_of_diversity_are_hashed_each_once),
        cmocka_unit_test(the_best_are_those_of_a_scan),
        cmocka_unit_test(without_a_bound_it_ends_after_ten_times_as_many_and_says_so),
        cmocka_unit_test(few_none_and_a_failure_are_answered),
        cmocka_unit_test(memory_that_is_short_is_said_and_leaves_it_sound),
    };
    return RUN(tests);
}

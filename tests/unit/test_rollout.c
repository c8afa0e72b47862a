/*
 * Rollout plans: what is refused, who is served by what, and that assignment is uniform, sticky and
 * independent. Bounds are quantiles of chi-square that a right hash exceeds once in a million.
 */
#include "unit.h"

#include "model/rollout.h"

#include <math.h>
#include <stdio.h>

enum { USERS = 200000 };

static const double CHI2_1 = 23.93, CHI2_5 = 35.89, CHI2_49 = 111.14;

static struct rollout *follow(const struct rollout_plan *plan)
{
    struct rollout *r = NULL;
    struct err e = {0};
    if (rollout_new(&r, plan, &e))
        fail_msg("%s", e.msg);
    return r;
}

static struct challenger challenger(const char *name, int64_t version, const char *mode,
                                    double share)
{
    return (struct challenger){str_of(name), version, str_of(mode), share};
}

static struct rollout_plan plan_of(struct challenger *list, size_t count)
{
    return (struct rollout_plan){.model = str_of("shop"),
                                 .salt = str_of("1"),
                                 .champion = 3,
                                 .previous = 2,
                                 .challengers = {list, count}};
}

static struct str user(char text[32], int i)
{
    snprintf(text, 32, "user-%d", i);
    return str_of(text);
}

static int assigned(const struct rollout *r, int i)
{
    char text[32];
    return rollout_assign(r, user(text, i));
}

static double squared_error(double seen, double expected)
{
    return (seen - expected) * (seen - expected) / expected;
}

/* ---- Refused ---- */

static void assert_refused(const struct rollout_plan *plan, const char *part)
{
    struct rollout *r = NULL;
    struct err e = {0};
    assert_int_equal(rollout_new(&r, plan, &e), ERR_INVALID);
    assert_null(r);
    assert_contains(e.msg, part);
}

static void a_plan_that_cannot_be_followed_says_what_is_wrong(void **state)
{
    static const struct {
        struct challenger c;
        const char *part;
    } wrong[] = {
        {{{"", 0}, 1, {"ab", 2}, 0.1}, "challenger \"\": a name has 1 to 64"},
        {{{"champion", 8}, 1, {"ab", 2}, 0.1}, "is not champion"},
        {{{"a b", 3}, 1, {"ab", 2}, 0.1}, "challenger \"a b\""},
        {{{"c", 1}, 0, {"ab", 2}, 0.1}, "version 0: the first version is 1"},
        {{{"c", 1}, 1, {"blue", 4}, 0.1}, "mode \"blue\": give shadow, canary or ab"},
        {{{"c", 1}, 1, {"ab", 2}, -0.1}, "share -0.1: give one from 0 to 1"},
        {{{"c", 1}, 1, {"ab", 2}, 1.1}, "share 1.1"},
        {{{"c", 1}, 1, {"ab", 2}, (double)NAN}, "nan"},
        {{{"c", 1}, 1, {"shadow", 6}, 0.1}, "a shadow is shown to nobody"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct challenger c = wrong[i].c;
        struct rollout_plan plan = plan_of(&c, 1);
        assert_refused(&plan, wrong[i].part);
    }
}

static void names_and_versions_of_the_plan_itself_are_checked(void **state)
{
    struct rollout_plan plan = plan_of(NULL, 0);
    (void)state;
    plan.model = str_of("rules");
    assert_refused(&plan, "model \"rules\"");
    plan.model = str_of("a/b");
    assert_refused(&plan, "model \"a/b\"");
    plan.model = str_of("shop");
    plan.previous = -1;
    assert_refused(&plan, "version -1");
    plan.previous = 0;
    plan.salt = str_bytes("a\x1f", 2);
    assert_refused(&plan, "salt");
}

static void shares_over_one_two_of_a_name_and_too_many_are_refused(void **state)
{
    struct challenger two[] = {challenger("a", 4, "ab", 0.7), challenger("b", 5, "canary", 0.31)};
    struct challenger many[ROLLOUT_MAX_CHALLENGERS + 1];
    char names[ROLLOUT_MAX_CHALLENGERS + 1][16];
    struct rollout_plan plan = plan_of(two, 2);
    (void)state;
    assert_refused(&plan, "the shares add up to 1.01: at most 1");
    two[1] = challenger("a", 5, "canary", 0.1);
    assert_refused(&plan, "there are two challengers a");
    for (size_t i = 0; i <= ROLLOUT_MAX_CHALLENGERS; i++) {
        snprintf(names[i], sizeof names[i], "c%zu", i);
        many[i] = challenger(names[i], 4, "shadow", 0);
    }
    plan = plan_of(many, ROLLOUT_MAX_CHALLENGERS + 1);
    assert_refused(&plan, "65 challengers: at most 64");
    plan = plan_of(many, ROLLOUT_MAX_CHALLENGERS);
    rollout_free(follow(&plan));
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
    struct challenger c[] = {challenger("a", 4, "ab", 0.5), challenger("b", 5, "shadow", 0)};
    struct rollout_plan plan = plan_of(c, 2);
    int n = 1;
    (void)state;
    for (;; n++) {
        struct rollout *r = NULL;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = rollout_new(&r, &plan, &e);
        bool failed = fail_alloc_end();
        rollout_free(r);
        if (!failed)
            break;
        assert_int_equal(rc, ERR_NOMEM);
    }
    assert_true(n > 4);
}

/* ---- Assignment ---- */

/* XXH3_64bits("1\x1fshop\x1fb\x1fuser-17") and others, as libxxhash
 * says, called from Python. */
static void assignment_is_the_hash_that_the_header_says(void **state)
{
    static const struct {
        int user;
        double u;
    } known[] = {
        {0, 0x1.7b7d193986f2ap-2}, {17, 0x1.226951098b270p-4}, {123456, 0x1.855d0caf4cad7p-1}};
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct challenger c = challenger("b", 4, "ab", known[i].u);
        struct rollout_plan plan = plan_of(&c, 1);
        struct rollout *r = follow(&plan);
        assert_int_equal(assigned(r, known[i].user), ROLLOUT_CHAMPION);
        rollout_free(r);
        c.share = nextafter(known[i].u, 1);
        r = follow(&plan);
        assert_int_equal(assigned(r, known[i].user), 0);
        rollout_free(r);
    }
}

static void a_long_user_id_is_hashed_whole(void **state)
{
    /* As above, of "1\x1fshop\x1fb\x1f" and a thousand x. */
    static const double u = 0x1.fd9d23788b190p-5;
    char id[1000];
    struct challenger c = challenger("b", 4, "ab", u);
    struct rollout_plan plan = plan_of(&c, 1);
    struct rollout *r = follow(&plan);
    (void)state;
    memset(id, 'x', sizeof id);
    assert_int_equal(rollout_assign(r, str_bytes(id, sizeof id)), ROLLOUT_CHAMPION);
    rollout_free(r);
    c.share = nextafter(u, 1);
    r = follow(&plan);
    assert_int_equal(rollout_assign(r, str_bytes(id, sizeof id)), 0);
    rollout_free(r);
}

static void every_challenger_gets_its_share_of_all_users(void **state)
{
    static const double shares[] = {0.05, 0.3, 0.01, 0.2, 0.14};
    struct challenger c[] = {
        challenger("a", 4, "canary", shares[0]), challenger("b", 5, "ab", shares[1]),
        challenger("c", 6, "ab", shares[2]), challenger("d", 7, "ab", shares[3]),
        challenger("e", 8, "ab", shares[4])};
    struct rollout_plan plan = plan_of(c, 5);
    struct rollout *r = follow(&plan);
    int seen[6] = {0};
    double left = 1, chi2 = 0;
    (void)state;
    for (int i = 0; i < USERS; i++)
        seen[assigned(r, i) + 1]++;
    for (int i = 0; i < 5; i++) {
        chi2 += squared_error(seen[i + 1], shares[i] * USERS);
        left -= shares[i];
    }
    chi2 += squared_error(seen[0], left * USERS);
    assert_true(chi2 < CHI2_5);
    rollout_free(r);
}

static void users_lie_evenly_between_zero_and_one(void **state)
{
    enum { BINS = 50 };
    int below[BINS + 1] = {0};
    double chi2 = 0;
    (void)state;
    for (int bin = 1; bin <= BINS; bin++) {
        struct challenger c = challenger("a", 4, "ab", (double)bin / BINS);
        struct rollout_plan plan = plan_of(&c, 1);
        struct rollout *r = follow(&plan);
        for (int i = 0; i < USERS / 10; i++)
            below[bin] += assigned(r, i) == 0;
        rollout_free(r);
        chi2 += squared_error(below[bin] - below[bin - 1], (double)(USERS / 10) / BINS);
    }
    assert_true(chi2 < CHI2_49);
}

/* A two by two table of the users who are in one experiment, in the other, in both. */
static void assert_independent(const struct rollout_plan *one, const struct rollout_plan *other)
{
    struct rollout *a = follow(one), *b = follow(other);
    double n[2][2] = {{0}}, chi2 = 0;
    for (int i = 0; i < USERS; i++)
        n[assigned(a, i) >= 0][assigned(b, i) >= 0]++;
    for (int x = 0; x < 2; x++)
        for (int y = 0; y < 2; y++)
            chi2 += squared_error(n[x][y], (n[x][0] + n[x][1]) * (n[0][y] + n[1][y]) / USERS);
    assert_true(chi2 < CHI2_1);
    rollout_free(a);
    rollout_free(b);
}

static void experiments_are_independent_of_each_other(void **state)
{
    struct challenger c = challenger("a", 4, "ab", 0.3), d = challenger("b", 4, "ab", 0.5);
    struct rollout_plan plan = plan_of(&c, 1), by_name = plan_of(&d, 1), by_model = plan,
                        by_salt = plan;
    (void)state;
    by_model.model = str_of("search");
    by_salt.salt = str_of("2");
    assert_independent(&plan, &by_name);
    assert_independent(&plan, &by_model);
    assert_independent(&plan, &by_salt);
}

static void a_user_stays_while_shares_grow(void **state)
{
    struct challenger c[] = {challenger("a", 4, "canary", 0.1), challenger("b", 5, "ab", 0.2)};
    struct rollout_plan plan = plan_of(c, 2);
    struct rollout *before = follow(&plan);
    (void)state;
    c[0].share = 0.15;
    struct rollout *after = follow(&plan);
    for (int i = 0; i < USERS; i++)
        if (assigned(before, i) == 0)
            assert_int_equal(assigned(after, i), 0);
    rollout_free(after);
    c[0].share = 0.1;
    c[1].share = 0.9;
    after = follow(&plan);
    for (int i = 0; i < USERS; i++)
        if (assigned(before, i) >= 0)
            assert_int_equal(assigned(after, i), assigned(before, i));
    rollout_free(after);
    rollout_free(before);
}

static void a_shadow_takes_no_user_from_anybody(void **state)
{
    struct challenger c[] = {challenger("s", 9, "shadow", 0), challenger("a", 4, "canary", 0.1),
                             challenger("t", 9, "shadow", 0), challenger("b", 5, "ab", 0.2)};
    struct challenger without[] = {c[1], c[3]};
    struct rollout_plan plan = plan_of(c, 4), plain = plan_of(without, 2);
    struct rollout *r = follow(&plan), *p = follow(&plain);
    (void)state;
    for (int i = 0; i < USERS; i++) {
        int expected = assigned(p, i), got = assigned(r, i);
        assert_int_equal(got, expected == 0 ? 1 : expected == 1 ? 3 : ROLLOUT_CHAMPION);
    }
    rollout_free(r);
    rollout_free(p);
}

static void where_shares_add_up_to_one_nobody_is_left_for_the_champion(void **state)
{
    /* In doubles these add up to 0.99...9. */
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    struct challenger c[10];
    (void)state;
    for (int i = 0; i < 10; i++)
        c[i] = challenger(names[i], 4 + i, "ab", 0.1);
    struct rollout_plan plan = plan_of(c, 10);
    struct rollout *r = follow(&plan);
    int seen[10] = {0};
    for (int i = 0; i < USERS; i++) {
        int k = assigned(r, i);
        assert_in_range(k, 0, 9);
        seen[k]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], USERS / 10 - 1000, USERS / 10 + 1000);
    rollout_free(r);
}

/* ---- Serving ---- */

static void what_cannot_serve_gives_way_to_champion_and_previous(void **state)
{
    struct challenger c[] = {challenger("a", 9, "ab", 0.5), challenger("same", 3, "ab", 0.5)};
    struct rollout_plan plan = plan_of(c, 2);
    struct rollout *r = follow(&plan);
    struct rollout_step s[ROLLOUT_STEPS];
    (void)state;
    assert_int_equal(rollout_steps(r, 0, s), 3);
    assert_string_equal(s[0].variant, "a");
    assert_int_equal(s[0].version, 9);
    assert_string_equal(s[1].variant, "champion");
    assert_int_equal(s[1].version, 3);
    assert_string_equal(s[2].variant, "previous");
    assert_int_equal(s[2].version, 2);
    assert_int_equal(rollout_steps(r, ROLLOUT_CHAMPION, s), 2);
    assert_string_equal(s[0].variant, "champion");
    assert_int_equal(rollout_steps(r, 1, s), 2);
    assert_string_equal(s[0].variant, "same");
    assert_string_equal(s[1].variant, "previous");
    rollout_free(r);
    plan.champion = plan.previous = 0;
    r = follow(&plan);
    assert_int_equal(rollout_steps(r, ROLLOUT_CHAMPION, s), 0);
    assert_int_equal(rollout_steps(r, 0, s), 1);
    rollout_free(r);
    /* Back to rules: the champion before stays named, so that it can come back, and does not serve.
     */
    plan.previous = 2;
    r = follow(&plan);
    assert_int_equal(rollout_steps(r, ROLLOUT_CHAMPION, s), 0);
    assert_int_equal(rollout_steps(r, 0, s), 1);
    rollout_free(r);
}

static void every_version_is_named_once(void **state)
{
    struct challenger c[] = {challenger("a", 9, "ab", 0.5), challenger("b", 3, "shadow", 0),
                             challenger("c", 9, "shadow", 0)};
    struct rollout_plan plan = plan_of(c, 3);
    struct rollout *r = follow(&plan);
    int64_t versions[ROLLOUT_MAX_VERSIONS];
    (void)state;
    assert_int_equal(rollout_versions(r, versions), 3);
    assert_int_equal(versions[0], 3);
    assert_int_equal(versions[1], 2);
    assert_int_equal(versions[2], 9);
    rollout_free(r);
}

static void a_plan_is_copied(void **state)
{
    char name[] = "a";
    struct challenger c = challenger(name, 9, "ab", 1);
    struct rollout_plan plan = plan_of(&c, 1);
    struct rollout *r = follow(&plan);
    (void)state;
    name[0] = 'x';
    c.version = 1;
    assert_string_equal(r->challengers[0].name, "a");
    assert_int_equal(r->challengers[0].version, 9);
    assert_int_equal(r->challengers[0].mode, ROLLOUT_AB);
    assert_string_equal(r->model, "shop");
    rollout_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_that_cannot_be_followed_says_what_is_wrong),
        cmocka_unit_test(names_and_versions_of_the_plan_itself_are_checked),
        cmocka_unit_test(shares_over_one_two_of_a_name_and_too_many_are_refused),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
        cmocka_unit_test(assignment_is_the_hash_that_the_header_says),
        cmocka_unit_test(a_long_user_id_is_hashed_whole),
        cmocka_unit_test(every_challenger_gets_its_share_of_all_users),
        cmocka_unit_test(users_lie_evenly_between_zero_and_one),
        cmocka_unit_test(experiments_are_independent_of_each_other),
        cmocka_unit_test(a_user_stays_while_shares_grow),
        cmocka_unit_test(a_shadow_takes_no_user_from_anybody),
        cmocka_unit_test(where_shares_add_up_to_one_nobody_is_left_for_the_champion),
        cmocka_unit_test(what_cannot_serve_gives_way_to_champion_and_previous),
        cmocka_unit_test(every_version_is_named_once),
        cmocka_unit_test(a_plan_is_copied),
    };
    return RUN(tests);
}

#include "feature/contribution.h"
#include "unit.h"

#include "support/fixture.h"

/* Scopes of none to five dimensions, with the user or without. */
static const char *const SET =
    "features:\n"
    "  - {name: a, scope: global, recency: {event: e}}\n"
    "  - {name: b, scope: proposition.tags, recency: {event: e}}\n"
    "  - {name: c, scope: proposition.tags*proposition.more, recency: {event: e}}\n"
    "  - {name: d, scope: context.device*proposition.more*user.country, recency: {event: e}}\n"
    "  - {name: e, scope: proposition.more*user*proposition.tags, recency: {event: e}}\n"
    "  - {name: f, scope: user*proposition.tags*context.device*proposition*proposition.more, "
    "recency: {event: e}}\n"
    "  - {name: g, scope: user, recency: {event: e}}\n";

enum { MOST_VALUES = 6, TAGS = 0, MORE = 1 };

/* A situation with its values in memory of its own. */
struct place {
    struct situation situation;
    struct known *user, *proposition;
    struct str country[MOST_VALUES], lists[2][MOST_VALUES];
    char texts[3][MOST_VALUES][200];
    struct text_entry device;
    struct text_map context;
};

/* Up to so many texts, of any length; sometimes none. */
static struct str_list any_list(struct str *items, char (*texts)[200], int64_t most,
                                struct random *r)
{
    struct str_list list = {items, (size_t)random_below(r, most + 1)};
    for (size_t i = 0; i < list.count; i++) {
        size_t len = (size_t)random_below(r, random_below(r, 4) ? 4 : sizeof texts[i]);
        memset(texts[i], 'a' + (int)i, sizeof texts[i]);
        items[i] = (struct str){texts[i], len};
    }
    return list;
}

static void set_up(struct place *p, struct random *r)
{
    *p = (struct place){.device = {str_of("device"), str_of(random_below(r, 2) ? "tv" : "")}};
    p->user = calloc(1, sizeof *p->user + sizeof *p->user->values);
    p->proposition = calloc(1, sizeof *p->proposition + 2 * sizeof *p->proposition->values);
    assert_true(p->user && p->proposition);
    p->user->values[0].keys = any_list(p->country, p->texts[0], 2, r);
    for (int i = TAGS; i <= MORE; i++)
        p->proposition->values[i].keys = any_list(p->lists[i], p->texts[1 + i], MOST_VALUES, r);
    p->context = (struct text_map){&p->device, (size_t)random_below(r, 4) != 0};
    p->situation = (struct situation){.user_id = str_of("u"),
                                      .user = p->user,
                                      .proposition_id = str_of("p"),
                                      .proposition = p->proposition,
                                      .context = &p->context};
}

static void tear_down(struct place *p)
{
    free(p->user);
    free(p->proposition);
}

/* Every key of the product by counting up, the last dimension fastest, as the words of features.md
 * and contribution.h have them; returns how many. */
static size_t keys_by_counting(struct buf *out, const struct place *p, const struct scope *scope,
                               bool in_user_record)
{
    size_t digits[8] = {0}, count = 0;
    struct str_list values[8];
    for (size_t i = 0; i < scope->dimension_count; i++) {
        values[i] = situation_values(&p->situation, &scope->dimensions[i]);
        if (values[i].count == 0)
            return 0;
    }
    for (size_t at = 0; at < 8;) {
        struct buf key = {0};
        for (size_t i = 0; i < scope->dimension_count; i++)
            if (!in_user_record || scope->dimensions[i].side != SIDE_USER ||
                scope->dimensions[i].field)
                buf_put_sized(&key, values[i].items[digits[i]]);
        buf_put_sized(out, buf_str(&key));
        buf_free(&key);
        count++;
        for (at = scope->dimension_count; at > 0; at--) {
            if (++digits[at - 1] < values[at - 1].count)
                break;
            digits[at - 1] = 0;
        }
        if (at == 0)
            break;
    }
    return count;
}

static void keys_are_the_product_with_the_last_dimension_fastest(void **state)
{
    (void)state;
    struct feature_set *set = definitions(SET);
    struct random random = {61};
    assert_int_equal(set->attribute_count[SIDE_PROPOSITION], 2);
    assert_string_equal(set->attributes[SIDE_PROPOSITION][TAGS], "tags");
    for (int round = 0; round < 2000; round++) {
        const struct scope *scope = &set->scopes[(size_t)round % set->scope_count];
        bool in_user_record = scope->has_user && round % 2;
        struct place p;
        struct buf expected = {0}, one_by_one = {0}, listed = {0}, key = {0};
        struct arena arena = {0};
        struct str_list list, values[5];
        struct err e = {0};
        set_up(&p, &random);
        size_t count = keys_by_counting(&expected, &p, scope, in_user_record);
        assert_int_equal(situation_product(values, &p.situation, scope), count);
        assert_int_equal(situation_key_count(&p.situation, scope), count);
        for (size_t i = 0; i < count; i++) {
            buf_reset(&key);
            situation_put_key(&key, scope, values, i, in_user_record);
            buf_put_sized(&one_by_one, buf_str(&key));
        }
        assert_int_equal(situation_keys(&list, &p.situation, scope, in_user_record, &arena, &e), 0);
        assert_int_equal(list.count, count);
        for (size_t i = 0; i < count; i++)
            buf_put_sized(&listed, list.items[i]);
        assert_bytes(&one_by_one, expected.data, expected.len);
        assert_bytes(&listed, expected.data, expected.len);
        buf_free(&expected);
        buf_free(&one_by_one);
        buf_free(&listed);
        buf_free(&key);
        arena_free(&arena);
        tear_down(&p);
    }
    feature_set_free(set);
}

/* 1000 x 1000 is a million; one more of either is more. */
static void a_product_of_more_than_a_million_is_said_to_be_that(void **state)
{
    (void)state;
    struct feature_set *set = definitions(SET);
    const struct scope *scope = &set->scopes[2];
    struct str *items = calloc(2000000, sizeof *items);
    struct known *known = calloc(1, sizeof *known + 2 * sizeof *known->values);
    struct situation s = {.user_id = str_of("u"), .proposition = known};
    static const struct {
        size_t tags, more, count;
    } cases[] = {{1000, 1000, 1000000},
                 {1001, 1000, MAX_KEYS + 1},
                 {1000, 1001, MAX_KEYS + 1},
                 {2000000, 1, MAX_KEYS + 1},
                 {2000000, 0, 0},
                 {0, 2000000, 0},
                 {2000000, 2000000, MAX_KEYS + 1}};
    assert_true(items && known);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str_list values[2], list;
        struct arena arena = {0};
        struct err e = {0};
        known->values[TAGS].keys = (struct str_list){items, cases[i].tags};
        known->values[MORE].keys = (struct str_list){items, cases[i].more};
        assert_int_equal(situation_product(values, &s, scope), cases[i].count);
        if (cases[i].count > MAX_KEYS) {
            assert_int_equal(situation_keys(&list, &s, scope, false, &arena, &e), ERR_TOO_LARGE);
            assert_contains(e.msg, "more than 1000000 keys");
            assert_contains(e.msg, "proposition.tags*proposition.more");
        }
        arena_free(&arena);
    }
    free(items);
    free(known);
    feature_set_free(set);
}

static void without_memory_no_key_is_left_out(void **state)
{
    (void)state;
    struct feature_set *set = definitions(SET);
    struct random random = {62};
    struct place p;
    do {
        set_up(&p, &random);
        if (situation_key_count(&p.situation, &set->scopes[5]) > 20)
            break;
        tear_down(&p);
    } while (true);
    for (int n = 1;; n++) {
        struct arena arena = {0};
        struct str_list list;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = situation_keys(&list, &p.situation, &set->scopes[5], true, &arena, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        if (!failed)
            assert_int_equal(list.count, situation_key_count(&p.situation, &set->scopes[5]));
        arena_free(&arena);
        if (!failed)
            break;
    }
    tear_down(&p);
    feature_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_the_product_with_the_last_dimension_fastest),
        cmocka_unit_test(a_product_of_more_than_a_million_is_said_to_be_that),
        cmocka_unit_test(without_memory_no_key_is_left_out),
    };
    return RUN(tests);
}

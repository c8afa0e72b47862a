#include "feature/entities.h"
#include "unit.h"

#include "support/fixture.h"

static const char *const SET =
    "features:\n"
    "  - {name: a, scope: proposition, attribute: {field: x}}\n"
    "  - {name: b, scope: proposition.y, count: {event: e, windows: [1h]}}\n"
    "  - {name: c, scope: user, attribute: {field: x}}\n";

struct fixture {
    struct feature_set *set;
    struct entities *table;
};

static void open_table(struct fixture *t)
{
    struct err e = {0};
    t->set = definitions(SET);
    assert_int_equal(entities_new(&t->table, t->set, SIDE_PROPOSITION, &e), 0);
}

static void close_table(struct fixture *t)
{
    entities_free(t->table);
    feature_set_free(t->set);
}

static void put(struct fixture *t, const char *id, int64_t time_ms, struct attribute a)
{
    struct attribute place;
    struct entity record = entity_of(&place, id, time_ms, a);
    struct err e = {0};
    if (entities_put(t->table, &record, &e))
        fail_msg("%s", e.msg);
}

static const struct known_value *value(struct fixture *t, const char *id, const char *field)
{
    const struct known *k = entities_find(t->table, str_of(id));
    int at = feature_set_attribute(t->set, SIDE_PROPOSITION, str_of(field));
    return k && at >= 0 ? &k->values[at] : NULL;
}

static void keys_are(const struct known_value *v, const char *expected)
{
    struct buf out = {0};
    assert_non_null(v);
    for (size_t i = 0; i < v->keys.count; i++)
        buf_printf(&out, "%s%.*s", i ? "|" : "", STR_ARG(v->keys.items[i]));
    assert_buf_is(&out, expected);
    buf_free(&out);
}

static void the_newest_timestamp_wins_and_of_equal_ones_the_later_arrival(void **state)
{
    (void)state;
    struct fixture t;
    open_table(&t);
    put(&t, "p", 5, text_attribute("y", "five"));
    put(&t, "p", 4, text_attribute("y", "four"));
    keys_are(value(&t, "p", "y"), "five");
    put(&t, "p", 5, text_attribute("y", "again"));
    keys_are(value(&t, "p", "y"), "again");
    put(&t, "p", 6, text_attribute("y", "six"));
    keys_are(value(&t, "p", "y"), "six");
    put(&t, "q", -1, text_attribute("y", "other"));
    keys_are(value(&t, "q", "y"), "other");
    assert_int_equal(entities_count(t.table), 2);
    close_table(&t);
}

static void a_record_replaces_all_attributes(void **state)
{
    (void)state;
    struct fixture t;
    open_table(&t);
    put(&t, "p", 1, text_attribute("y", "drama"));
    put(&t, "p", 2, number_attribute("x", 3));
    assert_int_equal(value(&t, "p", "y")->type, ATTRIBUTE_NULL);
    keys_are(value(&t, "p", "y"), "");
    assert_true(value(&t, "p", "x")->number == 3);
    put(&t, "p", 3, text_attribute("unread", "z"));
    assert_int_equal(value(&t, "p", "x")->type, ATTRIBUTE_NULL);
    close_table(&t);
}

static void a_removed_entity_is_not_known_and_can_come_back(void **state)
{
    (void)state;
    struct fixture t;
    open_table(&t);
    put(&t, "p", 9, text_attribute("y", "a"));
    entities_remove(t.table, str_of("p"));
    entities_remove(t.table, str_of("nobody"));
    assert_null(entities_find(t.table, str_of("p")));
    assert_int_equal(entities_count(t.table), 0);
    put(&t, "p", 1, text_attribute("y", "b"));
    keys_are(value(&t, "p", "y"), "b");
    close_table(&t);
}

/* RFC 8785: as tests/oracle/test_oracle.py has them. */
static void numbers_and_booleans_are_keys_as_rfc_8785_writes_them(void **state)
{
    (void)state;
    static const struct {
        double number;
        const char *key;
    } cases[] = {{1995.0, "1995"},
                 {0.1, "0.1"},
                 {-0.0, "0"},
                 {-2.5, "-2.5"},
                 {1e20, "100000000000000000000"},
                 {1e21, "1e+21"},
                 {1.5e-7, "1.5e-7"},
                 {1e-6, "0.000001"},
                 {5e-324, "5e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"}};
    struct fixture t;
    open_table(&t);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(&t, "p", 1, number_attribute("y", cases[i].number));
        keys_are(value(&t, "p", "y"), cases[i].key);
        assert_true(value(&t, "p", "y")->number == cases[i].number);
    }
    put(&t, "p", 1,
        (struct attribute){.name = str_of("y"), .type = ATTRIBUTE_BOOLEAN, .boolean = true});
    keys_are(value(&t, "p", "y"), "true");
    put(&t, "p", 1, (struct attribute){.name = str_of("y"), .type = ATTRIBUTE_BOOLEAN});
    keys_are(value(&t, "p", "y"), "false");
    put(&t, "p", 1, text_attribute("y", ""));
    assert_int_equal(value(&t, "p", "y")->keys.count, 1); /* an empty text is a value */
    close_table(&t);
}

static void repeats_in_a_list_are_one_value_in_the_lists_order(void **state)
{
    (void)state;
    struct fixture t;
    struct str items[500];
    open_table(&t);
    static const char *const few[] = {"b", "a", "b", "", "c", "a", ""};
    for (size_t i = 0; i < 7; i++)
        items[i] = str_of(few[i]);
    put(&t, "p", 1, list_attribute("y", items, 7));
    keys_are(value(&t, "p", "y"), "b|a||c");
    put(&t, "p", 1, list_attribute("y", items, 0));
    assert_int_equal(value(&t, "p", "y")->keys.count, 0);

    /* 16 is the longest short list, 17 the shortest long one. */
    struct random random = {41};
    static char texts[500][8];
    for (int round = 0; round < 300; round++) {
        size_t count = round % 3 ? (size_t)(15 + round % 4) : 500;
        int different = 1 + (int)random_below(&random, (int64_t)count);
        struct buf expected = {0};
        bool seen[500] = {false};
        for (size_t i = 0; i < count; i++) {
            int n = (int)random_below(&random, different);
            snprintf(texts[i], sizeof texts[i], "%d", n);
            items[i] = str_of(texts[i]);
            if (!seen[n])
                buf_printf(&expected, "%s%d", expected.len ? "|" : "", n);
            seen[n] = true;
        }
        buf_put_u8(&expected, 0);
        put(&t, "p", 1, list_attribute("y", items, count));
        keys_are(value(&t, "p", "y"), (const char *)expected.data);
        buf_free(&expected);
    }
    close_table(&t);
}

static void numbers_that_are_not_finite_are_refused_by_name(void **state)
{
    (void)state;
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    struct fixture t;
    open_table(&t);
    put(&t, "p", 1, number_attribute("x", 7));
    for (size_t i = 0; i < 3; i++) {
        struct attribute place;
        /* Also of what no feature reads. */
        struct entity record =
            entity_of(&place, "p", 2, number_attribute(i ? "x" : "unread", bad[i]));
        struct err e = {0};
        assert_int_equal(entities_put(t.table, &record, &e), ERR_SCHEMA);
        assert_contains(e.msg, i ? "attribute x is not a finite number" : "attribute unread");
    }
    assert_true(value(&t, "p", "x")->number == 7);
    close_table(&t);
}

static void of_equal_names_the_last_counts(void **state)
{
    (void)state;
    struct fixture t;
    struct err e = {0};
    open_table(&t);
    struct attribute two[] = {text_attribute("y", "first"), text_attribute("y", "last")};
    struct entity record = {.id = str_of("p"), .timestamp = 1, .attributes = {two, 2}};
    assert_int_equal(entities_put(t.table, &record, &e), 0);
    keys_are(value(&t, "p", "y"), "last");
    close_table(&t);
}

static void what_was_put_does_not_borrow(void **state)
{
    (void)state;
    struct fixture t;
    char id[] = "p", text[] = "drama", name[] = "y";
    open_table(&t);
    put(&t, id, 1, text_attribute(name, text));
    memset(id, 'x', 1);
    memset(text, 'x', 5);
    memset(name, 'x', 1);
    keys_are(value(&t, "p", "y"), "drama");
    close_table(&t);
}

static void without_memory_what_was_known_stays(void **state)
{
    (void)state;
    struct str items[40];
    char texts[40][8];
    for (size_t i = 0; i < 40; i++) {
        snprintf(texts[i], sizeof texts[i], "%zu", i % 30);
        items[i] = str_of(texts[i]);
    }
    for (int n = 1;; n++) {
        struct fixture t;
        struct err e = {0};
        struct attribute place;
        struct entity record = entity_of(&place, "p", 2, list_attribute("y", items, 40)),
                      new = entity_of(&place, "q", 2, list_attribute("y", items, 40));
        open_table(&t);
        put(&t, "p", 1, text_attribute("y", "old"));
        fail_alloc_at(n);
        int rc = entities_put(t.table, &record, &e),
            rc_new = rc ? rc : entities_put(t.table, &new, &e);
        bool failed = fail_alloc_end();
        if (rc) {
            assert_int_equal(rc, ERR_NOMEM);
            keys_are(value(&t, "p", "y"), "old");
        } else {
            assert_int_equal(value(&t, "p", "y")->keys.count, 30);
        }
        if (!rc && rc_new) {
            assert_int_equal(rc_new, ERR_NOMEM);
            assert_null(entities_find(t.table, str_of("q")));
        }
        close_table(&t);
        if (!failed) {
            assert_int_equal(rc_new, 0);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_timestamp_wins_and_of_equal_ones_the_later_arrival),
        cmocka_unit_test(a_record_replaces_all_attributes),
        cmocka_unit_test(a_removed_entity_is_not_known_and_can_come_back),
        cmocka_unit_test(numbers_and_booleans_are_keys_as_rfc_8785_writes_them),
        cmocka_unit_test(repeats_in_a_list_are_one_value_in_the_lists_order),
        cmocka_unit_test(numbers_that_are_not_finite_are_refused_by_name),
        cmocka_unit_test(of_equal_names_the_last_counts),
        cmocka_unit_test(what_was_put_does_not_borrow),
        cmocka_unit_test(without_memory_what_was_known_stays),
    };
    return RUN(tests);
}

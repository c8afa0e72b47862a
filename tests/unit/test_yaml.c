#include "base/yaml_tree.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

static struct yaml_tree *parse(const char *text)
{
    struct yaml_tree *y = NULL;
    struct err e = {0};
    assert_int_equal(yaml_tree_parse(&y, "t.yaml", str_of(text), &e), 0);
    return y;
}

static void refused(const char *text, int code, const char *message)
{
    struct yaml_tree *y = NULL;
    struct err e = {0};
    assert_int_equal(yaml_tree_parse(&y, "t.yaml", str_of(text), &e), code);
    assert_null(y);
    assert_contains(e.msg, message);
}

static void maps_lists_and_texts_keep_their_lines(void **state)
{
    (void)state;
    struct yaml_tree *y = parse("# a comment\nname: flotilla\nlist:\n  - one\n  - {two: 3}\n");
    const struct yaml_node *root = yaml_tree_root(y), *list = yaml_tree_get(root, "list");
    assert_int_equal(root->type, YAML_MAP);
    assert_int_equal(root->count, 2);
    assert_string_equal(yaml_tree_get(root, "name")->text, "flotilla");
    assert_int_equal(root->pairs[0].line, 2);
    assert_int_equal(list->type, YAML_LIST);
    assert_int_equal(list->count, 2);
    assert_int_equal(list->items[1]->line, 5);
    assert_string_equal(yaml_tree_get(list->items[1], "two")->text, "3");
    assert_null(yaml_tree_get(root, "nothing"));
    assert_null(yaml_tree_get(list, "two"));
    yaml_tree_free(y);
}

static void words_that_look_like_something_else_stay_words(void **state)
{
    (void)state;
    struct yaml_tree *y = parse("{a: on, b: no, c: 1e3, d: ~, e: '', f: null}");
    static const char *const expected[] = {"on", "no", "1e3", "~", "", "null"};
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(yaml_tree_root(y)->pairs[i].value->text, expected[i]);
    yaml_tree_free(y);
}

static void an_empty_document_has_no_root(void **state)
{
    (void)state;
    struct yaml_tree *y = parse("# nothing\n");
    assert_null(yaml_tree_root(y));
    yaml_tree_free(y);
}

static void aliases_stand_for_what_they_name(void **state)
{
    (void)state;
    struct yaml_tree *y = parse("a: &x [1, 2]\nb: *x\n");
    assert_int_equal(yaml_tree_get(yaml_tree_root(y), "b")->count, 2);
    yaml_tree_free(y);
}

static void what_is_no_yaml_is_refused_with_its_line(void **state)
{
    (void)state;
    refused("a: b\nc: [1, 2\n", ERR_INVALID, "t.yaml:3: not YAML");
    refused("a: 1\nb: 2\na: 3\n", ERR_INVALID, "t.yaml:3: \"a\" is given twice: keep one");
    refused("? [a, b]\n: c\n", ERR_INVALID, "t.yaml:1: a key must be a text");
    refused("a: \"x\\0y\"\n", ERR_INVALID, "t.yaml:1: a text holds a NUL character");
    refused("\xff\xfe\xfd", ERR_INVALID, "not YAML");
}

/* Few keys are compared with each other, many are looked up. */
static void a_key_given_twice_is_found_among_many(void **state)
{
    (void)state;
    for (int count = 2; count < 60000; count = count * 3 / 2 + 1) {
        struct buf b = {0};
        char message[64];
        for (int i = 0; i < count; i++)
            buf_printf(&b, "k%d: v\n", i);
        buf_put_u8(&b, 0);
        assert_true(buf_ok(&b));
        struct yaml_tree *y = parse((const char *)b.data);
        assert_int_equal(yaml_tree_root(y)->count, count);
        yaml_tree_free(y);
        b.len--;
        buf_printf(&b, "k%d: v\n", count / 2);
        buf_put_u8(&b, 0);
        snprintf(message, sizeof message, "t.yaml:%d: \"k%d\" is given twice", count + 1,
                 count / 2);
        refused((const char *)b.data, ERR_INVALID, message);
        buf_free(&b);
    }
}

/* Nine lists of nine aliases each: 9^8 nodes if they were all built. */
static void aliases_that_multiply_are_refused_before_memory_is_gone(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_text(&b, "l0: &l0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 9; i++) {
        buf_printf(&b, "l%d: &l%d [", i, i);
        for (int k = 0; k < 9; k++)
            buf_printf(&b, "%s*l%d", k ? ", " : "", i - 1);
        buf_put_text(&b, "]\n");
    }
    buf_put_u8(&b, 0);
    refused((const char *)b.data, ERR_TOO_LARGE, "more than");
    buf_free(&b);
}

static void a_text_that_aliases_multiply_is_refused_before_memory_is_gone(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_text(&b, "a: &a ");
    for (int i = 0; i < 1024 * 1024; i++)
        buf_put_u8(&b, 'x');
    buf_put_text(&b, "\nb: [*a");
    for (int i = 0; i < 1000; i++)
        buf_put_text(&b, ", *a");
    buf_put_text(&b, "]\n");
    buf_put_u8(&b, 0);
    refused((const char *)b.data, ERR_TOO_LARGE, "texts of more than 16777216 bytes, by aliases");
    buf_free(&b);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char text[400] = "";
    for (int i = 0; i < 100; i++)
        strcat(text, "[");
    for (int i = 0; i < 100; i++)
        strcat(text, "]");
    refused(text, ERR_TOO_LARGE, "levels");
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct yaml_tree *y = NULL;
    struct err e = {0};
    assert_int_equal(yaml_tree_load(&y, "/nowhere/x.yaml", &e), ERR_IO);
    assert_contains(e.msg, "/nowhere/x.yaml: No such file");
}

static void without_memory_it_fails_and_leaks_nothing(void **state)
{
    (void)state;
    const char *text = "a: [1, 2, {b: c}]\nd: e\n";
    for (int n = 1;; n++) {
        struct yaml_tree *y = NULL;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = yaml_tree_parse(&y, "t.yaml", str_of(text), &e);
        if (!fail_alloc_end()) {
            assert_int_equal(rc, 0);
            assert_true(n > 2);
            yaml_tree_free(y);
            break;
        }
        assert_int_equal(rc, ERR_NOMEM);
        assert_null(y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_lists_and_texts_keep_their_lines),
        cmocka_unit_test(words_that_look_like_something_else_stay_words),
        cmocka_unit_test(an_empty_document_has_no_root),
        cmocka_unit_test(aliases_stand_for_what_they_name),
        cmocka_unit_test(what_is_no_yaml_is_refused_with_its_line),
        cmocka_unit_test(a_key_given_twice_is_found_among_many),
        cmocka_unit_test(aliases_that_multiply_are_refused_before_memory_is_gone),
        cmocka_unit_test(a_text_that_aliases_multiply_is_refused_before_memory_is_gone),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(without_memory_it_fails_and_leaks_nothing),
    };
    return RUN(tests);
}

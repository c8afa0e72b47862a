#include "base/conf.h"
#include "unit.h"

static struct conf *make(void)
{
    struct conf *c = NULL;
    assert_int_equal(conf_new(&c, NULL), 0);
    return c;
}

static const char placements[] = "http.port: 1\n"
                                 "placements:\n"
                                 "  default:\n"
                                 "    filters: [{attribute: \"a: b\", in: [x, '']}]\n"
                                 "    hide: []\n"
                                 "    rules: {}\n"
                                 "  empty:\n";

static void the_section_of_placements_stays_as_it_stands_with_its_lines(void **state)
{
    (void)state;
    struct conf *c = make();
    const char *file = "none";
    assert_null(conf_section(c, "placements", &file));
    assert_null(file);
    assert_int_equal(conf_load_text(c, "f.yaml", str_of(placements), NULL), 0);
    const struct yaml_node *section = conf_section(c, "placements", &file);
    assert_string_equal(file, "f.yaml");
    assert_int_equal(section->count, 2);
    assert_int_equal(section->pairs[1].line, 7);
    const struct yaml_node *filters = yaml_tree_get(yaml_tree_get(section, "default"), "filters");
    assert_string_equal(yaml_tree_get(filters->items[0], "attribute")->text, "a: b");
    assert_int_equal(conf_int(c, "http.port"), 1);
    assert_int_equal(conf_load_text(c, "g.yaml", str_of("http.port: 2\n"), NULL), 0);
    assert_ptr_equal(conf_section(c, "placements", &file), section);
    assert_int_equal(conf_load_text(c, "h.yaml", str_of("placements: {a: }\n"), NULL), 0);
    assert_string_equal(conf_section(c, "placements", &file)->pairs[0].key, "a");
    assert_string_equal(file, "h.yaml");
    conf_free(c);
}

static void the_section_of_placements_is_unknown_elsewhere(void **state)
{
    (void)state;
    struct conf *c = make();
    struct err e = {0};
    char *const environment[] = {"FLOTILLA_PLACEMENTS=x", NULL};
    assert_int_equal(conf_set(c, "placements=x", &e), ERR_INVALID);
    assert_contains(e.msg, "there is no setting \"placements\"");
    assert_int_equal(conf_load_environment(c, environment, &e), ERR_INVALID);
    assert_contains(e.msg, "FLOTILLA_PLACEMENTS names no setting");
    assert_int_equal(conf_load_text(c, "f.yaml", str_of("http: {placements: {a: 1}}\n"), &e),
                     ERR_INVALID);
    assert_contains(e.msg, "f.yaml:1: there is no setting \"http.placements.a\"");
    assert_int_equal(conf_load_text(c, "f.yaml", str_of("placements.default.log: 1\n"), &e),
                     ERR_INVALID);
    assert_contains(e.msg, "there is no setting \"placements.default.log\"");
    conf_free(c);
}

static void the_section_of_placements_is_printed_and_loads_again(void **state)
{
    (void)state;
    struct conf *c = make(), *again = make();
    struct buf once = {0}, twice = {0}, text = {0};
    buf_put_text(&text, placements);
    buf_put_text(&text, "  nested: [[a, [b]], {c: [d, {e: f}]}]\n  ? ");
    for (int i = 0; i < 1200; i++)
        buf_put_u8(&text, 'k');
    buf_put_text(&text, "\n  : {log: 1}\n");
    assert_int_equal(conf_load_text(c, "f.yaml", buf_str(&text), NULL), 0);
    conf_print(c, &once);
    struct err e = {0};
    if (conf_load_text(again, "printed", buf_str(&once), &e))
        fail_msg("%s", e.msg);
    conf_print(again, &twice);
    assert_bytes(&twice, once.data, once.len);
    buf_put_u8(&once, 0);
    assert_contains((const char *)once.data, "\n\"placements\":\n"
                                             "  \"default\":\n"
                                             "    \"filters\":\n"
                                             "      -\n"
                                             "        \"attribute\": \"a: b\"\n"
                                             "        \"in\":\n"
                                             "          - \"x\"\n"
                                             "          - \"\"\n"
                                             "    \"hide\": []\n"
                                             "    \"rules\": {}\n"
                                             "  \"empty\": \"\"\n");
    const char *file;
    const struct yaml_node *n = conf_section(again, "placements", &file);
    assert_int_equal(strlen(n->pairs[3].key), 1200);
    n = n->pairs[2].value;
    assert_string_equal(n->items[0]->items[1]->items[0]->text, "b");
    assert_string_equal(yaml_tree_get(yaml_tree_get(n->items[1], "c")->items[1], "e")->text, "f");
    conf_free(c);
    conf_free(again);
    buf_free(&once);
    buf_free(&twice);
    buf_free(&text);
}

static void without_memory_no_section_is_kept_and_none_is_lost(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct conf *c = make();
        struct err e = {0};
        const char *file;
        assert_int_equal(conf_load_text(c, "f.yaml", str_of("placements: {a: }\n"), &e), 0);
        fail_alloc_at(n);
        int rc = conf_load_text(c, "g.yaml", str_of("placements: {b: }\n"), &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        assert_string_equal(conf_section(c, "placements", &file)->pairs[0].key, failed ? "a" : "b");
        assert_string_equal(file, failed ? "f.yaml" : "g.yaml");
        conf_free(c);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_section_of_placements_stays_as_it_stands_with_its_lines),
        cmocka_unit_test(the_section_of_placements_is_unknown_elsewhere),
        cmocka_unit_test(the_section_of_placements_is_printed_and_loads_again),
        cmocka_unit_test(without_memory_no_section_is_kept_and_none_is_lost),
    };
    return RUN(tests);
}

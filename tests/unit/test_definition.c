#include "feature/definition.h"
#include "unit.h"

#include "support/fixture.h"

/* What stands on line 3 of a file whose line 2 is a good feature named good. */
#define FILE_OF(entry)                                                                             \
    "features:\n  - {name: good, scope: user, recency: {event: seen}}\n  - {" entry "}\n"

/* The file is refused, with a message that begins with t.yaml:LINE: and has both parts in it. */
static void refused(const char *text, int line, const char *what, const char *right)
{
    struct feature_set *set = NULL;
    struct err e = {0};
    char place[32];
    snprintf(place, sizeof place, "t.yaml:%d: ", line);
    int rc = feature_set_parse(&set, "t.yaml", str_of(text), &e);
    if (rc != ERR_INVALID)
        fail_msg("code %d for %s", rc, text);
    assert_int_equal(e.code, ERR_INVALID);
    assert_null(set);
    if (strncmp(e.msg, place, strlen(place)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", e.msg, place);
    assert_contains(e.msg, what);
    assert_contains(e.msg, right);
}

static void a_kind_that_is_unknown_twice_there_or_missing_is_refused(void **state)
{
    (void)state;
    refused(FILE_OF("name: f, scope: user, counts: {event: click}"), 3,
            "feature f: there is no kind \"counts\"", "count, sum, mean");
    refused(FILE_OF("name: f, scope: user, recency: {event: a}, decay: {event: a, half_life: 1h}"),
            3, "two kinds, recency and decay", "two features");
    refused(FILE_OF("name: f, scope: user"), 3, "has no kind", "count: {event: click");
}

static void every_parameter_is_required_and_no_other_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *text, *what;
    } cases[] = {
        {"count: {event: a}", "count lacks \"windows\""},
        {"count: {windows: [1h]}", "count lacks \"event\""},
        {"sum: {event: a}", "sum lacks \"windows\""},
        {"mean: {event: a}", "mean lacks \"windows\""},
        {"min: {event: a}", "min lacks \"windows\""},
        {"max: {event: a}", "max lacks \"windows\""},
        {"rate: {per: b, windows: [1h], weight: 1, prior: 0}", "rate lacks \"of\""},
        {"rate: {of: a, windows: [1h], weight: 1, prior: 0}", "rate lacks \"per\""},
        {"rate: {of: a, per: b, weight: 1, prior: 0}", "rate lacks \"windows\""},
        {"rate: {of: a, per: b, windows: [1h], prior: 0}", "rate lacks \"weight\""},
        {"rate: {of: a, per: b, windows: [1h], weight: 1}", "rate lacks \"prior\""},
        {"recency: {}", "recency lacks \"event\""},
        {"decay: {event: a}", "decay lacks \"half_life\""},
        {"distinct: {event: a, window: 1h}", "distinct lacks \"of\""},
        {"distinct: {event: a, of: proposition}", "distinct lacks \"window\""},
        {"gap: {event: a, windows: [1h]}", "gap lacks \"attribute\""},
        {"overlap: {event: a, attribute: b, within: 1h}", "overlap lacks \"last\""},
        {"overlap: {event: a, attribute: b, last: 1}", "overlap lacks \"within\""},
        {"attribute: {values: [a]}", "attribute lacks \"field\""},
        {"age: {}", "age lacks \"field\""},
        {"time: {part: month}", "time lacks \"zone\""},
        {"time: {zone: UTC}", "time lacks \"part\""},
        {"match: {context: q}", "match lacks \"attribute\""},
        {"match: {attribute: q}", "match lacks \"context\""},
        {"standing: {}", "standing lacks \"of\""},
        {"position: {}", "position lacks \"at_serving\""},
        {"recency: {event: a, windows: [1h]}", "recency has no parameter \"windows\""},
        {"count: {event: a, windows: [1h], values: [b]}", "count has no parameter \"values\""},
        {"count: [event, windows]", "count needs its parameters"},
        {"count: click", "count needs its parameters"},
        {"count:", "count needs its parameters"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[400];
        snprintf(text, sizeof text, "features:\n  - name: f\n    scope: user\n    %s\n",
                 cases[i].text);
        refused(text, 4, cases[i].what, "{"); /* with an example */
    }
}

static void the_line_is_that_of_the_parameter_at_fault(void **state)
{
    (void)state;
    refused("features:\n  - name: f\n    scope: user\n    count:\n      event: a\n      windows:\n"
            "        - 1h\n        - 0s\n",
            8, "\"0s\"", "above 0 as 30s");
    refused("features:\n  - name: f\n    scope: nobody\n    count: {event: a, windows: [1h]}\n", 3,
            "\"nobody\" is no dimension", "proposition.FIELD");
    refused("features:\n  - name: f\n    scope: user\n    count:\n      event: a\n      other: 1\n"
            "      windows: [1h]\n",
            6, "no parameter \"other\"", "windows");
}

static void names_are_refused_when_they_are_taken_empty_or_no_text(void **state)
{
    (void)state;
    refused(FILE_OF("name: good, scope: user, recency: {event: a}"), 3, "name good is taken",
            "line 2");
    refused(FILE_OF("scope: user, recency: {event: a}"), 3, "needs a name", "name: user_clicks");
    refused(FILE_OF("name: '', scope: user, recency: {event: a}"), 3, "needs a name",
            "user_clicks");
    refused(FILE_OF("name: [a], scope: user, recency: {event: a}"), 3, "needs a name",
            "user_clicks");
    refused(FILE_OF("name: \"a\\nb\", scope: user, recency: {event: a}"), 3, "control characters",
            "200 bytes");
    refused(FILE_OF("name: f, scope: '', recency: {event: a}"), 3, "needs a scope", "proposition");
    refused(FILE_OF("name: f, recency: {event: a}"), 3, "needs a scope", "proposition");
    refused(FILE_OF("name: f, scope: user, recency: {event: ''}"), 3, "event", "not empty");
    refused(FILE_OF("name: f, scope: user, attribute: {field: ''}"), 3, "field", "not empty");
}

static void two_values_of_one_name_are_refused(void **state)
{
    (void)state;
    refused("features:\n  - {name: f_1h, scope: user, recency: {event: a}}\n"
            "  - {name: f, scope: user, count: {event: a, windows: [5m, 1h]}}\n",
            3, "value f_1h", "feature f_1h (line 2): rename one");
    refused("features:\n  - {name: f, scope: user, count: {event: a, windows: [5m, 1h]}}\n"
            "  - {name: f_1h, scope: user, recency: {event: a}}\n",
            3, "value f_1h", "feature f (line 2): rename one");
}

static void equal_definitions_are_refused_however_they_are_written(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"scope: user, recency: {event: a}", "recency: {event: 'a'}, scope: user"},
        {"scope: user, count: {event: a, windows: [60s]}",
         "scope: user, count: {windows: [1m], event: a}"},
        {"scope: user, decay: {event: a, half_life: 24h}",
         "scope: user, decay: {event: a, half_life: 1d}"},
        {"scope: user, rate: {of: a, per: b, windows: [1h], weight: 10, prior: 0.1}",
         "scope: user, rate: {of: a, per: b, windows: [60m], weight: 1e1, prior: 1e-1}"},
        {"scope: candidate, position: {at_serving: 0}",
         "scope: candidate, position: {at_serving: -0.0}"},
        {"scope: user, overlap: {event: a, attribute: t, last: 100, within: 7d}",
         "scope: user, overlap: {event: a, attribute: t, last: 1e2, within: 168h}"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char text[600];
        snprintf(text, sizeof text, "features:\n  - {name: f, %s}\n  - {name: g, %s}\n",
                 pairs[i][0], pairs[i][1]);
        refused(text, 3, "feature g: is defined as feature f (line 2)", "keep one");
    }
}

static void durations_have_one_form(void **state)
{
    (void)state;
    static const char *const bad[] = {"0s",  "5",    "1w",   "-1m",          "1.5h", "''",
                                      "5 m", "+5m",  "5M",   "99999999999d", "m",    "36501d",
                                      "1hh", "0x5m", "[5m]", "9999999999s",  "1e1s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[400];
        static const char *const entries[] = {
            "scope: user, count: {event: a, windows: [1h, %s]}",
            "scope: user, decay: {event: a, half_life: %s}",
            "scope: user, distinct: {event: a, of: proposition, window: %s}",
            "scope: user, overlap: {event: a, attribute: b, last: 3, within: %s}"};
        for (size_t k = 0; k < 4; k++) {
            int n = snprintf(text, sizeof text, "features:\n\n  - {name: f, ");
            char entry[200];
            const char *at = strstr(entries[k], "%s");
            snprintf(entry, sizeof entry, "%.*s%s%s", (int)(at - entries[k]), entries[k], bad[i],
                     at + 2);
            snprintf(text + n, sizeof text - (size_t)n, "%s}\n", entry);
            refused(text, 3, "give a duration", "30s, 5m, 1h or 7d");
        }
    }
}

static void windows_are_some_and_of_different_length(void **state)
{
    (void)state;
    refused(FILE_OF("name: f, scope: user, count: {event: a, windows: [60s, 1h, 1m]}"), 3,
            "windows 60s and 1m are equally long", "keep one");
    refused(FILE_OF("name: f, scope: user, count: {event: a, windows: []}"), 3, "at least one",
            "[5m, 1h]");
    refused(FILE_OF("name: f, scope: user, count: {event: a, windows: 1h}"), 3, "a list",
            "[5m, 1h]");
}

static void zones_and_parts_must_exist(void **state)
{
    (void)state;
    static const char *const zones[] = {"Europe/Nowhere", "../../../etc/passwd", "/etc/passwd",
                                        "Europe"};
    for (size_t i = 0; i < 4; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "features:\n  - {name: f, scope: context, time: {part: month, zone: %s}}\n",
                 zones[i]);
        refused(text, 2, zones[i], "IANA name as Europe/Berlin");
    }
    refused(FILE_OF("name: f, scope: context, time: {part: minute, zone: UTC}"), 3,
            "part is \"minute\"", "hour_of_day, day_of_week, day_of_month, month");
}

static void each_kind_has_its_scopes(void **state)
{
    (void)state;
    refused(FILE_OF("name: f, scope: proposition, gap: {event: a, attribute: b, windows: [1h]}"), 3,
            "gap is of scope user", "not \"proposition\"");
    refused(FILE_OF("name: f, scope: global, overlap: {event: a, attribute: b, last: 1, "
                    "within: 1h}"),
            3, "overlap is of scope user", "not \"global\"");
    refused(FILE_OF("name: f, scope: user, time: {part: month, zone: UTC}"), 3,
            "time is of scope context", "not \"user\"");
    refused(FILE_OF("name: f, scope: user, standing: {of: good}"), 3,
            "standing is of scope candidate", "not \"user\"");
    refused(FILE_OF("name: f, scope: user, position: {at_serving: 0}"), 3,
            "position is of scope candidate", "not \"user\"");
    refused(FILE_OF("name: f, scope: global, attribute: {field: a}"), 3,
            "attribute is of scope user, proposition or context", "not \"global\"");
    refused(FILE_OF("name: f, scope: user*proposition, age: {field: a}"), 3,
            "age is of scope user, proposition or context", "not \"user*proposition\"");
    refused(FILE_OF("name: f, scope: candidate, match: {context: q, attribute: t}"), 3,
            "match is of scope user, proposition or context", "not \"candidate\"");
    static const char *const scopes[] = {
        "context",      "candidate",           "user.",        "user*",
        "'*user'",      "user**proposition",   "user*global",  "users",
        "proposition.", "'user*proposition '", "user.a*other", "global*user",
        "total(user)",  "'user proposition'"};
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
        char text[300];
        snprintf(text, sizeof text, "features:\n  - {name: f, scope: %s, recency: {event: a}}\n",
                 scopes[i]);
        refused(text, 2, "is no dimension", "context.FIELD");
    }
    refused(FILE_OF("name: f, scope: user, distinct: {event: a, of: genres, window: 1h}"), 3,
            "\"genres\" is no dimension", "proposition.FIELD");
}

static void a_standing_is_of_a_value_declared_before_it(void **state)
{
    (void)state;
    refused(FILE_OF("name: f, scope: candidate, standing: {of: nothing}"), 3,
            "no value \"nothing\" is declared before", "prop_ctr_7d");
    refused(FILE_OF("name: f, scope: candidate, standing: {of: f}"), 3, "no value \"f\"", "window");
    refused("features:\n  - {name: c, scope: user, count: {event: a, windows: [1h]}}\n"
            "  - {name: f, scope: candidate, standing: {of: c}}\n",
            3, "no value \"c\"", "with its window");
    refused("features:\n  - {name: f, scope: candidate, standing: {of: c}}\n"
            "  - {name: c, scope: user, recency: {event: a}}\n",
            2, "no value \"c\"", "further up");
}

static void numbers_are_finite_decimal_and_in_range(void **state)
{
    (void)state;
    static const char *const bad[] = {"nan", "inf", "-inf", "0x10", "1e400", "''",
                                      "1 2", "[1]", "ten",  ".",    "'1,5'"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "features:\n  - {name: f, scope: user, rate: {of: a, per: b, windows: [1h], "
                 "weight: 1, prior: %s}}\n",
                 bad[i]);
        refused(text, 2, "prior", "a number or global");
        snprintf(text, sizeof text,
                 "features:\n  - {name: f, scope: candidate, position: {at_serving: %s}}\n",
                 bad[i]);
        refused(text, 2, "at_serving", "give a number");
    }
    refused(FILE_OF("name: f, scope: user, rate: {of: a, per: b, windows: [1h], weight: -1, "
                    "prior: 0}"),
            3, "weight is \"-1\"", "not negative");
    refused(FILE_OF("name: f, scope: user, rate: {of: a, per: b, windows: [1h], weight: 1e30, "
                    "prior: 1e300}"),
            3, "weight times prior", "smaller");
    refused(FILE_OF("name: f, scope: user, rate: {of: a, per: b, windows: [1h], weight: 1e300, "
                    "prior: global}"),
            3, "weight times prior", "smaller");
    static const char *const last[] = {"0", "1.5", "10001", "-1", "x"};
    for (size_t i = 0; i < 5; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "features:\n  - {name: f, scope: user, overlap: {event: a, attribute: b, "
                 "last: %s, within: 1h}}\n",
                 last[i]);
        refused(text, 2, "last", "number");
    }
    refused(FILE_OF("name: f, scope: user, attribute: {field: a, values: [b, c, b]}"), 3,
            "\"b\" is listed twice", "keep one");
    refused(FILE_OF("name: f, scope: user, attribute: {field: a, values: b}"), 3, "list of texts",
            "[basic, gold]");
}

static void a_file_without_a_list_of_features_is_refused(void **state)
{
    (void)state;
    refused("", 1, "needs a list `features:`", "at least one");
    refused("# nothing\n", 1, "needs a list `features:`", "at least one");
    refused("features:\n", 1, "needs a list", "at least one");
    refused("features: []\n", 1, "needs a list", "at least one");
    refused("features: {a: b}\n", 1, "needs a list", "at least one");
    refused("- a\n", 1, "needs a list", "at least one");
    refused("features:\n  - text\n", 2, "a feature is a map", "name: user_clicks");
    refused("features:\n  - {name: f, scope: user, recency: {event: a}}\nmodels: []\n", 3,
            "no section \"models\"", "features");
    refused("features:\n  - {name: f, scope: user\n", 3, "not YAML", "");
    refused("features:\n  - {name: f, name: g, scope: user, recency: {event: a}}\n", 2,
            "\"name\" is given twice", "keep one");
}

static void more_events_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    struct buf text = {0};
    buf_put_text(&text, "features:\n");
    for (int i = 0; i <= MAX_EVENTS; i++)
        buf_printf(&text, "  - {name: f%d, scope: user, recency: {event: e%d}}\n", i, i);
    buf_put_u8(&text, 0);
    refused((const char *)text.data, MAX_EVENTS + 2, "more than 256 different events", "");
    buf_free(&text);
}

static void texts_stay_texts(void **state)
{
    (void)state;
    struct feature_set *set =
        definition("scope: user, attribute: {field: on, values: [on, no, 1e3, null, ~, 0x1, '']}");
    static const char *const expected[] = {"on", "no", "1e3", "null", "~", "0x1", ""};
    assert_int_equal(set->features[0].value_count, 7);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(set->features[0].values[i], expected[i]);
    assert_string_equal(set->features[0].dimension.field, "on");
    feature_set_free(set);
}

static void a_refused_file_leaks_nothing_and_a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct feature_set *set = NULL;
    struct err e = {0};
    refused(FILE_OF("name: f, scope: context, time: {zone: Europe/Berlin, part: x}"), 3, "part",
            "");
    refused("features:\n  - {name: f, scope: context, time: {part: month, zone: Europe/Berlin}}\n"
            "  - {name: g, scope: context, time: {part: month, zone: Europe/Berlin}}\n",
            3, "is defined as feature f", "keep one");
    assert_int_equal(feature_set_load(&set, "/nowhere/f.yaml", &e), ERR_IO);
    assert_contains(e.msg, "/nowhere/f.yaml");
    assert_null(set);
    assert_int_equal(feature_set_parse(&set, "t.yaml", str_of(""), NULL), ERR_INVALID);
}

static const char *const ALL_KINDS =
    "features:\n"
    "  - {name: a, scope: user, count: {event: click, windows: [5m, 1h]}}\n"
    "  - {name: b, scope: proposition*context.d, rate: {of: a, per: b, windows: [1h], weight: 1, "
    "prior: global}}\n"
    "  - {name: c, scope: user, overlap: {event: click, attribute: g, last: 9, within: 1d}}\n"
    "  - {name: d, scope: user, attribute: {field: t, values: [x, y]}}\n"
    "  - {name: e, scope: context, time: {part: month, zone: Europe/Berlin}}\n"
    "  - {name: f, scope: candidate, standing: {of: b_1h}}\n"
    "  - {name: g, scope: user, distinct: {event: click, of: proposition.g, window: 1h}}\n";

static void without_memory_it_fails_and_leaks_nothing(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct feature_set *set = NULL;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = feature_set_parse(&set, "t.yaml", str_of(ALL_KINDS), &e);
        if (!fail_alloc_end()) {
            assert_int_equal(rc, 0);
            assert_int_equal(set->output_count, 8);
            assert_true(n > 10);
            feature_set_free(set);
            break;
        }
        if (rc != ERR_NOMEM)
            fail_msg("code %d at allocation %d: %s", rc, n, e.msg);
        assert_null(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kind_that_is_unknown_twice_there_or_missing_is_refused),
        cmocka_unit_test(every_parameter_is_required_and_no_other_is_known),
        cmocka_unit_test(the_line_is_that_of_the_parameter_at_fault),
        cmocka_unit_test(names_are_refused_when_they_are_taken_empty_or_no_text),
        cmocka_unit_test(two_values_of_one_name_are_refused),
        cmocka_unit_test(equal_definitions_are_refused_however_they_are_written),
        cmocka_unit_test(durations_have_one_form),
        cmocka_unit_test(windows_are_some_and_of_different_length),
        cmocka_unit_test(zones_and_parts_must_exist),
        cmocka_unit_test(each_kind_has_its_scopes),
        cmocka_unit_test(a_standing_is_of_a_value_declared_before_it),
        cmocka_unit_test(numbers_are_finite_decimal_and_in_range),
        cmocka_unit_test(a_file_without_a_list_of_features_is_refused),
        cmocka_unit_test(more_events_than_there_is_room_for_are_refused),
        cmocka_unit_test(texts_stay_texts),
        cmocka_unit_test(a_refused_file_leaks_nothing_and_a_file_that_is_not_there_is_named),
        cmocka_unit_test(without_memory_it_fails_and_leaks_nothing),
    };
    return RUN(tests);
}

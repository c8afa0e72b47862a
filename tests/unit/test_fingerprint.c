#include "feature/fingerprint.h"
#include "unit.h"

#include "support/fixture.h"

/* The definitions and first 16 digits come from features.md and tests/oracle/test_oracle.py. */
static void defined_as(const struct feature_set *set, size_t i, const char *canonical)
{
    struct buf text = {0};
    feature_canonical(&text, &set->features[i], set->outputs);
    assert_buf_is(&text, canonical);
    buf_free(&text);
}

static void has_fingerprint(const struct feature_set *set, size_t i, const char *digits)
{
    char text[2 * FINGERPRINT_BYTES + 1];
    fingerprint_text(text, set->features[i].fingerprint);
    assert_string_equal(text, digits);
}

static void worked_examples_have_the_fingerprints_of_the_contract(void **state)
{
    (void)state;
    struct feature_set *set = definitions(
        "features:\n"
        "  - {name: user_clicks, scope: user, count: {event: click, windows: [5m, 1h, 1d, 7d]}}\n"
        "  - {name: prop_ctr, scope: proposition, rate: {of: click, per: impression, "
        "windows: [1h, 7d], weight: 10, prior: global}}\n"
        "  - {name: r, scope: user, recency: {event: click}}\n");
    defined_as(set, 0,
               "{\"count\":{\"event\":\"click\",\"windows\":[300000,3600000,86400000,604800000]},"
               "\"scope\":\"user\"}");
    has_fingerprint(set, 0, "0f3fb4ff3e60177f");
    defined_as(set, 1,
               "{\"rate\":{\"of\":\"click\",\"per\":\"impression\",\"prior\":\"global\","
               "\"weight\":10,\"windows\":[3600000,604800000]},\"scope\":\"proposition\"}");
    has_fingerprint(set, 1, "6a9bf9c238f1a09c");
    has_fingerprint(set, 2, "2dd4d07ba91469fb");
    feature_set_free(set);
}

static void the_other_kinds_have_the_oracles_definitions(void **state)
{
    (void)state;
    static const struct {
        const char *entry, *canonical;
    } cases[] = {
        {"scope: user, overlap: {event: click, attribute: genres, last: 100, within: 30d}",
         "{\"overlap\":{\"attribute\":\"genres\",\"event\":\"click\",\"last\":100,"
         "\"within\":2592000000},\"scope\":\"user\"}"},
        {"scope: user, gap: {event: click, attribute: price, windows: [30d]}",
         "{\"gap\":{\"attribute\":\"price\",\"event\":\"click\",\"windows\":[2592000000]},"
         "\"scope\":\"user\"}"},
        {"scope: user, distinct: {event: click, of: proposition, window: 7d}",
         "{\"distinct\":{\"event\":\"click\",\"of\":\"proposition\",\"window\":604800000},"
         "\"scope\":\"user\"}"},
        {"scope: proposition, decay: {event: click, half_life: 1h}",
         "{\"decay\":{\"event\":\"click\",\"half_life\":3600000},\"scope\":\"proposition\"}"},
        {"scope: user, rate: {of: a, per: b, windows: [30s], weight: 2.50, prior: 0.1}",
         "{\"rate\":{\"of\":\"a\",\"per\":\"b\",\"prior\":0.1,\"weight\":2.5,\"windows\":[30000]},"
         "\"scope\":\"user\"}"},
        {"scope: proposition, attribute: {field: price}",
         "{\"attribute\":{\"field\":\"price\"},\"scope\":\"proposition\"}"},
        {"scope: user, attribute: {field: tier, values: [on, 1e3]}",
         "{\"attribute\":{\"field\":\"tier\",\"values\":[\"on\",\"1e3\"]},\"scope\":\"user\"}"},
        {"scope: context, time: {part: hour_of_day, zone: Europe/Berlin}",
         "{\"scope\":\"context\",\"time\":{\"part\":\"hour_of_day\",\"zone\":\"Europe/Berlin\"}}"},
        {"scope: candidate, position: {at_serving: 0}",
         "{\"position\":{\"at_serving\":0},\"scope\":\"candidate\"}"},
        /* By hand: names sorted by bytes, texts as JSON needs them and no more. */
        {"scope: user, recency: {event: \"gr\xc3\xbcn\\\"\\\\\\x1f/\"}",
         "{\"recency\":{\"event\":\"gr\xc3\xbcn\\\"\\\\\\u001f/\"},\"scope\":\"user\"}"},
        {"scope: proposition, match: {context: query, attribute: title}",
         "{\"match\":{\"attribute\":\"title\",\"context\":\"query\"},\"scope\":\"proposition\"}"},
        {"scope: proposition, age: {field: released}",
         "{\"age\":{\"field\":\"released\"},\"scope\":\"proposition\"}"},
        {"scope: user*proposition.genres, sum: {event: a, windows: [1d]}",
         "{\"scope\":\"user*proposition.genres\",\"sum\":{\"event\":\"a\","
         "\"windows\":[86400000]}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct feature_set *set = definition(cases[i].entry);
        defined_as(set, 0, cases[i].canonical);
        feature_set_free(set);
    }
}

static void a_standing_names_what_it_is_of_by_fingerprint_and_window(void **state)
{
    (void)state;
    struct feature_set *set = definitions(
        "features:\n"
        "  - {name: r, scope: user, recency: {event: click}}\n"
        "  - {name: s, scope: candidate, standing: {of: r}}\n"
        "  - {name: c, scope: user, count: {event: click, windows: [5m, 1h, 1d, 7d]}}\n"
        "  - {name: t, scope: candidate, standing: {of: c_1d}}\n"
        "  - {name: d, scope: user, distinct: {event: click, of: proposition, window: 7d}}\n"
        "  - {name: u, scope: candidate, standing: {of: d}}\n");
    defined_as(set, 1, "{\"scope\":\"candidate\",\"standing\":{\"of\":\"2dd4d07ba91469fb\"}}");
    defined_as(set, 3,
               "{\"scope\":\"candidate\",\"standing\":{\"of\":\"0f3fb4ff3e60177f:86400000\"}}");
    char digits[2 * FINGERPRINT_BYTES + 1], expected[100];
    fingerprint_text(digits, set->features[4].fingerprint);
    snprintf(expected, sizeof expected, "{\"scope\":\"candidate\",\"standing\":{\"of\":\"%s\"}}",
             digits); /* one window, which is no part of its name */
    defined_as(set, 5, expected);
    feature_set_free(set);
}

static void a_name_is_no_part_of_the_fingerprint_and_everything_else_is(void **state)
{
    (void)state;
    static const char *const different[] = {
        "scope: user, count: {event: click, windows: [1h]}",
        "scope: proposition, count: {event: click, windows: [1h]}",
        "scope: user, count: {event: clicks, windows: [1h]}",
        "scope: user, count: {event: click, windows: [2h]}",
        "scope: user, count: {event: click, windows: [1h, 2h]}",
        "scope: user, count: {event: click, windows: [2h, 1h]}",
        "scope: user, mean: {event: click, windows: [1h]}",
    };
    struct feature_set *sets[7];
    for (size_t i = 0; i < 7; i++)
        sets[i] = definition(different[i]);
    for (size_t i = 0; i < 7; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(sets[i]->features[0].fingerprint,
                                    sets[k]->features[0].fingerprint, FINGERPRINT_BYTES);
    struct feature_set *other = definitions(
        "features:\n  - {name: another, scope: user, count: {event: click, windows: [60m]}}\n");
    assert_memory_equal(sets[0]->features[0].fingerprint, other->features[0].fingerprint,
                        FINGERPRINT_BYTES);
    feature_set_free(other);
    for (size_t i = 0; i < 7; i++)
        feature_set_free(sets[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_examples_have_the_fingerprints_of_the_contract),
        cmocka_unit_test(the_other_kinds_have_the_oracles_definitions),
        cmocka_unit_test(a_standing_names_what_it_is_of_by_fingerprint_and_window),
        cmocka_unit_test(a_name_is_no_part_of_the_fingerprint_and_everything_else_is),
    };
    return RUN(tests);
}

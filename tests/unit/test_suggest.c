#include "suggest/suggest.h"
#include "unit.h"

#include "support/fixture.h"

#include "suggest/suggest_field.h"
#include "suggest/suggest_text.h"
#include "suggest/suggest_windows.h"

/* ---- Looks ---- */

/* Fields of one name, given values one after the other. */
struct seen_field {
    struct fields fields;
    size_t room;
};

static void see(struct seen_field *s, struct attribute a)
{
    struct err e = {0};
    if (s->room == 0)
        s->room = FIELDS_MOST_VALUES;
    assert_int_equal(fields_add(&s->fields, &a, &s->room, &e), 0);
}

/* What they look like, of so many records; frees them. */
static enum field_look look(struct seen_field *s, uint64_t of)
{
    assert_int_equal(s->fields.count, 1);
    enum field_look found = field_look(&s->fields.items[0], of);
    fields_free(&s->fields);
    *s = (struct seen_field){0};
    return found;
}

static void numbers_are_times_where_nothing_else_is_so_large(void **state)
{
    (void)state;
    struct seen_field s = {0};
    for (int i = 0; i < 20; i++)
        see(&s, number_attribute("f", 9.99 + i));
    assert_int_equal(look(&s, 20), LOOK_NUMBER);
    for (int i = 0; i < 20; i++)
        see(&s, number_attribute("f", 1.6e12 + i * 1000));
    assert_int_equal(look(&s, 20), LOOK_INSTANT);
    for (int i = 0; i < 20; i++) /* seconds since 1970 */
        see(&s, number_attribute("f", 1.6e9 + i));
    assert_int_equal(look(&s, 20), LOOK_NUMBER);
    for (int i = 0; i < 20; i++) /* films of 1920 to 2015, some about the year 1970 */
        see(&s, number_attribute("f", -1577923200000.0 + i * 157784630000.0));
    assert_int_equal(look(&s, 20), LOOK_INSTANT);
    for (int i = 0; i < 20; i++) /* beyond 2100: an id */
        see(&s, number_attribute("f", 9e12 + i));
    assert_int_equal(look(&s, 20), LOOK_NUMBER);
    for (int i = 0; i < 20; i++)
        see(&s, number_attribute("f", 1.6e12 + i + 0.5));
    assert_int_equal(look(&s, 20), LOOK_NUMBER);
}

static void texts_are_told_apart_by_how_often_they_come_back(void **state)
{
    (void)state;
    struct seen_field s = {0};
    char text[32];
    for (int i = 0; i < 20; i++)
        see(&s, text_attribute("f", i % 2 ? "gold" : "basic"));
    assert_int_equal(look(&s, 20), LOOK_CATEGORY);
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "maker %d", i / 3);
        see(&s, text_attribute("f", text));
    }
    assert_int_equal(look(&s, 300), LOOK_REFERENCE);
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "the thing no %d", i);
        see(&s, text_attribute("f", text));
    }
    assert_int_equal(look(&s, 300), LOOK_TEXT);
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "id%d", i);
        see(&s, text_attribute("f", text));
    }
    assert_int_equal(look(&s, 300), LOOK_NOTHING);
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "2025-01-%02d", i + 1);
        see(&s, text_attribute("f", text));
    }
    assert_int_equal(look(&s, 20), LOOK_INSTANT);
    for (int i = 0; i < 20; i++)
        see(&s, text_attribute("f", "same"));
    assert_int_equal(look(&s, 20), LOOK_NOTHING);
    for (int i = 0; i < 20; i++) /* there or not there tells something */
        see(&s, text_attribute("f", "same"));
    assert_int_equal(look(&s, 40), LOOK_CATEGORY);
}

static void a_type_needs_nine_values_in_ten(void **state)
{
    (void)state;
    struct seen_field s = {0};
    struct str items[] = {str_of("a"), str_of("b")};
    for (int i = 0; i < 20; i++)
        see(&s, i < 18 ? list_attribute("f", items, 2) : text_attribute("f", "a"));
    assert_int_equal(look(&s, 20), LOOK_LIST);
    for (int i = 0; i < 20; i++)
        see(&s, i < 17 ? list_attribute("f", items, 2) : text_attribute("f", "a"));
    assert_int_equal(look(&s, 20), LOOK_MIXED);
    for (int i = 0; i < 20; i++)
        see(&s, (struct attribute){
                    .name = str_of("f"), .type = ATTRIBUTE_BOOLEAN, .boolean = i % 2 == 0});
    assert_int_equal(look(&s, 20), LOOK_FLAG);
    for (int i = 0; i < 20; i++)
        see(&s, (struct attribute){.name = str_of("f"), .type = ATTRIBUTE_NULL});
    assert_int_equal(look(&s, 20), LOOK_NOTHING);
}

static void values_are_listed_by_frequency_and_none_that_is_no_scalar(void **state)
{
    (void)state;
    struct seen_field s = {0};
    struct err e = {0};
    struct field_value *top = NULL;
    size_t count = 0;
    static const char *const often[] = {"b", "a", "b", "c", "b", "a"};
    char longer[80];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    for (int i = 0; i < 6; i++)
        see(&s, text_attribute("f", often[i]));
    for (int i = 0; i < 9; i++) {
        see(&s, text_attribute("f", longer));
        see(&s, text_attribute("f", "\xff"));
        see(&s, (struct attribute){
                    .name = str_of("f"), .type = ATTRIBUTE_TEXT, .text = str_bytes("a\0b", 3)});
    }
    assert_int_equal(field_top(&top, &count, &s.fields.items[0], 2, &e), 0);
    assert_int_equal(count, 2);
    assert_true(str_is(top[0].text, "b"));
    assert_int_equal(top[0].count, 3);
    assert_true(str_is(top[1].text, "a"));
    assert_int_equal(field_different(&s.fields.items[0]), 6);
    free(top);
    fields_free(&s.fields);
}

/* 100,000 values of one field, 20,000 are told apart; and a room that is used up. */
static void no_more_values_are_kept_than_there_is_room_for(void **state)
{
    (void)state;
    struct seen_field s = {0};
    for (int i = 0; i < 100000; i++)
        see(&s, number_attribute("f", i));
    assert_int_equal(field_different(&s.fields.items[0]), FIELD_MOST_VALUES);
    assert_int_equal(s.fields.items[0].left_out, 100000 - FIELD_MOST_VALUES);
    s.room = 1;
    see(&s, text_attribute("g", "x"));
    assert_int_equal(s.room, 0);
    struct err e = {0};
    struct attribute another = text_attribute("g", "y");
    assert_int_equal(fields_add(&s.fields, &another, &s.room, &e), 0);
    assert_int_equal(field_different(&s.fields.items[1]), 1);
    fields_free(&s.fields);
}

/* ---- Windows ---- */

static void windows_are(int64_t span_ms, double least_ms, const char *expected)
{
    struct suggested_windows w;
    struct time_span span = {.from_ms = 1000, .to_ms = 1000 + span_ms, .oldest_ms = 1000};
    struct buf text = {0};
    suggest_windows(&w, &span, least_ms);
    draft_windows(&text, &w);
    assert_buf_is(&text, expected);
    buf_free(&text);
}

static void windows_go_from_what_tells_something_to_what_holds_all(void **state)
{
    (void)state;
    windows_are(INT64_C(604800000), 3000000, "[1h, 1d, 7d]"); /* 50 minutes of 7 days */
    windows_are(INT64_C(864000000), 100, "[1m, 6h, 30d]");
    windows_are(1200000, 250000, "[5m, 1h]"); /* 15m is less than four of the first */
    windows_are(1200000, 1200000, "[1h]");
    windows_are(1200000, 1e18, "[1h]"); /* nothing is often enough */
    windows_are(0, 0, "[1m]");
    windows_are(INT64_C(1) << 50, 86400000, "[1d, 90d]"); /* and no longer; 30d is too near to it */
}

/* ---- Names ---- */

static void a_name_is_plain_and_its_own_with_every_window(void **state)
{
    (void)state;
    struct buf out = {0};
    struct draft d;
    char name[SUGGESTED_NAME_BYTES];
    static const struct {
        const char *words[3];
        const char *name;
    } cases[] = {
        {{"user", "Click Me!", NULL}, "user_click_me"},
        {{"user", "click-me", NULL}, "user_click_me_2"},
        {{"user_click_me", "2", NULL}, "user_click_me_2_2"},
        {{"price", NULL, NULL}, "price"},
        {{"price", "1h", NULL}, "price_1h_2"}, /* price by the hour is a value of price */
        {{"null", NULL, NULL}, "n_null"},
        {{"7 days", NULL, NULL}, "n_7_days"},
        {{"\xc3\x84", NULL, NULL}, "nn"},
        {{"", "x", NULL}, "x"},
        {{"abcdefghijklmnopqrstuvwxyz", "z", NULL}, "abcdefghijklmnopqrstuvwx_z"},
    };
    draft_start(&d, &out);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct str words[] = {
            str_of(cases[i].words[0]), str_of(cases[i].words[1]), str_of(cases[i].words[2]), {0}};
        draft_name(&d, name, words);
        assert_string_equal(name, cases[i].name);
    }
    assert_false(d.failed);
    draft_free(&d);
    buf_free(&out);
}

static void a_scalar_is_in_quotes_unless_every_reader_takes_it_as_it_is(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"click", "click"},
        {"user*proposition.genres", "user*proposition.genres"},
        {"on", "\"on\""},
        {"NULL", "\"NULL\""},
        {"1h", "\"1h\""},
        {"-x", "\"-x\""},
        {"a b", "\"a b\""},
        {"", "\"\""},
        {"a\nb", "\"a\\nb\""},
        {"a\"b", "\"a\\\"b\""},
        {"a#b", "\"a#b\""},
        {"\xc3\x84", "\"\xc3\x84\""},
        {"\xe2\x80\xa8", "\"\\u2028\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        draft_scalar(&out, str_of(cases[i][0]));
        assert_buf_is(&out, cases[i][1]);
        buf_free(&out);
    }
}

static void thousands_have_commas(void **state)
{
    (void)state;
    char text[THOUSANDS_BYTES];
    assert_string_equal(draft_thousands(text, 0), "0");
    assert_string_equal(draft_thousands(text, 999), "999");
    assert_string_equal(draft_thousands(text, 1000), "1,000");
    assert_string_equal(draft_thousands(text, 1234567), "1,234,567");
    assert_string_equal(draft_thousands(text, UINT64_MAX), "18,446,744,073,709,551,615");
}

/* ---- All of it ---- */

static int feed(struct suggest *s, struct err *e)
{
    struct attribute genres, tier;
    struct str items[] = {str_of("a"), str_of("b")}, one;
    int rc = 0;
    for (int i = 0; i < 12 && !rc; i++) {
        char id[8], request[8];
        snprintf(id, sizeof id, "p%d", i);
        snprintf(request, sizeof request, "r%d", i);
        struct entity p =
            entity_of(&genres, id, 1, list_attribute("genres", items, (size_t)(1 + i % 2)));
        struct entity u = entity_of(&tier, "u", 1, text_attribute("tier", i % 2 ? "x" : "y"));
        struct text_entry device = {str_of("device"), str_of(i % 2 ? "tv" : "pc")};
        struct event shown = event_of(&one, id, "impression", "u", 1000 * i, "p1");
        struct event click = event_of(&one, request, "click", "u", 1000 * i + 5, "p1");
        struct rank_request asked = {.request_id = str_of(request),
                                     .user_id = str_of("u"),
                                     .candidates = list_of(items, 2),
                                     .context = {&device, 1}};
        shown.request_id = click.request_id = str_of(request);
        shown.context = click.context = asked.context;
        rc = suggest_entity(s, SIDE_PROPOSITION, &p, e);
        if (!rc)
            rc = suggest_entity(s, SIDE_USER, &u, e);
        if (!rc)
            rc = suggest_request(s, &asked, e);
        if (!rc)
            rc = suggest_event(s, &shown, e);
        if (!rc)
            rc = suggest_event(s, &click, e);
    }
    return rc;
}

static int suggestion(struct buf *out, struct err *e)
{
    struct suggest *s = NULL;
    struct suggest_opts opts = {.max_keys_per_user = 256};
    int rc = suggest_new(&s, &opts, e);
    if (!rc)
        rc = feed(s, e);
    if (!rc)
        rc = suggest_write(s, out, e);
    suggest_free(s);
    return rc;
}

static void what_is_suggested_is_taken(void **state)
{
    (void)state;
    struct buf out = {0};
    struct err e = {0};
    assert_int_equal(suggestion(&out, &e), 0);
    buf_put_u8(&out, 0);
    struct feature_set *set = definitions((const char *)out.data);
    assert_true(feature_set_scope(set, str_of("user*proposition.genres")) >= 0);
    assert_true(feature_set_scope(set, str_of("user.tier*proposition.genres")) >= 0);
    assert_true(feature_set_scope(set, str_of("proposition*context.device")) >= 0);
    feature_set_free(set);
    buf_free(&out);
}

static void nothing_seen_is_said_with_what_to_bring(void **state)
{
    (void)state;
    struct suggest *s = NULL;
    struct suggest_opts opts = {.max_keys_per_user = 256};
    struct err e = {0};
    struct buf out = {0};
    assert_int_equal(suggest_new(&s, &opts, &e), 0);
    assert_int_equal(suggest_write(s, &out, &e), ERR_NOT_FOUND);
    assert_contains(e.msg, "bring events that list propositions");
    suggest_free(s);
    buf_free(&out);
}

static void memory_that_is_short_is_told(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct buf out = {0};
        struct err e = {0};
        fail_alloc_at(n);
        int rc = suggestion(&out, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        buf_free(&out);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_times_where_nothing_else_is_so_large),
        cmocka_unit_test(texts_are_told_apart_by_how_often_they_come_back),
        cmocka_unit_test(a_type_needs_nine_values_in_ten),
        cmocka_unit_test(values_are_listed_by_frequency_and_none_that_is_no_scalar),
        cmocka_unit_test(no_more_values_are_kept_than_there_is_room_for),
        cmocka_unit_test(windows_go_from_what_tells_something_to_what_holds_all),
        cmocka_unit_test(a_name_is_plain_and_its_own_with_every_window),
        cmocka_unit_test(a_scalar_is_in_quotes_unless_every_reader_takes_it_as_it_is),
        cmocka_unit_test(thousands_have_commas),
        cmocka_unit_test(what_is_suggested_is_taken),
        cmocka_unit_test(nothing_seen_is_said_with_what_to_bring),
        cmocka_unit_test(memory_that_is_short_is_told),
    };
    return RUN(tests);
}

#include "feature/terms.h"
#include "unit.h"

#include "support/fixture.h"

/* The terms of a text, sorted, with a bar between them. */
static void terms_are(struct str text, const char *expected)
{
    struct arena a = {0};
    struct str_list terms;
    struct buf out = {0};
    assert_true(terms_of(&terms, text, &a));
    for (size_t i = 0; i < terms.count; i++)
        buf_printf(&out, "%s%.*s", i ? "|" : "", STR_ARG(terms.items[i]));
    assert_buf_is(&out, expected);
    buf_free(&out);
    arena_free(&a);
}

static void terms_are_runs_of_letters_and_digits_in_lower_case(void **state)
{
    (void)state;
    terms_are(str_of("Red leather SHOES"), "leather|red|shoes");
    terms_are(str_of("red red, RED"), "red");
    terms_are(str_of("red-2024 a1b2"), "2024|a1b2|red");
    terms_are(str_of("  "), "");
    terms_are(str_of(""), "");
    terms_are((struct str){NULL, 0}, "");
    terms_are(str_of("!!"), "");
    terms_are(str_of("last"), "last");
    terms_are(str_of("a_b"), "a|b"); /* _ is Pc */
}

static void letters_are_those_of_unicode_mapped_one_by_one(void **state)
{
    (void)state;
    terms_are(str_of("F\xc3\x9cSSE \xc3\xbc"
                     "ber"),
              "f\xc3\xbcsse|\xc3\xbc"
              "ber");
    terms_are(str_of("\xce\xa3\xce\x9f\xce\xa6\xce\x9f\xce\xa3"), /* no final sigma */
              "\xcf\x83\xce\xbf\xcf\x86\xce\xbf\xcf\x83");
    terms_are(str_of("\xc4\xb0zmir"), "izmir"); /* U+0130 to i alone */
    terms_are(str_of("stra\xc3\x9f"
                     "e"),
              "stra\xc3\x9f"
              "e"); /* not folded */
    terms_are(str_of("\xe6\x9d\xb1\xe4\xba\xac \xe5\xaf\xbf\xe5\x8f\xb8"),
              "\xe5\xaf\xbf\xe5\x8f\xb8|\xe6\x9d\xb1\xe4\xba\xac");
    terms_are(str_of("x\xc2\xb2y"), "x|y");                    /* U+00B2 is No */
    terms_are(str_of("\xd9\xa3"), "\xd9\xa3");                 /* U+0663 is Nd */
    terms_are(str_of("\xe2\x85\xa7"), "");                     /* U+2167 is Nl */
    terms_are(str_of("e\xcc\x81t"), "e|t");                    /* U+0301 is Mn: not normalised */
    terms_are(str_of("\xf0\x90\x90\x80"), "\xf0\x90\x90\xa8"); /* U+10400 to U+10428 */
    terms_are(str_of("\xf0\x9f\x98\x80"
                     "a"),
              "a");                                /* U+1F600 is So */
    terms_are(str_of("\xc7\x85"), "\xc7\x86");     /* U+01C5, titlecase, to U+01C6 */
    terms_are(str_of("\xe1\xba\x9e"), "\xc3\x9f"); /* U+1E9E to U+00DF */
    terms_are(str_of("\xc8\xba"), "\xe2\xb1\xa5"); /* U+023A, 2 bytes, to U+2C65, 3 bytes */
}

static void bytes_that_are_no_utf8_end_a_term(void **state)
{
    (void)state;
    terms_are(str_bytes("a\xff"
                        "b\xc3",
                        4),
              "a|b");
    terms_are(str_bytes("a\0b", 3), "a|b");
    terms_are(str_bytes("a\xed\xa0\x80"
                        "b",
                        5),
              "a|b"); /* a surrogate */
    terms_are(str_bytes("\xc0\xaf"
                        "a",
                        3),
              "a");
    struct random random = {31};
    for (int round = 0; round < 50000; round++) {
        size_t n = (size_t)random_below(&random, 20);
        char *bytes = malloc(n + !n);
        struct arena a = {0};
        struct str_list terms;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)(random_below(&random, 2) ? random_next(&random)
                                                       : 'A' + random_next(&random) % 26);
        assert_true(terms_of(&terms, str_bytes(bytes, n), &a));
        arena_free(&a);
        free(bytes);
    }
}

/* Letters that grow from 2 to 3 bytes: the worst for what is reserved. */
static void letters_that_grow_have_room(void **state)
{
    (void)state;
    struct buf text = {0};
    struct arena a = {0};
    struct str_list terms;
    for (int i = 0; i < 1000; i++)
        buf_put_text(&text, "\xc8\xba");
    assert_true(terms_of(&terms, buf_str(&text), &a));
    assert_int_equal(terms.count, 1);
    assert_int_equal(terms.items[0].len, 3000);
    arena_free(&a);
    buf_free(&text);
}

static size_t in_common(const char *query, struct str *texts, size_t count)
{
    struct arena a = {0};
    struct str_list terms;
    size_t common = 99;
    assert_true(terms_of(&terms, str_of(query), &a));
    assert_true(terms_in(&common, terms, texts, count, &a));
    arena_free(&a);
    return common;
}

static void terms_in_several_texts_are_counted_once(void **state)
{
    (void)state;
    struct str texts[] = {str_of("Dark red RED"), str_of("blue red"), str_of("")};
    assert_int_equal(in_common("red", texts, 3), 1);
    assert_int_equal(in_common("red blue green", texts, 3), 2);
    assert_int_equal(in_common("red blue green", texts, 1), 1);
    assert_int_equal(in_common("", texts, 3), 0);
    assert_int_equal(in_common("reds", texts, 3), 0);
    assert_int_equal(in_common("red", texts, 0), 0);
}

static void without_memory_they_say_so(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct arena a = {0};
        struct str_list terms;
        struct str text = str_of("b a c d e f g h i j k l");
        size_t common = 0;
        fail_alloc_at(n);
        bool ok = terms_of(&terms, text, &a) && terms_in(&common, terms, &text, 1, &a);
        bool failed = fail_alloc_end();
        arena_free(&a);
        if (!failed) {
            assert_true(ok && common == 12);
            break;
        }
        assert_false(ok);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_are_runs_of_letters_and_digits_in_lower_case),
        cmocka_unit_test(letters_are_those_of_unicode_mapped_one_by_one),
        cmocka_unit_test(bytes_that_are_no_utf8_end_a_term),
        cmocka_unit_test(letters_that_grow_have_room),
        cmocka_unit_test(terms_in_several_texts_are_counted_once),
        cmocka_unit_test(without_memory_they_say_so),
    };
    return RUN(tests);
}

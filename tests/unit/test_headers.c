#include "base/base64.h"
#include "stream/headers.h"
#include "unit.h"

#include <stdlib.h>

/* The test vectors of RFC 4648, and every value that a byte can have, from Python's base64. */
static void base64_is_that_of_the_rfc(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xfb\xff\xfe", "+//+"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buf b = {0};
        base64_put(&b, str_of(pairs[i][0]));
        assert_buf_is(&b, pairs[i][1]);
        buf_reset(&b);
        assert_true(base64_read(&b, str_of(pairs[i][1])));
        assert_buf_is(&b, pairs[i][0]);
        buf_free(&b);
    }
}

static void long_base64_has_no_line_ends_and_comes_back(void **state)
{
    (void)state;
    struct buf bytes = {0}, text = {0}, back = {0};
    for (int i = 0; i < 10000; i++)
        buf_put_u8(&bytes, (uint8_t)(i * 7));
    base64_put(&text, buf_str(&bytes));
    assert_int_equal(text.len, 13336);
    assert_null(memchr(text.data, '\n', text.len));
    assert_true(base64_read(&back, buf_str(&text)));
    assert_true(str_equal(buf_str(&back), buf_str(&bytes)));
    buf_free(&bytes);
    buf_free(&text);
    buf_free(&back);
}

static void what_is_not_base64_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"Zg",       "Zg=",      "Z===",     "====", "Zm9v\n",
                                      "Zg==Zm9v", "Zm9v Zm9", "Zm-vYmFy", "Zh==", "Zm9="};
    struct buf b = {0};
    buf_put_text(&b, "before");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (base64_read(&b, str_of(bad[i])))
            fail_msg("%s", bad[i]);
        assert_buf_is(&b, "before");
    }
    assert_false(base64_read(&b, str_bytes("Zm9\0", 4)));
    buf_free(&b);
}

/* Order, duplicates, null values, empty ones, and what is no text. */
static rd_kafka_headers_t *odd_list(void)
{
    rd_kafka_headers_t *list = rd_kafka_headers_new(8);
    rd_kafka_header_add(list, "b", -1, "2", 1);
    rd_kafka_header_add(list, "a", -1, "\"1\"", 3);
    rd_kafka_header_add(list, "b", -1, NULL, 0);
    rd_kafka_header_add(list, "b", -1, "", 0);
    rd_kafka_header_add(list, "\xff", -1, "\0\xff", 2);
    rd_kafka_header_add(list, "nul", -1, "x\0", 2);
    return list;
}

static const char odd_json[] = "[[\"b\",\"2\"],[\"a\",\"\\\"1\\\"\"],[\"b\",null],[\"b\",\"\"],"
                               "[{\"base64\":\"/w==\"},{\"base64\":\"AP8=\"}],"
                               "[\"nul\",{\"base64\":\"eAA=\"}]]";

static void assert_same_lists(const rd_kafka_headers_t *a, const rd_kafka_headers_t *b)
{
    assert_int_equal(rd_kafka_header_cnt(a), rd_kafka_header_cnt(b));
    for (size_t i = 0; i < rd_kafka_header_cnt(a); i++) {
        const char *names[2];
        const void *values[2];
        size_t sizes[2];
        assert_int_equal(rd_kafka_header_get_all(a, i, &names[0], &values[0], &sizes[0]), 0);
        assert_int_equal(rd_kafka_header_get_all(b, i, &names[1], &values[1], &sizes[1]), 0);
        assert_string_equal(names[0], names[1]);
        assert_int_equal(!values[0], !values[1]);
        assert_int_equal(sizes[0], sizes[1]);
        assert_memory_equal(values[0] ? values[0] : "", values[1] ? values[1] : "", sizes[0]);
    }
}

static void headers_come_back_as_they_were(void **state)
{
    (void)state;
    rd_kafka_headers_t *list = odd_list(), *back = NULL;
    struct buf bytes = {0};
    struct headers_count n = headers_take(&bytes, list, SIZE_MAX);
    assert_int_equal(n.kept, 6);
    assert_int_equal(n.all, 6);
    assert_int_equal(headers_list(&back, buf_str(&bytes), NULL), 0);
    assert_same_lists(list, back);
    rd_kafka_headers_destroy(back);
    rd_kafka_headers_destroy(list);
    buf_free(&bytes);
}

static void as_json_they_come_back_as_well(void **state)
{
    (void)state;
    rd_kafka_headers_t *list = odd_list();
    struct buf bytes = {0}, json = {0}, back = {0};
    headers_take(&bytes, list, SIZE_MAX);
    headers_put_json(&json, buf_str(&bytes));
    assert_buf_is(&json, odd_json);
    assert_int_equal(headers_read_json(&back, buf_str(&json), NULL), 0);
    assert_true(str_equal(buf_str(&back), buf_str(&bytes)));
    rd_kafka_headers_destroy(list);
    buf_free(&bytes);
    buf_free(&json);
    buf_free(&back);
}

static void no_headers_are_an_empty_array_and_no_list(void **state)
{
    (void)state;
    rd_kafka_headers_t *list = NULL;
    struct buf bytes = {0}, json = {0};
    assert_int_equal(headers_take(&bytes, NULL, SIZE_MAX).all, 0);
    headers_put_json(&json, buf_str(&bytes));
    assert_buf_is(&json, "[]");
    assert_int_equal(headers_read_json(&bytes, str_of("[]"), NULL), 0);
    assert_int_equal(bytes.len, 0);
    assert_int_equal(headers_list(&list, buf_str(&bytes), NULL), 0);
    assert_null(list);
    buf_free(&bytes);
    buf_free(&json);
}

static void those_that_fit_are_kept(void **state)
{
    (void)state;
    rd_kafka_headers_t *list = odd_list();
    struct buf bytes = {0};
    /* b=2 takes 1 + 1 + 1 + 1 bytes, a="1" takes 1 + 1 + 1 + 3. */
    for (size_t most = 0; most < 12; most++) {
        buf_reset(&bytes);
        size_t expected = most < 4 ? 0 : most < 10 ? 1 : 2;
        assert_int_equal(headers_take(&bytes, list, most).kept, expected);
        assert_int_equal(bytes.len, expected == 0 ? 0 : expected == 1 ? 4 : 10);
    }
    rd_kafka_headers_destroy(list);
    buf_free(&bytes);
}

static void json_that_is_no_headers_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "{}",
                                      "[1]",
                                      "[[\"a\"]]",
                                      "[[\"a\",1]]",
                                      "[[null,\"a\"]]",
                                      "[[\"a\",{\"base64\":\"?\"}]]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf b = {0};
        struct err e = {0};
        assert_int_equal(headers_read_json(&b, str_of(bad[i]), &e), ERR_SCHEMA);
        assert_contains(e.msg, "header");
        buf_free(&b);
    }
}

static void damaged_bytes_are_noticed(void **state)
{
    (void)state;
    rd_kafka_headers_t *list = odd_list(), *none = NULL;
    struct buf bytes = {0};
    headers_take(&bytes, list, SIZE_MAX);
    assert_int_equal(headers_list(&none, str_bytes(bytes.data, bytes.len - 1), NULL), ERR_CORRUPT);
    assert_null(none);
    rd_kafka_headers_destroy(list);
    buf_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_that_of_the_rfc),
        cmocka_unit_test(long_base64_has_no_line_ends_and_comes_back),
        cmocka_unit_test(what_is_not_base64_is_refused_and_leaves_nothing),
        cmocka_unit_test(headers_come_back_as_they_were),
        cmocka_unit_test(as_json_they_come_back_as_well),
        cmocka_unit_test(no_headers_are_an_empty_array_and_no_list),
        cmocka_unit_test(those_that_fit_are_kept),
        cmocka_unit_test(json_that_is_no_headers_is_refused),
        cmocka_unit_test(damaged_bytes_are_noticed),
    };
    return RUN(tests);
}

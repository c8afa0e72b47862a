#include "base/log.h"
#include "unit.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int saved = -1;

/* Standard error goes to a file from here on. */
static FILE *capture(void)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    fflush(stderr);
    saved = dup(STDERR_FILENO);
    dup2(fileno(f), STDERR_FILENO);
    return f;
}

/* One line of what was written, as JSON; NULL behind the last. */
static json_t *next_line(FILE *f)
{
    char line[4096];
    if (saved >= 0) {
        dup2(saved, STDERR_FILENO);
        close(saved);
        saved = -1;
        rewind(f);
    }
    if (!fgets(line, sizeof line, f))
        return NULL;
    json_t *j = json_loads(line, 0, NULL);
    assert_non_null(j);
    return j;
}

static const char *text_of(const json_t *j, const char *name)
{
    return json_string_value(json_object_get(j, name));
}

static void a_line_is_one_json_object_with_the_same_fields_first(void **state)
{
    (void)state;
    log_init("tester", "one", LOG_LEVEL_INFO);
    FILE *f = capture();
    LOG_INFO("fields", LOG_TEXT("text", "quote \" line\n bad \xff"), LOG_INT("count", -5),
             LOG_DOUBLE("rate", 0.1), LOG_DOUBLE("none", NAN));
    json_t *j = next_line(f);
    static const char *const order[] = {"time", "level", "worker", "instance", "event",
                                        "text", "count", "rate",   "none"};
    size_t i = 0;
    for (void *at = json_object_iter(j); at; at = json_object_iter_next(j, at))
        assert_string_equal(json_object_iter_key(at), order[i++]);
    assert_int_equal(i, 9);
    assert_string_equal(text_of(j, "level"), "info");
    assert_string_equal(text_of(j, "worker"), "tester");
    assert_string_equal(text_of(j, "instance"), "one");
    assert_string_equal(text_of(j, "event"), "fields");
    assert_string_equal(text_of(j, "text"), "quote \" line\n bad \xef\xbf\xbd");
    assert_int_equal(json_integer_value(json_object_get(j, "count")), -5);
    assert_true(json_real_value(json_object_get(j, "rate")) == 0.1);
    assert_true(json_is_null(json_object_get(j, "none")));
    assert_int_equal(strlen(text_of(j, "time")), strlen("2026-01-01T00:00:00.000Z"));
    json_decref(j);
    assert_null(next_line(f));
    fclose(f);
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    log_init("tester", "one", LOG_LEVEL_WARN);
    FILE *f = capture();
    LOG_INFO("quiet", LOG_INT("n", 1));
    LOG_ERROR("loud", LOG_INT("n", 2));
    json_t *j = next_line(f);
    assert_string_equal(text_of(j, "event"), "loud");
    json_decref(j);
    assert_null(next_line(f));
    fclose(f);
}

static void a_problem_that_repeats_is_written_five_times(void **state)
{
    (void)state;
    log_init("tester", "one", LOG_LEVEL_INFO);
    FILE *f = capture();
    for (int i = 0; i < 100; i++)
        LOG_WARN("repeated", LOG_INT("n", i));
    LOG_WARN("another", LOG_INT("n", 0));
    for (int i = 0; i < 5; i++) {
        json_t *j = next_line(f);
        assert_int_equal(json_integer_value(json_object_get(j, "n")), i);
        json_decref(j);
    }
    json_t *last = next_line(f);
    assert_string_equal(text_of(last, "event"), "another");
    json_decref(last);
    assert_null(next_line(f));
    fclose(f);
}

static void information_is_never_left_out(void **state)
{
    (void)state;
    log_init("tester", "one", LOG_LEVEL_INFO);
    FILE *f = capture();
    for (int i = 0; i < 20; i++)
        LOG_INFO("steady", LOG_INT("n", i));
    int lines = 0;
    for (json_t *j; (j = next_line(f)); lines++)
        json_decref(j);
    assert_int_equal(lines, 20);
    fclose(f);
}

static void without_memory_a_line_ends_with_the_last_field_that_fits(void **state)
{
    (void)state;
    static char text[1 << 20];
    memset(text, 'x', sizeof text - 1);
    log_init("tester", "one", LOG_LEVEL_INFO);
    FILE *f = capture();
    fail_alloc_at(1);
    LOG_INFO("want", LOG_INT("count", 5), LOG_TEXT("long", text), LOG_INT("after", 6));
    assert_true(fail_alloc_end());
    json_t *j = next_line(f);
    assert_string_equal(text_of(j, "event"), "want");
    assert_int_equal(json_integer_value(json_object_get(j, "count")), 5);
    assert_string_equal(text_of(j, "cut"), "out of memory");
    assert_null(json_object_get(j, "long"));
    assert_null(json_object_get(j, "after"));
    json_decref(j);
    fclose(f);
}

static void a_text_is_kept_until_another_one_or_its_time(void **state)
{
    (void)state;
    char out[16] = "";
    log_keep("first");
    log_keep("the second of them");
    assert_true(log_kept(out, sizeof out, 60000));
    assert_string_equal(out, "the second of t");
    assert_false(log_kept(out, sizeof out, -1));
    log_keep("");
    assert_false(log_kept(out, sizeof out, 60000));
}

static void levels_are_read_by_name(void **state)
{
    (void)state;
    enum log_level level = LOG_LEVEL_DEBUG;
    struct err e = {0};
    assert_int_equal(log_level_parse(&level, "warn", &e), 0);
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_int_equal(log_level_parse(&level, "loud", &e), ERR_INVALID);
    assert_string_equal(e.msg, "log level is \"loud\": give debug, info, warn or error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_one_json_object_with_the_same_fields_first),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(a_problem_that_repeats_is_written_five_times),
        cmocka_unit_test(information_is_never_left_out),
        cmocka_unit_test(without_memory_a_line_ends_with_the_last_field_that_fits),
        cmocka_unit_test(a_text_is_kept_until_another_one_or_its_time),
        cmocka_unit_test(levels_are_read_by_name),
    };
    return RUN(tests);
}

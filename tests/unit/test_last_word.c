#include "base/last_word.h"

#include "unit.h"

#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A child that ends by this signal; what it wrote. */
static json_t *last_line_of(int number, int *status)
{
    int ends[2];
    char text[4096] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(number, SIG_DFL); /* cmocka catches some of them */
        last_word_prepare("tester", "one \"two\"");
        raise(number);
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(ends[0], text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(child, status, 0), child);
    json_t *line = json_loads(text, 0, NULL);
    if (!line)
        fail_msg("this is no JSON: %s", text);
    return line;
}

static const char *text_of(const json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static void a_signal_that_ends_the_process_is_told_in_one_line_of_the_log(void **state)
{
    (void)state;
    const struct {
        int number;
        const char *name;
    } cases[] = {
        {SIGABRT, "SIGABRT"}, {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},
        {SIGFPE, "SIGFPE"},   {SIGILL, "SIGILL"},
    };
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    const size_t n = 1; /* a sanitizer may keep the others to itself */
#else
    const size_t n = sizeof cases / sizeof *cases;
#endif
    for (size_t i = 0; i < n; i++) {
        int status;
        json_t *line = last_line_of(cases[i].number, &status);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), cases[i].number);
        assert_string_equal(text_of(line, "signal"), cases[i].name);
        assert_string_equal(text_of(line, "event"), "crashed");
        assert_string_equal(text_of(line, "level"), "error");
        assert_string_equal(text_of(line, "worker"), "tester");
        assert_string_equal(text_of(line, "instance"), "one \"two\"");
        assert_true(json_integer_value(json_object_get(line, "resident_bytes")) > 100000);
        json_decref(line);
    }
}

static void its_time_is_that_of_the_c_library(void **state)
{
    (void)state;
    int status;
    json_t *line = last_line_of(SIGABRT, &status);
    struct tm utc = {0};
    const char *rest = strptime(text_of(line, "time"), "%Y-%m-%dT%H:%M:%S", &utc);
    assert_non_null(rest);
    assert_int_equal(strlen(rest), strlen(".123Z"));
    assert_in_range(timegm(&utc), time(NULL) - 60, time(NULL));
    json_decref(line);
}

static void a_handler_that_is_there_stays(void **state)
{
    (void)state;
    struct sigaction before, after;
    assert_int_equal(sigaction(SIGSEGV, NULL, &before), 0); /* cmocka's */
    last_word_prepare("tester", "one");
    assert_int_equal(sigaction(SIGSEGV, NULL, &after), 0);
    assert_ptr_equal(before.sa_handler, after.sa_handler);
    signal(SIGABRT, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_that_ends_the_process_is_told_in_one_line_of_the_log),
        cmocka_unit_test(its_time_is_that_of_the_c_library),
        cmocka_unit_test(a_handler_that_is_there_stays),
    };
    return RUN(tests);
}

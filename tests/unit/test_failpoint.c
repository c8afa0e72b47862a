/*
 * This program has failpoints of its own, in every build: CMake compiles failpoint.c with them for
 * it. What happens at a point happens to a child.
 */
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, PASSAGES_A_THREAD = 25, STARTED_WRONG = 99 };

/* What a child does behind the start; tells how far it came. */
typedef void script(int out);

static void tell(int out, const char *what)
{
    if (write(out, what, 1) != 1)
        _exit(STARTED_WRONG);
}

static void first(void)
{
    FAILPOINT("test.first");
}

static void second(void)
{
    FAILPOINT("test.second");
}

static void when(bool condition)
{
    FAILPOINT_WHEN(condition, "test.when");
}

static void pass_three_times(int out)
{
    first();
    tell(out, "1");
    first();
    tell(out, "2");
    first();
    tell(out, "3");
}

static void pass_both(int out)
{
    second();
    tell(out, "2");
    first();
    tell(out, "1");
}

static void pass_on_a_condition(int out)
{
    when(false);
    tell(out, "n");
    when(true);
    tell(out, "y");
}

static void *pass_often(void *ignored)
{
    for (int i = 0; i < PASSAGES_A_THREAD; i++)
        first();
    return ignored;
}

static void pass_from_threads(int out)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, pass_often, NULL))
            _exit(STARTED_WRONG);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    tell(out, "t");
}

/* The child's status, as waitpid() has it, and what it told; a stopped one is woken where *stopped
 * counts how often. */
static int run(const char *failpoint, script *what, char told[16], int *stopped)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        setenv("FAILPOINT", failpoint, 1);
        if (failpoint_start(NULL))
            _exit(STARTED_WRONG);
        what(ends[1]);
        _exit(0);
    }
    close(ends[1]);
    while (waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && stopped) {
        ++*stopped;
        kill(child, SIGCONT);
    }
    ssize_t n = read(ends[0], told, 15);
    told[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    return status;
}

static void assert_killed(int status)
{
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void assert_ended_well(int status)
{
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void the_passage_that_is_named_ends_the_process_and_no_earlier_one(void **state)
{
    char told[16];
    (void)state;
    assert_killed(run("test.first:1:kill", pass_three_times, told, NULL));
    assert_string_equal(told, "");
    assert_killed(run("test.first:3:kill", pass_three_times, told, NULL));
    assert_string_equal(told, "12");
    assert_ended_well(run("test.first:4:kill", pass_three_times, told, NULL));
    assert_string_equal(told, "123");
}

static void a_process_that_stops_itself_goes_on_once_it_is_woken_and_stops_once(void **state)
{
    char told[16];
    int stopped = 0;
    (void)state;
    assert_ended_well(run("test.first:2:stop", pass_three_times, told, &stopped));
    assert_string_equal(told, "123");
    assert_int_equal(stopped, 1);
}

static void a_thread_that_sleeps_goes_on_when_the_time_is_over(void **state)
{
    char told[16];
    int64_t began_us = clock_monotonic_us();
    (void)state;
    assert_ended_well(run("test.first:1:sleep:30", pass_three_times, told, NULL));
    assert_string_equal(told, "123");
    assert_true(clock_monotonic_us() - began_us >= 30000);
}

static void only_the_point_that_is_named_counts(void **state)
{
    char told[16];
    (void)state;
    assert_killed(run("test.second:1:kill", pass_both, told, NULL));
    assert_string_equal(told, "");
    assert_killed(run("test.first:1:kill", pass_both, told, NULL));
    assert_string_equal(told, "2");
}

static void several_points_may_be_named_at_once(void **state)
{
    char told[16];
    int stopped = 0;
    (void)state;
    assert_killed(run("test.second:1:stop,test.first:1:kill", pass_both, told, &stopped));
    assert_string_equal(told, "2");
    assert_int_equal(stopped, 1);
}

static void a_point_with_a_condition_is_passed_where_it_holds(void **state)
{
    char told[16];
    (void)state;
    assert_killed(run("test.when:1:kill", pass_on_a_condition, told, NULL));
    assert_string_equal(told, "n");
}

static void passages_of_all_threads_are_counted_together(void **state)
{
    char told[16];
    (void)state;
    assert_killed(run("test.first:100:kill", pass_from_threads, told, NULL));
    assert_string_equal(told, "");
    assert_ended_well(run("test.first:101:kill", pass_from_threads, told, NULL));
    assert_string_equal(told, "t");
}

static void what_cannot_be_meant_is_refused_at_the_start(void **state)
{
    static const char *const wrong[][2] = {
        {"test.frist:1:kill", "FAILPOINT names test.frist: this program has no such failpoint"},
        {"test:1:kill", "FAILPOINT names test: this program has no such failpoint"},
        {"", "FAILPOINT has \"\": it has to be NAME:PASSAGE:ACTION"},
        {"test.first", "FAILPOINT has \"test.first\": it has to be"},
        {"test.first:1", "FAILPOINT has \"test.first:1\": it has to be"},
        {"test.first:0:kill", "PASSAGE counts from 1"},
        {"test.first:-1:kill", "PASSAGE counts from 1"},
        {"test.first:1x:kill", "PASSAGE counts from 1"},
        {"test.first:99999999999999999999:kill", "PASSAGE counts from 1"},
        {"test.first::kill", "PASSAGE counts from 1"},
        {"test.first:1:die", "ACTION is kill, stop or sleep:MS"},
        {"test.first:1:kill ", "ACTION is kill, stop or sleep:MS"},
        {"test.first:1:sleep", "ACTION is kill, stop or sleep:MS"},
        {"test.first:1:sleep:0", "ACTION is kill, stop or sleep:MS"},
        {"test.first:1:sleep:600001", "ACTION is kill, stop or sleep:MS"},
        {"test.first:1:kill,", "FAILPOINT has \"\": it has to be"},
        {"test.first:1:kill,test.frist:1:kill", "names test.frist"},
        {"test.first:1:stop,test.first:2:stop,test.first:3:stop,test.first:4:stop,test.first:5:"
         "stop",
         "FAILPOINT names more than 4 points"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err e = {0};
        setenv("FAILPOINT", wrong[i][0], 1);
        assert_int_equal(failpoint_start(&e), ERR_INVALID);
        assert_contains(e.msg, wrong[i][1]);
        first(); /* Nothing of it is armed. */
    }
    unsetenv("FAILPOINT");
}

static void without_the_variable_nothing_happens(void **state)
{
    (void)state;
    unsetenv("FAILPOINT");
    assert_int_equal(failpoint_start(NULL), 0);
    first();
    second();
    when(true);
    assert_string_equal(failpoint_build(), " with failpoints");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_passage_that_is_named_ends_the_process_and_no_earlier_one),
        cmocka_unit_test(a_process_that_stops_itself_goes_on_once_it_is_woken_and_stops_once),
        cmocka_unit_test(a_thread_that_sleeps_goes_on_when_the_time_is_over),
        cmocka_unit_test(only_the_point_that_is_named_counts),
        cmocka_unit_test(several_points_may_be_named_at_once),
        cmocka_unit_test(a_point_with_a_condition_is_passed_where_it_holds),
        cmocka_unit_test(passages_of_all_threads_are_counted_together),
        cmocka_unit_test(what_cannot_be_meant_is_refused_at_the_start),
        cmocka_unit_test(without_the_variable_nothing_happens),
    };
    log_init("", "", LOG_LEVEL_OFF);
    return RUN(tests);
}

#include "stream/starved.h"

#include "unit.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void threads_that_can_be_had_are_no_error(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(starved_probe(&e), 0);
    assert_int_equal(e.code, 0);
}

/* In a process of its own, which may have 4 MB more than it has; a stack takes 8 MB. */
static void without_memory_for_their_stacks_a_client_is_not_begun(void **state)
{
    (void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    skip(); /* their own memory is without bounds */
#endif
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = {(rlim_t)1 << 58, (rlim_t)1 << 58};
        struct err e = {0};
        FILE *f = fopen("/proc/self/statm", "r");
        long pages = 0;
        if (!f || fscanf(f, "%ld", &pages) != 1)
            _exit(3);
        limit.rlim_cur = (rlim_t)(pages * sysconf(_SC_PAGESIZE)) + (4 << 20);
        setrlimit(RLIMIT_AS, &limit);
        _exit(starved_probe(&e) == ERR_NOMEM ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_thread_that_a_client_could_not_start_is_kept_and_nothing_else(void **state)
{
    (void)state;
    struct err e = {0};
    starved_note("FAIL", "Connect to ipv4#127.0.0.1:1 failed: Connection refused");
    starved_note("THREAD", "something else about a thread");
    assert_int_equal(starved_check(&e), 0);
    starved_note("THREAD", "[thrd:app]: Unable to create broker thread"); /* librdkafka 2.0.2 */
    assert_int_equal(starved_check(&e), ERR_NOMEM);
    assert_string_equal(e.msg,
                        "a thread for a broker could not be started: out of memory, or of threads");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* The first: a process keeps stacks of threads that have ended. */
        cmocka_unit_test(without_memory_for_their_stacks_a_client_is_not_begun),
        cmocka_unit_test(threads_that_can_be_had_are_no_error),
        cmocka_unit_test(a_thread_that_a_client_could_not_start_is_kept_and_nothing_else),
    };
    return RUN(tests);
}

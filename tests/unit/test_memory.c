#include "base/memory.h"

#include "unit.h"

#include <string.h>
#include <sys/resource.h>

static void touched_memory_is_resident_and_given_back_it_is_not(void **state)
{
    (void)state;
    const size_t size = (size_t)64
                        << 20; /* far above the size from which on free() gives it back */
    struct memory_use before, with, after;
    memory_read(&before);
    char *block = malloc(size);
    assert_non_null(block);
    memset(block, 1, size);
    memory_read(&with);
    free(block);
    memory_read(&after);
    assert_in_range(with.resident_bytes - before.resident_bytes, size * 9 / 10, size * 2);
#ifndef __SANITIZE_ADDRESS__ /* which keeps freed memory for a while, to find who uses it */
    assert_true(after.resident_bytes < with.resident_bytes - (int64_t)size * 9 / 10);
#endif
}

/* Twice of what is used: nearer than any other limit of a machine that has room for the tests. */
static void the_nearest_limit_is_named_and_told_with_what_counts_for_it(void **state)
{
    (void)state;
    struct rlimit none, limit;
    struct memory_use m;
    assert_int_equal(getrlimit(RLIMIT_AS, &none), 0);
    if (none.rlim_cur != RLIM_INFINITY)
        skip();
    limit = none;
    limit.rlim_cur = (rlim_t)1 << 59;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    memory_read(&m);
    assert_true(m.limit_bytes > 0);
    limit.rlim_cur = (rlim_t)(m.limit_bytes == (int64_t)1 << 59 ? m.used_bytes * 2 : 0);
    if (!limit.rlim_cur) { /* a control group is nearer: it is held to its own numbers */
        assert_string_equal(m.limit, "control group");
        assert_int_equal(m.used_bytes, m.resident_bytes);
    } else {
        assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
        memory_read(&m);
        assert_string_equal(m.limit, "RLIMIT_AS");
        assert_int_equal(m.limit_bytes, limit.rlim_cur);
        assert_in_range(m.used_bytes, limit.rlim_cur / 3, limit.rlim_cur);
    }
    assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(touched_memory_is_resident_and_given_back_it_is_not),
        cmocka_unit_test(the_nearest_limit_is_named_and_told_with_what_counts_for_it),
    };
    return RUN(tests);
}

/* What every unit test includes: cmocka with what it needs, and errors. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "support/fail_alloc.h"

/* The text of a buffer is this one. */
static inline void assert_buf_is(struct buf *b, const char *text)
{
    buf_put_u8(b, 0);
    assert_true(buf_ok(b));
    b->len--;
    assert_string_equal((const char *)b->data, text);
}

/* The bytes of a buffer are these. */
static inline void assert_bytes(const struct buf *b, const void *bytes, size_t n)
{
    assert_true(buf_ok(b));
    assert_int_equal(b->len, n);
    assert_memory_equal(b->data, bytes, n);
}

static inline void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* All tests, or the one that TEST_ONLY names. */
#define RUN(tests)                                                                                 \
    (cmocka_set_test_filter(getenv("TEST_ONLY")), cmocka_run_group_tests(tests, NULL, NULL))

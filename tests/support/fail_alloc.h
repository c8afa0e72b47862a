/*
 * Memory that cannot be had, on purpose: tests are linked so that malloc, calloc, realloc and
 * strdup of the project's own code come here first (the libraries' own allocations do not).
 *
 * One thread. A loop over n = 1, 2, ... until nothing failed visits every allocation of a call:
 *
 *     for (int n = 1; ; n++) {
 *         fail_alloc_at(n);
 *         rc = call();
 *         if (!fail_alloc_end())
 *             break;
 *         assert_int_equal(rc, ERR_NOMEM);
 *     }
 */
#pragma once

#include <stdbool.h>

/* The n-th allocation from now, counted from 1, fails. */
void fail_alloc_at(int n);

/* None fails any more. Whether one did. */
bool fail_alloc_end(void);

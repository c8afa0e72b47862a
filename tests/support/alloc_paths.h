/*
 * Every way that leads to an allocation, and one of them failing: what tests/crash/allocations.py
 * runs whole unit tests with. It is the environment that says so:
 *
 *   ALLOC_PATHS=FILE   each path that is met is appended once, "PATH FRAME FRAME ...": the return
 *                      addresses, the innermost first, relative to where the program begins
 *   ALLOC_FAILS=PATH   the first allocation by that path fails; "failed" is appended to the file
 *   ALLOC_REST=1       and so does every one after it
 *
 * A path is the last few calls of the project's own code, so that it is the same in every run.
 * Any thread.
 */
#pragma once

#include <stdbool.h>

/* Called by each allocation, with the frame and the return address of the function that makes it.
 * Whether it is to fail. */
bool alloc_path_fails(void *const *frame, void *caller);

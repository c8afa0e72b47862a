/*
 * Failpoints: named places where a test ends the process, or stops it, on purpose.
 *
 *   FAILPOINT("committer.before_commit");
 *
 * Builds with -DFLOTILLA_FAILPOINTS=ON have them; in all others they expand to nothing. The
 * environment variable FAILPOINT names a point of the program, the passage of it that counts (from
 * 1, over all threads) and what happens there:
 *
 *   FAILPOINT=committer.before_commit:3:kill        SIGKILL to itself, at the third passage
 *   FAILPOINT=committer.before_commit:1:stop        SIGSTOP to itself
 *   FAILPOINT=committer.before_commit:1:sleep:500   the thread sleeps for 500 ms
 *
 * or several of these, with commas between them. Each happens once: passages behind that one go
 * through. What happens is logged before it does, as event `failpoint`. A name stands at one place
 * of the source only.
 *
 * Any thread. Nothing is allocated, and a passage of a point that is not named costs a few loads.
 * What is armed is state of the process, as the stop flag is.
 */
#pragma once

#include "base/err.h"

/* Arms what FAILPOINT says, and disarms what was; for the start, before other threads. Fails with
 * ERR_INVALID: a name that this program does not have, a passage or an action that is none. Builds
 * without failpoints do not read it. */
int failpoint_start(struct err *e);

/* For behind the version: " with failpoints" of a build that has them, else "". */
const char *failpoint_build(void);

#ifdef FLOTILLA_FAILPOINTS

struct failpoint {
    const char *name;
};

/* For the macros only. */
void failpoint_pass(const struct failpoint *here);

/* The linker gathers pointers to all points in one section: the list that names are looked up in.
 */
#define FAILPOINT(point_name)                                                                      \
    do {                                                                                           \
        static const struct failpoint failpoint_here = {point_name};                               \
        static const struct failpoint *failpoint_entry                                             \
            __attribute__((used, section("failpoints"))) = &failpoint_here;                        \
        (void)failpoint_entry;                                                                     \
        failpoint_pass(&failpoint_here);                                                           \
    } while (0)

/* One that is passed only where the condition holds; it is not evaluated in other builds. */
#define FAILPOINT_WHEN(condition, point_name)                                                      \
    do {                                                                                           \
        if (condition)                                                                             \
            FAILPOINT(point_name);                                                                 \
    } while (0)

#else
#define FAILPOINT(point_name)                 ((void)0)
#define FAILPOINT_WHEN(condition, point_name) ((void)0)
#endif

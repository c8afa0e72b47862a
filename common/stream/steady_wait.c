/*
 * C11's cnd_timedwait(), by a clock that nobody can set. It takes the place of the C library's in
 * every program that is linked with this library.
 *
 * librdkafka waits with it for everything, until a time of day, since the C library offers nothing
 * else: set back by an hour, a worker without records to handle would sleep for an hour, send no
 * heartbeats and be taken for dead. Here what is left until that time is measured once, when the
 * waiting begins, and waited for by the clock that only ever grows. Any thread.
 */
#include <errno.h>
#include <pthread.h>
#include <threads.h>
#include <time.h>

/* What ThreadSanitizer does not see of a mutex, it takes for a mistake of ours. */
#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define KEEP_THE_C_LIBRARYS
#endif
#endif
#if !defined __SANITIZE_THREAD__ && !defined KEEP_THE_C_LIBRARYS

enum { SECOND_NS = 1000000000 };

static struct timespec plus(struct timespec a, struct timespec b)
{
    struct timespec sum = {a.tv_sec + b.tv_sec, a.tv_nsec + b.tv_nsec};
    if (sum.tv_nsec >= SECOND_NS)
        sum = (struct timespec){sum.tv_sec + 1, sum.tv_nsec - SECOND_NS};
    return sum;
}

static struct timespec minus(struct timespec a, struct timespec b)
{
    struct timespec left = {a.tv_sec - b.tv_sec, a.tv_nsec - b.tv_nsec};
    if (left.tv_nsec < 0)
        left = (struct timespec){left.tv_sec - 1, left.tv_nsec + SECOND_NS};
    return left;
}

/* Whoever was woken for nothing waits again until the same time, which another clock may have
 * measured by now: it is still the end of the same waiting. */
static struct timespec deadline_of(struct timespec until)
{
    static _Thread_local struct timespec asked, deadline;
    if (until.tv_sec != asked.tv_sec || until.tv_nsec != asked.tv_nsec) {
        struct timespec now, steady;
        clock_gettime(CLOCK_REALTIME, &now);
        clock_gettime(CLOCK_MONOTONIC, &steady);
        asked = until;
        deadline = plus(steady, minus(until, now));
    }
    return deadline;
}

/* The types are those of POSIX threads in glibc, which does the same. */
int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex,
                  const struct timespec *restrict until)
{
    struct timespec deadline = deadline_of(*until);
    if (deadline.tv_sec < 0)
        return thrd_timedout;
    int rc = pthread_cond_clockwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex,
                                    CLOCK_MONOTONIC, &deadline);
    return rc == 0 ? thrd_success : rc == ETIMEDOUT ? thrd_timedout : thrd_error;
}

#endif

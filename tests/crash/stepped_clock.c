/*
 * A wall clock that can be set while a program runs, and only for it: preload it, and write how far
 * the clock is off, in nanoseconds, into the 8 bytes of the file that STEPPED_CLOCK names.
 *
 * As when an administrator sets the clock of a machine: CLOCK_MONOTONIC knows nothing of it, and
 * who waits until a time of day waits until the clock shows that time, however often it is set
 * meanwhile. (libfaketime changes what the time is, but not the waits of C11's threads, which
 * librdkafka uses: those would take it for hours.)
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_NS = 20000000, SECOND_NS = 1000000000 };

/* In glibc's condition variable: its waits are measured by CLOCK_MONOTONIC. */
enum { COND_IS_MONOTONIC = 2 };

/* NULL until this library's turn has come: others may ask for the time before. */
static const volatile int64_t *off_ns;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("STEPPED_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *off_ns, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        abort();
    close(fd);
    off_ns = at;
}

static struct timespec plus(struct timespec t, int64_t ns)
{
    int64_t total = (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec + ns;
    return (struct timespec){total / SECOND_NS, total % SECOND_NS};
}

static int64_t minus(struct timespec a, struct timespec b)
{
    return (int64_t)(a.tv_sec - b.tv_sec) * SECOND_NS + a.tv_nsec - b.tv_nsec;
}

static int read_clock(clockid_t id, struct timespec *t)
{
    return (int)syscall(SYS_clock_gettime, id, t);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int rc = read_clock(id, t);
    if (!rc && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        *t = plus(*t, off_ns ? *off_ns : 0);
    return rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *t = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

int timespec_get(struct timespec *t, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, t) == 0 ? base : 0;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

/* Looks at the clock in between, since setting it wakes nobody here. */
static int wait_until(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
    for (;;) {
        struct timespec now, look;
        clock_gettime(CLOCK_REALTIME, &now);
        int64_t left_ns = minus(*until, now);
        if (left_ns <= 0)
            return ETIMEDOUT;
        read_clock(CLOCK_MONOTONIC, &look);
        look = plus(look, left_ns < LOOK_NS ? left_ns : LOOK_NS);
        int rc = pthread_cond_clockwait(c, m, CLOCK_MONOTONIC, &look);
        if (rc != ETIMEDOUT)
            return rc;
    }
}

int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                           const struct timespec *restrict until)
{
    if (c->__data.__wrefs & COND_IS_MONOTONIC)
        return pthread_cond_clockwait(c, m, CLOCK_MONOTONIC, until);
    return wait_until(c, m, until);
}

/* C11's types are those of pthreads here. */
int cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m, const struct timespec *restrict until)
{
    int rc = wait_until((pthread_cond_t *)c, (pthread_mutex_t *)m, until);
    return rc == 0 ? thrd_success : rc == ETIMEDOUT ? thrd_timedout : thrd_error;
}

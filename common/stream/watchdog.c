#include "stream/watchdog.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t called_off;
    bool off;
    int limit_ms;
};

static void *watch(void *arg)
{
    struct watchdog *w = arg;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += w->limit_ms / 1000;
    until.tv_nsec += w->limit_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&w->lock);
    int rc = 0;
    while (!w->off && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&w->called_off, &w->lock, &until);
    if (!w->off) {
        LOG_ERROR(
            "hanging_at_exit", LOG_INT("limit_ms", w->limit_ms),
            LOG_TEXT(
                "error",
                "ending took too long: the process ends as if it were killed; nothing that was "
                "committed is lost"));
        _exit(1);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

int watchdog_new(struct watchdog **out, int limit_ms, struct err *e)
{
    pthread_condattr_t attributes;
    struct watchdog *w = calloc(1, sizeof *w);
    if (!w)
        return err_nomem(e);
    w->limit_ms = limit_ms;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->called_off, &attributes);
    pthread_condattr_destroy(&attributes);
    int why = pthread_create(&w->thread, NULL, watch, w);
    if (why) {
        pthread_cond_destroy(&w->called_off);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return err_set(e, ERR_NOMEM, "cannot start the watchdog's thread: %s", strerror(why));
    }
    *out = w;
    return 0;
}

void watchdog_free(struct watchdog *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->off = true;
    pthread_cond_signal(&w->called_off);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->called_off);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

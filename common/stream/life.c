#include "stream/life.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { HEALTHY_MS = 30000, SAMPLE_US = 1000000 };

struct life {
    const struct worker *worker;
    const struct worker_env *env;
    pthread_mutex_t
        lock; /* guards reason and self, and keeps self alive while its status is asked for */
    char reason[256];
    void *self;
    atomic_int state;
    atomic_int_least64_t turned_us;
    int64_t sampled_us;
    int64_t started_us;
    struct metric *ready;
    struct metric *resident;
    struct metric *cpu;
};

static const char *const state_names[] = {"init", "restore", "run", "drain", "stop"};

/* Allowed moves, one bit for each state that may follow. */
static const unsigned moves[] = {
    [WORKER_INIT] = 1u << WORKER_RESTORE | 1u << WORKER_DRAIN,
    [WORKER_RESTORE] = 1u << WORKER_RUN | 1u << WORKER_DRAIN,
    [WORKER_RUN] = 1u << WORKER_RESTORE | 1u << WORKER_DRAIN,
    [WORKER_DRAIN] = 1u << WORKER_STOP,
    [WORKER_STOP] = 0,
};

static void sample(struct life *l)
{
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0)
        metric_set(l->cpu, (double)used.tv_sec + (double)used.tv_nsec / 1e9);
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0;
    if (f && fscanf(f, "%*d %ld", &pages) == 1)
        metric_set(l->resident, (double)pages * (double)sysconf(_SC_PAGESIZE));
    if (f)
        fclose(f);
}

int life_new(struct life **out, const struct worker *w, const struct worker_env *env, struct err *e)
{
    struct life *l = calloc(1, sizeof *l);
    if (!l)
        return err_nomem(e);
    struct metrics *m = env->metrics;
    l->worker = w;
    l->env = env;
    pthread_mutex_init(&l->lock, NULL);
    l->started_us = l->sampled_us = clock_monotonic_us();
    atomic_store(&l->turned_us, l->started_us);
    metric_set(metric_get(m, METRIC_GAUGE, "flotilla_worker_info",
                          "Always 1; the version of the program.", "version", FLOTILLA_VERSION),
               1);
    l->ready = metric_get(m, METRIC_GAUGE, "flotilla_worker_ready",
                          "1 while the worker runs and is restored.", NULL, NULL);
    metric_set(metric_get(m, METRIC_GAUGE, "process_start_time_seconds",
                          "Start of the process, since the epoch.", NULL, NULL),
               (double)clock_now_ms() / 1000);
    l->resident = metric_get(m, METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory.",
                             NULL, NULL);
    l->cpu = metric_get(m, METRIC_COUNTER, "process_cpu_seconds_total",
                        "User and system time used.", NULL, NULL);
    sample(l);
    *out = l;
    return 0;
}

void life_free(struct life *l)
{
    if (!l)
        return;
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void life_turn(struct life *l)
{
    int64_t now_us = clock_monotonic_us();
    atomic_store(&l->turned_us, now_us);
    if (now_us - l->sampled_us < SAMPLE_US)
        return;
    l->sampled_us = now_us;
    sample(l);
}

void life_set_self(struct life *l, void *self)
{
    pthread_mutex_lock(&l->lock);
    l->self = self;
    pthread_mutex_unlock(&l->lock);
}

void worker_become(struct worker_env *env, enum worker_state state)
{
    struct life *l = env->life;
    unsigned before = (unsigned)atomic_load(&l->state);
    if (before == state)
        return;
    bool allowed = moves[before] & 1u << state;
    assert(allowed);
    if (!allowed)
        return;
    atomic_store(&l->state, (int)state);
    metric_set(l->ready, state == WORKER_RUN);
    LOG_INFO("state", LOG_TEXT("from", state_names[before]), LOG_TEXT("to", state_names[state]));
}

enum worker_state worker_state(const struct worker_env *env)
{
    return (enum worker_state)atomic_load(&((struct life *)env->life)->state);
}

void worker_say(struct worker_env *env, const char *reason)
{
    struct life *l = env->life;
    pthread_mutex_lock(&l->lock);
    snprintf(l->reason, sizeof l->reason, "%s", reason);
    pthread_mutex_unlock(&l->lock);
}

static int64_t idle_ms(struct life *l)
{
    return (clock_monotonic_us() - atomic_load(&l->turned_us)) / 1000;
}

static bool is_healthy(void *arg, struct buf *reason)
{
    int64_t idle = idle_ms(arg);
    buf_printf(reason, "last turn %.1f s ago", (double)idle / 1000);
    return idle < HEALTHY_MS;
}

static void copy_reason(struct life *l, char out[sizeof l->reason])
{
    pthread_mutex_lock(&l->lock);
    memcpy(out, l->reason, sizeof l->reason);
    pthread_mutex_unlock(&l->lock);
}

static bool is_ready(void *arg, struct buf *reason)
{
    struct life *l = arg;
    char why[sizeof l->reason];
    int state = atomic_load(&l->state);
    copy_reason(l, why);
    buf_printf(reason, "%s%s%s", state_names[state], *why ? ": " : "", why);
    return state == WORKER_RUN;
}

static void put_member(struct buf *json, const char *name, const char *value)
{
    buf_printf(json, "\"%s\":", name);
    json_put_text(json, str_of(value));
    buf_put_u8(json, ',');
}

static void print_status(void *arg, struct buf *json)
{
    struct life *l = arg;
    char why[sizeof l->reason];
    int state = atomic_load(&l->state);
    copy_reason(l, why);
    buf_put_u8(json, '{');
    put_member(json, "worker", l->worker->name);
    put_member(json, "instance", l->env->instance);
    put_member(json, "version", FLOTILLA_VERSION);
    put_member(json, "state", state_names[state]);
    put_member(json, "reason", why);
    buf_printf(json, "\"ready\":%s,\"pid\":%d,\"uptime_s\":%lld,\"last_turn_ms\":%lld",
               state == WORKER_RUN ? "true" : "false", (int)getpid(),
               (long long)((clock_monotonic_us() - l->started_us) / 1000000),
               (long long)idle_ms(l));
    pthread_mutex_lock(&l->lock);
    if (l->self && l->worker->status) {
        size_t before = json->len;
        buf_put_u8(json, ',');
        l->worker->status(l->self, json);
        if (json->len == before + 1)
            json->len = before; /* It had nothing to add. */
    }
    pthread_mutex_unlock(&l->lock);
    buf_put_u8(json, '}');
}

struct http_handlers life_handlers(struct life *l)
{
    return (struct http_handlers){
        .healthy = is_healthy, .ready = is_ready, .status = print_status, .arg = l};
}

#include "stream/life.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* A worker whose turn has been waiting for STALLED_MS is not ready, whatever it was before. */
enum { HEALTHY_MS = 30000, STALLED_MS = 5000, SAMPLE_US = 1000000 };

/* Shares of the limit: from where on memory is short, and below which it is not any more. */
static const double MEMORY_SHORT = 0.9, MEMORY_ENOUGH = 0.8;

struct life {
    const struct worker *worker;
    const struct worker_env *env;
    pthread_mutex_t
        lock; /* guards reason and self, and keeps self alive while its status is asked for */
    char reason[256];
    void *self;
    atomic_int state;
    atomic_int_least64_t turned_us; /* or said that it waits */
    atomic_int_least64_t whole_us;  /* began a turn */
    int64_t sampled_us;
    int64_t started_us;
    struct metric *ready;
    struct metric *resident;
    struct metric *limit;
    struct metric *cpu;
    bool memory_is_short;
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

/* Told before it is over: whoever ends a process for its memory, as Kubernetes does, says nothing
 * in its log. Once, until there is room again. */
static void watch_memory(struct life *l, const struct memory_use *m)
{
    double share = m->limit_bytes ? (double)m->used_bytes / (double)m->limit_bytes : 0;
    if (share >= MEMORY_SHORT && !l->memory_is_short) {
        LOG_WARN("memory_is_short", LOG_INT("used_bytes", m->used_bytes),
                 LOG_INT("limit_bytes", m->limit_bytes), LOG_TEXT("limit", m->limit),
                 LOG_TEXT("meaning",
                          "at the limit this process ends. No value is lost by it, but it "
                          "will not get further either: raise the limit, or start more "
                          "copies"));
        l->memory_is_short = true;
    } else if (share < MEMORY_ENOUGH) {
        l->memory_is_short = false;
    }
}

static void sample(struct life *l)
{
    struct timespec used;
    struct memory_use memory;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0)
        metric_set(l->cpu, (double)used.tv_sec + (double)used.tv_nsec / 1e9);
    memory_read(&memory);
    metric_set(l->resident, (double)memory.resident_bytes);
    metric_set(l->limit, (double)memory.limit_bytes);
    watch_memory(l, &memory);
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
    atomic_store(&l->whole_us, l->started_us);
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
    l->limit = metric_get(m, METRIC_GAUGE, "process_memory_limit_bytes",
                          "The limit on memory that is nearest: of the control group or of the "
                          "process; 0: none.",
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
    atomic_store(&l->whole_us, clock_monotonic_us());
    life_alive(l);
}

void life_alive(struct life *l)
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

/* How long the turn under way has been waiting, the first included; 0: not for long. */
static int64_t stalled_ms(struct life *l)
{
    int64_t ms = (clock_monotonic_us() - atomic_load(&l->whole_us)) / 1000;
    int state = atomic_load(&l->state);
    return (state == WORKER_RESTORE || state == WORKER_RUN) && ms >= STALLED_MS ? ms : 0;
}

static bool is_running(struct life *l)
{
    return atomic_load(&l->state) == WORKER_RUN && !stalled_ms(l);
}

static bool is_ready(void *arg, struct buf *reason)
{
    struct life *l = arg;
    char why[sizeof l->reason];
    bool ready = is_running(l);
    int64_t stalled = stalled_ms(l);
    copy_reason(l, why);
    buf_put_text(reason, state_names[atomic_load(&l->state)]);
    if (stalled)
        buf_printf(reason, ": its turn has been waiting for %.0f s", (double)stalled / 1000);
    buf_printf(reason, "%s%s", *why ? ": " : "", why);
    return ready;
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
               is_running(l) ? "true" : "false", (int)getpid(),
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

#include "stream/worker.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/last_word.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/http_server.h"
#include "stream/cluster.h"
#include "stream/command_line.h"
#include "stream/gone.h"
#include "stream/life.h"
#include "stream/starved.h"
#include "stream/watchdog.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { DRAIN_LIMIT_MS = 30000, DECLARE_WAIT_MS = 100 };

/* The signal that asked to stop; 0 while none has. */
static volatile sig_atomic_t stop;

/* One run of a worker, from start to end. */
struct run {
    const struct worker *worker;
    struct conf *conf;
    struct worker_env env;
    struct life *life;
    struct http_server *http;
    struct watchdog *watchdog;
    void *self;
    char instance[192];
};

static void on_signal(int signal_number)
{
    stop = signal_number;
}

void worker_alive(struct worker_env *env)
{
    life_alive(env->life);
}

int worker_declare(struct worker_env *env, const char *topic, const struct record_type *type,
                   struct err *e)
{
    int rc;
    while ((rc = codec_declare(env->codec, conf_topic(env->conf, topic), type, e)) ==
               ERR_UNAVAILABLE &&
           !stop) {
        codec_turn(env->codec, DECLARE_WAIT_MS);
        worker_alive(env);
        worker_say(env, codec_waiting(env->codec));
    }
    return rc ? err_wrap(e, "topic %s", conf_topic(env->conf, topic)) : 0;
}

bool worker_stopping(void)
{
    return stop || starved_check(NULL);
}

static void catch_signals(void)
{
    struct sigaction asked = {.sa_handler = on_signal}, ignored = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &asked, NULL);
    sigaction(SIGINT, &asked, NULL);
    sigaction(SIGPIPE, &ignored, NULL); /* A connection that breaks is an error of its own call. */
}

/* The time makes it unique where process numbers start from 1 again, as in containers. */
static void name_instance(struct run *r, int64_t now_ms)
{
    const char *given = conf_text(r->conf, "instance");
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    if (*given)
        snprintf(r->instance, sizeof r->instance, "%s", given);
    else
        snprintf(r->instance, sizeof r->instance, "%s-%s-%d-%06x", r->worker->name, host,
                 (int)getpid(), (unsigned)(now_ms & 0xffffff));
    r->env.instance = r->instance;
    r->env.static_member = *given;
}

static int open_window(struct run *r, struct err *e)
{
    struct http_handlers handlers = life_handlers(r->life);
    int rc = http_server_start(&r->http, conf_text(r->conf, "http.address"),
                               (int)conf_int(r->conf, "http.port"), r->env.metrics, &handlers, e);
    if (rc)
        return rc;
    int port = http_server_port(r->http);
    snprintf(r->env.client_id, sizeof r->env.client_id, "%s/%s@%d", r->worker->name, r->instance,
             port);
    LOG_INFO("starting", LOG_TEXT("version", FLOTILLA_VERSION), LOG_INT("pid", getpid()),
             LOG_TEXT("http_address", conf_text(r->conf, "http.address")),
             LOG_INT("http_port", port),
             LOG_TEXT("kafka_brokers", conf_text(r->conf, "kafka.brokers")));
    return 0;
}

static int loop(struct run *r, struct err *e)
{
    int rc = 0;
    while (!stop && !rc) {
        life_turn(r->life);
        codec_turn(r->env.codec, 0);
        rc = r->worker->turn(r->self, clock_now_ms(), e);
        if (!rc)
            rc = gone_check(e);
        if (!rc)
            rc = starved_check(e);
    }
    return rc;
}

/* Drains unless an error ended the loop: what is in memory then may be what was wrong. */
static int end(struct run *r, int rc, struct err *e)
{
    struct err ignored = {0};
    if (worker_state(&r->env) != WORKER_STOP)
        worker_become(&r->env, WORKER_DRAIN);
    if (watchdog_new(&r->watchdog, DRAIN_LIMIT_MS, &ignored))
        LOG_WARN("no_watchdog", LOG_ERR(&ignored));
    if (!rc && r->self) {
        LOG_INFO("draining", LOG_TEXT("signal", stop == SIGTERM ? "SIGTERM" : "SIGINT"));
        if (r->worker->drain)
            rc = r->worker->drain(r->self, e);
    }
    return rc;
}

/* Nothing is closed in good order: libraries that cannot have memory end the process in the middle
 * of it. Nobody waits longer for it than for one that was killed. */
static void end_without_memory(const struct err *e)
{
    struct memory_use m;
    memory_read(&m);
    LOG_ERROR("out_of_memory", LOG_ERR(e), LOG_INT("resident_bytes", m.resident_bytes),
              LOG_INT("used_bytes", m.used_bytes), LOG_INT("limit_bytes", m.limit_bytes),
              LOG_TEXT("limit", m.limit),
              LOG_TEXT("meaning",
                       "the process ends as if it were killed; what was committed is there, "
                       "the rest is done again. Raise the limit, or start more copies: each "
                       "holds a share of the partitions"));
    _exit(1);
}

/* Nor here: librdkafka 2.0 does not come back from closing a consumer one of whose partitions is
 * not there any more. */
static void end_at_once(const struct err *e)
{
    LOG_ERROR("fatal", LOG_ERR(e));
    _exit(1);
}

static int run(struct run *r, struct err *e)
{
    int rc = failpoint_start(e);
    if (!rc)
        rc = metrics_new(&r->env.metrics, e);
    if (!rc)
        rc = life_new(&r->life, r->worker, &r->env, e);
    if (!rc)
        rc = codec_new(&r->env.codec, r->conf, r->env.metrics, e);
    if (rc) {
        LOG_ERROR("fatal", LOG_ERR(e));
        return rc;
    }
    r->env.life = r->life;
    rc = open_window(r, e);
    if (!rc)
        rc = cluster_wait(&r->env, e);
    if (!rc)
        rc = r->worker->start(&r->self, &r->env, e);
    /* A wait that a signal ends is no failure. */
    if (rc && stop && !r->self)
        rc = 0;
    life_set_self(r->life, r->self);
    if (!rc && r->self)
        rc = loop(r, e);
    /* Whatever else failed, or was given up, for want of a thread. */
    if (starved_check(e))
        rc = ERR_NOMEM;
    if (rc == ERR_NOMEM)
        end_without_memory(e);
    if (rc && gone_check(NULL))
        end_at_once(e);
    rc = end(r, rc, e);
    if (rc)
        LOG_ERROR("fatal", LOG_ERR(e));
    life_set_self(r->life, NULL);
    r->worker->free(r->self);
    worker_become(&r->env, WORKER_STOP);
    LOG_INFO("stopped", LOG_TEXT("reason", rc ? e->msg : stop == SIGTERM ? "SIGTERM" : "SIGINT"));
    return rc;
}

static int warn_of_open_file(void *arg, const char *name, const char *path)
{
    (void)arg;
    LOG_WARN("secret_is_readable", LOG_TEXT("setting", name), LOG_TEXT("file", path),
             LOG_TEXT("meaning", "others than its owner may read this file: chmod 600"));
    return 0;
}

int worker_main(const struct worker *w, int argc, char **argv)
{
    struct run r = {.worker = w};
    struct err e = {0};
    enum log_level level = LOG_LEVEL_INFO;
    int status;
    command_line_read(&r.conf, &status, w, argc, argv);
    if (!r.conf)
        return status;
    r.env.conf = r.conf;
    r.env.name = w->name;
    name_instance(&r, clock_now_ms());
    log_level_parse(&level, conf_text(r.conf, "log.level"), &e); /* checked before */
    log_init(w->name, r.instance, level);
    conf_each_open_file(r.conf, warn_of_open_file, NULL);
    last_word_prepare(w->name, r.instance);
    catch_signals();
    status = run(&r, &e) ? 1 : 0;
    http_server_stop(r.http);
    life_free(r.life);
    codec_free(r.env.codec);
    metrics_free(r.env.metrics);
    watchdog_free(r.watchdog);
    log_init(w->name, "", level); /* The instance's name is about to go. */
    conf_free(r.conf);
    return status;
}

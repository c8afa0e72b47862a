#include "ranker/tailed.h"

#include "base/clock.h"
#include "base/log.h"
#include "stream/tail.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    BATCH_RECORDS = 2000,
    LOADING_RECORDS = 20000,
    LOADING_WAIT_MS = 100,
    CATCH_UP_MS = 500,
    FIRST_CATCH_UP_MS = 2000,
    CATCH_UP_INTERVAL_MS = 20,
    REGISTRY_WAIT_MS = 20,
    REREAD_INTERVAL_US = 2000000,
    SETTLING_LIMIT_MS = 40000, /* longer than a version may be tried */
};

struct tailed {
    struct worker_env *env;
    struct mirror *mirror;
    struct serving *serving;
    const char *users, *propositions, *shared, *totals, *models;
    struct tail *attributes; /* of users and propositions: what is caught up with */
    struct tail *state;      /* totals, shared state, plans */
    struct tail *artifacts;
    int64_t caught_up_us, reread_us;
};

/* A record that the schema registry has to be asked for comes again; meanwhile it may answer. */
static int ask(struct tailed *t, int rc)
{
    if (rc == ERR_UNAVAILABLE)
        codec_turn(t->env->codec, REGISTRY_WAIT_MS);
    return rc;
}

static int on_attributes(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct tailed *t = arg;
    struct input in = input_of(m);
    enum side side = strcmp(in.topic, t->users) == 0 ? SIDE_USER : SIDE_PROPOSITION;
    return ask(t, mirror_entity(t->mirror, side, &in, e));
}

static int on_state(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct tailed *t = arg;
    struct input in = input_of(m);
    if (strcmp(in.topic, t->shared) == 0)
        return ask(t, mirror_shared(t->mirror, &in, e));
    if (strcmp(in.topic, t->totals) == 0)
        return ask(t, mirror_total(t->mirror, &in, e));
    return ask(t, serving_plan(t->serving, &in, e));
}

static int on_artifact(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct tailed *t = arg;
    struct input in = input_of(m);
    return ask(t, serving_artifact(t->serving, &in, e));
}

static int open_tail(struct tailed *t, struct tail **out, tail_record *each,
                     const char *const *topics, struct err *e)
{
    int rc = tail_new(out, t->env->conf, t->env->client_id, each, t, e);
    for (; *topics && !rc; topics++)
        rc = tail_add_topic(*out, *topics, e);
    return rc ? rc : tail_start(*out, e);
}

static int open_attributes(struct tailed *t, struct err *e)
{
    const char *const topics[] = {t->users, t->propositions, NULL};
    return open_tail(t, &t->attributes, on_attributes, topics, e);
}

static int open_state(struct tailed *t, struct err *e)
{
    const char *const topics[] = {t->totals, t->shared, t->models, NULL};
    return open_tail(t, &t->state, on_state, topics, e);
}

static int open_artifacts(struct tailed *t, struct err *e)
{
    const char *const topics[] = {conf_topic(t->env->conf, "model.artifacts"), NULL};
    return open_tail(t, &t->artifacts, on_artifact, topics, e);
}

static int load(struct tailed *t, struct tail *tail, const char *what, struct err *e)
{
    int64_t started_us = clock_monotonic_us();
    int rc = 0, count;
    while (!rc && !(tail_at_end(tail) && tail_is_live(tail)) && !worker_stopping()) {
        rc = tail_poll(tail, LOADING_WAIT_MS, LOADING_RECORDS, &count, e);
        worker_alive(t->env);
        worker_say(t->env, tail_waits(tail) ? codec_waiting(t->env->codec) : what);
    }
    LOG_INFO("table_read", LOG_TEXT("table", what), LOG_INT("records", tail_done(tail)),
             LOG_DOUBLE("seconds", (double)(clock_monotonic_us() - started_us) / 1e6));
    return rc;
}

/* A vector made of half the state would look like any other: it is waited for until the features
 * workers have written all of it again. */
static int await_whole(struct tailed *t, struct err *e)
{
    int64_t missing;
    int rc = 0, count;
    bool said = false;
    char text[256];
    while (!rc && (missing = mirror_shared_missing(t->mirror)) > 0 && !worker_stopping()) {
        snprintf(text, sizeof text,
                 "%.120s lacks %lld of its keys: it was emptied or made anew, restart the features "
                 "workers, which write it again",
                 t->shared, (long long)missing);
        if (!said)
            LOG_WARN("shared_state_not_whole", LOG_TEXT("meaning", text));
        said = true;
        worker_say(t->env, text);
        worker_alive(t->env);
        rc = tail_poll(t->state, LOADING_WAIT_MS, LOADING_RECORDS, &count, e);
    }
    return rc;
}

/* Versions that plans name are tried and loaded before the first request is answered. */
static int settle(struct tailed *t, struct err *e)
{
    int64_t until_us = clock_monotonic_us() + SETTLING_LIMIT_MS * (int64_t)1000;
    int rc = serving_turn(t->serving, e);
    while (!rc && !serving_is_settled(t->serving) && !worker_stopping() &&
           clock_monotonic_us() < until_us) {
        worker_alive(t->env);
        worker_say(t->env, "loading models");
        clock_sleep_ms(1);
        rc = serving_turn(t->serving, e);
    }
    return rc;
}

int tailed_open(struct tailed **out, struct worker_env *env, struct mirror *mirror,
                struct serving *serving, struct err *e)
{
    struct tailed *t = calloc(1, sizeof *t);
    if (!t)
        return err_nomem(e);
    *t = (struct tailed){
        .env = env,
        .mirror = mirror,
        .serving = serving,
        .users = conf_topic(env->conf, "users"),
        .propositions = conf_topic(env->conf, "propositions"),
        .shared = conf_topic(env->conf, "state.shared"),
        .totals = conf_topic(env->conf, "feature.totals"),
        .models = conf_topic(env->conf, "models"),
    };
    int rc = open_attributes(t, e);
    if (!rc)
        rc = load(t, t->attributes, "attributes", e);
    if (!rc)
        rc = open_state(t, e);
    if (!rc)
        rc = load(t, t->state, "shared state and plans", e);
    if (!rc)
        rc = await_whole(t, e);
    if (!rc)
        rc = open_artifacts(t, e);
    if (!rc)
        rc = load(t, t->artifacts, "models", e);
    /* The connection that is asked by is made before the first request waits for it. */
    if (!rc && (rc = tail_catch_up(t->attributes, FIRST_CATCH_UP_MS, e)) == ERR_UNAVAILABLE)
        rc = 0;
    if (!rc)
        rc = settle(t, e);
    if (rc)
        tailed_free(t);
    else
        *out = t;
    return rc;
}

void tailed_free(struct tailed *t)
{
    if (!t)
        return;
    tail_free(t->attributes);
    tail_free(t->state);
    tail_free(t->artifacts);
    free(t);
}

static int drain(struct tail *tail, struct err *e)
{
    int rc, count;
    do {
        rc = tail_poll(tail, 0, BATCH_RECORDS, &count, e);
    } while (!rc && count == BATCH_RECORDS && !worker_stopping());
    return rc == ERR_UNAVAILABLE ? 0 : rc;
}

/* Parts that came before the plan that wants them and were too many to be kept, or of a version
 * that could not be tried. */
static int read_again(struct tailed *t, struct err *e)
{
    int64_t now_us = clock_monotonic_us();
    if (now_us - t->reread_us < REREAD_INTERVAL_US)
        return 0;
    t->reread_us = now_us;
    serving_reread(t->serving);
    tail_free(t->artifacts);
    t->artifacts = NULL;
    int rc = open_artifacts(t, e);
    if (rc == ERR_UNAVAILABLE) {
        tail_free(t->artifacts);
        t->artifacts = NULL;
        rc = 0;
    }
    return rc;
}

int tailed_poll(struct tailed *t, struct err *e)
{
    int rc = drain(t->attributes, e);
    if (!rc)
        rc = drain(t->state, e);
    if (!rc && (!t->artifacts || serving_lost(t->serving)))
        rc = read_again(t, e);
    if (!rc && t->artifacts)
        rc = drain(t->artifacts, e);
    return rc ? rc : serving_turn(t->serving, e);
}

int tailed_catch_up(struct tailed *t, bool must, bool *is_stale, struct err *e)
{
    int64_t now_us = clock_monotonic_us();
    *is_stale = tailed_wait(t);
    if (!must && now_us - t->caught_up_us < CATCH_UP_INTERVAL_MS * 1000)
        return 0;
    int rc = tail_catch_up(t->attributes, CATCH_UP_MS, e);
    t->caught_up_us = clock_monotonic_us();
    *is_stale = rc == ERR_UNAVAILABLE || tailed_wait(t);
    return rc == ERR_UNAVAILABLE ? 0 : rc;
}

bool tailed_wait(const struct tailed *t)
{
    return tail_waits(t->attributes) || tail_waits(t->state) ||
           (t->artifacts && tail_waits(t->artifacts));
}

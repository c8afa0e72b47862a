#include "features/tables.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "stream/tail.h"

#include <stdlib.h>

enum { BATCH_RECORDS = 2000, LOADING_WAIT_MS = 100, CATCH_UP_MS = 2000, REGISTRY_WAIT_MS = 20 };

struct tables {
    struct worker_env *env;
    const struct conf *conf;
    struct features *features;
    struct tail *attributes; /* of users and propositions; NULL: nobody reads any */
    struct tail *totals;     /* NULL: nobody reads them */
};

/* A record that the schema registry has to be asked for comes again; meanwhile it may answer. */
static int ask(struct tables *t, int rc)
{
    if (rc == ERR_UNAVAILABLE)
        codec_turn(t->env->codec, REGISTRY_WAIT_MS);
    return rc;
}

static int on_attributes(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct tables *t = arg;
    struct input in = input_of(m);
    bool users = strcmp(in.topic, conf_topic(t->conf, "users")) == 0;
    return ask(t, features_entity(t->features, users ? SIDE_USER : SIDE_PROPOSITION, &in, e));
}

static int on_total(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct tables *t = arg;
    struct input in = input_of(m);
    return ask(t, features_total(t->features, &in, e));
}

static bool has_totals(const struct feature_set *set)
{
    for (size_t i = 0; i < set->scope_count; i++)
        if (set->scopes[i].is_total)
            return true;
    return false;
}

static int open_attributes(struct tables *t, struct worker_env *env, const struct feature_set *set,
                           struct err *e)
{
    bool users = set->attribute_count[SIDE_USER],
         propositions = set->attribute_count[SIDE_PROPOSITION];
    if (!users && !propositions)
        return 0;
    int rc = tail_new(&t->attributes, t->conf, env->client_id, on_attributes, t, e);
    if (!rc && users)
        rc = tail_add_topic(t->attributes, conf_topic(t->conf, "users"), e);
    if (!rc && propositions)
        rc = tail_add_topic(t->attributes, conf_topic(t->conf, "propositions"), e);
    return rc ? rc : tail_start(t->attributes, e);
}

static int open_totals(struct tables *t, struct worker_env *env, const struct feature_set *set,
                       struct err *e)
{
    if (!has_totals(set))
        return 0;
    int rc = tail_new(&t->totals, t->conf, env->client_id, on_total, t, e);
    if (!rc)
        rc = tail_add_topic(t->totals, conf_topic(t->conf, "feature.totals"), e);
    return rc ? rc : tail_start(t->totals, e);
}

static int load(struct tables *t, struct tail *tail, const char *what, struct err *e)
{
    int64_t started_us = clock_monotonic_us();
    int rc = 0, count;
    if (!tail)
        return 0;
    while (!rc && !tail_at_end(tail) && !worker_stopping()) {
        rc = tail_poll(tail, LOADING_WAIT_MS, BATCH_RECORDS, &count, e);
        worker_alive(t->env);
        worker_say(t->env, tail_waits(tail) ? codec_waiting(t->env->codec) : "reading attributes");
    }
    LOG_INFO("table_read", LOG_TEXT("table", what), LOG_INT("records", tail_done(tail)),
             LOG_DOUBLE("seconds", (double)(clock_monotonic_us() - started_us) / 1e6));
    return rc;
}

int tables_open(struct tables **out, struct worker_env *env, const struct feature_set *set,
                struct features *f, struct err *e)
{
    struct tables *t = calloc(1, sizeof *t);
    if (!t)
        return err_nomem(e);
    t->env = env;
    t->conf = env->conf;
    t->features = f;
    int rc = open_attributes(t, env, set, e);
    if (!rc)
        rc = open_totals(t, env, set, e);
    if (!rc)
        rc = load(t, t->attributes, "attributes", e);
    FAILPOINT("features.tables.attributes_read");
    if (!rc)
        rc = load(t, t->totals, "totals", e);
    FAILPOINT("features.tables.totals_read");
    if (rc)
        tables_free(t);
    else
        *out = t;
    return rc;
}

void tables_free(struct tables *t)
{
    if (!t)
        return;
    tail_free(t->attributes);
    tail_free(t->totals);
    free(t);
}

int tables_poll(struct tables *t, struct err *e)
{
    struct tail *tails[] = {t->attributes, t->totals};
    int rc = 0, count = 0;
    for (int i = 0; i < 2 && !rc; i++) {
        do {
            if (tails[i])
                rc = tail_poll(tails[i], 0, BATCH_RECORDS, &count, e);
        } while (!rc && tails[i] && count == BATCH_RECORDS);
    }
    return rc;
}

int tables_catch_up(struct tables *t, struct err *e)
{
    int rc = ERR_UNAVAILABLE;
    while (rc == ERR_UNAVAILABLE && !worker_stopping()) {
        rc = tail_catch_up(t->attributes, CATCH_UP_MS, e);
        worker_alive(t->env);
        if (rc == ERR_UNAVAILABLE && tail_waits(t->attributes))
            return rc;
        if (rc == ERR_UNAVAILABLE) {
            LOG_WARN("waiting_for_attributes", LOG_ERR(e));
            worker_say(t->env, e->msg);
        }
    }
    return rc;
}

bool tables_wait(const struct tables *t)
{
    return t->attributes && tail_waits(t->attributes);
}

bool tables_matter(const struct tables *t)
{
    return t->attributes;
}

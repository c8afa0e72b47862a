#include "stream/cluster.h"

#include "base/clock.h"
#include "base/log.h"
#include "stream/kafka.h"
#include "stream/refusal.h"
#include "stream/starved.h"

#include <stdio.h>
#include <string.h>

enum { ASK_TIMEOUT_MS = 1000, SLICE_MS = 50, SAY_AGAIN_US = 60 * 1000000 };

/* What was last said of a wait, so that the log has a line for each reason and not for each try. */
struct said {
    struct err why;
    int64_t at_us;
};

static int make_client(rd_kafka_t **out, const struct worker_env *env, struct err *e)
{
    rd_kafka_conf_t *k = NULL;
    int rc = kafka_conf_new(&k, env->conf, KAFKA_ADMIN, e);
    if (rc)
        return rc;
    if ((rc = kafka_conf_put(k, "client.id", env->client_id, e))) {
        rd_kafka_conf_destroy(k);
        return rc;
    }
    return kafka_new(out, k, KAFKA_ADMIN, e);
}

/* Any answer of a broker will do: it comes after TLS and login. */
static int ask(rd_kafka_t *rk, struct err *e)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, NULL, &md, ASK_TIMEOUT_MS);
    if (code)
        return kafka_err(e, code, "reach the cluster");
    rd_kafka_metadata_destroy(md);
    return 0;
}

static void say(struct worker_env *env, struct said *s, const struct err *why)
{
    char text[256];
    int64_t now_us = clock_monotonic_us();
    if (strcmp(why->msg, s->why.msg) == 0 && now_us - s->at_us < SAY_AGAIN_US)
        return;
    *s = (struct said){*why, now_us};
    LOG_WARN("kafka_away", LOG_TEXT("brokers", conf_text(env->conf, "kafka.brokers")),
             LOG_ERR(why));
    snprintf(text, sizeof text, "waiting for Kafka: %.230s", why->msg);
    worker_say(env, text);
}

int cluster_wait(struct worker_env *env, struct err *e)
{
    rd_kafka_t *rk = NULL;
    struct said said = {0};
    int rc = make_client(&rk, env, e);
    if (rc)
        return rc;
    while ((rc = ask(rk, e)) == ERR_UNAVAILABLE && !worker_stopping()) {
        if ((rc = starved_check(e)))
            break;
        say(env, &said, e);
        worker_alive(env);
        clock_sleep_ms(SLICE_MS);
    }
    rd_kafka_destroy(rk);
    if (!rc) {
        refusal_forget();
        worker_say(env, "");
    }
    return rc;
}

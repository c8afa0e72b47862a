/*
 * A client of a schema registry and the server that it talks to, for a test each; pauses end when
 * the test moves the clock.
 */
#pragma once

#include "registry_server.h"
#include "serde/registry.h"
#include "unit.h"

#include <ctype.h>

enum { TURNS = 10000, TURN_MS = 20 };

/* Pauses end when a test says so. */
static int64_t clock_us;

static inline int64_t read_clock(void)
{
    return clock_us;
}

struct fixture {
    struct registry_server server;
    struct conf *conf;
    struct metrics *metrics;
    struct registry *registry;
    char url[64];
};

/* As the environment gives it: secrets may not stand on a command line. */
static inline void set(struct fixture *f, const char *name, const char *value)
{
    char variable[512];
    char *environment[] = {variable, NULL};
    struct err e = {0};
    int n = snprintf(variable, sizeof variable, "FLOTILLA_SCHEMA_REGISTRY_%s=", name);
    for (char *c = variable + 9; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    snprintf(variable + n, sizeof variable - (size_t)n, "%s", value);
    if (conf_load_environment(f->conf, environment, &e))
        fail_msg("%s", e.msg);
}

static inline void set_up_server(struct fixture *f)
{
    pthread_mutex_init(&f->server.lock, NULL);
    server_start(&f->server);
    snprintf(f->url, sizeof f->url, "%s://127.0.0.1:%d", f->server.certificate ? "https" : "http",
             f->server.port);
    assert_int_equal(metrics_new(&f->metrics, NULL), 0);
    assert_int_equal(conf_new(&f->conf, NULL), 0);
    set(f, "timeout_ms", "600000"); /* A machine that is slow is no registry that is away. */
}

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    clock_us = 1000000000;
    set_up_server(f);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    registry_free(f->registry);
    conf_free(f->conf);
    metrics_free(f->metrics);
    server_free(&f->server);
    free(f);
    return 0;
}

static inline void connect_client(struct fixture *f)
{
    struct err e = {0};
    if (!*conf_text(f->conf, "schema_registry.url"))
        set(f, "url", f->url);
    if (registry_new(&f->registry, f->conf, f->metrics, &e))
        fail_msg("%s", e.msg);
    assert_non_null(f->registry);
    registry_set_clock(f->registry, read_clock);
}

/* Asks until there is something else to say than "later". */
static inline int look_up(struct fixture *f, uint32_t id, const struct schema **out, struct err *e)
{
    for (int i = 0; i < TURNS; i++) {
        int rc = registry_schema(f->registry, id, out, e);
        if (rc != ERR_UNAVAILABLE)
            return rc;
        registry_turn(f->registry, TURN_MS);
    }
    fail_msg("never answered: %s", registry_waiting(f->registry));
    return -1;
}

static inline int declare(struct fixture *f, const char *subject, const char *text, uint32_t *id,
                          struct err *e)
{
    for (int i = 0; i < TURNS; i++) {
        int rc = registry_register(f->registry, subject, str_of(text), id, e);
        if (rc != ERR_UNAVAILABLE)
            return rc;
        registry_turn(f->registry, TURN_MS);
    }
    fail_msg("never answered: %s", registry_waiting(f->registry));
    return -1;
}

/* Asks until it is said why there is no answer. */
static inline const char *wait_for_reason(struct fixture *f, uint32_t id)
{
    const struct schema *schema;
    for (int i = 0; i < TURNS && !*registry_waiting(f->registry); i++) {
        assert_int_equal(registry_schema(f->registry, id, &schema, NULL), ERR_UNAVAILABLE);
        registry_turn(f->registry, TURN_MS);
    }
    assert_int_equal(registry_schema(f->registry, id, &schema, NULL), ERR_UNAVAILABLE);
    return registry_waiting(f->registry);
}

/* Pauses are over, and questions are asked again until it answers. */
static inline int look_up_later(struct fixture *f, uint32_t id, const struct schema **out,
                                struct err *e)
{
    for (int i = 0; i < TURNS; i++) {
        int rc = registry_schema(f->registry, id, out, e);
        if (rc != ERR_UNAVAILABLE)
            return rc;
        clock_us += 10000000;
        registry_turn(f->registry, TURN_MS);
    }
    fail_msg("never answered: %s", registry_waiting(f->registry));
    return -1;
}

static inline double requests(struct fixture *f, const char *outcome)
{
    return metric_value(metric_get(f->metrics, METRIC_COUNTER, "flotilla_registry_requests_total",
                                   "Requests to the schema registry, by how they ended", "outcome",
                                   outcome));
}

#define RECORD_R                                                                                   \
    "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"a.R\\\",\\\"fields\\\":[{"        \
    "\\\"name\\\":\\\"x\\\",\\\"type\\\":\\\"int\\\"}]}\"}"

static inline void assert_is_record_r(const struct schema *s)
{
    assert_int_equal(schema_root(s)->type, SCHEMA_RECORD);
    assert_true(str_is(schema_root(s)->name, "a.R"));
}

#define SCHEMA_WITH(name, field, type, references)                                                 \
    "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"" name                            \
    "\\\",\\\"fields\\\":[{\\\"name\\\":\\\"" field "\\\",\\\"type\\\":\\\"" type                  \
    "\\\"}]}\",\"references\":[" references "]}"
#define REFERENCE(subject, version)                                                                \
    "{\"name\":\"n\",\"subject\":\"" subject "\",\"version\":" #version "}"

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

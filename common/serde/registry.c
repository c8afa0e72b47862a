#include "serde/registry.h"

#include "base/clock.h"
#include "base/file.h"
#include "serde/registry_asking.h"

#include <stdio.h>
#include <stdlib.h>

enum { PEM_MAX_BYTES = 1024 * 1024 };

struct registry {
    struct asking asking;
    struct metric *waits;
    char waiting[640];
};

/* ------------------------------------------------------------------ making one */

static int check_file(const struct conf *conf, const char *name, struct err *e)
{
    const char *path = conf_text(conf, name);
    struct buf b = {0};
    if (!*path)
        return 0;
    int rc = file_read(&b, path, PEM_MAX_BYTES, e);
    if (!rc && !memmem(b.data, b.len, "-----BEGIN", 10))
        rc = err_set(e, ERR_INVALID, "%s is no PEM file", path);
    if (!rc && memmem(b.data, b.len, "ENCRYPTED", 9))
        rc = err_set(e, ERR_INVALID, "the key in %s is locked with a password: unlock it", path);
    buf_free(&b);
    if (!rc || rc == ERR_NOMEM)
        return rc;
    err_wrap(e, "%s", name);
    if (e)
        e->code = ERR_INVALID;
    return ERR_INVALID;
}

static int connect_to(struct registry *r, const struct conf *conf, struct err *e)
{
    struct http_client_options options = {
        .ca_file = conf_text(conf, "schema_registry.ca_file"),
        .certificate_file = conf_text(conf, "schema_registry.certificate_file"),
        .key_file = conf_text(conf, "schema_registry.key_file"),
        .timeout_ms = conf_int(conf, "schema_registry.timeout_ms"),
        .max_answer_bytes = REGISTRY_ANSWER_MAX_BYTES,
        .max_connections = ASKING_MAX,
    };
    int rc = check_file(conf, "schema_registry.ca_file", e);
    if (!rc)
        rc = check_file(conf, "schema_registry.certificate_file", e);
    if (!rc)
        rc = check_file(conf, "schema_registry.key_file", e);
    if (!rc)
        rc = servers_new(&r->asking.servers, conf_text(conf, "schema_registry.url"),
                         conf_text(conf, "schema_registry.user"),
                         conf_text(conf, "schema_registry.password"), e);
    return rc ? rc : http_client_new(&r->asking.http, &options, e);
}

static struct metric *outcome_metric(struct metrics *m, const char *outcome)
{
    return metric_get(m, METRIC_COUNTER, "flotilla_registry_requests_total",
                      "Requests to the schema registry, by how they ended", "outcome", outcome);
}

static void make_metrics(struct registry *r, struct metrics *m)
{
    r->asking.answered = outcome_metric(m, "answered");
    r->asking.not_found = outcome_metric(m, "not_found");
    r->asking.refused = outcome_metric(m, "refused");
    r->asking.failed = outcome_metric(m, "failed");
    r->asking.known = metric_get(m, METRIC_GAUGE, "flotilla_registry_schemas",
                                 "Schemas of the registry that are kept", NULL, NULL);
    r->waits =
        metric_get(m, METRIC_GAUGE, "flotilla_registry_waiting",
                   "1 while something cannot be looked up in the schema registry", NULL, NULL);
}

int registry_new(struct registry **out, const struct conf *conf, struct metrics *m, struct err *e)
{
    *out = NULL;
    if (!*conf_text(conf, "schema_registry.url"))
        return 0;
    struct registry *r = calloc(1, sizeof *r);
    int rc = r && (r->asking.questions = questions_new()) ? connect_to(r, conf, e) : err_nomem(e);
    if (rc) {
        registry_free(r);
        return rc;
    }
    r->asking.registers = conf_int(conf, "schema_registry.register");
    r->asking.now_us = clock_monotonic_us;
    if (m)
        make_metrics(r, m);
    *out = r;
    return 0;
}

void registry_free(struct registry *r)
{
    if (!r)
        return;
    http_client_free(r->asking.http); /* first: what is under way belongs to a question */
    questions_free(r->asking.questions);
    servers_free(r->asking.servers);
    free(r);
}

void registry_on_evict(struct registry *r, bool (*evict)(void *arg, uint32_t id), void *arg)
{
    r->asking.evict = evict;
    r->asking.evict_arg = arg;
}

void registry_set_clock(struct registry *r, int64_t (*now_us)(void))
{
    r->asking.now_us = now_us;
}

/* What is known of a question, for the one who asks it. */
static int tell(struct registry *r, struct question *x, struct err *e)
{
    if (!x)
        return err_set(e, ERR_UNAVAILABLE, "the schema registry has too many questions to answer");
    if (x->state == QUESTION_ANSWERED) {
        questions_move(r->asking.questions, x, QUESTION_ANSWERED); /* to the newer end */
        return 0;
    }
    if (x->state == QUESTION_REFUSED && (!x->told || asking_now_ms(&r->asking) < x->again_ms)) {
        x->told = true;
        return err_set(e, x->code, "%s", x->why ? x->why : "the schema registry says no");
    }
    if (x->state == QUESTION_REFUSED)
        questions_move(r->asking.questions, x, QUESTION_OPEN);
    return err_set(e, ERR_UNAVAILABLE, "%s",
                   x->failures && x->why ? x->why : "the schema registry is being asked");
}

int registry_schema(struct registry *r, uint32_t id, const struct schema **out, struct err *e)
{
    struct question *x = NULL;
    int rc = id > INT32_MAX ? err_set(e, ERR_NOT_FOUND, "no schema registry gives such an id")
                            : questions_find(r->asking.questions, &x, id, NULL, (struct str){0}, e);
    if (!rc)
        rc = tell(r, x, e);
    if (!rc)
        *out = x->schema;
    return rc;
}

int registry_register(struct registry *r, const char *subject, struct str text, uint32_t *id,
                      struct err *e)
{
    struct question *x = NULL;
    int rc = questions_find(r->asking.questions, &x, 0, subject, text, e);
    if (!rc)
        rc = tell(r, x, e);
    if (rc)
        err_wrap(e, "subject %.100s", subject);
    else
        *id = x->id;
    return rc;
}

/* ------------------------------------------------------------------ turning */

static void say_what_waits(struct registry *r)
{
    const struct question *x = questions_in(r->asking.questions, QUESTION_ASKED)->oldest;
    size_t others = questions_in(r->asking.questions, QUESTION_ASKED)->count +
                    questions_in(r->asking.questions, QUESTION_OPEN)->count;
    while (x && !x->failures)
        x = x->newer;
    if (!x)
        x = questions_in(r->asking.questions, QUESTION_OPEN)->oldest;
    while (x && !x->failures)
        x = x->newer;
    if (r->waits)
        metric_set(r->waits, x ? 1 : 0);
    r->waiting[0] = 0;
    if (!x)
        return;
    const char *why = x->why ? x->why : "the schema registry does not answer";
    char more[48] = "";
    if (others > 1)
        snprintf(more, sizeof more, ", and %zu more", others - 1);
    if (x->subject)
        snprintf(r->waiting, sizeof r->waiting, "%s; the id of subject %.60s is waited for%s", why,
                 x->subject, more);
    else
        snprintf(r->waiting, sizeof r->waiting, "%s; schema id %u is waited for%s", why,
                 (unsigned)x->id, more);
}

void registry_turn(struct registry *r, int wait_ms)
{
    const struct question_list *asked = questions_in(r->asking.questions, QUESTION_ASKED);
    int64_t until_us = clock_monotonic_us() + (int64_t)wait_ms * 1000;
    size_t finished = r->asking.finished;
    for (;;) {
        int64_t due = asking_start(&r->asking);
        if (!asked->count && due == INT64_MAX)
            break; /* Nobody wants to know anything. */
        int64_t left = (until_us - clock_monotonic_us() + 999) / 1000;
        int64_t wait = left > 0 ? left : 0;
        if (!asked->count && due < wait)
            wait = due;
        http_client_turn(r->asking.http, (int)wait);
        if (r->asking.finished != finished || left <= 0)
            break;
    }
    asking_start(&r->asking); /* so that the registry has something to do until the next turn */
    say_what_waits(r);
}

const char *registry_waiting(const struct registry *r)
{
    return r->waiting;
}

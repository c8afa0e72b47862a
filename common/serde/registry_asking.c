#include "serde/registry_asking.h"

#include "serde/registry.h"
#include "serde/registry_rest.h"

#include <stdlib.h>

enum {
    LEAST_REFUSED_MS = 1000, /* a refusal is remembered so long at first */
    MOST_REFUSED_MS = 60000,
    LEAST_PAUSE_MS = 100, /* of a question that fails although others do not */
    MOST_PAUSE_MS = 10000,
};

static const char content_type[] = "application/vnd.schemaregistry.v1+json";

int64_t asking_now_ms(const struct asking *a)
{
    return a->now_us() / 1000;
}

/* ------------------------------------------------------------------ filing */

/* One more; nobody may want to know. */
static void count(struct metric *m)
{
    if (m)
        metric_add(m, 1);
}

static int64_t longer(int64_t pause_ms, int64_t least_ms, int64_t most_ms)
{
    return pause_ms < least_ms ? least_ms : pause_ms > most_ms / 2 ? most_ms : 2 * pause_ms;
}

static void keep_why(struct question *x, const struct err *e)
{
    free(x->why);
    x->why = strdup(e->msg); /* Without memory there is a shorter sentence. */
}

/* A question is over. */
static void close_question(struct asking *a, struct question *x, enum question_state state)
{
    references_free(x->references);
    x->references = NULL;
    x->failures = 0;
    x->pause_ms = 0;
    x->told = false;
    a->finished++;
    questions_move(a->questions, x, state);
}

static void refuse(struct asking *a, struct question *x, int code, const struct err *e)
{
    keep_why(x, e);
    x->code = code;
    x->refused_ms = longer(x->refused_ms, LEAST_REFUSED_MS, MOST_REFUSED_MS);
    x->again_ms = asking_now_ms(a) + x->refused_ms;
    /* An id is never given to another schema: one that is of no use will never be. */
    if (code == ERR_SCHEMA)
        x->again_ms = INT64_MAX;
    close_question(a, x, QUESTION_REFUSED);
}

/* Room for one more of so many bytes: those that were not asked for in the longest time go. */
static bool make_room(struct asking *a, size_t bytes)
{
    const struct question_list *known = questions_in(a->questions, QUESTION_ANSWERED);
    for (size_t offers = known->count; known->count >= REGISTRY_MAX_SCHEMAS ||
                                       questions_bytes(a->questions) + bytes > REGISTRY_MAX_BYTES;
         offers--) {
        struct question *x = known->oldest;
        if (!x || !offers)
            return false;
        if (x->schema && !(a->evict && a->evict(a->evict_arg, x->id))) {
            questions_move(a->questions, x, QUESTION_ANSWERED);
            continue;
        }
        a->schemas -= x->schema ? 1 : 0;
        questions_forget(a->questions, x);
    }
    return true;
}

static void answer(struct asking *a, struct question *x, size_t bytes)
{
    struct err e;
    if (!make_room(a, bytes)) {
        schema_free(x->schema);
        x->schema = NULL;
        err_set(&e, ERR_SCHEMA, "%zu other schemas are in use, and there is no room for more",
                a->schemas);
        refuse(a, x, ERR_SCHEMA, &e);
        x->again_ms = asking_now_ms(a) + x->refused_ms; /* It may be of use some day. */
        return;
    }
    x->bytes = bytes;
    a->schemas += x->schema ? 1 : 0;
    if (a->known)
        metric_set(a->known, (double)a->schemas);
    close_question(a, x, QUESTION_ANSWERED);
}

/* ------------------------------------------------------------------ asking */

/* What is to be asked next for a question. */
static struct registry_request request_for(const struct asking *a, const struct question *x)
{
    if (x->subject)
        return (struct registry_request){.verb =
                                             a->registers ? REGISTRY_REGISTER : REGISTRY_LOOK_UP,
                                         .subject = str_of(x->subject),
                                         .text = x->text};
    const struct registry_reference *to = x->references ? references_next(x->references) : NULL;
    if (to)
        return (struct registry_request){
            .verb = REGISTRY_REFERENCE, .subject = to->subject, .version = to->version};
    return (struct registry_request){.verb = REGISTRY_SCHEMA, .id = x->id};
}

/* Not this time: it goes to the back of the line, so that it holds up no other. When it fails more
 * often than there are servers it waits for longer, even where others are answered. */
static void put_off(struct asking *a, struct question *x, const struct err *e)
{
    keep_why(x, e);
    x->failures++;
    x->again_ms = 0;
    if (x->failures > servers_count(a->servers)) {
        x->pause_ms = longer(x->pause_ms, LEAST_PAUSE_MS, MOST_PAUSE_MS);
        x->again_ms = asking_now_ms(a) + servers_jitter(a->servers, x->pause_ms);
    }
    questions_move(a->questions, x, QUESTION_OPEN);
}

static void fail(struct asking *a, struct question *x, const struct err *e)
{
    count(a->failed);
    if (e->code != ERR_NOMEM)
        servers_failed(a->servers, x->epoch, asking_now_ms(a), e->msg);
    put_off(a, x, e);
}

/* All texts of a schema are there. */
static void parse(struct asking *a, struct question *x)
{
    const struct str *texts = NULL;
    size_t count = 0, bytes = references_bytes(x->references);
    struct err e = {0};
    int rc = references_order(x->references, &texts, &count, &e);
    if (!rc)
        rc = schema_parse(&x->schema, texts, count, &e);
    if (!rc) {
        answer(a, x, bytes);
    } else if (rc == ERR_NOMEM) {
        references_free(x->references);
        x->references = NULL;
        put_off(a, x, &e);
    } else {
        refuse(a, x, ERR_SCHEMA, &e);
    }
}

static void ask(struct asking *a, struct question *x);

/* The next text of a schema has come. */
static int take_text(struct asking *a, struct question *x, struct str body, struct err *e)
{
    if (!x->references && !(x->references = references_new()))
        return err_nomem(e);
    int rc = references_add(x->references, body, e);
    if (rc) {
        references_free(x->references);
        x->references = NULL;
    } else if (references_next(x->references)) {
        ask(a, x);
    } else {
        parse(a, x);
    }
    return rc;
}

static int take_id(struct asking *a, struct question *x, struct str body, struct err *e)
{
    int rc = registry_answer_id(&x->id, body, e);
    if (!rc)
        answer(a, x, x->text.len);
    return rc;
}

/* What is no answer of a registry is no answer; what is one, but of no use, is a refusal. */
static void take(struct asking *a, struct question *x, struct str body, const char *url)
{
    struct err e = {0};
    int rc = x->subject ? take_id(a, x, body, &e) : take_text(a, x, body, &e);
    if (!rc || rc == ERR_SCHEMA || rc == ERR_TOO_LARGE) {
        count(a->answered);
        servers_succeeded(a->servers);
    }
    if (!rc)
        return;
    if (rc == ERR_SCHEMA || rc == ERR_TOO_LARGE) {
        refuse(a, x, x->subject ? ERR_INVALID : ERR_SCHEMA, &e);
        return;
    }
    if (rc == ERR_CORRUPT)
        err_wrap(&e, "%s gives no answer of a schema registry: check schema_registry.url", url);
    fail(a, x, &e);
}

static void take_refusal(struct asking *a, struct question *x,
                         const struct registry_request *request, struct err *e)
{
    servers_succeeded(a->servers);
    count(e->code == ERR_NOT_FOUND ? a->not_found : a->refused);
    if (request->verb == REGISTRY_REFERENCE)
        err_wrap(e, "the schema refers to subject %.*s version %d",
                 (int)(request->subject.len < 100 ? request->subject.len : 100),
                 request->subject.data, (int)request->version);
    refuse(a, x, e->code, e);
}

static void on_end(void *arg, int status, struct str body, const struct err *why)
{
    struct question *x = arg;
    struct asking *a = x->owner;
    struct registry_request request = request_for(a, x);
    struct err e = *why;
    const char *url = x->asked->url;
    if (status) {
        int rc = registry_request_end(&request, status, body, url, &e);
        if (!rc)
            take(a, x, body, url);
        else if (rc == ERR_UNAVAILABLE)
            fail(a, x, &e);
        else
            take_refusal(a, x, &request, &e);
    } else if (why->code == ERR_TOO_LARGE && !x->subject) {
        servers_succeeded(a->servers);
        count(a->refused);
        refuse(a, x, ERR_SCHEMA, &e);
    } else {
        err_wrap(&e, "the schema registry %s cannot be reached", url);
        fail(a, x, &e);
    }
}

static void ask(struct asking *a, struct question *x)
{
    struct registry_request request = request_for(a, x);
    struct buf url = {0}, body = {0};
    struct err e = {0};
    x->owner = a;
    x->asked = servers_current(a->servers);
    x->epoch = servers_epoch(a->servers);
    registry_request_url(&url, &request, x->asked->url);
    buf_put_u8(&url, 0);
    registry_request_body(&body, &request);
    int rc = !buf_ok(&url) || !buf_ok(&body) ? err_nomem(&e) : 0;
    struct http_request http = {.url = (const char *)url.data,
                                .user = x->asked->user,
                                .password = x->asked->password,
                                .accept = content_type,
                                .content_type = content_type,
                                .body = buf_str(&body)};
    questions_move(a->questions, x, QUESTION_ASKED);
    if (!rc)
        rc = http_client_send(a->http, &http, on_end, x, &e);
    buf_free(&url);
    buf_free(&body);
    if (rc)
        fail(a, x, &e);
}

int64_t asking_start(struct asking *a)
{
    const struct question_list *asked = questions_in(a->questions, QUESTION_ASKED);
    for (;;) {
        int64_t now = asking_now_ms(a), pause = servers_pause_ms(a->servers, now), due;
        struct question *x = questions_due(a->questions, now, &due);
        if (!x)
            return due == INT64_MAX ? due : due - now;
        if (pause || asked->count >= (servers_are_away(a->servers) ? 1 : ASKING_MAX))
            return pause;
        ask(a, x);
    }
}

#include "serde/registry_rest.h"

#include "base/json.h"

#include <ctype.h>

/* A part of a path: everything but what RFC 3986 calls unreserved is escaped. */
static void put_escaped(struct buf *out, struct str part)
{
    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.data[i];
        if (c < 0x80 && (isalnum(c) || strchr("-._~", c)))
            buf_put_u8(out, c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

void registry_request_url(struct buf *out, const struct registry_request *q, const char *url)
{
    buf_put_text(out, url);
    if (q->verb == REGISTRY_SCHEMA) {
        buf_printf(out, "/schemas/ids/%u", (unsigned)q->id);
        return;
    }
    buf_put_text(out, "/subjects/");
    put_escaped(out, q->subject);
    if (q->verb == REGISTRY_LOOK_UP)
        return;
    buf_put_text(out, "/versions");
    if (q->verb == REGISTRY_REGISTER)
        return;
    /* What others refer to may be deleted for everybody else. */
    if (q->version == -1)
        buf_put_text(out, "/latest?deleted=true");
    else
        buf_printf(out, "/%d?deleted=true", (int)q->version);
}

void registry_request_body(struct buf *out, const struct registry_request *q)
{
    if (q->verb != REGISTRY_REGISTER && q->verb != REGISTRY_LOOK_UP)
        return;
    buf_put_text(out, "{\"schema\":");
    json_put_text(out, q->text);
    buf_put_u8(out, '}');
}

/* Error codes of the registry: subject, version and schema that are not there. */
static bool is_not_found(const struct registry_refusal *said)
{
    return said->code >= 40401 && said->code <= 40403;
}

static int not_found(enum registry_verb verb, const struct registry_refusal *said, struct err *e)
{
    if (verb == REGISTRY_LOOK_UP)
        return err_set(e, ERR_INVALID,
                       "the schema is not registered (%s), and schema_registry.register is 0",
                       said->message);
    if (verb == REGISTRY_REGISTER)
        return err_set(e, ERR_INVALID, "%s", said->message);
    return err_set(e, ERR_NOT_FOUND, "the schema registry does not have it: %s", said->message);
}

static int unavailable(int status, const struct registry_refusal *said, const char *url,
                       struct err *e)
{
    const char *colon = *said->message ? ": " : "";
    if (status == 401)
        return err_set(e, ERR_UNAVAILABLE,
                       "the schema registry %s does not know us (401): check schema_registry.user "
                       "and schema_registry.password",
                       url);
    if (status == 403)
        return err_set(e, ERR_UNAVAILABLE,
                       "the schema registry %s does not let us (403)%s%s: check the rights of "
                       "schema_registry.user",
                       url, colon, said->message);
    if (status == 429)
        return err_set(e, ERR_UNAVAILABLE,
                       "the schema registry %s is asked too much (429)%s%s: it is asked less often",
                       url, colon, said->message);
    if (status >= 500)
        return err_set(e, ERR_UNAVAILABLE, "the schema registry %s fails (%d)%s%s", url, status,
                       colon, said->message);
    if (status >= 300 && status < 400)
        return err_set(e, ERR_UNAVAILABLE,
                       "%s answers with a redirect (%d), which is not followed: set "
                       "schema_registry.url to where the registry is",
                       url, status);
    return err_set(e, ERR_UNAVAILABLE,
                   "%s answers %d%s%s, as no schema registry would: check schema_registry.url", url,
                   status, colon, said->message);
}

int registry_request_end(const struct registry_request *q, int status, struct str body,
                         const char *url, struct err *e)
{
    bool writes = q->verb == REGISTRY_REGISTER || q->verb == REGISTRY_LOOK_UP;
    struct registry_refusal said;
    if (status == 200)
        return 0;
    registry_answer_refusal(&said, body);
    if (status == 404 && is_not_found(&said))
        return not_found(q->verb, &said, e);
    /* 409: incompatible; 422: not valid, or the subject cannot be written. */
    if (writes && (status == 409 || status == 422) && said.code)
        return err_set(e, ERR_INVALID, "the schema registry refuses it: %s", said.message);
    return unavailable(status, &said, url, e);
}

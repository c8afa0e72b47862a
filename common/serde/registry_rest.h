/*
 * The REST API of a schema registry: how requests look, and what it means how they end.
 *
 * Pure: no I/O, no state, any thread.
 */
#pragma once

#include "base/buf.h"
#include "serde/registry_answer.h"

enum registry_verb {
    REGISTRY_SCHEMA,    /* GET /schemas/ids/{id} */
    REGISTRY_REFERENCE, /* GET /subjects/{subject}/versions/{version} */
    REGISTRY_REGISTER,  /* POST /subjects/{subject}/versions */
    REGISTRY_LOOK_UP,   /* POST /subjects/{subject} */
};

struct registry_request {
    enum registry_verb verb;
    uint32_t id;
    struct str subject;
    int32_t version; /* -1: the latest */
    struct str text; /* of the schema to be registered or looked up */
};

/* Appends the URL, below that of the registry, and the body (none for a GET). Nothing but memory
 * (buf_ok) can fail. */
void registry_request_url(struct buf *out, const struct registry_request *q, const char *url);
void registry_request_body(struct buf *out, const struct registry_request *q);

/*
 * What a status other than 0 means, with the answer's body and the URL of the registry (without
 * user and password). 0: the body is an answer to be read. Fails with ERR_NOT_FOUND (the registry
 * does not have it), ERR_INVALID (it refuses to register it, or does not have what should have been
 * registered: its own words), ERR_UNAVAILABLE (everything else: it cannot, it is no registry, or
 * does not let us; names the URL and what to do).
 */
int registry_request_end(const struct registry_request *q, int status, struct str body,
                         const char *url, struct err *e);

/*
 * What a schema registry answers, read from the bodies of its answers.
 *
 * Pure: no I/O, no state, any thread. Bodies may be any bytes at all; what is not asked for in them
 * is skipped. Memory is bounded by a small multiple of the body, which is looked at before it is
 * parsed.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include <stdint.h>

enum {
    REGISTRY_ANSWER_MAX_BYTES = 4 * 1024 * 1024, /* a schema of the largest size, escaped */
    REGISTRY_ANSWER_MAX_VALUES = 10000,          /* JSON values in an answer */
    REGISTRY_ANSWER_MAX_REFERENCES = 64,
};

/* A schema that another one refers to. */
struct registry_reference {
    struct str subject; /* not empty */
    int32_t version;    /* from 1; -1: the latest */
};

struct registry_answer {
    struct str type; /* AVRO, JSON, PROTOBUF, ... */
    struct str text; /* the schema */
    struct registry_reference *references;
    size_t reference_count;
};

/* What a registry says when it refuses. */
struct registry_refusal {
    int code;          /* its error_code: 40403, ...; 0: the body is no error of a registry */
    char message[256]; /* on one line, cut; "" if it says nothing */
};

/*
 * The schema in the answer to GET /schemas/ids/{id} or GET /subjects/{subject}/versions/{version}.
 * Everything lives in the arena. Fails with ERR_CORRUPT (no such answer: says why), ERR_TOO_LARGE
 * (over a limit above), ERR_NOMEM.
 */
int registry_answer_schema(struct registry_answer *out, struct str body, struct arena *a,
                           struct err *e);

/* The id in the answer to POST /subjects/{subject} or POST /subjects/{subject}/versions. Fails as
 * above. */
int registry_answer_id(uint32_t *id, struct str body, struct err *e);

/* The error in an answer with a status from 400. Cannot fail. */
void registry_answer_refusal(struct registry_refusal *out, struct str body);

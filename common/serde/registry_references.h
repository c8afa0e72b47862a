/*
 * A schema of a registry with everything that it refers to: what is still to be fetched, and in
 * which order the texts are to be parsed.
 *
 * Each subject and version is fetched once, however often it is referred to. One thread, no I/O.
 */
#pragma once

#include "serde/registry_answer.h"

enum {
    REFERENCES_MAX_COUNT = 64,
    REFERENCES_MAX_DEPTH = 16,              /* of schemas that refer to schemas */
    REFERENCES_MAX_BYTES = 4 * 1024 * 1024, /* of all texts together */
};

struct references;

/* NULL if memory could not be had. */
struct references *references_new(void);
void references_free(struct references *r); /* NULL is fine */

/*
 * The body of the next answer: first that of the schema itself, then that of references_next().
 * Copied. Fails with ERR_SCHEMA (not Avro: names the type; too many references), ERR_TOO_LARGE,
 * ERR_CORRUPT (no such answer), ERR_NOMEM; nothing more can be added after that.
 */
int references_add(struct references *r, struct str body, struct err *e);

/* What is to be fetched next; NULL: nothing is missing. Belongs to r. */
const struct registry_reference *references_next(const struct references *r);

/*
 * All texts, each behind those that it refers to and the schema itself last: as schema_parse()
 * wants them. They belong to r. Fails with ERR_SCHEMA (they refer to each other in a circle, or
 * too deep), ERR_NOMEM.
 */
int references_order(struct references *r, const struct str **texts, size_t *count, struct err *e);

/* Bytes of all texts. */
size_t references_bytes(const struct references *r);

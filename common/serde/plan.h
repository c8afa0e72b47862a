/*
 * Plans: how bytes that were written with one schema become the structure of another (the rules of
 * schema resolution of Avro 1.11), compiled once and then followed for every record.
 *
 * Resolved are promotions of numbers, text and bytes; fields that were added (with defaults of
 * every type), removed, moved or renamed (aliases of the reader); enums with a default; fixed;
 * unions on either side; recursive types. Where the reader's schema is a union and the writer's is
 * not, or the writer's branch is known, the reader's first branch that matches is taken. Names of
 * records, enums and fixed match without their namespaces, or by an alias of the reader.
 *
 * What does not resolve is no error of the plan but of the records that need it: a branch of a
 * union that cannot be read harms nobody as long as it is not written.
 *
 * A plan is constant: any thread. It borrows both schemas.
 */
#pragma once

#include "base/arena.h"
#include "serde/schema.h"

/* No value may go over these, whatever its schema says; memory is taken only after looking. */
enum {
    VALUE_MAX_BYTES = 16 * 1024 * 1024,   /* encoded, in binary or in JSON */
    VALUE_MAX_MEMORY = 128 * 1024 * 1024, /* in memory, behind its structure */
    VALUE_MAX_ITEMS = 4 * 1024 * 1024,    /* in all its arrays and maps together */
    VALUE_MAX_DEPTH = 100,                /* of arrays, maps and records inside each other */
};

struct plan;

/* Fails with ERR_TOO_LARGE (schemas that need more steps than any real ones), ERR_NOMEM. */
int plan_new(struct plan **out, const struct schema_node *writer, const struct schema_node *reader,
             struct err *e);
void plan_free(struct plan *p); /* NULL is fine */

/* Why some values of the writer's cannot be read: the first reason found, with its field; NULL
 * where every one can. Belongs to the plan. */
const char *plan_refusal(const struct plan *p);

/*
 * Decodes one value, all of `bytes` from the byte `from` on, into a structure of the reader's.
 * Texts borrow from bytes, defaults from the plan and the reader's schema, everything else is in
 * the arena. Fails with ERR_CORRUPT (the bytes are no such value: says field and byte), ERR_SCHEMA
 * (they are, but the reader cannot have it: says field, byte and why), ERR_TOO_LARGE (a limit
 * above), ERR_NOMEM.
 */
int plan_decode(const struct plan *p, void *out, struct str bytes, size_t from, struct arena *a,
                struct err *e);

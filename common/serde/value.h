/*
 * Values in the structures that schema.h lays out: encoded, read from JSON and
 * printed.
 *
 * Any thread.
 */
#pragma once

#include "base/arena.h"
#include "serde/plan.h"
#include "serde/schema.h"

/* Appends the Avro binary encoding. Nothing but memory (buf_ok) can fail. */
void value_encode(struct buf *out, const struct schema_node *n, const void *value);

/* Which branch a union took, and where its value is (of null: anywhere). */
void value_branch(const struct schema_node *n, const void *value, size_t *branch,
                  const void **inner);

/*
 * Reads a value from JSON, straight into its structure. A union is written as its value, or as
 * Avro's JSON encoding has it, {"type": value}; bytes as a character of U+0000 to U+00FF each; a
 * missing number (NaN) as null. Of a record, fields that are not there have their defaults, others
 * are skipped. Texts without escapes borrow from json. The limits are those of plan.h. Fails with
 * ERR_CORRUPT (not JSON: says the byte), ERR_SCHEMA (the schema does not allow it: says field and
 * byte), ERR_TOO_LARGE, ERR_NOMEM.
 */
int value_read_json(void *out, const struct schema_node *n, struct str json, struct arena *a,
                    struct err *e);

/* Appends a value as JSON on one line: unions as their value, numbers as RFC 8785 writes them (-0
 * is 0), NaN and infinities as null. */
void value_print_json(struct buf *out, const struct schema_node *n, const void *value);

/*
 * Names in schemas ("Names" of the Avro 1.11 specification), the namespaces before them, and the
 * words for types.
 *
 * Any thread, no state.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "serde/schema.h"

enum { SCHEMA_NAME_MAX_BYTES = 1024 };

/* Letters, digits and underscores, not a digit first; with dots between such words where it may be
 * qualified. */
bool schema_name_is(struct str s, bool qualified);

/* A copy in the arena, 0 behind it; what: whose name it is, for messages. Fails with ERR_SCHEMA (it
 * is no name), ERR_NOMEM. */
int schema_name_copy(struct arena *a, struct str *out, struct str name, bool qualified,
                     const char *what, struct err *e);

/* Puts the namespace before a name in the arena, unless it has one or the namespace is empty. Fails
 * with ERR_NOMEM. */
int schema_name_qualify(struct arena *a, struct str *name, struct str space, struct err *e);

/* The namespace of a full name, borrowed; empty if it has none. */
struct str schema_name_space(struct str full_name);

/* What is behind it. */
struct str schema_name_last(struct str full_name);

/* "string", "array", "record": as schemas write it. Primitive types come first. */
const char *schema_type_word(enum schema_type type);

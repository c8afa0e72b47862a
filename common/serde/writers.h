/*
 * Schemas that records may have been written with, by their fingerprints: those in `schemas/`,
 * earlier versions included, and those that an operator puts into a directory.
 *
 * Constant once made: any thread.
 */
#pragma once

#include "serde/schema.h"

struct writers;

/* dir "": only those in `schemas/`. Reads every file *.avsc of the directory. Fails with
 * ERR_INVALID (a file is no Avro schema: says which and why), ERR_IO, ERR_NOMEM. */
int writers_new(struct writers **out, const char *dir, struct err *e);
void writers_free(struct writers *w); /* NULL is fine */

/* NULL: nobody knows it. Belongs to writers. */
const struct schema *writers_find(const struct writers *w, uint64_t fingerprint);

/* A schema of `schemas/` by its file's name without .avsc, and its text, which is constant. NULL:
 * there is none. */
const struct schema *writers_named(const struct writers *w, const char *name, struct str *text);

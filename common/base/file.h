/*
 * Whole files, and where the project's own files (schemas, SQL) are. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Appends the file's bytes to out. Fails with ERR_IO (names the path and the system's reason),
 * ERR_TOO_LARGE, ERR_NOMEM. */
int file_read(struct buf *out, const char *path, size_t max_bytes, struct err *e);

/* Path of a file of the project ("schemas/event.avsc", "sql/001_tables.sql"), 0 behind it: below
 * ../share/flotilla of the running binary's folder if that is there (installed), else in the source
 * tree. Fails with ERR_NOT_FOUND. */
int file_find_data(struct buf *out, const char *name, struct err *e);

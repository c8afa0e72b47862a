/*
 * Files of a set's directory: paths, what is in a file as one number, and what makes a file stay.
 * Any thread, no state.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

/* dir/name with a 0 behind it; empties out before. False: memory could not be had. */
bool set_path(struct buf *out, const char *dir, const char *name);

/* The path of part `index`, counted from 0, with this behind it ("" or SET_BESIDE). */
bool set_path_part(struct buf *out, const char *dir, size_t index, const char *behind);

/* XXH3 of a file's bytes, and how many there are. Fails with ERR_NOT_FOUND, ERR_IO, ERR_NOMEM. */
int set_path_hash(uint64_t *hash, uint64_t *bytes, const char *path, struct err *e);

/* Waits until a file's bytes, or a directory's names, are on disk. Fails with ERR_IO. */
int set_path_sync(const char *path, struct err *e);

/* From `from` to `to` in dir, both whole paths; waits until the name is on disk. Fails with ERR_IO.
 */
int set_path_rename(const char *from, const char *to, const char *dir, struct err *e);

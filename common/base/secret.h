/*
 * Secrets among the settings: which they are, how they are shown, and how they are read from files.
 *
 * A setting is told by its name, so that one which only librdkafka knows is recognised as well. No
 * message of here ever holds a value. Any thread, no state.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

enum { SECRET_FILE_MAX_BYTES = 64 * 1024 };

/* Whether the setting may hold a secret: all of it (kafka.sasl.password) or a part of it
 * (postgres.url). Only these can be given as NAME_file. */
bool secret_is_setting(const char *name);

/* Whether this value of a setting does hold one: a URL without a password does not, a private key
 * does wherever it stands. */
bool secret_is_in(const char *name, const char *value);

/* Appends the value as it may be shown: a URL without its password, else "***"; a value without a
 * secret as it is. */
void secret_mask(struct buf *out, const char *name, const char *value);

/* Whether name is NAME_file of a secret NAME; then copies NAME to out. */
bool secret_is_file_of(char *out, size_t size, const char *name);

/*
 * Appends what a file holds, without the line end behind it. *is_open: others than the owner may
 * read the file. Fails with ERR_INVALID (empty, a zero byte in it), ERR_IO (cannot be read, is a
 * directory), ERR_TOO_LARGE (over SECRET_FILE_MAX_BYTES), ERR_NOMEM.
 */
int secret_read(struct buf *out, const char *path, bool *is_open, struct err *e);

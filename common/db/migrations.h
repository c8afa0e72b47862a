/*
 * The tables of the project, made and changed by numbered SQL files: NNN_what.sql, applied in
 * order, each once and in a transaction of its own, remembered in the table schema_migrations with
 * the SHA-256 of the file.
 *
 * Two at the same time wait for each other. One thread.
 */
#pragma once

#include "db/connection.h"

struct migration {
    int version;
    char name[128];  /* of the file */
    char sha256[65]; /* hexadecimal */
    bool applied_before;
};

/*
 * Applies what is missing of a folder's files; each(arg, m), if given, is called for every file
 * once it is in force. Fails with ERR_INVALID (two files of one number; a file that was applied has
 * changed since: says which), ERR_IO, ERR_FATAL (a statement failed: says which file; that file has
 * changed nothing), ERR_UNAVAILABLE, ERR_NOMEM.
 */
int migrations_apply(struct db *d, const char *folder,
                     void (*each)(void *arg, const struct migration *m), void *arg, struct err *e);

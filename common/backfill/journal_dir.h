/*
 * The directory of a journal: whose it is, and what is in it.
 *
 * It is locked (flock) while it is open, so that no two processes work in it; a lock ends with its
 * process. An empty file named `journal` says that it is one: without it nothing is removed. The
 * manifest, a file named `sealed`, is written when everything else is on disk: a directory without
 * one was left unfinished. One thread.
 */
#pragma once

#include "backfill/journal_run.h"

/* What a sealed journal is. Texts point into `bytes`. */
struct manifest {
    struct str identity, counts;
    uint64_t kinds[ENTRY_KINDS];
    int64_t newest_ms[ENTRY_KINDS];
    struct run *runs; /* owned; not opened. Those of `collected` have attributes that do not count,
                         all others are of attributes with their times */
    size_t count, collected;
    struct buf bytes;
};

void manifest_free(struct manifest *m);

/*
 * Makes the directory if it is not there, and locks it; *out is its file. Fails with ERR_INVALID
 * (another process has it, or it has files of something else: names one), ERR_IO. What is made or
 * is empty is marked as a journal's.
 */
int journal_dir_open(int *out, const char *dir, struct err *e);

/* Removes what the journal holds; and the directory as well. Fail with ERR_IO. */
int journal_dir_clear(int file, const char *dir, struct err *e);
int journal_dir_remove(int file, const char *dir, struct err *e);

/* *found is false where there is no manifest, or one of another program's form. Fails with
 * ERR_CORRUPT (damaged: says what to do), ERR_IO, ERR_NOMEM. */
int manifest_read(struct manifest *out, const char *dir, bool *found, struct err *e);

/* Writes it so that it is whole or not there. Fails with ERR_IO, ERR_NOMEM. */
int manifest_write(const struct manifest *m, int file, const char *dir, struct err *e);

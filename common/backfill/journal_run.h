/*
 * A run of a journal: a file of sorted entries in blocks, each with its checksum.
 *
 * A block: u32 bytes of its entries, u32 of zeros, XXH3_64bits of them with the block's place in
 * the file as seed; then entries, each with its length before it as varint. Attributes, which are
 * collected before everything else, end with a block of their own.
 *
 * One thread; readers of one run share its file and nothing else.
 */
#pragma once

#include "backfill/journal_entry.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { RUN_BLOCK_BYTES = 64 * 1024, RUN_ENTRY_BYTES = 64 * 1024 * 1024 };

struct run {
    uint32_t number; /* run-000001 is 1 */
    int file;        /* open for reading; -1: it is not */
    uint64_t bytes;
    uint64_t timed; /* where the entries behind the attributes begin */
};

/* The path of a run, 0 behind it. */
void run_path(struct buf *out, const char *dir, uint32_t number);

/* ---- Writing ---- */

struct run_writer {
    const char *dir; /* borrowed */
    struct run run;
    int file;
    bool behind_attributes;
    struct buf block;
};

/* Makes the file. Before: all zero, but file -1. Fails with ERR_IO, ERR_NOMEM. */
int run_writer_open(struct run_writer *w, const char *dir, uint32_t number, struct err *e);

/* Appends an entry, in order. Fails with ERR_IO (disk full: says how much there is), ERR_NOMEM. */
int run_put(struct run_writer *w, const struct raw_entry *raw, struct err *e);

/* Ends it: written, open for reading in *out. Fails as run_put(). */
int run_writer_close(struct run_writer *w, struct run *out, struct err *e);

/* Gives up what is open; behind run_writer_close() as well. */
void run_writer_free(struct run_writer *w);

/* Waits until it is on disk. Fails with ERR_IO. */
int run_sync(const struct run *r, const char *dir, struct err *e);

/* ---- Reading ---- */

/* Opens a run of which number, bytes and timed are set. Fails with ERR_CORRUPT (it is not there, or
 * of another size), ERR_IO, ERR_NOMEM. */
int run_open(struct run *r, const char *dir, struct err *e);
void run_close(struct run *r);

struct run_reader {
    const struct run *run; /* borrowed */
    const char *dir;       /* borrowed */
    uint64_t at, end;      /* of the next block; where to stop */
    struct buf block;
    struct cursor entries;
    struct raw_entry entry; /* at hand: good until the next one is read */
};

/* From and to are places of blocks. Borrows run and dir. */
void run_reader_start(struct run_reader *r, const struct run *run, const char *dir, uint64_t from,
                      uint64_t to);
void run_reader_free(struct run_reader *r);

/* The next entry into r->entry; *more is false behind the last. Fails with ERR_CORRUPT (names file
 * and place), ERR_IO, ERR_NOMEM. */
int run_next(struct run_reader *r, bool *more, struct err *e);

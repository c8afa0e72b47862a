/*
 * Files of JSON lines, and a progress bar for what takes long. One thread.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A file that is read line by line; "-" is standard input. */
struct lines {
    FILE *file;
    const char *name;
    char *text; /* of the line at hand */
    size_t cap;
    int64_t number; /* of the line at hand, from 1 */
    int64_t read_bytes;
    int64_t total_bytes; /* of the file; -1 if that cannot be known */
};

enum { LINE_MAX_BYTES = 16 * 1024 * 1024 };

/* Fails with ERR_IO. */
int lines_open(struct lines *l, const char *path, struct err *e);
void lines_close(struct lines *l);

/* The next line that is not blank, without its end; *more is false behind the last. Fails with
 * ERR_IO, ERR_TOO_LARGE (names the line), ERR_NOMEM. */
int lines_next(struct lines *l, struct str *line, bool *more, struct err *e);

/* On standard error, if that is a terminal: redrawn at most ten times a second. */
struct progress {
    const char *what; /* "events" */
    int64_t started_us, drawn_us;
    int64_t count;
    bool shown;
};

void progress_start(struct progress *p, const char *what);

/* done, of: of the same unit; of -1: not known. */
void progress_show(struct progress *p, int64_t count, int64_t done, int64_t of);
void progress_end(struct progress *p);

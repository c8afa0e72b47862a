/*
 * Writing suggested definitions: names that are not taken, scalars that read back, comments that
 * stay on their line. One thread.
 */
#pragma once

#include "base/buf.h"
#include "base/table.h"
#include "suggest/suggest_windows.h"

#include <stdbool.h>

enum { SUGGESTED_NAME_BYTES = 96 };

struct draft {
    struct buf *out;
    struct table *names; /* of features and their values, taken */
    size_t features;     /* written, those that are commented out apart */
    bool failed;         /* memory was short: remembered, and asked once at the end, as out's is */
};

void draft_start(struct draft *d, struct buf *out);
void draft_free(struct draft *d);

/*
 * A name made of words, each with what is no letter, digit or underscore replaced: lower case,
 * short, and neither it nor it with a window behind it is taken. words end with one that is NULL.
 */
void draft_name(struct draft *d, char name[SUGGESTED_NAME_BYTES], const struct str *words);

/* A text as a scalar of a flow map: plain where any reader of YAML takes it as that text. */
void draft_scalar(struct buf *out, struct str text);

/* "[5m, 1h]" */
void draft_windows(struct buf *out, const struct suggested_windows *w);

/* A comment at the indent of features; nothing that stands in a record is put in unless through
 * draft_quoted(). */
void draft_comment(struct draft *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A name of the records for a comment: short, on one line, in quotes unless it is plain. */
enum { QUOTED_BYTES = 128 };
const char *draft_quoted(struct draft *d, char text[QUOTED_BYTES], struct str name);

/* 12345 as 12,345. */
enum { THOUSANDS_BYTES = 32 };
const char *draft_thousands(char text[THOUSANDS_BYTES], uint64_t n);

/* One feature on its line: {name: NAME, scope: SCOPE, KIND: {PARAMETERS}}, the three as YAML. */
void draft_feature(struct draft *d, bool commented_out, const char *name, const struct buf *scope,
                   const char *kind, const struct buf *parameters);

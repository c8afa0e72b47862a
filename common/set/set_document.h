/*
 * set.json: what a training set is and which parts it has; and unfinished.json, the same of a set
 * that is being written. One thread an object. No clock.
 */
#pragma once

#include "base/arena.h"
#include "set/set.h"

/* Names in a set's directory. */
#define SET_DOCUMENT   "set.json"
#define SET_UNFINISHED "unfinished.json"
#define SET_PART_NAME  "part-%06zu.h5"
#define SET_BESIDE     ".part" /* behind the name of a file that is not whole yet */

enum { SET_MOST_PARTS = 999999, SET_MOST_COLUMNS = 4096 };

/* A whole part: what is in its file, and XXH3 (64 bits, seed 0) of all its bytes. */
struct set_part {
    uint64_t requests, rows, bytes, hash;
};

struct set_document {
    struct set_info info;
    struct set_part *parts;
    size_t part_count, part_room;
    uint64_t request_count, row_count; /* of all parts */
    struct arena memory;
};

void set_document_free(struct set_document *d);

/* Copies. Fails with ERR_INVALID (names that cannot be columns, fingerprints that are not one for
 * each, counts that are no JSON object), ERR_NOMEM. */
int set_document_new(struct set_document *d, const struct set_info *info, struct err *e);
int set_document_set_counts(struct set_document *d, struct str counts, struct err *e);

/* Appends; fails with ERR_TOO_LARGE, ERR_NOMEM. */
int set_document_add(struct set_document *d, const struct set_part *part, struct err *e);

/* Reads dir/name into an empty one. Fails with ERR_NOT_FOUND (there is no such file), ERR_CORRUPT
 * (says what in it is wrong), ERR_IO, ERR_NOMEM. */
int set_document_read(struct set_document *d, const char *dir, const char *name, struct err *e);

/* Writes it beside its place, waits for the disk and renames. Fails with ERR_IO, ERR_NOMEM. */
int set_document_write(const struct set_document *d, const char *dir, const char *name,
                       struct err *e);

/* What differs between two, counts and parts apart: "columns", "definitions", ...; NULL: nothing.
 */
const char *set_document_difference(const struct set_document *a, const struct set_document *b);

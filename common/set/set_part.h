/*
 * A part of a training set while it is written: one HDF5 file.
 *
 * Rows are gathered column by column and written a chunk at a time; what is of requests, and the
 * dictionaries, is kept until the end, when their widths are known. One thread. No clock.
 */
#pragma once

#include "set/set.h"

/* When a part is full. */
struct set_limits {
    uint64_t rows, bytes;
};

struct set_part_writer;

/* Makes the file. Borrows columns until it is freed; copies path. Fails with ERR_IO, ERR_NOMEM. */
int set_part_new(struct set_part_writer **out, const char *path, const struct str_list *columns,
                 const struct set_limits *limits, struct err *e);

/* Closes the file, whole or not; it stays. NULL is fine. */
void set_part_free(struct set_part_writer *p);

/* Whether this request still belongs into it; an empty part takes any. */
bool set_part_takes(const struct set_part_writer *p, const struct set_request *r);

/* Fails with ERR_IO, ERR_NOMEM; the part is of no use then. */
int set_part_put(struct set_part_writer *p, const struct set_request *r, struct err *e);

/* Writes what is left and closes the file; how much is in it. Fails with ERR_IO, ERR_NOMEM. */
int set_part_end(struct set_part_writer *p, uint64_t *requests, uint64_t *rows, struct err *e);

/*
 * HDF5 as training sets use it: files with columns in groups, its errors as ours.
 *
 * HDF5's own printing of errors is turned off for the process. One thread at a time. No clock.
 */
#pragma once

#include "base/err.h"

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

enum hdf5_type {
    HDF5_FLOAT,
    HDF5_DOUBLE,
    HDF5_I32,
    HDF5_I64,
    HDF5_U8,
    HDF5_U32,
    HDF5_TEXT, /* UTF-8, of one width in bytes, filled up with 0 */
};

/* Bytes of a value; of a text, its width. */
size_t hdf5_size(enum hdf5_type type, size_t width);

/* Opens a file to read. Fails with ERR_CORRUPT: it is no such file. */
int hdf5_open(hid_t *file, const char *path, struct err *e);
void hdf5_drop(hid_t *file);

/* Makes a file. What is written to it succeeds whatever the system says (set_driver.h): *reason,
 * which must stay until it is closed, is asked by hdf5_written(). Fail with ERR_IO. */
int hdf5_create(hid_t *file, int *reason, const char *path, struct err *e);
int hdf5_written(const int *reason, const char *path, struct err *e);
int hdf5_close(hid_t *file, const int *reason, const char *path, struct err *e);

/* A group: made, or opened. */
int hdf5_make_group(hid_t *group, hid_t file, const char *name, struct err *e);
int hdf5_open_group(hid_t *group, hid_t file, const char *name, struct err *e);

/* A column that grows by whole chunks of so many values, the last of which is cut. */
int hdf5_make_growing(hid_t *column, hid_t group, const char *name, enum hdf5_type type,
                      size_t chunk_values, struct err *e);
int hdf5_put_chunk(hid_t column, uint64_t first, size_t values, const void *chunk, size_t bytes,
                   struct err *e);

/* A column of `count` values, of which some are written at a time. */
int hdf5_make_column(hid_t *column, hid_t group, const char *name, enum hdf5_type type,
                     size_t width, uint64_t count, struct err *e);
int hdf5_put(hid_t column, enum hdf5_type type, size_t width, uint64_t first, size_t count,
             const void *values, struct err *e);

/*
 * Opens a column to read. It must have `count` values of a kind that becomes `type` without loss:
 * else ERR_CORRUPT, which names it. width: of a text; the file's is written there.
 */
int hdf5_open_column(hid_t *column, hid_t group, const char *name, enum hdf5_type type,
                     size_t *width, uint64_t count, struct err *e);

/* How many values a column has: what to ask of a dictionary before it is opened. */
int hdf5_count(uint64_t *count, hid_t group, const char *name, struct err *e);

/* Reads values first to first + count - 1. Fails with ERR_CORRUPT. */
int hdf5_get(hid_t column, enum hdf5_type type, size_t width, uint64_t first, size_t count,
             void *values, struct err *e);

/* Close a group or a column, if it is one, and forget it; hdf5_drop() does so with a file. */
void hdf5_drop_group(hid_t *group);
void hdf5_drop_column(hid_t *column);

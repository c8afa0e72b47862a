/*
 * What all requests of a training set are, put together from its parts (struct set_rows). One
 * thread an object.
 */
#pragma once

#include "base/table.h"
#include "set/set_document.h"
#include "set/set_hdf5.h"

struct set_memory {
    struct set_rows rows;
    size_t request_room, row_room;
    struct table *texts; /* each to its number */
};

/* Room for so many. Fails with ERR_NOMEM. */
int set_memory_new(struct set_memory *m, uint64_t requests, uint64_t rows, struct err *e);
void set_memory_free(struct set_memory *m);

/* Appends a part's requests and rows. Fails with ERR_CORRUPT (says what), ERR_NOMEM. */
int set_memory_load(struct set_memory *m, hid_t file, const struct set_part *part, struct err *e);

/* All parts are there: the texts get their places. Fails with ERR_NOMEM. */
int set_memory_end(struct set_memory *m, struct err *e);

/*
 * The parts of a model in one run of bytes, as they go to the child process that tries it.
 *
 * Any thread, no state.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "model/model.h"

/* Appends; shared has one for each column named. */
void trial_put_parts(struct buf *out, const struct model_parts *parts, const bool *shared);

/* Reads them; what is read borrows from the bytes or lives in the arena. Fails with ERR_CORRUPT,
 * ERR_NOMEM. */
int trial_read_parts(struct model_parts *parts, const bool **shared, struct str bytes,
                     struct arena *a, struct err *e);

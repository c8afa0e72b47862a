/*
 * Whether a model file is what was registered and scores what it scored then: the SHA-256, the
 * parsing, the canary rows.
 *
 * What a child process does first with a file that may be hostile (loader.h), and the serving
 * process after it. Any thread; no clock, no I/O.
 */
#pragma once

#include "base/buf.h"
#include "model/model.h"

/*
 * shared: for each of the columns named in the parts. *ensemble and *scorer are the caller's. Every
 * canary row is scored alone, and with the columns that are not shared of all others; the margins
 * must be those registered, and the scorer's those of ensemble_margin(), bit for bit, on the path
 * given. Fails as model_new(), but for ERR_NOT_FOUND.
 */
int model_check(struct ensemble **ensemble, struct scorer **scorer, const struct model_parts *parts,
                const bool *shared, enum scorer_path path, struct err *e);

/*
 * Appends MODEL_CANARY_ROWS rows of an ensemble: in each column thresholds of its own splits, their
 * neighbours on either side, missing values, 0, -0 and numbers far out. The same ensemble gives the
 * same rows. Then the margins. Memory that could not be had shows in the buffers.
 */
void model_canaries(const struct ensemble *m, struct buf *rows, struct buf *margins);

/* The SHA-256 of bytes. Fails with ERR_NOMEM. */
int model_sha256(uint8_t out[MODEL_SHA256_BYTES], struct str bytes, struct err *e);

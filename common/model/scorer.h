/*
 * Margins of many candidates of one request, fast: bit for bit those of ensemble_margin().
 *
 * All candidates of a request share some columns (of the user, of the context). For each request
 * the trees are specialised to the values of those; what is left of them is evaluated for 64
 * candidates at a time. The best instructions of the processor are found at run time.
 *
 * Any shape of trees is scored. Fastest are trees of a depth up to 6; of deeper ones the parts that
 * are no deeper are, below upper nodes that are followed one by one. So are all nodes of trees on
 * columns past the 256th where a column counts once for each 254 distinct thresholds and each
 * default direction. A tree that a request leaves with more than 256 leaves is walked for each
 * candidate.
 *
 * A prepared scorer is constant: any thread. A scratch belongs to one thread. No clock, no I/O.
 */
#pragma once

#include "model/ensemble.h"

enum scorer_path { SCORER_PLAIN, SCORER_AVX2, SCORER_AVX512, SCORER_PATHS };

struct scorer;
struct scorer_scratch;

/* Whether this processor can go a path, and the best that it can. */
bool scorer_can(enum scorer_path path);
enum scorer_path scorer_best(void);
const char *scorer_path_name(enum scorer_path path);

/* shared[c], for each column of the ensemble: column c has one value in all candidates of a
 * request. Copies both. Any ensemble that could be read can be prepared. Fails with ERR_NOMEM. */
int scorer_new(struct scorer **out, const struct ensemble *m, const bool *shared, struct err *e);
void scorer_free(struct scorer *s); /* NULL is fine */
size_t scorer_bytes(const struct scorer *s);

/* For any scorer, grown as needed and then kept, about half a megabyte to begin with; the last
 * specialisation is kept in it. Fails with ERR_NOMEM. */
int scorer_scratch_new(struct scorer_scratch **out, struct err *e);
void scorer_scratch_free(struct scorer_scratch *w); /* NULL is fine */

/* Specialises to the shared columns of a row (others are not read). Borrows the scorer until the
 * next specialisation. The path must be one that scorer_can() go. Fails with ERR_NOMEM, only where
 * no scorer of this size has used the scratch before; there is then nothing to ask margins of. */
int scorer_specialise(const struct scorer *s, struct scorer_scratch *w, enum scorer_path path,
                      const float *row, struct err *e);

/* Margins of `count` rows that lie `stride` floats apart (columns that are shared are not read), by
 * the last specialisation, which was with this scorer and this path. As often as wanted. */
void scorer_margins(const struct scorer *s, struct scorer_scratch *w, enum scorer_path path,
                    const float *rows, size_t stride, size_t count, float *margins);

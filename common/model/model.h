/*
 * One version of a model as it serves: its trees, the scorer made ready for them, and for each of
 * their columns the value of the feature vector that it is.
 *
 * Made once, then constant: any thread. No clock, no I/O.
 */
#pragma once

#include "base/err.h"
#include "feature/definition.h"
#include "model/calibration.h"
#include "model/ensemble.h"
#include "model/scorer.h"
#include "serde/records.h"

#include <stdint.h>

enum { MODEL_NAME_BYTES = 128, MODEL_SHA256_BYTES = 32, MODEL_CANARY_ROWS = 16 };

/* What a version consists of, wherever it comes from (the topic model.artifacts, the registry). */
struct model_parts {
    struct str name;
    int64_t version;
    struct str sha256;         /* MODEL_SHA256_BYTES, of `bytes` */
    struct str_list features;  /* the value of the feature vector that each column is */
    struct str fingerprints;   /* FINGERPRINT_BYTES for each column: of its feature */
    struct str canary_rows;    /* float32, little-endian, row after row */
    struct str canary_margins; /* float32, one for each row */
    struct str calibration;    /* as calibration_write() wrote it; empty: none */
    struct str bytes;          /* XGBoost's file */
};

struct model {
    const char *name;
    int64_t version;
    const struct ensemble *ensemble;
    const struct scorer *scorer;
    const struct calibration *calibration; /* from the margin to the score that is published */
    size_t column_count;
    const size_t *outputs; /* of the feature set, one for each column */
    const bool *shared;    /* for each column: all candidates of a request have the same value */
    const char *const *columns; /* the names of those outputs */
    size_t vector_size;         /* outputs of the feature set: doubles of one vector */
    struct model_memory *memory;
};

/*
 * Checks the SHA-256, reads the file, finds each column's value in the feature set by its name,
 * holds the fingerprints against the set's, and scores the canary rows on the best path of this
 * processor: every margin must come out bit for bit. Copies what it keeps; the set is not kept.
 * Fails with ERR_NOT_FOUND (the definitions of this fleet are others than the model's: names the
 * first column that differs, with both fingerprints), ERR_CORRUPT (SHA-256 or canary rows differ,
 * the calibration is none, or the parts do not fit together), ERR_INVALID, ERR_TOO_LARGE (as
 * ensemble_read()), ERR_NOMEM. Messages do not name the model.
 */
int model_new(struct model **out, const struct feature_set *set, const struct model_parts *parts,
              struct err *e);
void model_free(struct model *m); /* NULL is fine */

/*
 * The rows of a request's candidates for the scorer: rows has candidates x column_count floats,
 * vectors what vectors_read() wrote (candidates x vector_size doubles). A double is rounded to the
 * nearest float; NaN is missing.
 */
void model_rows(const struct model *m, const double *vectors, size_t candidates, float *rows);

/* The score that is published of a margin: what the objective makes of it, calibrated. */
float model_score(const struct model *m, float margin);

/*
 * Whether all candidates of a request have the same value: what is of the user, the context or the
 * time is; what has a dimension of the proposition, or is read against the candidate, is not.
 */
bool model_output_is_shared(const struct feature_set *set, const struct output *o);

/*
 * Model versions on the topic model.artifacts: cut into parts that fit into records, and put
 * together again.
 *
 * The key of a part is model, version and part with U+001F between them. The topic is compacted: a
 * reader sees parts of several versions mixed, some of them more than once, and tombstones of
 * versions that no plan names any more.
 *
 * One thread an object. No clock, no I/O.
 */
#pragma once

#include "base/buf.h"
#include "model/model.h"

enum {
    ARTIFACT_PART_BYTES = 512 << 10,
    ARTIFACT_MAX_PARTS = ENSEMBLE_MAX_BYTES / ARTIFACT_PART_BYTES,
};

/* ---- Writing ---- */

/* How many parts a version is cut into; at least 1. Its bytes are at most ENSEMBLE_MAX_BYTES. */
int artifact_part_count(const struct model_parts *parts);

/* The record of one part, which borrows from parts. */
struct model_artifact artifact_part(const struct model_parts *parts, int part);

/* Appends the key of a part. */
void artifact_key(struct buf *out, struct str model, int64_t version, int part);

/* Reads such a key; model borrows from it. False: it is none. */
bool artifact_parse_key(struct str key, struct str *model, int64_t *version, int *part);

/* ---- Reading ---- */

/* A version that is complete, and the memory that its parts are in. */
struct artifact {
    struct model_parts parts;
    struct artifact_memory *memory;
};

void artifact_free(struct artifact *a); /* NULL is fine */

struct artifacts;

/*
 * spare_bytes: how much is kept of versions that nobody wants (yet); beyond it the one that has
 * waited longest is let go. Fails with ERR_NOMEM.
 */
int artifacts_new(struct artifacts **out, size_t spare_bytes, struct err *e);
void artifacts_free(struct artifacts *a); /* NULL is fine */

/*
 * The versions of one model that are wanted from now on, in place of those before: those of its
 * plan. Parts of a wanted version are kept whatever they take. Fails with ERR_NOMEM.
 */
int artifacts_want(struct artifacts *a, struct str model, const int64_t *versions, size_t count,
                   struct err *e);

/*
 * Takes a record of the topic; record NULL is a tombstone. Copies. Parts may come in any order and
 * any number of times; a part with another SHA-256 than those before starts its version anew. Fails
 * with ERR_CORRUPT (the key is none, or not the record's; the parts do not fit together; all are
 * there and the SHA-256 is not theirs: that version is forgotten, and may come again),
 * ERR_TOO_LARGE, ERR_NOMEM. Costs at most a SHA-256 over the bytes that are in order now.
 */
int artifacts_take(struct artifacts *a, struct str key, const struct model_artifact *record,
                   struct err *e);

/* The next wanted version that is complete, each once until it is tombstoned or comes with another
 * SHA-256; the caller's. NULL: there is none. */
struct artifact *artifacts_next(struct artifacts *a);

/*
 * Whether parts of a version that is wanted were let go before it was: the topic is to be read from
 * its beginning again. artifacts_again() says that this begins.
 */
bool artifacts_lost(const struct artifacts *a);
void artifacts_again(struct artifacts *a);

/* A version that was given away is wanted once more: as if its parts had been let go. */
void artifacts_retry(struct artifacts *a, struct str model, int64_t version);

/* Memory held by parts. */
size_t artifacts_bytes(const struct artifacts *a);

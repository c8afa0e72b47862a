/*
 * Records that cannot be used: why, in stable codes, and the record of the topic `dead-letters`.
 *
 * One thread a call; no I/O.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "serde/codec.h"
#include "stream/input.h"
#include "stream/outbox.h"

#define DEAD_MISSING_KEY      "missing_key"
#define DEAD_FUTURE_TIMESTAMP "future_timestamp"
#define DEAD_INVALID_VALUE    "invalid_value"
#define DEAD_TOO_LARGE        "too_large"

/* More of a value is not kept. */
enum { DEAD_LETTER_VALUE_BYTES = 512 * 1024 };

/* The reason of an error from decoding: undecodable, unknown_schema, schema_mismatch, too_large. */
const char *dead_letter_reason(int err_code);

/* What is kept of a record that could not be used. */
struct burial {
    struct dead_letter letter; /* borrows from the input and from below */
    struct buf detail;
    struct buf headers; /* as stream/headers.h has them */
};

/*
 * Takes down what is to be kept: a value over 512 KiB and headers over 64 KiB are cut, and the
 * detail says so; a detail that quotes bytes becomes valid text. Borrows in, worker and reason. In
 * any case to be given to burial_free(). Fails with ERR_NOMEM.
 */
int burial_make(struct burial *b, const struct input *in, const char *worker, const char *reason,
                const char *detail, struct err *e);
void burial_free(struct burial *b);

/* Puts the dead letter of a record into an outbox, with the record's key and headers; the topic was
 * declared. Out of memory shows in outbox_ok(). */
void dead_letter_put(struct outbox *out, const struct codec *c, const char *topic,
                     const struct input *in, const char *worker, const char *reason,
                     const char *detail);

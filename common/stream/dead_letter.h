/*
 * Records that cannot be used: why, in stable codes, and the record of the topic `dead-letters`.
 *
 * One thread a call; no I/O.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "serde/records.h"
#include "stream/input.h"

#define DEAD_MISSING_KEY      "missing_key"
#define DEAD_FUTURE_TIMESTAMP "future_timestamp"
#define DEAD_INVALID_VALUE    "invalid_value"
#define DEAD_TOO_LARGE        "too_large"

/* More of a value is not kept. */
enum { DEAD_LETTER_VALUE_BYTES = 512 * 1024 };

/* The reason of an error from decoding: undecodable, unknown_schema, schema_mismatch, too_large. */
const char *dead_letter_reason(int err_code);

/* Appends the dead letter of a Kafka record to out, in single-object encoding. Values over 512 KiB
 * are cut, and the detail says so. */
void dead_letter_encode(struct buf *out, const struct input *in, const char *worker,
                        const char *reason, const char *detail);

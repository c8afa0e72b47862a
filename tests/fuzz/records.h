/*
 * A codec without a registry, for the targets that read records, and what they ask of it: the first
 * byte of their inputs says which of record_types it is.
 */
#pragma once

#include "fuzz.h"
#include "serde/codec.h"

/* What an arena takes above what is asked of it, and all else that a record needs. */
enum { FUZZ_RECORD_MEMORY_MOST = VALUE_MAX_MEMORY + 8 * 1024 * 1024 };

#define FUZZ_TOPIC "fuzz"

/* Made once: to parse all schemas for each input would be most of the work. */
struct codec *fuzz_codec(void);

/* Takes the first byte off the input. */
const struct record_type *fuzz_record_type(struct str *input);

/* A structure of a type with rubbish in it, as the stack has it, to be freed. */
void *fuzz_structure(const struct record_type *type);

/* What was read is printed as JSON that is read to the same, and written as bytes that are decoded
 * to the same. */
void fuzz_check_record(struct codec *c, const struct record_type *type, const void *record);

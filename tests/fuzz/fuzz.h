/*
 * What is fuzzed.
 *
 * A target takes any bytes at all, asserts what must hold for them, and leaves nothing behind.
 * entry.c makes a program of libFuzzer of one (run.sh builds and runs those);
 * tests/unit/test_fuzz.c gives all of them, in every run of the tests and built by any compiler,
 * the inputs that are kept in corpus/ and regressions/. One thread.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

/* What is asserted is what is tested, in every build. */
#undef NDEBUG
#include <assert.h>

/* Settings in YAML, assignments and variables of the environment: pieces (fuzz_piece), of which the
 * first is the file, and one that starts with FLOTILLA_ is a variable. */
void fuzz_conf(struct str input);

/* Schemas: pieces, of which the last one is parsed and may use names of those before it. */
void fuzz_schema(struct str input);

/* Two schemas and a value: a byte 0 and pieces, the writer's, the reader's, the rest being the
 * bytes of the value; or the numbers of two schemas of schemas.h, a byte each, and the bytes. A
 * number may also stand for a piece. */
void fuzz_decode(struct str input);

/* A byte for the type of the record, then its JSON; or all bytes of a Kafka record. */
void fuzz_json(struct str input);
void fuzz_framing(struct str input);

/* Answers of a schema registry: pieces, the bodies of one answer after the other. */
void fuzz_registry(struct str input);

/* Feature definitions in YAML, with which two events and a request are computed. */
void fuzz_features(struct str input);

/* A model file of XGBoost, of which margins, scores and contributions are computed. */
void fuzz_model(struct str input);

/* A calibration, with which margins are made scores. */
void fuzz_calibration(struct str input);

/* The next piece of an input: up to a byte 0, or all of it. data NULL: nothing is left. */
struct str fuzz_piece(struct str *rest);

/* A copy that a C function may read, to be freed; and one with nothing behind it, so that
 * AddressSanitizer sees what is read past its end. */
char *fuzz_text(struct str piece);
char *fuzz_exact(struct str piece);

/* A failure has a code and says what is wrong; a success has neither. Returns whether it is one. */
bool fuzz_succeeded(int rc, const struct err *e);

/* Bytes of memory that are in use now, those of libraries included. */
size_t fuzz_memory(void);

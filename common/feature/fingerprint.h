/*
 * The fingerprint of a feature: first 8 bytes of the SHA-256 of its definition as canonical JSON
 * (RFC 8785), without its name, durations in milliseconds (features.md, "The vector"). Any thread,
 * no state.
 */
#pragma once

#include "base/buf.h"
#include "feature/definition.h"

/* Appends the canonical definition. A standing's refers to the fingerprint of the feature it is of,
 * in outputs. */
void feature_canonical(struct buf *out, const struct feature *f, const struct output *outputs);

/* Sets f->fingerprint. Fails with ERR_NOMEM. */
int feature_fingerprint(struct feature *f, const struct output *outputs, struct err *e);

/* 16 hexadecimal digits and a 0. */
void fingerprint_text(char text[2 * FINGERPRINT_BYTES + 1],
                      const uint8_t fingerprint[FINGERPRINT_BYTES]);

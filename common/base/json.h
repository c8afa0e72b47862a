/*
 * Writing JSON into a buffer, in the canonical form of RFC 8785 as far as single values go. Reading
 * is jansson's. Any thread, no state.
 */
#pragma once

#include "base/buf.h"

/* With quotes; escapes only what JSON demands. Bytes that are not UTF-8 become U+FFFD, one for
 * each. */
void json_put_text(struct buf *b, struct str text);

/* Bytes as a text with a character of U+0000 to U+00FF for each, as Avro's JSON encoding has them.
 */
void json_put_bytes(struct buf *b, struct str bytes);

/* The fewest digits that read back as the number; null for NaN and infinities. */
void json_put_number(struct buf *b, double number);

/*
 * Base64 as RFC 4648 has it: with padding, without line ends. Any thread, no state.
 */
#pragma once

#include "base/buf.h"

/* Appends bytes as base64. */
void base64_put(struct buf *out, struct str bytes);

/* Appends what a text stands for. False: it is not base64; nothing is appended then. */
bool base64_read(struct buf *out, struct str text);

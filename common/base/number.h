/*
 * Numbers as text, as ECMAScript and RFC 8785 (JSON Canonicalization Scheme) write them: the fewest
 * digits that read back as the same number, 1995, 0.1, 1e+21. Any thread; C locale assumed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { NUMBER_TEXT_BYTES = 32 };

/* Writes a finite number with a 0 behind it; returns the length. NaN and infinities are written
 * "null". */
size_t number_text(char text[NUMBER_TEXT_BYTES], double number);

/* Reads a whole text as a finite decimal number ("2.50", "1e1"). False if it is none. */
bool number_parse(double *out, const char *text);

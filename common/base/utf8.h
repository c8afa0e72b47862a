/*
 * UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, up to U+10FFFF. Any thread, no state.
 */
#pragma once

#include "base/str.h"

/* Bytes of the character that text starts with (1 to 4); 0 if it starts with none. */
size_t utf8_length(const char *text, size_t n);

/* Place of the first byte that belongs to no character; text.len if all is well. */
size_t utf8_first_bad(struct str text);

static inline bool utf8_is_valid(struct str text)
{
    return utf8_first_bad(text) == text.len;
}

/*
 * Bytes for a person: sixteen a line with their offset and their characters, the ones that matter
 * between > and <.
 *
 * One thread; no I/O.
 */
#pragma once

#include "base/buf.h"

enum { HEXDUMP_MARKS = 8 };

struct hexdump {
    size_t marks[HEXDUMP_MARKS]; /* offsets */
    int mark_count;
    bool all; /* else long runs that are far from the beginning and from every mark are left out */
};

/* Marks the offsets that a text names as "byte 17"; the first HEXDUMP_MARKS of them. */
void hexdump_mark(struct hexdump *h, const char *text);

/* Appends the lines; a mark behind the last byte is said to be there. */
void hexdump_print(struct buf *out, const struct hexdump *h, struct str bytes);

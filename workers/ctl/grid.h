/*
 * Tables for a person: columns as wide as what stands in them, numbers with units.
 *
 * One thread. Memory that could not be had shows when the buffer is printed (buf_ok).
 */
#pragma once

#include "base/buf.h"

#include <stdint.h>

enum { GRID_COLUMNS = 12, HUMAN_BYTES = 32 };

struct grid {
    struct buf cells; /* texts, each with a 0 behind it, row by row */
    size_t columns;
    size_t count;             /* of cells */
    bool right[GRID_COLUMNS]; /* numbers */
    size_t widths[GRID_COLUMNS];
};

/* Headings with commas between them; one that starts with > has its column to the right. */
void grid_start(struct grid *g, const char *headings);

/* The next cell, as printf; line ends in it become spaces. */
void grid_put(struct grid *g, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends the table and forgets it. */
void grid_end(struct grid *g, struct buf *out);

/* 1,234,567; and a span of time as 85 ms, 12.3 s, 4 min, 7 h, 3 d. */
const char *human_count(char text[HUMAN_BYTES], int64_t n);
const char *human_ms(char text[HUMAN_BYTES], int64_t ms);

/*
 * Durations as people write them: 30s, 5m, 1h, 7d. Any thread, no state.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DURATION_FORM "a duration above 0 as 30s, 5m, 1h or 7d (at most 36500d)"

/* Milliseconds of a whole text: digits and one unit. False: not DURATION_FORM. */
bool duration_parse(int64_t *out_ms, const char *text);

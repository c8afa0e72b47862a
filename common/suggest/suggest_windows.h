/*
 * Which windows a sample supports: not longer than the time that it spans needs, not so short that
 * most of them would be empty.
 *
 * Pure.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct suggest;

struct suggested_window {
    const char *text; /* 5m; static */
    int64_t ms;
};

enum { WINDOWS_SUGGESTED = 3 };

/* From short to long; the last holds the whole span. */
struct suggested_windows {
    struct suggested_window items[WINDOWS_SUGGESTED];
    size_t count; /* at least 1 */
};

struct time_span {
    int64_t from_ms, to_ms; /* of the sample, without the outermost 1 in 400 at both ends */
    int64_t oldest_ms;      /* of all events; from_ms where no others are known */
    int64_t gap_ms;         /* median between two times of a user's events */
};

/* Fails with ERR_NOMEM. */
int suggest_span(struct time_span *out, const struct suggest *s, struct err *e);

/* least_ms: what a window must hold to tell something. */
void suggest_windows(struct suggested_windows *out, const struct time_span *span, double least_ms);

/* The shortest usual window of at least so many milliseconds, or the longest. */
struct suggested_window suggest_window_of(double ms);

/* The same, but none that is longer than most_ms, save the shortest. */
struct suggested_window suggest_window_within(double ms, double most_ms);

/* The usual windows from short to long; text is NULL behind the last. */
struct suggested_window suggest_usual_window(size_t i);

/*
 * The machine's clocks. Workers read them once a turn and pass the reading down; libraries take
 * time as an argument.
 */
#pragma once

#include <stdint.h>

/* Milliseconds since the epoch, wall clock. */
int64_t clock_now_ms(void);

/* Microseconds that only ever grow, for durations. */
int64_t clock_monotonic_us(void);

void clock_sleep_ms(int64_t ms);

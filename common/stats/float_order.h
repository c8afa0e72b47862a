/*
 * Floats in order, faster than by comparing: a radix sort of their bits.
 *
 * NaN is the lowest, -0 equals 0, equal ones keep their order. Any thread; no clock.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* A number that is as large beside others as the value is: of NaN 0. */
uint32_t float_rank(float value);

/* Writes the places of count values, the lowest first. Takes 16 bytes a value meanwhile. Fails with
 * ERR_TOO_LARGE (2^32 values or more), ERR_NOMEM. */
int float_order(uint32_t *out, const float *values, size_t count, struct err *e);

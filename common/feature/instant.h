/*
 * Instants in attributes: epoch milliseconds, or ISO 8601 in the forms that features.md allows. Any
 * thread, no state.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Microseconds since the epoch. False: not one of the allowed forms. */
bool instant_parse_us(int64_t *out, struct str text);

/* A calendar date of the proleptic Gregorian calendar, from days since 1970-01-01 and back. */
void instant_date(int64_t days, int64_t *year, int *month, int *day);
int64_t instant_days(int64_t year, int month, int day);

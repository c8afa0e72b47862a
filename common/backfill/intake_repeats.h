/*
 * Which events repeat another, told in order of arrival: among the last 64 accepted events of their
 * user (features.md). Where records are sorted by time this has to be known before.
 *
 * One thread; no clock. Memory: 6 bytes for each of those ids, and about 40 a user.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct repeats;

int repeats_new(struct repeats **out, struct err *e);
void repeats_free(struct repeats *r); /* NULL is fine */

/* The next event that arrived by its source (a partition; users in different ones are different);
 * copies what it keeps. Fails with ERR_NOMEM. */
int repeats_check(struct repeats *r, int32_t source, struct str user_id, struct str event_id,
                  bool *is_repeat, struct err *e);

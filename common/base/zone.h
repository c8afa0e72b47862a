/*
 * Time zones: the offset of local time from UTC at an instant, from the system's time zone data.
 *
 * Reads TZif files (RFC 8536) of the IANA names below /usr/share/zoneinfo (or $TZDIR), so that it
 * knows what the system knows; the C library's own functions serve one zone a process. A loaded
 * zone is constant: any thread.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

struct zone;

/* Fails with ERR_NOT_FOUND (no such zone), ERR_CORRUPT (its file is damaged), ERR_IO, ERR_NOMEM. */
int zone_load(struct zone **out, const char *name, struct err *e);
void zone_free(struct zone *z); /* NULL is fine */

/* Seconds to add to UTC. utc_s: seconds since the epoch. */
int32_t zone_offset_s(const struct zone *z, int64_t utc_s);

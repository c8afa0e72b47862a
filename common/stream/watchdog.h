/*
 * Ends a process that hangs while it ends: libraries may wait for servers that are gone.
 *
 * Any thread. The clock is the monotonic one, so that setting the time moves nothing.
 */
#pragma once

#include "base/err.h"

struct watchdog;

/* From now on, unless freed within limit_ms, logs and ends the process with status 1. Fails with
 * ERR_NOMEM, ERR_FATAL (no thread to be had). */
int watchdog_new(struct watchdog **out, int limit_ms, struct err *e);
void watchdog_free(struct watchdog *w); /* NULL is fine */

/*
 * What `flotilla rank` asks for, from its command line.
 *
 * One thread. No I/O but random numbers of the system; the clock is an argument.
 */
#pragma once

#include "base/arena.h"
#include "ctl.h"
#include "serde/records.h"

#include <stdint.h>

enum { RANK_TIMEOUT_MS = 10000 }; /* while nothing else is asked for */

/*
 * The request that the options say, under a random id. Texts are borrowed from them, or live in the
 * arena. Its times are those of rank_request_stamp(), which is called when it is sent. Fails with
 * ERR_INVALID (says which option and what to give), ERR_IO (the system has no random numbers),
 * ERR_NOMEM.
 */
int rank_request_read(struct rank_request *out, const struct ctl *c, struct arena *a,
                      struct err *e);

/* Sets the times that count from the moment it is sent; once. */
void rank_request_stamp(struct rank_request *q, const struct ctl *c, int64_t now_ms);

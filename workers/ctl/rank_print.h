/*
 * A ranking for a person: what stands where and why, who ranked it, and what was amiss.
 *
 * Pure; one thread. Memory that could not be had shows in buf_ok().
 */
#pragma once

#include "base/buf.h"
#include "serde/records.h"

/* Appends the answer to a request. took_us: from sending the request to having the answer. Puts
 * contributions in the order of their size. */
void rank_print(struct buf *out, const struct rank_request *q, struct ranking *r, int64_t took_us);

/* A reason of `degraded` as a sentence, with what to do. */
const char *rank_reason(struct str degraded);

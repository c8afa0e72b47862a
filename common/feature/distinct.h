/*
 * The body of `distinct`: hashes of values by the bucket in which they were last seen (see
 * aggregate.h).
 */
#pragma once

#include "base/buf.h"
#include "feature/aggregate.h"

/* A body of values seen in the newest bucket; they may repeat. */
void distinct_of(struct buf *out, const uint64_t *hashes, size_t count);
uint64_t distinct_hash(struct str value);

/* a made older by a_age buckets, with b made older by b_age. */
void distinct_merge(struct buf *out, struct str a, int64_t a_age, struct str b, int64_t b_age);

/* Values last seen at most `oldest` buckets before the newest. */
double distinct_read(struct str body, int64_t oldest);

/*
 * The worker `features`: the consumer group, the tables that it tails, restoring, and epochs. What
 * records do is in features.h; this is how they come and go.
 *
 * The processing thread runs all of it; the committing thread is committer.h's. /status is printed
 * by a third.
 */
#pragma once

#include "stream/worker.h"

extern const struct worker features_worker;

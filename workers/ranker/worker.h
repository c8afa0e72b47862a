/*
 * The worker `ranker`: requests of `rank.requests` become rankings, with the state of its users in
 * its own memory.
 */
#pragma once

#include "stream/worker.h"

extern const struct worker ranker_worker;

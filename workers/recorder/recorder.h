/*
 * The worker `recorder`: topics into tables of PostgreSQL, each record exactly once.
 *
 * Kafka's group `<prefix>recorder` says who reads which partition; where to read from stands in
 * PostgreSQL, moved in the transaction that writes the rows. While PostgreSQL is away, the batch at
 * hand is kept as it is, nothing more is fetched, and the group is served: no partition moves
 * because of it.
 */
#pragma once

#include "stream/worker.h"

extern const struct worker recorder_worker;

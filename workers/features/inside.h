/*
 * The inside of struct features, shared by what is done with it: features.c (records in), restore.c
 * (checkpoints in), epoch.c (records out). Not for others.
 */
#pragma once

#include "feature/vector.h"
#include "features/features.h"
#include "state/checkpoint.h"

struct features {
    struct features_opts opts;
    struct entities *users, *propositions;
    struct apply *apply;
    struct deltas *deltas;       /* of the epoch */
    struct shared_cells *totals; /* as last told */
    struct wire wire;
    struct arena arena; /* of the record at hand */
    struct buf after, key;
    int64_t buried; /* dead letters */
    struct metric *events, *repeats, *replayed, *deltas_read, *published, *checkpoints,
        *unknown_scopes;
};

/*
 * What the files of the catalogue share. Not for others.
 */
#pragma once

#include "base/arena.h"
#include "base/table.h"
#include "ranker/catalogue.h"
#include "ranker/ordered.h"

/* One proposition, in one allocation with its arrays. */
struct item {
    int64_t timestamp, valid_from_ms, valid_until_ms, scored_ms;
    uint32_t before, after; /* in the list of those to refresh */
    bool is_active, is_scored, is_linked;
    bool is_listed;    /* in the orders of the placements that it passes */
    bool is_queued;    /* for the time at which its validity changes */
    int64_t change_ms; /* that time */
    uint64_t passes;   /* a bit for each placement */
    size_t bytes;
    uint64_t *values;       /* hashes, attribute after attribute */
    uint32_t *value_starts; /* of each attribute of diversity, and the end */
    double ln_bases[];      /* of each placement */
};

struct catalogue {
    struct catalogue_opts opts;
    size_t placement_count;
    const char *attributes[MAX_PLACEMENTS]; /* of diversity, each once */
    size_t attribute_count;
    int attribute_of[MAX_PLACEMENTS]; /* of each placement; -1: none */
    int64_t now_ms;
    struct table *table; /* ids to numbers of items */
    struct item **items; /* by number; NULL where none is */
    size_t item_room, item_bytes;
    struct ordered *orders[MAX_PLACEMENTS];
    struct ordered *changes;    /* by the time at which validity changes, earliest first */
    uint32_t stalest, freshest; /* ends of the list of those to refresh; TABLE_NONE: empty */
    struct arena arena;         /* of an answer */
};

/* Makes an item of a record, without base scores. Fails with ERR_NOMEM. */
int item_new(struct item **out, const struct catalogue *c, const struct entity *record,
             struct err *e);

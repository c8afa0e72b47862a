/*
 * What will happen in the simulated shop: a heap in order of arrival, of equal arrivals in order of
 * number. One thread. Memory is kept for the largest number of things that were ever pending.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum pending_kind {
    PENDING_PAGE,
    PENDING_SEARCH,
    PENDING_IMPRESSION,
    PENDING_CLICK,
    PENDING_CONVERT,
    PENDING_DISMISS
};

struct pending {
    int64_t arrival_ms;
    uint64_t number; /* of the event; a repeat has its first's */
    int64_t time_ms; /* when it happens: not after its arrival */
    uint64_t request;
    uint32_t user;
    uint32_t proposition;
    enum pending_kind kind;
};

struct pending_heap {
    struct pending *items; /* owned */
    size_t count;
    size_t room;
};

/* Copies. Fails with ERR_NOMEM. */
int pending_push(struct pending_heap *h, const struct pending *p, struct err *e);

/* The first one, which is taken out. The heap must not be empty. */
struct pending pending_pop(struct pending_heap *h);
void pending_free(struct pending_heap *h);

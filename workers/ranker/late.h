/*
 * Events of one partition that were read and are applied later, in the order of the log.
 *
 * An event is due at its timestamp, and with it all that stand before it in the log, whatever
 * theirs are: so one that lies in the future holds up nothing that came after it. One thread; no
 * clock.
 */
#pragma once

#include "base/buf.h"
#include "stream/input.h"

struct late {
    struct buf bytes;
    size_t at;         /* of them, where the next event begins */
    struct buf groups; /* of struct late_group: due one after the other */
    size_t group;      /* the one that is next */
};

void late_free(struct late *l);

/* Appends a copy of an event. A timestamp of -1 is due at once. False: memory was short. */
bool late_put(struct late *l, const struct input *in);

/* The next event, if it is due at until_ms; borrowed until late_put() or late_taken(). topic and
 * partition are the caller's to fill in. */
bool late_next(const struct late *l, int64_t until_ms, struct input *out);

/* It was applied: the one behind it is next. */
void late_taken(struct late *l);

void late_clear(struct late *l);

static inline bool late_is_empty(const struct late *l)
{
    return l->at == l->bytes.len;
}

/* Bytes that events wait in. */
static inline size_t late_bytes(const struct late *l)
{
    return l->bytes.len - l->at;
}

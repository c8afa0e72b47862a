/*
 * A column of texts of a part, kept until its width is known. One thread. No clock.
 */
#pragma once

#include "base/buf.h"
#include "set/set_hdf5.h"

/* All zero: none. */
struct set_texts {
    struct buf bytes, lengths; /* uint32 each */
    size_t widest;
    uint64_t count;
};

void set_texts_free(struct set_texts *t);

/* A failed allocation is told by set_texts_write(). */
void set_texts_put(struct set_texts *t, struct str text);

/* Bytes of the column with another text: all are as wide as the widest. */
static inline uint64_t set_texts_bytes(const struct set_texts *t, struct str more)
{
    return (t->widest > more.len ? t->widest : more.len) * (t->count + 1);
}

/* Makes and writes the column. Fails with ERR_IO, ERR_NOMEM. */
int set_texts_write(hid_t group, const char *name, const struct set_texts *t, struct err *e);

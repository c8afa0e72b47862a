/*
 * How state stands on topics: keys and cells of shared scopes, users' records, each with the
 * fingerprints of the definitions that it was written under.
 *
 * Bytes from outside are checked and brought into this fleet's definitions. One thread; no I/O, no
 * clock.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "feature/definition.h"

struct wire {
    const struct feature_set *set; /* borrowed */
    struct buf user_layout;        /* fingerprints of a user's record */
    struct buf *scope_layouts;     /* of the cells of each scope */
    struct buf key;                /* the key that was read last */
    struct buf converted;          /* state that was written under other definitions, in ours */
};

/* Fails with ERR_NOMEM. wire_free() is right for what is all zero, too. */
int wire_init(struct wire *w, const struct feature_set *set, struct err *e);
void wire_free(struct wire *w);

/* Whether fingerprints are those of a layout. */
static inline bool wire_matches(struct str fingerprints, const struct buf *layout)
{
    return str_equal(fingerprints, buf_str(layout));
}

/* Appends the key of a shared key's records: the scope's text, 0, the key. */
void wire_put_key(struct buf *out, const struct feature_set *set, struct str shared);

/* The scope of such a key, WIRE_UNKNOWN if the definitions do not have it, WIRE_DAMAGED if it is no
 * such key; the key in memory (shared_key) is put into w->key. */
enum { WIRE_UNKNOWN = -1, WIRE_DAMAGED = -2 };
int wire_read_key(struct wire *w, struct str wire, struct arena *a);

/* Brings a cell into this definition's layout; it may live in w->converted then. data NULL: nothing
 * of it is left. Fails with ERR_CORRUPT (it is damaged), ERR_NOMEM. */
int wire_read_cell(struct wire *w, int scope, struct str fingerprints, struct str *cell,
                   struct err *e);

/* The same for a user's record. */
int wire_read_user(struct wire *w, struct str fingerprints, struct str *record, struct err *e);

/*
 * The inside of struct features, shared by what is done with it: features.c (records in), restore.c
 * (checkpoints in), epoch.c (records out), wire.c (how state and deltas stand on topics). Not for
 * others.
 */
#pragma once

#include "feature/vector.h"
#include "features/features.h"

struct features {
    struct features_opts opts;
    struct entities *users, *propositions;
    struct apply *apply;
    struct table *deltas; /* of the epoch: shared_key() to cell */
    struct table *totals; /* shared_key() of totals to cell, as last told */
    struct buf user_layout;
    struct buf *scope_layouts;
    struct arena arena; /* of the record at hand */
    struct buf after, key, converted;
    int64_t buried; /* dead letters */
    struct metric *events, *repeats, *replayed, *deltas_read, *published, *checkpoints,
        *unknown_scopes;
};

/* Whether fingerprints are those of a layout of this definition. */
bool wire_matches(struct str fingerprints, const struct buf *layout);

/* Appends the key of a shared key's records: the scope's text, 0, the key. */
void wire_put_key(struct buf *out, const struct feature_set *set, struct str shared);

/* The scope of such a key, WIRE_UNKNOWN if the definitions do not have it, WIRE_DAMAGED if it is no
 * such key; the key in memory is put into f->key. */
enum { WIRE_UNKNOWN = -1, WIRE_DAMAGED = -2 };
int wire_read_key(struct features *f, struct str wire);

/* Brings a cell into this definition's layout; it may live in f->converted then. data NULL: nothing
 * of it is left. Fails with ERR_CORRUPT (it is damaged), ERR_NOMEM. */
int wire_read_cell(struct features *f, int scope, struct str fingerprints, struct str *cell,
                   struct err *e);

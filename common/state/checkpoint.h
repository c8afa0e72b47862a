/*
 * A record of the topics state.user and state.shared, taken apart: the state of one key, or the
 * mark of a partition.
 *
 * One thread; no I/O, no clock.
 */
#pragma once

#include "serde/codec.h"
#include "state/wire.h"
#include "stream/input.h"

/* The key of the record that marks how far the checkpoints of a partition reach; no text, so
 * nobody's key. */
#define CHECKPOINT_MARK "\xff"

enum checkpoint_kind { CHECKPOINT_USERS, CHECKPOINT_SHARED };

struct checkpoint {
    bool is_mark;
    bool is_nothing;  /* the definitions have nothing of this key any more */
    bool due;         /* was not published since it was changed */
    int64_t offset;   /* of the log, the newest that is in the state; of a mark, the low water */
    struct str key;   /* the user's id, or the shared_key(); empty for a mark */
    struct str state; /* in our definitions' form; of a mark, what was skipped (skipped.h) */
    int64_t keys;     /* of a mark: how many the checkpoints hold; -1: nobody counted */
};

/*
 * Borrows from the input, the wire and the arena. Fails with ERR_CORRUPT (not one of ours: says
 * what to do), ERR_UNAVAILABLE (written with a schema that is not known: it is somewhere, and to be
 * waited for), ERR_NOMEM.
 */
int checkpoint_read(struct checkpoint *out, enum checkpoint_kind kind, struct wire *w,
                    struct codec *codec, const struct input *in, struct arena *a, struct err *e);

/*
 * A record of feature.totals: the key (shared_key()) and cell of a scope's totals. cell->data NULL:
 * it is of no use here. Borrows likewise. Fails with ERR_UNAVAILABLE (the schema registry has to be
 * asked), ERR_NOMEM.
 */
int checkpoint_total(struct str *key, struct str *cell, struct wire *w, struct codec *codec,
                     const struct input *in, struct arena *a, struct err *e);

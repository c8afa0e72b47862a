/*
 * A model on its way into the registry: what every version needs, whoever registers it.
 *
 * One thread.
 */
#pragma once

#include "ctl.h"

#include "db/model_registry.h"
#include "model/ensemble.h"

struct registration {
    /* Given, and borrowed. */
    const struct feature_set *set;
    struct str bytes;         /* XGBoost's file */
    struct str_list columns;  /* the value that each column is; items NULL: the file's own names, or
                                 where it has none all values in their order */
    struct model_entry entry; /* parts.name, parts.calibration, note, metrics, parameters,
                                 drift_reference, parent, training, report: as they are wanted. The
                                 rest of it is filled in. */
    /* Made. */
    struct ensemble *ensemble;
    struct str_list names;
    struct buf fingerprints, rows, margins;
    uint8_t sha256[MODEL_SHA256_BYTES];
};

/*
 * Fills in what follows from the file and the definitions (SHA-256, names, fingerprints, canary
 * rows, shape), and loads the version as a ranker will. Nothing of it needs a server.
 * registration_free() in any case. Fails with ERR_SCHEMA (columns and definitions do not fit: says
 * which), ERR_INVALID, ERR_CORRUPT, ERR_TOO_LARGE (the file is not served: as model_new()),
 * ERR_NOMEM.
 */
int registration_prepare(struct registration *r, struct err *e);
void registration_free(struct registration *r);

/* Writes it as the next version of its name. Fails as model_registry_insert(), ctl_open_db(). */
int registration_write(struct registration *r, const struct ctl *c, int64_t *version,
                       struct err *e);

/* A name for a model, given by --model. Fails with ERR_INVALID: says what names are. */
int registration_check_name(const char *name, struct err *e);

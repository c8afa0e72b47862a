/*
 * What the registry has of models, with what the plans make of it: for the commands that show it.
 *
 * One thread.
 */
#pragma once

#include "ctl.h"
#include "plans.h"

#include "db/model_registry.h"

struct listing {
    struct model_entries entries;
    struct plans plans;
    bool plans_known; /* as far as Kafka could be asked */
};

/* All versions, or those of a name (NULL: any). listing_free() in any case. Where Kafka cannot be
 * asked, that is said on standard error. Fails as model_registry_list(). */
int listing_read(struct listing *l, const struct ctl *c, const char *name, struct err *e);

/* One version, 0: the newest. Fails as model_registry_find(). */
int listing_find(struct listing *l, const struct ctl *c, const char *name, int64_t version,
                 struct err *e);
void listing_free(struct listing *l);

/* Appends a line of JSON. */
void listing_put_json(struct buf *b, const struct listing *l, const struct model_entry *m);

/* "calibration" for a person: none, platt, isotonic, or damaged. */
const char *listing_calibration(const struct model_entry *m);

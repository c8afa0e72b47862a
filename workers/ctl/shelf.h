/*
 * The topic model.artifacts, from which rankers load models: what of a model is there, and putting
 * it right.
 *
 * One thread.
 */
#pragma once

#include "ctl.h"
#include "sender.h"

#include "model/artifact.h"

enum shelf_part { PART_ABSENT, PART_STALE /* with another SHA-256 */, PART_THERE };

/* A version that parts were or are there of. */
struct shelved {
    int64_t version;
    int part_count; /* as its newest record says */
    uint8_t sha256[MODEL_SHA256_BYTES];
    enum shelf_part parts[ARTIFACT_MAX_PARTS];
};

struct shelf {
    const struct ctl *ctl;
    struct str model;
    struct shelved *items;
    size_t count;
};

/* Reads the topic to its end. shelf_free() in any case; model is borrowed. Fails as topic_read(),
 * and with ERR_CORRUPT, ERR_SCHEMA (a record that is no part of a model: says which). */
int shelf_read(struct shelf *s, const struct ctl *c, const char *model, struct err *e);
void shelf_free(struct shelf *s);

/* Whether every part of a version is there; and whether any is. */
bool shelf_has(const struct shelf *s, int64_t version);
bool shelf_has_some(const struct shelved *v);

/* Puts the parts of a version there; the topic is open. Does not wait. Fails as sender_put(). */
int shelf_put(const struct shelf *s, struct sender *to, const struct model_parts *parts,
              struct err *e);

/* Takes a version away: each of its parts that is there gets a tombstone. Fails as sender_put(). */
int shelf_remove(const struct shelf *s, struct sender *to, const struct shelved *v, struct err *e);

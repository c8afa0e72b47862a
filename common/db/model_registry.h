/*
 * The registry of models in PostgreSQL (tables model_versions and rollout_plans): every version
 * that was ever registered, never changed.
 *
 * One thread a connection, which is connected by the caller. Errors called the server's:
 * db/connection.h.
 */
#pragma once

#include "base/buf.h"
#include "db/connection.h"
#include "model/model.h"

/* A version with what the registry knows beside it. Texts are JSON or plain, NULL where there is
 * none. */
struct model_entry {
    struct model_parts parts; /* bytes may be left out (data NULL) where they are not asked for */
    size_t bytes_size;
    const char *objective;
    int64_t trees;
    int64_t depth;
    const char *actor; /* set by the server: the role */
    const char *os_user;
    const char *note;
    const char *metrics;    /* a JSON object */
    const char *created_at; /* UTC; set by the server */
};

/*
 * Writes a version, numbered one higher than the highest of its name, and says which in *version;
 * two writers at the same time get two numbers. What the server sets is not read. Fails
 * with the server's, ERR_NOMEM.
 */
int model_registry_insert(struct db *d, const struct model_entry *m, int64_t *version,
                          struct err *e);

/* A list, or one version, with the memory that it is in. */
struct model_entries {
    struct model_entry *items;
    size_t count;
    struct model_entries_memory *memory;
};

/* Versions without their bytes, newest first; name NULL: of all models. model_entries_free() in any
 * case. Fails with the server's, ERR_NOMEM. */
int model_registry_list(struct model_entries *out, struct db *d, const char *name, struct err *e);

/*
 * One version with its bytes; version 0: the newest. Fails with ERR_NOT_FOUND (says which versions
 * there are), the server's, ERR_NOMEM.
 */
int model_registry_find(struct model_entries *out, struct db *d, const char *name, int64_t version,
                        struct err *e);

void model_entries_free(struct model_entries *m);

/*
 * The registry of models in PostgreSQL (tables model_versions, model_metrics and rollout_plans):
 * every version that was ever registered, never changed.
 *
 * One thread a connection, which is connected by the caller. Errors called the server's:
 * db/connection.h.
 */
#pragma once

#include "base/buf.h"
#include "db/connection.h"
#include "model/model.h"

/* A number of a version's report. What cannot be told is NaN: NULL in the table. */
struct model_metric {
    const char *scorer;  /* model, rules, ... */
    const char *segment; /* "" for all, else "user.tier=gold" */
    const char *metric;
    double value, low, high;
    uint64_t n; /* rows or requests that it is of */
};

/* What a version was trained on; all 0 (NULL) where that is not known. Times are milliseconds since
 * the epoch. */
struct model_training {
    int64_t from_ms, to_ms; /* of the requests: oldest to newest, validation and test with them */
    int64_t validation_from_ms, test_from_ms; /* where those parts begin */
    uint64_t requests, rows, positives;       /* of all parts; positives: labels above 0 */
    const char *labels;                       /* "click=1,convert=5" */
    int64_t label_window_ms;
};

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
    const char *metrics;         /* a JSON object: what a person gave */
    const char *created_at;      /* UTC; set by the server */
    const char *parameters;      /* a JSON object: what it was trained with */
    const char *drift_reference; /* a JSON object: bins and counts of features and score */
    int64_t parent; /* the champion that it was trained to beat; 0: none, or not known */
    struct model_training training;
    const struct model_metric *report; /* rows; a list of versions has those of all rows alone */
    size_t report_count;
};

/* Appends the rows of its report as a JSON array; what cannot be told is null. */
void model_entry_report_json(struct buf *b, const struct model_entry *m);

/*
 * Writes a version with its report, numbered one higher than the highest of its name, and says
 * which in *version; two writers at the same time get two numbers. What the server sets is not
 * read. Fails with the server's, ERR_NOMEM.
 */
int model_registry_insert(struct db *d, const struct model_entry *m, int64_t *version,
                          struct err *e);

/* A list, or one version, with the memory that it is in. */
struct model_entries {
    struct model_entry *items;
    size_t count;
    struct model_entries_memory *memory;
};

/* Versions without their bytes, drift references and segments, newest first; name NULL: of all
 * models. model_entries_free() in any
 * case. Fails with the server's, ERR_NOMEM. */
int model_registry_list(struct model_entries *out, struct db *d, const char *name, struct err *e);

/*
 * One version with its bytes; version 0: the newest. Fails with ERR_NOT_FOUND (says which versions
 * there are), the server's, ERR_NOMEM.
 */
int model_registry_find(struct model_entries *out, struct db *d, const char *name, int64_t version,
                        struct err *e);

void model_entries_free(struct model_entries *m);

/* The champion by the newest plan of a model that the recorder has written; 0: rules, or there is
 * no plan, or the plan is of a topic whose versions this database does not have. Fails with the
 * server's. */
int model_registry_champion(struct db *d, const char *name, int64_t *version, struct err *e);

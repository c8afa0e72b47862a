/* The reading half of model_registry.h. */
#include "db/model_registry.h"

#include "base/arena.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Between the names of features in one text. */
enum { SEPARATOR = 0x1f };

#define MS(column) "(1000 * extract(epoch FROM " column "))::bigint"

#define COLUMNS                                                                                    \
    "model, version, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), actor, "     \
    "os_user, note, sha256, size, objective, trees, depth, array_to_string(features, chr(31)), "   \
    "fingerprints, canary_rows, canary_margins, metrics, calibration, parameters, labels, "        \
    "label_window_ms, training_requests, training_rows, training_positives, " MS(                  \
        "training_from") ", " MS("training_to") ", " MS("validation_from") ", " MS("test_from") ", parent"

/* The first column behind those. */
enum { FOUND_COLUMNS = 28 };

struct model_entries_memory {
    struct arena arena;
};

static const char *text(const PGresult *r, int row, int column, struct arena *a, bool *good)
{
    if (PQgetisnull(r, row, column))
        return NULL;
    const char *copy = arena_copy(a, str_of(PQgetvalue(r, row, column))).data;
    *good &= copy != NULL;
    return copy;
}

static struct str bytes(const PGresult *r, int row, int column, struct arena *a, bool *good)
{
    size_t n = 0;
    uint8_t *raw = PQunescapeBytea((const uint8_t *)PQgetvalue(r, row, column), &n);
    struct str copy = raw ? arena_copy(a, str_bytes(raw, n)) : (struct str){NULL, 0};
    *good &= copy.data != NULL;
    PQfreemem(raw);
    return copy;
}

static struct str_list names(const char *text, struct arena *a, bool *good)
{
    size_t count = 1;
    for (const char *c = text; *c; c++)
        count += *c == SEPARATOR;
    struct str_list list = {arena_alloc(a, count * sizeof *list.items), 0};
    *good &= list.items != NULL;
    while (list.items && *text) {
        size_t n = strcspn(text, "\x1f");
        list.items[list.count++] = str_bytes(text, n);
        text += n + (text[n] != 0);
    }
    return list;
}

/* 0 where there is none; so is what an empty text gives. */
static int64_t integer(const PGresult *r, int row, int column)
{
    return strtoll(PQgetvalue(r, row, column), NULL, 10);
}

static double real(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? (double)NAN : strtod(PQgetvalue(r, row, column), NULL);
}

static bool read_entry(struct model_entry *m, const PGresult *r, int row, struct arena *a)
{
    bool good = true;
    m->parts.name = str_of(text(r, row, 0, a, &good));
    m->parts.version = strtoll(PQgetvalue(r, row, 1), NULL, 10);
    m->created_at = text(r, row, 2, a, &good);
    m->actor = text(r, row, 3, a, &good);
    m->os_user = text(r, row, 4, a, &good);
    m->note = text(r, row, 5, a, &good);
    m->parts.sha256 = bytes(r, row, 6, a, &good);
    m->bytes_size = (size_t)strtoull(PQgetvalue(r, row, 7), NULL, 10);
    m->objective = text(r, row, 8, a, &good);
    m->trees = strtoll(PQgetvalue(r, row, 9), NULL, 10);
    m->depth = strtoll(PQgetvalue(r, row, 10), NULL, 10);
    const char *features = text(r, row, 11, a, &good);
    if (features)
        m->parts.features = names(features, a, &good);
    m->parts.fingerprints = bytes(r, row, 12, a, &good);
    m->parts.canary_rows = bytes(r, row, 13, a, &good);
    m->parts.canary_margins = bytes(r, row, 14, a, &good);
    m->metrics = text(r, row, 15, a, &good);
    m->parts.calibration = bytes(r, row, 16, a, &good);
    m->parameters = text(r, row, 17, a, &good);
    m->training = (struct model_training){
        .labels = text(r, row, 18, a, &good),
        .label_window_ms = integer(r, row, 19),
        .requests = (uint64_t)integer(r, row, 20),
        .rows = (uint64_t)integer(r, row, 21),
        .positives = (uint64_t)integer(r, row, 22),
        .from_ms = integer(r, row, 23),
        .to_ms = integer(r, row, 24),
        .validation_from_ms = integer(r, row, 25),
        .test_from_ms = integer(r, row, 26),
    };
    m->parent = integer(r, row, 27);
    if (PQnfields(r) > FOUND_COLUMNS) {
        m->drift_reference = text(r, row, FOUND_COLUMNS, a, &good);
        m->parts.bytes = bytes(r, row, FOUND_COLUMNS + 1, a, &good);
    }
    return good;
}

static int read_entries(struct model_entries *out, const PGresult *r, struct err *e)
{
    int n = PQntuples(r);
    out->memory = calloc(1, sizeof *out->memory);
    out->items = calloc((size_t)n + 1, sizeof *out->items);
    bool good = out->memory && out->items;
    for (int i = 0; i < n && good; i++) {
        good = read_entry(&out->items[i], r, i, &out->memory->arena);
        out->count++;
    }
    return good ? 0 : err_nomem(e);
}

/* ---- Reports ---- */

static bool is_of(const struct model_entry *m, const PGresult *r, int row)
{
    return m->parts.version == integer(r, row, 1) && str_is(m->parts.name, PQgetvalue(r, row, 0));
}

/* Rows `from` to `to` are this version's. */
static bool take_report(struct model_entry *m, const PGresult *r, int from, int to, struct arena *a)
{
    bool good = true;
    struct model_metric *rows = arena_alloc(a, (size_t)(to - from) * sizeof *rows + 1);
    if (!rows)
        return false;
    for (int i = from; i < to && good; i++)
        rows[m->report_count++] = (struct model_metric){
            .scorer = text(r, i, 2, a, &good),
            .segment = text(r, i, 3, a, &good),
            .metric = text(r, i, 4, a, &good),
            .value = real(r, i, 5),
            .low = real(r, i, 6),
            .high = real(r, i, 7),
            .n = (uint64_t)integer(r, i, 8),
        };
    m->report = rows;
    return good;
}

/* Both are in the order of models and versions. */
static int take_reports(struct model_entries *out, const PGresult *r, struct err *e)
{
    int at = 0, n = PQntuples(r);
    for (size_t i = 0; i < out->count; i++) {
        int from = at;
        while (at < n && is_of(&out->items[i], r, at))
            at++;
        if (!take_report(&out->items[i], r, from, at, &out->memory->arena))
            return err_nomem(e);
    }
    return 0;
}

/* values: model or NULL, version or NULL; segments: those with them, else what is of all alone. */
static int read_reports(struct model_entries *out, struct db *d, const char *const *values,
                        bool segments, struct err *e)
{
    PGresult *r = NULL;
    const char *const with[] = {values[0], values[1], segments ? "t" : "f"};
    int rc = db_query(d, &r,
                      "SELECT model, version, scorer, segment, metric, value, low, high, n "
                      "FROM model_metrics WHERE ($1::text IS NULL OR model = $1) AND "
                      "($2::bigint IS NULL OR version = $2::bigint) AND "
                      "($3::boolean OR segment = '') ORDER BY model, version DESC, place",
                      3, with, e);
    if (!rc)
        rc = take_reports(out, r, e);
    PQclear(r);
    return rc;
}

void model_entries_free(struct model_entries *m)
{
    if (m->memory)
        arena_free(&m->memory->arena);
    free(m->memory);
    free(m->items);
    *m = (struct model_entries){0};
}

int model_registry_list(struct model_entries *out, struct db *d, const char *name, struct err *e)
{
    PGresult *r = NULL;
    *out = (struct model_entries){0};
    int rc = db_query(d, &r,
                      "SELECT " COLUMNS " FROM model_versions WHERE $1::text IS NULL OR model = $1 "
                      "ORDER BY model, version DESC",
                      1, &name, e);
    if (!rc)
        rc = read_entries(out, r, e);
    if (!rc)
        rc = read_reports(out, d, (const char *const[]){name, NULL}, false, e);
    PQclear(r);
    return rc;
}

/* What there is in its place. */
static int explain(struct db *d, const char *const *values, struct err *e)
{
    PGresult *r = NULL;
    int rc = db_query(d, &r,
                      "SELECT max(version) FILTER (WHERE model = $1), "
                      "string_agg(DISTINCT model, ', ') FROM model_versions WHERE $2::text <> ''",
                      2, values, e);
    if (rc)
        return rc;
    if (!PQgetisnull(r, 0, 0))
        err_set(e, ERR_NOT_FOUND, "model %s has no version %s: the newest is %s", values[0],
                values[1], PQgetvalue(r, 0, 0));
    else if (!PQgetisnull(r, 0, 1))
        err_set(e, ERR_NOT_FOUND, "there is no model %s: there are %s", values[0],
                PQgetvalue(r, 0, 1));
    else
        err_set(e, ERR_NOT_FOUND, "there is no model %s: none is registered yet", values[0]);
    PQclear(r);
    return ERR_NOT_FOUND;
}

int model_registry_find(struct model_entries *out, struct db *d, const char *name, int64_t version,
                        struct err *e)
{
    PGresult *r = NULL;
    char number[24];
    const char *values[] = {name, number};
    snprintf(number, sizeof number, "%lld", (long long)version);
    *out = (struct model_entries){0};
    int rc = db_query(d, &r,
                      "SELECT " COLUMNS
                      ", drift_reference, artifact FROM model_versions WHERE model = $1 AND "
                      "($2::bigint = 0 OR version = $2::bigint) ORDER BY version DESC LIMIT 1",
                      2, values, e);
    if (!rc && PQntuples(r) == 0)
        rc = explain(d, values, e);
    if (!rc)
        rc = read_entries(out, r, e);
    if (!rc) {
        snprintf(number, sizeof number, "%lld", (long long)out->items[0].parts.version);
        rc = read_reports(out, d, values, true, e);
    }
    PQclear(r);
    return rc;
}

int model_registry_champion(struct db *d, const char *name, int64_t *version, struct err *e)
{
    PGresult *r = NULL;
    int rc = db_query(d, &r,
                      "SELECT v.version FROM (SELECT model, champion FROM rollout_plans "
                      "WHERE model = $1 ORDER BY at DESC, recorded_at DESC LIMIT 1) p "
                      "JOIN model_versions v ON v.model = p.model AND v.version = p.champion",
                      1, &name, e);
    *version = rc || PQntuples(r) == 0 ? 0 : integer(r, 0, 0);
    PQclear(r);
    return rc;
}

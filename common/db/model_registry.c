#include "db/model_registry.h"

#include "base/arena.h"
#include "base/failpoint.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

/* Writers of one model's versions take turns. */
#define LOCK_KEYS "(hashtext('flotilla models'), hashtext($1))"

/* Between the names of features in one text. */
enum { SEPARATOR = 0x1f };

#define COLUMNS                                                                                    \
    "model, version, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), actor, "     \
    "os_user, note, sha256, size, objective, trees, depth, array_to_string(features, chr(31)), "   \
    "fingerprints, canary_rows, canary_margins, metrics"

struct model_entries_memory {
    struct arena arena;
};

/* ---- Writing ---- */

static void put_hex(struct buf *b, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";
    buf_put_text(b, "\\x");
    if (!buf_reserve(b, 2 * bytes.len + 1))
        return;
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = (uint8_t)bytes.data[i];
        b->data[b->len++] = (uint8_t)digits[byte >> 4];
        b->data[b->len++] = (uint8_t)digits[byte & 15];
    }
}

static void put_features(struct buf *b, const struct str_list *names)
{
    buf_put_u8(b, '[');
    for (size_t i = 0; i < names->count; i++) {
        buf_put_text(b, i ? "," : "");
        json_put_text(b, names->items[i]);
    }
    buf_put_u8(b, ']');
}

static int insert(struct db *d, const struct model_entry *m, struct buf *texts, int64_t *version,
                  struct err *e)
{
    enum { VALUES = 13 };
    const struct str bytes[] = {m->parts.bytes, m->parts.sha256, m->parts.fingerprints,
                                m->parts.canary_rows, m->parts.canary_margins};
    size_t at[VALUES] = {0};
    char trees[24], depth[24];
    snprintf(trees, sizeof trees, "%lld", (long long)m->trees);
    snprintf(depth, sizeof depth, "%lld", (long long)m->depth);
    buf_put_str(texts, m->parts.name);
    buf_put_u8(texts, 0);
    for (int i = 0; i < 5; i++) {
        at[i] = texts->len;
        put_hex(texts, bytes[i]);
        buf_put_u8(texts, 0);
    }
    at[5] = texts->len;
    put_features(texts, &m->parts.features);
    buf_put_u8(texts, 0);
    if (!buf_ok(texts))
        return err_nomem(e);
    const char *t = (const char *)texts->data;
    const char *values[VALUES] = {t,          t + at[0], t + at[1], t + at[2], t + at[3],
                                  t + at[4],  t + at[5], trees,     depth,     m->objective,
                                  m->os_user, m->note,   m->metrics};
    PGresult *row = NULL;
    int rc = db_query(d, NULL, "SELECT pg_advisory_xact_lock" LOCK_KEYS, 1, values, e);
    /* A statement of its own: it sees what was committed before the lock was had. */
    if (!rc)
        rc = db_query(
            d, &row,
            "INSERT INTO model_versions (model, version, artifact, sha256, size, fingerprints, "
            "canary_rows, canary_margins, features, trees, depth, objective, os_user, note, "
            "metrics) SELECT $1, (SELECT coalesce(max(version), 0) + 1 FROM model_versions WHERE "
            "model = $1), $2::bytea, $3::bytea, octet_length($2::bytea), $4::bytea, $5::bytea, "
            "$6::bytea, ARRAY(SELECT jsonb_array_elements_text($7::jsonb)), $8::integer, "
            "$9::integer, $10, $11, $12, $13::jsonb RETURNING version",
            VALUES, values, e);
    if (!rc)
        *version = strtoll(PQgetvalue(row, 0, 0), NULL, 10);
    PQclear(row);
    return rc;
}

int model_registry_insert(struct db *d, const struct model_entry *m, int64_t *version,
                          struct err *e)
{
    struct buf texts = {0};
    FAILPOINT("models.insert.before_begin");
    int rc = db_run(d, "BEGIN", e);
    FAILPOINT("models.insert.begun");
    if (!rc)
        rc = insert(d, m, &texts, version, e);
    FAILPOINT("models.insert.before_commit");
    if (!rc)
        rc = db_run(d, "COMMIT", e);
    FAILPOINT("models.insert.committed");
    if (rc)
        db_rollback(d);
    buf_free(&texts);
    return rc;
}

/* ---- Reading ---- */

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
    if (PQnfields(r) > 16)
        m->parts.bytes = bytes(r, row, 16, a, &good);
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
                      "SELECT " COLUMNS ", artifact FROM model_versions WHERE model = $1 AND "
                      "($2::bigint = 0 OR version = $2::bigint) ORDER BY version DESC LIMIT 1",
                      2, values, e);
    if (!rc && PQntuples(r) == 0)
        rc = explain(d, values, e);
    if (!rc)
        rc = read_entries(out, r, e);
    PQclear(r);
    return rc;
}

/* The writing half of model_registry.h. */
#include "db/model_registry.h"

#include "base/failpoint.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

/* Writers of one model's versions take turns. */
#define LOCK_KEYS "(hashtext('flotilla models'), hashtext($1))"

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

static void put_fact(struct buf *b, const char *name, int64_t value)
{
    if (value)
        buf_printf(b, ",\"%s\":%lld", name, (long long)value);
}

/* What is not known is left out. */
static void put_training(struct buf *b, const struct model_entry *m)
{
    const struct model_training *t = &m->training;
    buf_put_text(b, "{\"labels\":");
    if (t->labels)
        json_put_text(b, str_of(t->labels));
    else
        buf_put_text(b, "null");
    put_fact(b, "from", t->from_ms);
    put_fact(b, "to", t->to_ms);
    put_fact(b, "validation_from", t->validation_from_ms);
    put_fact(b, "test_from", t->test_from_ms);
    put_fact(b, "requests", (int64_t)t->requests);
    put_fact(b, "rows", (int64_t)t->rows);
    if (t->rows)
        buf_printf(b, ",\"positives\":%llu", (unsigned long long)t->positives);
    put_fact(b, "label_window_ms", t->label_window_ms);
    put_fact(b, "parent", m->parent);
    buf_put_u8(b, '}');
}

static void put_member(struct buf *b, const char *name, const char *text)
{
    buf_printf(b, ",\"%s\":", name);
    json_put_text(b, str_of(text));
}

static void put_value(struct buf *b, const char *name, double value)
{
    buf_printf(b, ",\"%s\":", name);
    json_put_number(b, value);
}

void model_entry_report_json(struct buf *b, const struct model_entry *m)
{
    buf_put_u8(b, '[');
    for (size_t i = 0; i < m->report_count; i++) {
        const struct model_metric *row = &m->report[i];
        buf_printf(b, "%s{\"n\":%llu", i ? "," : "", (unsigned long long)row->n);
        put_member(b, "scorer", row->scorer);
        put_member(b, "segment", row->segment);
        put_member(b, "metric", row->metric);
        put_value(b, "value", row->value);
        put_value(b, "low", row->low);
        put_value(b, "high", row->high);
        buf_put_u8(b, '}');
    }
    buf_put_u8(b, ']');
}

/* The statement's parameters by their numbers, $1 first. */
enum parameter {
    P_MODEL,
    P_ARTIFACT,
    P_SHA256,
    P_FINGERPRINTS,
    P_CANARY_ROWS,
    P_CANARY_MARGINS,
    P_CALIBRATION,
    P_FEATURES,
    P_TRAINING,
    P_TREES,
    P_DEPTH,
    P_OBJECTIVE,
    P_OS_USER,
    P_NOTE,
    P_METRICS,
    P_PARAMETERS,
    P_DRIFT_REFERENCE,
    PARAMETERS
};

static const char insert_version[] =
    "INSERT INTO model_versions (model, version, artifact, sha256, size, fingerprints, "
    "canary_rows, canary_margins, calibration, features, trees, depth, objective, os_user, note, "
    "metrics, parameters, drift_reference, labels, label_window_ms, training_from, training_to, "
    "validation_from, test_from, training_requests, training_rows, training_positives, "
    "parent) "
    "SELECT $1, (SELECT coalesce(max(version), 0) + 1 FROM model_versions WHERE model = $1), "
    "$2::bytea, $3::bytea, octet_length($2::bytea), $4::bytea, $5::bytea, $6::bytea, $7::bytea, "
    "ARRAY(SELECT jsonb_array_elements_text($8::jsonb)), $10::integer, $11::integer, $12, $13, "
    "$14, $15::jsonb, $16::jsonb, $17::jsonb, t.labels, t.label_window_ms, "
    "to_timestamp(t.\"from\" / 1000), to_timestamp(t.\"to\" / 1000), "
    "to_timestamp(t.validation_from / 1000), to_timestamp(t.test_from / 1000), "
    "t.requests, t.rows, t.positives, t.parent "
    "FROM jsonb_to_record($9::jsonb) AS t(labels text, label_window_ms bigint, "
    "\"from\" double precision, \"to\" double precision, validation_from double precision, "
    "test_from double precision, requests bigint, rows bigint, positives bigint, parent bigint) "
    "RETURNING version";

static const char insert_metrics[] =
    "INSERT INTO model_metrics (model, version, scorer, segment, metric, place, value, low, high, "
    "n) SELECT $1, $2::bigint, r->>'scorer', r->>'segment', r->>'metric', place, "
    "(r->>'value')::double precision, (r->>'low')::double precision, "
    "(r->>'high')::double precision, (r->>'n')::bigint "
    "FROM jsonb_array_elements($3::jsonb) WITH ORDINALITY AS t(r, place)";

/* Texts one behind the other, each with a 0 behind it; where each begins. */
static void write_texts(struct buf *b, const struct model_entry *m, size_t at[PARAMETERS])
{
    const struct {
        enum parameter at;
        struct str bytes;
    } hex[] = {
        {P_ARTIFACT, m->parts.bytes},
        {P_SHA256, m->parts.sha256},
        {P_FINGERPRINTS, m->parts.fingerprints},
        {P_CANARY_ROWS, m->parts.canary_rows},
        {P_CANARY_MARGINS, m->parts.canary_margins},
        {P_CALIBRATION, m->parts.calibration},
    };
    at[P_MODEL] = b->len;
    buf_put_str(b, m->parts.name);
    buf_put_u8(b, 0);
    for (size_t i = 0; i < sizeof hex / sizeof *hex; i++) {
        at[hex[i].at] = b->len;
        put_hex(b, hex[i].bytes);
        buf_put_u8(b, 0);
    }
    at[P_FEATURES] = b->len;
    put_features(b, &m->parts.features);
    buf_put_u8(b, 0);
    at[P_TRAINING] = b->len;
    put_training(b, m);
    buf_put_u8(b, 0);
    at[P_TREES] = b->len;
    buf_printf(b, "%lld%c", (long long)m->trees, 0);
    at[P_DEPTH] = b->len;
    buf_printf(b, "%lld%c", (long long)m->depth, 0);
}

static int write_version(struct db *d, const struct model_entry *m, struct buf *texts,
                         int64_t *version, struct err *e)
{
    size_t at[PARAMETERS] = {0};
    const char *values[PARAMETERS];
    write_texts(texts, m, at);
    if (!buf_ok(texts))
        return err_nomem(e);
    for (int i = 0; i < PARAMETERS; i++)
        values[i] = (const char *)texts->data + at[i];
    values[P_OBJECTIVE] = m->objective;
    values[P_OS_USER] = m->os_user;
    values[P_NOTE] = m->note;
    values[P_METRICS] = m->metrics;
    values[P_PARAMETERS] = m->parameters;
    values[P_DRIFT_REFERENCE] = m->drift_reference;
    PGresult *row = NULL;
    int rc = db_query(d, NULL, "SELECT pg_advisory_xact_lock" LOCK_KEYS, 1, values, e);
    /* A statement of its own: it sees what was committed before the lock was had. */
    if (!rc)
        rc = db_query(d, &row, insert_version, PARAMETERS, values, e);
    if (!rc)
        *version = strtoll(PQgetvalue(row, 0, 0), NULL, 10);
    PQclear(row);
    return rc;
}

static int write_report(struct db *d, const struct model_entry *m, struct buf *texts,
                        int64_t version, struct err *e)
{
    char number[24];
    if (!m->report_count)
        return 0;
    snprintf(number, sizeof number, "%lld", (long long)version);
    buf_reset(texts);
    buf_put_str(texts, m->parts.name);
    buf_put_u8(texts, 0);
    size_t at = texts->len;
    model_entry_report_json(texts, m);
    buf_put_u8(texts, 0);
    if (!buf_ok(texts))
        return err_nomem(e);
    const char *values[] = {(const char *)texts->data, number, (const char *)texts->data + at};
    return db_query(d, NULL, insert_metrics, 3, values, e);
}

int model_registry_insert(struct db *d, const struct model_entry *m, int64_t *version,
                          struct err *e)
{
    struct buf texts = {0};
    FAILPOINT("models.insert.before_begin");
    int rc = db_run(d, "BEGIN", e);
    FAILPOINT("models.insert.begun");
    if (!rc)
        rc = write_version(d, m, &texts, version, e);
    if (!rc)
        rc = write_report(d, m, &texts, *version, e);
    FAILPOINT("models.insert.before_commit");
    if (!rc)
        rc = db_run(d, "COMMIT", e);
    FAILPOINT("models.insert.committed");
    if (rc)
        db_rollback(d);
    buf_free(&texts);
    return rc;
}

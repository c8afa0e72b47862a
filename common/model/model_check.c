#include "model/model_check.h"

#include "base/buf.h"
#include "base/prng.h"

#include <math.h>
#include <openssl/sha.h>
#include <stdlib.h>

/* Rows of a registered version; more than this is not ours. */
enum { MAX_CANARIES = 1024 };

int model_sha256(uint8_t out[MODEL_SHA256_BYTES], struct str bytes, struct err *e)
{
    return SHA256((const uint8_t *)bytes.data, bytes.len, out)
               ? 0
               : err_set(e, ERR_NOMEM, "no SHA-256 could be computed");
}

/* ---- Making canary rows ---- */

/* The thresholds of each column, one column after the other. */
struct thresholds {
    float *values;
    size_t *ends; /* of each column, behind its last */
};

static bool gather(struct thresholds *t, const struct ensemble *m)
{
    size_t total = 0;
    t->ends = calloc(m->column_count + 1, sizeof *t->ends);
    for (size_t i = 0; t->ends && i < m->tree_count; i++)
        for (size_t n = 0; n < m->trees[i].count; n++)
            if (m->trees[i].nodes[n].left >= 0) {
                t->ends[m->trees[i].nodes[n].column + 1]++;
                total++;
            }
    t->values = t->ends ? malloc((total + 1) * sizeof *t->values) : NULL;
    if (!t->values)
        return false;
    /* ends[c + 1] is where the next threshold of c goes, until it is where they end. */
    for (size_t c = 0, before = 0; c < m->column_count; c++) {
        size_t own = t->ends[c + 1];
        t->ends[c + 1] = before;
        before += own;
    }
    for (size_t i = 0; i < m->tree_count; i++)
        for (size_t n = 0; n < m->trees[i].count; n++)
            if (m->trees[i].nodes[n].left >= 0)
                t->values[t->ends[m->trees[i].nodes[n].column + 1]++] = m->trees[i].nodes[n].value;
    return true;
}

static float canary_value(const struct thresholds *t, size_t row, size_t column)
{
    size_t first = t->ends[column], count = t->ends[column + 1] - first;
    uint64_t x = prng_mix((uint64_t)row << 32 | column);
    float at = count ? t->values[first + (x >> 8) % count] : (float)(int)(x >> 56);
    switch ((row + column) % 8) {
    case 0:
        return NAN;
    case 1:
        return nextafterf(at, -INFINITY);
    case 2:
        return nextafterf(at, INFINITY);
    case 3:
        return x & 1 ? -0.0F : 0.0F;
    case 4:
        return x & 1 ? -INFINITY : INFINITY;
    case 5:
        return x & 1 ? -3e38F : 3e38F;
    default:
        return at;
    }
}

void model_canaries(const struct ensemble *m, struct buf *rows, struct buf *margins)
{
    struct thresholds t = {0};
    float *row = malloc((m->column_count + 1) * sizeof *row);
    rows->failed |= !row || !gather(&t, m);
    for (size_t r = 0; r < MODEL_CANARY_ROWS && buf_ok(rows); r++) {
        for (size_t c = 0; c < m->column_count; c++)
            row[c] = canary_value(&t, r, c);
        float margin = ensemble_margin(m, row);
        buf_put(rows, row, m->column_count * sizeof *row);
        buf_put(margins, &margin, sizeof margin);
    }
    free(row);
    free(t.values);
    free(t.ends);
}

/* ---- Checking them ---- */

struct canaries {
    const struct ensemble *ensemble;
    const struct scorer *scorer;
    struct scorer_scratch *scratch;
    const bool *shared;
    enum scorer_path path;
    size_t columns, count;
    float *rows;    /* aligned, as the artifact's need not be */
    float *mixed;   /* a row with the shared columns of another */
    float *margins; /* of the scorer */
};

static bool same_bits(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* All rows as candidates of one request, whose shared columns are those of one of them. */
static int check_request(struct canaries *c, size_t request, struct err *e)
{
    const float *own = c->rows + request * c->columns;
    int rc = scorer_specialise(c->scorer, c->scratch, c->path, own, e);
    if (rc)
        return rc;
    scorer_margins(c->scorer, c->scratch, c->path, c->rows, c->columns, c->count, c->margins);
    for (size_t i = 0; i < c->count; i++) {
        for (size_t k = 0; k < c->columns; k++)
            c->mixed[k] = c->shared[k] ? own[k] : c->rows[i * c->columns + k];
        float margin = ensemble_margin(c->ensemble, c->mixed);
        if (!same_bits(margin, c->margins[i]))
            return err_set(e, ERR_CORRUPT,
                           "canary row %zu: the scorer (%s) says %.9g, the trees say %.9g", i,
                           scorer_path_name(c->path), (double)c->margins[i], (double)margin);
    }
    return 0;
}

static int check_rows(struct canaries *c, const struct model_parts *parts, struct err *e)
{
    memcpy(c->rows, parts->canary_rows.data, c->count * c->columns * sizeof *c->rows);
    int rc = 0;
    for (size_t i = 0; i < c->count && !rc; i++) {
        float registered, margin = ensemble_margin(c->ensemble, c->rows + i * c->columns);
        memcpy(&registered, parts->canary_margins.data + i * sizeof registered, sizeof registered);
        if (!same_bits(registered, margin))
            return err_set(e, ERR_CORRUPT,
                           "canary row %zu: the margin is %.9g, but it was %.9g when the model was "
                           "registered",
                           i, (double)margin, (double)registered);
    }
    for (size_t i = 0; i < c->count && i < MODEL_CANARY_ROWS && !rc; i++)
        rc = check_request(c, i, e);
    return rc;
}

static int check_canaries(const struct ensemble *m, const struct scorer *s,
                          const struct model_parts *parts, const bool *shared,
                          enum scorer_path path, struct err *e)
{
    struct canaries c = {.ensemble = m,
                         .scorer = s,
                         .shared = shared,
                         .path = path,
                         .columns = m->column_count,
                         .count = parts->canary_margins.len / sizeof(float)};
    if (c.count == 0 || c.count > MAX_CANARIES || parts->canary_margins.len % sizeof(float) != 0 ||
        parts->canary_rows.len != c.count * c.columns * sizeof(float))
        return err_set(e, ERR_CORRUPT,
                       "%zu bytes of canary rows and %zu of their margins do not fit %zu columns",
                       parts->canary_rows.len, parts->canary_margins.len, c.columns);
    c.rows = malloc(parts->canary_rows.len + 1);
    c.mixed = malloc((c.columns + 1) * sizeof *c.mixed);
    c.margins = malloc(c.count * sizeof *c.margins);
    int rc = c.rows && c.mixed && c.margins ? scorer_scratch_new(&c.scratch, e) : err_nomem(e);
    if (!rc)
        rc = check_rows(&c, parts, e);
    scorer_scratch_free(c.scratch);
    free(c.rows);
    free(c.mixed);
    free(c.margins);
    return rc;
}

static int check_sha256(const struct model_parts *parts, struct err *e)
{
    uint8_t sum[MODEL_SHA256_BYTES];
    if (parts->sha256.len != sizeof sum)
        return err_set(e, ERR_CORRUPT, "a SHA-256 has %d bytes, not %zu", MODEL_SHA256_BYTES,
                       parts->sha256.len);
    int rc = model_sha256(sum, parts->bytes, e);
    if (!rc && memcmp(sum, parts->sha256.data, sizeof sum) != 0)
        rc = err_set(e, ERR_CORRUPT,
                     "the SHA-256 of its %zu bytes is not the one that was registered",
                     parts->bytes.len);
    return rc;
}

int model_check(struct ensemble **ensemble, struct scorer **scorer, const struct model_parts *parts,
                const bool *shared, enum scorer_path path, struct err *e)
{
    struct ensemble *m = NULL;
    struct scorer *s = NULL;
    int rc = check_sha256(parts, e);
    if (!rc)
        rc = ensemble_read(&m, parts->bytes, e);
    if (!rc && m->column_count != parts->features.count)
        rc = err_set(e, ERR_CORRUPT, "the file has %zu columns, %zu are named", m->column_count,
                     parts->features.count);
    if (!rc)
        rc = scorer_new(&s, m, shared, e);
    if (!rc)
        rc = check_canaries(m, s, parts, shared, path, e);
    if (rc) {
        scorer_free(s);
        ensemble_free(m);
        return rc;
    }
    *ensemble = m;
    *scorer = s;
    return 0;
}

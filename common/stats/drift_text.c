/* A drift reference as JSON and back. */
#include "stats/drift_memory.h"

#include "base/json.h"

#include <jansson.h>
#include <math.h>

/* ---- Writing ---- */

static void put_bins(struct buf *out, const struct drift_bins *b, bool is_named)
{
    buf_put_u8(out, '{');
    if (is_named) {
        buf_put_text(out, "\"name\": ");
        json_put_text(out, b->name);
        buf_put_text(out, ", ");
    }
    buf_put_text(out, "\"edges\": [");
    for (size_t i = 0; i < b->edge_count; i++) {
        buf_put_text(out, i ? ", " : "");
        json_put_number(out, (double)b->edges[i]);
    }
    buf_put_text(out, "], \"counts\": [");
    for (size_t i = 0; i <= b->edge_count; i++)
        buf_printf(out, "%s%llu", i ? ", " : "", (unsigned long long)b->counts[i]);
    buf_printf(out, "], \"missing\": %llu, \"infinite\": %llu}", (unsigned long long)b->missing,
               (unsigned long long)b->infinite);
}

void drift_reference_write(const struct drift_reference *r, struct buf *out)
{
    buf_printf(out, "{\"rows\": %llu, \"columns\": [", (unsigned long long)r->rows);
    for (size_t c = 0; c < r->column_count; c++) {
        buf_put_text(out, c ? ", " : "");
        put_bins(out, &r->bins[c], true);
    }
    buf_put_text(out, "], \"score\": ");
    put_bins(out, &r->bins[r->column_count], false);
    buf_put_u8(out, '}');
}

/* ---- Reading ---- */

static bool read_count(uint64_t *out, const json_t *j)
{
    *out = (uint64_t)json_integer_value(j);
    return json_is_integer(j) && json_integer_value(j) >= 0;
}

static bool read_edges(float edges[DRIFT_EDGES_MOST], const json_t *j, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *number = json_array_get(j, i);
        edges[i] = (float)json_number_value(number);
        if (!json_is_number(number) || !isfinite(edges[i]) || (i && edges[i] <= edges[i - 1]))
            return false;
    }
    return true;
}

static bool read_counts(struct drift_bins *b, const json_t *j, uint64_t rows)
{
    const json_t *counts = json_object_get(j, "counts");
    uint64_t *own = (uint64_t *)(uintptr_t)b->counts; /* the reference's own */
    bool ok = json_array_size(counts) == b->edge_count + 1 &&
              read_count(&b->missing, json_object_get(j, "missing")) &&
              read_count(&b->infinite, json_object_get(j, "infinite"));
    uint64_t total = b->missing + b->infinite;
    for (size_t i = 0; i <= b->edge_count && ok; i++) {
        ok = read_count(&own[i], json_array_get(counts, i));
        total += own[i];
    }
    return ok && total == rows;
}

static int read_bins(struct drift_reference *r, size_t column, const json_t *j, struct err *e)
{
    struct drift_bins *b = &r->bins[column];
    const json_t *name = json_object_get(j, "name"), *list = json_object_get(j, "edges");
    size_t n = json_array_size(list);
    float edges[DRIFT_EDGES_MOST];
    bool is_score = column == r->column_count;
    if (!is_score && !json_is_string(name))
        return err_set(e, ERR_CORRUPT, "column %zu of the drift reference has no name", column);
    b->name = is_score ? str_of("")
                       : arena_copy(&r->arena,
                                    str_bytes(json_string_value(name), json_string_length(name)));
    const char *what = is_score ? "the score" : b->name.data;
    if (!b->name.data)
        return err_nomem(e);
    if (!json_is_array(list) || n > DRIFT_EDGES_MOST || !read_edges(edges, list, n))
        return err_set(e, ERR_CORRUPT,
                       "the drift reference's edges of %s are not up to %d numbers that rise", what,
                       DRIFT_EDGES_MOST);
    if (!drift_bins_make(b, &r->arena, edges, n))
        return err_nomem(e);
    if (!read_counts(b, j, r->rows))
        return err_set(e, ERR_CORRUPT,
                       "the drift reference's counts of %s are not %zu that make %llu rows, with "
                       "those missing and infinite",
                       what, n + 1, (unsigned long long)r->rows);
    return 0;
}

static int read_object(struct drift_reference **out, const json_t *j, struct err *e)
{
    const json_t *columns = json_object_get(j, "columns");
    struct drift_reference *r = NULL;
    uint64_t rows;
    if (!read_count(&rows, json_object_get(j, "rows")) || !json_is_array(columns))
        return err_set(e, ERR_CORRUPT, "the drift reference has no rows or columns");
    int rc = drift_reference_make(&r, json_array_size(columns), e);
    if (rc)
        return rc;
    r->rows = r->total = rows;
    for (size_t c = 0; c <= r->column_count && !rc; c++)
        rc = read_bins(
            r, c, c < r->column_count ? json_array_get(columns, c) : json_object_get(j, "score"),
            e);
    if (rc)
        drift_reference_free(r);
    else
        *out = r;
    return rc;
}

int drift_reference_read(struct drift_reference **out, struct str json, struct err *e)
{
    json_error_t why;
    *out = NULL;
    json_t *j = json_loadb(json.len ? json.data : "", json.len, 0, &why);
    if (!j)
        return err_set(e, ERR_CORRUPT, "the drift reference is no JSON: %s", why.text);
    int rc = read_object(out, j, e);
    json_decref(j);
    return rc;
}

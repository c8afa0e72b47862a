#include "set/set_part.h"

#include "base/buf.h"
#include "base/table.h"
#include "set/set_columns.h"
#include "set/set_texts.h"

#include <stdlib.h>

/* Memory of the gathered rows; a chunk of a column is to be worth a call of HDF5. */
enum { CHUNKS_BYTES = 16 << 20, MOST_CHUNK_ROWS = 65536, LEAST_CHUNK_ROWS = 256 };

/* A column of the rows: its values of the chunk that is being gathered. */
struct gathered {
    hid_t column; /* made with the first chunk that is full */
    uint8_t *values;
};

struct set_part_writer {
    char *path;
    const struct str_list *names;
    struct set_limits limits;
    hid_t file, features_group, rows_group;
    int reason;                  /* why the file cannot be written */
    size_t chunk_rows, gathered; /* how many rows a chunk has; of those that are there */
    uint64_t written;            /* rows in the file */
    struct gathered rows[SET_ROW_COLUMNS];
    struct gathered *features;
    float *memory; /* of all chunks */
    uint64_t requests;
    struct set_texts request_texts[SET_REQUEST_TEXTS];
    struct buf request_numbers[SET_REQUEST_COLUMNS]; /* the texts' are not used */
    struct table *propositions;                      /* id and segments to their number */
    struct table *segments;
    struct set_texts proposition_ids, segment_texts;
    struct buf proposition_segments; /* int32 each */
    struct buf key;
};

/* ---------------------------------------------------------- making */

static size_t row_bytes(const struct set_part_writer *p)
{
    size_t bytes = p->names->count * sizeof(float);
    for (size_t i = 0; i < SET_ROW_COLUMNS; i++)
        bytes += hdf5_size(set_row_columns[i].type, 0);
    return bytes;
}

/* One run of memory for all chunks: columns of 8 bytes stand before those of 4. */
static bool take_memory(struct set_part_writer *p)
{
    size_t rows = MOST_CHUNK_ROWS;
    while (rows > LEAST_CHUNK_ROWS && (rows * row_bytes(p) > CHUNKS_BYTES || rows > p->limits.rows))
        rows /= 2;
    p->chunk_rows = rows;
    p->features = calloc(p->names->count, sizeof *p->features);
    p->memory = malloc(rows * row_bytes(p));
    if (!p->features || !p->memory)
        return false;
    uint8_t *at = (uint8_t *)p->memory;
    for (size_t size = 8; size >= 4; size /= 2)
        for (size_t i = 0; i < SET_ROW_COLUMNS; i++)
            if (hdf5_size(set_row_columns[i].type, 0) == size) {
                p->rows[i].values = at;
                at += rows * size;
            }
    for (size_t i = 0; i < p->names->count; i++, at += rows * sizeof(float))
        p->features[i] = (struct gathered){H5I_INVALID_HID, at};
    return true;
}

int set_part_new(struct set_part_writer **out, const char *path, const struct str_list *columns,
                 const struct set_limits *limits, struct err *e)
{
    struct set_part_writer *p = calloc(1, sizeof *p);
    if (!p)
        return err_nomem(e);
    p->names = columns;
    p->limits = *limits;
    p->file = p->features_group = p->rows_group = H5I_INVALID_HID;
    for (size_t i = 0; i < SET_ROW_COLUMNS; i++)
        p->rows[i].column = H5I_INVALID_HID;
    p->path = strdup(path);
    p->propositions = table_new();
    p->segments = table_new();
    int rc = p->path && p->propositions && p->segments && take_memory(p) ? 0 : err_nomem(e);
    if (!rc)
        rc = hdf5_create(&p->file, &p->reason, path, e);
    if (!rc)
        rc = hdf5_make_group(&p->features_group, p->file, SET_GROUP_FEATURES, e);
    if (!rc)
        rc = hdf5_make_group(&p->rows_group, p->file, SET_GROUP_ROWS, e);
    if (rc) {
        set_part_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

/* A file is closed when nothing in it is open any more. */
static void drop_columns(struct set_part_writer *p)
{
    for (size_t i = 0; i < SET_ROW_COLUMNS; i++)
        hdf5_drop_column(&p->rows[i].column);
    for (size_t i = 0; p->features && i < p->names->count; i++)
        hdf5_drop_column(&p->features[i].column);
    hdf5_drop_group(&p->rows_group);
    hdf5_drop_group(&p->features_group);
}

void set_part_free(struct set_part_writer *p)
{
    if (!p)
        return;
    drop_columns(p);
    hdf5_drop(&p->file);
    for (size_t i = 0; i < SET_REQUEST_TEXTS; i++)
        set_texts_free(&p->request_texts[i]);
    for (size_t i = 0; i < SET_REQUEST_COLUMNS; i++)
        buf_free(&p->request_numbers[i]);
    set_texts_free(&p->proposition_ids);
    set_texts_free(&p->segment_texts);
    buf_free(&p->proposition_segments);
    buf_free(&p->key);
    table_free(p->segments);
    table_free(p->propositions);
    free(p->memory);
    free(p->features);
    free(p->path);
    free(p);
}

/* ---------------------------------------------------------- gathering */

bool set_part_takes(const struct set_part_writer *p, const struct set_request *r)
{
    const struct str texts[SET_REQUEST_TEXTS] = {r->id, r->user_id, r->placement, r->model,
                                                 r->variant};
    uint64_t rows = p->written + p->gathered;
    uint64_t bytes = rows * row_bytes(p);
    for (size_t i = 0; i < SET_REQUEST_TEXTS; i++)
        bytes += set_texts_bytes(&p->request_texts[i], texts[i]);
    bytes += set_texts_bytes(&p->segment_texts, r->segments);
    bytes += set_texts_bytes(&p->proposition_ids, (struct str){0});
    for (size_t i = SET_REQUEST_TEXTS; i < SET_REQUEST_COLUMNS; i++)
        bytes += (p->requests + 1) * hdf5_size(set_request_columns[i].type, 0);
    return p->requests == 0 || (rows < p->limits.rows && bytes < p->limits.bytes);
}

/* The number of a key, which counts those before it; *added: it was not there. */
static bool number_of(struct table *t, struct str key, int32_t *number, bool *added)
{
    size_t before = table_count(t);
    uint32_t id = before < INT32_MAX ? table_insert(t, key) : TABLE_NONE;
    *number = (int32_t)id;
    *added = table_count(t) > before;
    return id != TABLE_NONE;
}

static bool segments_number(struct set_part_writer *p, struct str segments, int32_t *number)
{
    bool added = false;
    if (!number_of(p->segments, segments, number, &added))
        return false;
    if (added)
        set_texts_put(&p->segment_texts, segments);
    return true;
}

/* A proposition whose attributes change within a part is there once for each. */
static bool proposition_number(struct set_part_writer *p, struct str id, struct str segments,
                               int32_t *number)
{
    bool added = false;
    buf_reset(&p->key);
    buf_put_sized(&p->key, id);
    buf_put_str(&p->key, segments);
    if (!buf_ok(&p->key) || !number_of(p->propositions, buf_str(&p->key), number, &added))
        return false;
    if (!added)
        return true;
    int32_t of = 0;
    if (!segments_number(p, segments, &of))
        return false;
    set_texts_put(&p->proposition_ids, id);
    buf_put(&p->proposition_segments, &of, sizeof of);
    return true;
}

/* The chunk is written, whole or, where it is the last, cut at the rows that there are. */
static int flush_column(struct set_part_writer *p, struct gathered *g, hid_t group,
                        const char *name, enum hdf5_type type, struct err *e)
{
    int rc = 0;
    if (g->column < 0)
        rc = hdf5_make_growing(&g->column, group, name, type, p->chunk_rows, e);
    return rc ? rc
              : hdf5_put_chunk(g->column, p->written, p->gathered, g->values,
                               p->chunk_rows * hdf5_size(type, 0), e);
}

/* A part of less than a chunk: columns of just that size. */
static int write_column(struct set_part_writer *p, struct gathered *g, hid_t group,
                        const char *name, enum hdf5_type type, struct err *e)
{
    int rc = hdf5_make_column(&g->column, group, name, type, 0, p->gathered, e);
    return rc ? rc : hdf5_put(g->column, type, 0, 0, p->gathered, g->values, e);
}

static int flush_rows(struct set_part_writer *p, struct err *e)
{
    int rc = 0;
    bool is_whole = p->written == 0 && p->gathered < p->chunk_rows;
    int (*write)(struct set_part_writer *, struct gathered *, hid_t, const char *, enum hdf5_type,
                 struct err *) = is_whole ? write_column : flush_column;
    for (size_t i = 0; !rc && i < SET_ROW_COLUMNS; i++)
        rc = write(p, &p->rows[i], p->rows_group, set_row_columns[i].name, set_row_columns[i].type,
                   e);
    for (size_t i = 0; !rc && i < p->names->count; i++) {
        buf_reset(&p->key);
        buf_put_str(&p->key, p->names->items[i]);
        buf_put_u8(&p->key, 0);
        rc = buf_ok(&p->key) ? write(p, &p->features[i], p->features_group,
                                     (const char *)p->key.data, HDF5_FLOAT, e)
                             : err_nomem(e);
    }
    p->written += p->gathered;
    p->gathered = 0;
    if (rc)
        err_wrap(e, "%s", p->path);
    return rc ? rc : hdf5_written(&p->reason, p->path, e);
}

/* Rows first to first + count - 1 of the request, behind those that are gathered. */
static int gather(struct set_part_writer *p, const struct set_request *r, size_t first,
                  size_t count, struct err *e)
{
    size_t at = p->gathered, columns = p->names->count;
    memcpy((float *)p->rows[SET_ROW_LABEL].values + at, r->labels + first, count * sizeof(float));
    memcpy((int32_t *)p->rows[SET_ROW_PLACE].values + at, r->places + first,
           count * sizeof(int32_t));
    memcpy((double *)p->rows[SET_ROW_PROPENSITY].values + at, r->propensities + first,
           count * sizeof(double));
    memcpy((float *)p->rows[SET_ROW_SCORE].values + at, r->scores + first, count * sizeof(float));
    memcpy((uint32_t *)p->rows[SET_ROW_SEEN].values + at, r->proposition_seen + first,
           count * sizeof(uint32_t));
    int32_t *numbers = (int32_t *)p->rows[SET_ROW_PROPOSITION].values + at;
    for (size_t i = 0; i < count; i++)
        if (!proposition_number(p, r->propositions[first + i], r->proposition_segments[first + i],
                                &numbers[i]))
            return err_nomem(e);
    for (size_t c = 0; c < columns; c++) {
        float *to = (float *)p->features[c].values + at;
        const float *from = r->vectors + first * columns + c;
        for (size_t i = 0; i < count; i++)
            to[i] = from[i * columns];
    }
    p->gathered += count;
    return 0;
}

int set_part_put(struct set_part_writer *p, const struct set_request *r, struct err *e)
{
    const struct str texts[SET_REQUEST_TEXTS] = {r->id, r->user_id, r->placement, r->model,
                                                 r->variant};
    uint32_t rows = (uint32_t)r->count;
    uint8_t source = (uint8_t)r->source;
    int32_t segments = 0;
    if (!segments_number(p, r->segments, &segments))
        return err_nomem(e);
    for (size_t i = 0; i < SET_REQUEST_TEXTS; i++)
        set_texts_put(&p->request_texts[i], texts[i]);
    struct buf *numbers = p->request_numbers;
    buf_put(&numbers[SET_REQUEST_TIMESTAMP], &r->timestamp_ms, sizeof r->timestamp_ms);
    buf_put(&numbers[SET_REQUEST_ROWS], &rows, sizeof rows);
    buf_put(&numbers[SET_REQUEST_SOURCE], &source, sizeof source);
    buf_put(&numbers[SET_REQUEST_VERSION], &r->version, sizeof r->version);
    buf_put(&numbers[SET_REQUEST_SHARE], &r->share, sizeof r->share);
    buf_put(&numbers[SET_REQUEST_SEEN], &r->seen, sizeof r->seen);
    buf_put(&numbers[SET_REQUEST_SEGMENTS], &segments, sizeof segments);
    p->requests++;
    for (size_t first = 0; first < r->count;) {
        size_t room = p->chunk_rows - p->gathered, left = r->count - first;
        size_t count = left < room ? left : room;
        int rc = gather(p, r, first, count, e);
        if (!rc && p->gathered == p->chunk_rows)
            rc = flush_rows(p, e);
        if (rc)
            return rc;
        first += count;
    }
    return 0;
}

/* ---------------------------------------------------------- the end */

static int write_numbers(hid_t group, const char *name, enum hdf5_type type, const struct buf *b,
                         struct err *e)
{
    hid_t column = H5I_INVALID_HID;
    size_t count = b->len / hdf5_size(type, 0);
    if (!buf_ok(b))
        return err_nomem(e);
    int rc = hdf5_make_column(&column, group, name, type, 0, count, e);
    if (!rc)
        rc = hdf5_put(column, type, 0, 0, count, b->data, e);
    hdf5_drop_column(&column);
    return rc;
}

static int write_requests(struct set_part_writer *p, hid_t group, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < SET_REQUEST_COLUMNS; i++) {
        const struct set_column *c = &set_request_columns[i];
        rc = i < SET_REQUEST_TEXTS
                 ? set_texts_write(group, c->name, &p->request_texts[i], e)
                 : write_numbers(group, c->name, c->type, &p->request_numbers[i], e);
    }
    return rc;
}

static int write_propositions(struct set_part_writer *p, hid_t group, struct err *e)
{
    int rc = set_texts_write(group, SET_PROPOSITION_ID, &p->proposition_ids, e);
    return rc ? rc
              : write_numbers(group, SET_PROPOSITION_SEGMENTS, HDF5_I32, &p->proposition_segments,
                              e);
}

static int write_segments(struct set_part_writer *p, hid_t group, struct err *e)
{
    return set_texts_write(group, SET_SEGMENTS_JSON, &p->segment_texts, e);
}

static int write_group(struct set_part_writer *p, const char *name,
                       int (*write)(struct set_part_writer *, hid_t, struct err *), struct err *e)
{
    hid_t group = H5I_INVALID_HID;
    int rc = hdf5_make_group(&group, p->file, name, e);
    if (!rc)
        rc = write(p, group, e);
    hdf5_drop_group(&group);
    if (rc)
        err_wrap(e, "%s", p->path);
    return rc;
}

int set_part_end(struct set_part_writer *p, uint64_t *requests, uint64_t *rows, struct err *e)
{
    int rc = p->gathered || !p->written ? flush_rows(p, e) : 0;
    if (!rc)
        rc = write_group(p, SET_GROUP_REQUESTS, write_requests, e);
    if (!rc)
        rc = write_group(p, SET_GROUP_PROPOSITIONS, write_propositions, e);
    if (!rc)
        rc = write_group(p, SET_GROUP_SEGMENTS, write_segments, e);
    drop_columns(p);
    if (rc)
        return rc;
    *requests = p->requests;
    *rows = p->written;
    return hdf5_close(&p->file, &p->reason, p->path, e);
}

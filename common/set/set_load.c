#include "set/set_load.h"

#include "set/set_columns.h"

#include <assert.h>
#include <stdlib.h>

enum { PIECE_VALUES = 65536, PIECE_BYTES = 1 << 20 };

/* ---------------------------------------------------------- room */

/* The arrays belong to the set's memory, which alone writes to what others see as constant. */
#define WRITABLE(type, array) ((type *)(uintptr_t)(array))

static bool take(const void *place, size_t count, size_t size)
{
    void *array = calloc(count ? count : 1, size);
    memcpy(WRITABLE(void, place), &array, sizeof array);
    return array != NULL;
}

int set_memory_new(struct set_memory *m, uint64_t requests, uint64_t rows, struct err *e)
{
    struct set_rows *r = &m->rows;
    size_t n = (size_t)requests, k = (size_t)rows;
    *m = (struct set_memory){.request_room = n, .row_room = k};
    m->texts = table_new();
    bool ok =
        m->texts && take(&r->first, n + 1, sizeof *r->first) &&
        take(&r->timestamps_ms, n, sizeof *r->timestamps_ms) &&
        take(&r->users, n, sizeof *r->users) && take(&r->ids, n, sizeof *r->ids) &&
        take(&r->segments, n, sizeof *r->segments) &&
        take(&r->placements, n, sizeof *r->placements) && take(&r->models, n, sizeof *r->models) &&
        take(&r->variants, n, sizeof *r->variants) && take(&r->versions, n, sizeof *r->versions) &&
        take(&r->shares, n, sizeof *r->shares) && take(&r->user_seen, n, sizeof *r->user_seen) &&
        take(&r->sources, n, sizeof *r->sources) && take(&r->labels, k, sizeof *r->labels) &&
        take(&r->places, k, sizeof *r->places) &&
        take(&r->propensities, k, sizeof *r->propensities) &&
        take(&r->scores, k, sizeof *r->scores) &&
        take(&r->propositions, k, sizeof *r->propositions) &&
        take(&r->proposition_segments, k, sizeof *r->proposition_segments) &&
        take(&r->proposition_seen, k, sizeof *r->proposition_seen);
    return ok ? 0 : err_nomem(e);
}

void set_memory_free(struct set_memory *m)
{
    const struct set_rows *r = &m->rows;
    const void *arrays[] = {r->first,
                            r->timestamps_ms,
                            r->users,
                            r->ids,
                            r->segments,
                            r->placements,
                            r->models,
                            r->variants,
                            r->versions,
                            r->shares,
                            r->user_seen,
                            r->sources,
                            r->labels,
                            r->places,
                            r->propensities,
                            r->scores,
                            r->propositions,
                            r->proposition_segments,
                            r->proposition_seen,
                            r->texts};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(WRITABLE(void, arrays[i]));
    table_free(m->texts);
    *m = (struct set_memory){0};
}

int set_memory_end(struct set_memory *m, struct err *e)
{
    size_t count = table_count(m->texts);
    if (!take(&m->rows.texts, count, sizeof *m->rows.texts))
        return err_nomem(e);
    struct str *texts = WRITABLE(struct str, m->rows.texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = table_key(table_get(m->texts, (uint32_t)i));
    m->rows.text_count = count;
    return 0;
}

/* ---------------------------------------------------------- columns */

static int read_column(hid_t group, const struct set_column *c, uint64_t count, void *out,
                       struct err *e)
{
    hid_t column = H5I_INVALID_HID;
    int rc = hdf5_open_column(&column, group, c->name, c->type, NULL, count, e);
    if (!rc && (rc = hdf5_get(column, c->type, 0, 0, (size_t)count, out, e)))
        err_wrap(e, "column %s", c->name);
    hdf5_drop_column(&column);
    return rc;
}

/* The texts of a piece become numbers; many stand behind their like. */
static int intern(struct table *texts, const char *piece, size_t width, size_t count, uint32_t *out,
                  struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = piece + i * width;
        if (i && memcmp(text, text - width, width) == 0) {
            out[i] = out[i - 1];
            continue;
        }
        size_t len = width;
        while (len && text[len - 1] == 0)
            len--;
        out[i] = table_insert(texts, (struct str){text, len});
        if (out[i] == TABLE_NONE)
            return err_nomem(e);
    }
    return 0;
}

/* A column of texts of a part with so many bytes: what would take more is not believed. */
static int read_texts(struct set_memory *m, hid_t group, const char *name, uint64_t count,
                      uint64_t bytes, uint32_t *out, struct err *e)
{
    size_t width = 0;
    char *piece = NULL;
    hid_t column = H5I_INVALID_HID;
    int rc = hdf5_open_column(&column, group, name, HDF5_TEXT, &width, count, e);
    if (!rc && (width == 0 || (count && width > bytes / count)))
        rc = err_set(e, ERR_CORRUPT, "column %s has texts of %zu bytes", name, width);
    if (rc || count == 0)
        goto out;
    size_t room = PIECE_BYTES / width + 1;
    room = room < count ? room : (size_t)count;
    piece = malloc(room * width);
    if (!piece) {
        rc = err_nomem(e);
        goto out;
    }
    for (uint64_t first = 0; !rc && first < count; first += room) {
        size_t n = count - first < room ? (size_t)(count - first) : room;
        rc = hdf5_get(column, HDF5_TEXT, width, first, n, piece, e);
        if (rc)
            err_wrap(e, "column %s", name);
        else
            rc = intern(m->texts, piece, width, n, out + first, e);
    }
out:
    free(piece);
    hdf5_drop_column(&column);
    return rc;
}

/* Places in a dictionary, in place, become the numbers of its texts. */
static int look_up(const char *name, uint32_t *places, uint64_t count, const uint32_t *dictionary,
                   uint64_t size, struct err *e)
{
    for (uint64_t i = 0; i < count; i++) {
        if (places[i] >= size)
            return err_set(e, ERR_CORRUPT, "column %s refers to %lld of %llu", name,
                           (long long)(int32_t)places[i], (unsigned long long)size);
        places[i] = dictionary[places[i]];
    }
    return 0;
}

/* ---------------------------------------------------------- dictionaries */

struct dictionaries {
    uint64_t segment_count, proposition_count;
    uint32_t *segments, *proposition_ids, *proposition_segments; /* numbers of texts */
};

static void dictionaries_free(struct dictionaries *d)
{
    free(d->segments);
    free(d->proposition_ids);
    free(d->proposition_segments);
}

/* How long a dictionary is; no longer than its part has bytes. */
static int count_of(uint64_t *count, hid_t group, const char *name, uint64_t bytes, struct err *e)
{
    int rc = hdf5_count(count, group, name, e);
    return rc                ? rc
           : *count <= bytes ? 0
                             : err_set(e, ERR_CORRUPT, "column %s has %llu values", name,
                                       (unsigned long long)*count);
}

static int read_segments(struct set_memory *m, struct dictionaries *d, hid_t file, uint64_t bytes,
                         struct err *e)
{
    hid_t group = H5I_INVALID_HID;
    int rc = hdf5_open_group(&group, file, SET_GROUP_SEGMENTS, e);
    if (!rc)
        rc = count_of(&d->segment_count, group, SET_SEGMENTS_JSON, bytes, e);
    if (!rc && !take(&d->segments, (size_t)d->segment_count, sizeof *d->segments))
        rc = err_nomem(e);
    if (!rc)
        rc = read_texts(m, group, SET_SEGMENTS_JSON, d->segment_count, bytes, d->segments, e);
    hdf5_drop_group(&group);
    return rc;
}

static int read_propositions(struct set_memory *m, struct dictionaries *d, hid_t file,
                             uint64_t bytes, struct err *e)
{
    static const struct set_column segments = {SET_PROPOSITION_SEGMENTS, HDF5_I32};
    hid_t group = H5I_INVALID_HID;
    int rc = hdf5_open_group(&group, file, SET_GROUP_PROPOSITIONS, e);
    if (!rc)
        rc = count_of(&d->proposition_count, group, SET_PROPOSITION_ID, bytes, e);
    size_t count = (size_t)d->proposition_count;
    if (!rc && (!take(&d->proposition_ids, count, sizeof *d->proposition_ids) ||
                !take(&d->proposition_segments, count, sizeof *d->proposition_segments)))
        rc = err_nomem(e);
    if (!rc)
        rc = read_texts(m, group, SET_PROPOSITION_ID, count, bytes, d->proposition_ids, e);
    if (!rc)
        rc = read_column(group, &segments, count, d->proposition_segments, e);
    if (!rc)
        rc = look_up(segments.name, d->proposition_segments, count, d->segments, d->segment_count,
                     e);
    hdf5_drop_group(&group);
    return rc;
}

/* ---------------------------------------------------------- rows and requests */

static int read_rows(struct set_memory *m, const struct dictionaries *d, hid_t group,
                     const struct set_part *part, struct err *e)
{
    struct set_rows *r = &m->rows;
    uint32_t *propositions = WRITABLE(uint32_t, r->propositions + r->row_count);
    uint32_t *segments = WRITABLE(uint32_t, r->proposition_segments + r->row_count);
    void *const columns[SET_ROW_COLUMNS] = {
        [SET_ROW_LABEL] = WRITABLE(float, r->labels + r->row_count),
        [SET_ROW_PLACE] = WRITABLE(int32_t, r->places + r->row_count),
        [SET_ROW_PROPENSITY] = WRITABLE(double, r->propensities + r->row_count),
        [SET_ROW_SCORE] = WRITABLE(float, r->scores + r->row_count),
        [SET_ROW_PROPOSITION] = propositions,
        [SET_ROW_SEEN] = WRITABLE(uint32_t, r->proposition_seen + r->row_count),
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < SET_ROW_COLUMNS; i++)
        rc = read_column(group, &set_row_columns[i], part->rows, columns[i], e);
    if (rc)
        return rc;
    memcpy(segments, propositions, (size_t)part->rows * sizeof *segments);
    rc = look_up("proposition", propositions, part->rows, d->proposition_ids, d->proposition_count,
                 e);
    return rc ? rc
              : look_up("proposition", segments, part->rows, d->proposition_segments,
                        d->proposition_count, e);
}

/* Requests say how many rows they have; in memory, where their rows begin. */
static int read_counts(struct set_memory *m, hid_t group, const struct set_part *part,
                       struct err *e)
{
    struct set_rows *r = &m->rows;
    uint64_t *first = WRITABLE(uint64_t, r->first + r->request_count);
    uint32_t *counts = malloc((size_t)(part->requests ? part->requests : 1) * sizeof *counts);
    if (!counts)
        return err_nomem(e);
    int rc = read_column(group, &set_request_columns[SET_REQUEST_ROWS], part->requests, counts, e);
    for (uint64_t i = 0; !rc && i < part->requests; i++)
        first[i + 1] = first[i] + counts[i];
    if (!rc && first[part->requests] - first[0] != part->rows)
        rc = err_set(e, ERR_CORRUPT, "its requests have %llu rows, not %llu",
                     (unsigned long long)(first[part->requests] - first[0]),
                     (unsigned long long)part->rows);
    free(counts);
    return rc;
}

static int read_requests(struct set_memory *m, const struct dictionaries *d, hid_t group,
                         const struct set_part *part, struct err *e)
{
    struct set_rows *r = &m->rows;
    size_t at = r->request_count;
    uint32_t *segments = WRITABLE(uint32_t, r->segments + at);
    void *const columns[SET_REQUEST_COLUMNS] = {
        [SET_REQUEST_ID] = WRITABLE(uint32_t, r->ids + at),
        [SET_REQUEST_USER] = WRITABLE(uint32_t, r->users + at),
        [SET_REQUEST_PLACEMENT] = WRITABLE(uint32_t, r->placements + at),
        [SET_REQUEST_MODEL] = WRITABLE(uint32_t, r->models + at),
        [SET_REQUEST_VARIANT] = WRITABLE(uint32_t, r->variants + at),
        [SET_REQUEST_TIMESTAMP] = WRITABLE(int64_t, r->timestamps_ms + at),
        [SET_REQUEST_SOURCE] = WRITABLE(uint8_t, r->sources + at),
        [SET_REQUEST_VERSION] = WRITABLE(int64_t, r->versions + at),
        [SET_REQUEST_SHARE] = WRITABLE(double, r->shares + at),
        [SET_REQUEST_SEEN] = WRITABLE(uint32_t, r->user_seen + at),
        [SET_REQUEST_SEGMENTS] = segments,
    };
    int rc = read_counts(m, group, part, e);
    for (size_t i = 0; !rc && i < SET_REQUEST_COLUMNS; i++) {
        const struct set_column *c = &set_request_columns[i];
        if (c->type == HDF5_TEXT)
            rc = read_texts(m, group, c->name, part->requests, part->bytes, columns[i], e);
        else if (columns[i])
            rc = read_column(group, c, part->requests, columns[i], e);
    }
    for (size_t i = at; !rc && i < at + part->requests; i++)
        if (r->sources[i] > SET_IMPRESSION)
            rc = err_set(e, ERR_CORRUPT, "column source has a %d, which is none", r->sources[i]);
    return rc ? rc
              : look_up("segments", segments, part->requests, d->segments, d->segment_count, e);
}

int set_memory_load(struct set_memory *m, hid_t file, const struct set_part *part, struct err *e)
{
    struct set_rows *r = &m->rows;
    struct dictionaries d = {0};
    hid_t rows = H5I_INVALID_HID, requests = H5I_INVALID_HID;
    assert(part->requests <= m->request_room - r->request_count &&
           part->rows <= m->row_room - r->row_count);
    int rc = read_segments(m, &d, file, part->bytes, e);
    if (!rc)
        rc = read_propositions(m, &d, file, part->bytes, e);
    if (!rc)
        rc = hdf5_open_group(&rows, file, SET_GROUP_ROWS, e);
    if (!rc)
        rc = read_rows(m, &d, rows, part, e);
    if (!rc)
        rc = hdf5_open_group(&requests, file, SET_GROUP_REQUESTS, e);
    if (!rc)
        rc = read_requests(m, &d, requests, part, e);
    if (!rc) {
        r->request_count += (size_t)part->requests;
        r->row_count += (size_t)part->rows;
    }
    hdf5_drop_group(&requests);
    hdf5_drop_group(&rows);
    dictionaries_free(&d);
    return rc;
}

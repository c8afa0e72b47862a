#include "set/set_load.h"

#include "set/set_columns.h"
#include "set/set_document.h"
#include "set/set_path.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Values that are read before they are put where they belong: some rows of all columns. */
enum { BLOCK_BYTES = 2 << 20, MOST_BLOCK_ROWS = 65536 };

struct set {
    char *dir;
    struct set_document document;
    struct set_memory memory;
    uint64_t *part_rows; /* part_count + 1: rows before each part */
    /* The part that was read last, and its columns as far as they were. */
    size_t part; /* part_count: none */
    hid_t file, features;
    hid_t *columns;
    float *block;
    size_t block_floats;
    struct buf text;
};

/* ---------------------------------------------------------- a part */

static void close_part(struct set *s)
{
    for (size_t i = 0; s->columns && i < s->document.info.columns.count; i++)
        hdf5_drop_column(&s->columns[i]);
    hdf5_drop_group(&s->features);
    hdf5_drop(&s->file);
    s->part = s->document.part_count;
}

static int open_part(struct set *s, size_t part, struct err *e)
{
    if (s->part == part)
        return 0;
    close_part(s);
    if (!set_path_part(&s->text, s->dir, part, ""))
        return err_nomem(e);
    const char *path = (const char *)s->text.data;
    if (access(path, R_OK) != 0)
        return err_set(e, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    int rc = hdf5_open(&s->file, path, e);
    if (!rc && (rc = hdf5_open_group(&s->features, s->file, SET_GROUP_FEATURES, e)))
        err_wrap(e, "%s", path);
    if (!rc)
        s->part = part;
    return rc;
}

/* Column of the open part; opened when it is first asked for. */
static int open_column(struct set *s, size_t column, struct err *e)
{
    if (s->columns[column] >= 0)
        return 0;
    buf_reset(&s->text);
    buf_put_str(&s->text, s->document.info.columns.items[column]);
    buf_put_u8(&s->text, 0);
    if (!buf_ok(&s->text))
        return err_nomem(e);
    int rc = hdf5_open_column(&s->columns[column], s->features, (const char *)s->text.data,
                              HDF5_FLOAT, NULL, s->document.parts[s->part].rows, e);
    if (rc)
        err_wrap(e, "%s/" SET_PART_NAME, s->dir, s->part + 1);
    return rc;
}

/* ---------------------------------------------------------- opening */

/* A part's bytes are those that were written: what follows may trust their form. */
static int check_part(struct set *s, size_t part, struct err *e)
{
    uint64_t hash = 0, bytes = 0;
    const struct set_part *p = &s->document.parts[part];
    if (!set_path_part(&s->text, s->dir, part, ""))
        return err_nomem(e);
    const char *path = (const char *)s->text.data;
    int rc = set_path_hash(&hash, &bytes, path, e);
    if (rc == ERR_NOT_FOUND)
        return err_set(e, ERR_CORRUPT, "%s is missing: make the training set anew", path);
    if (!rc && (hash != p->hash || bytes != p->bytes))
        return err_set(e, ERR_CORRUPT,
                       "%s is damaged or was changed, or is of another set: make the training set "
                       "anew",
                       path);
    return rc;
}

static int load_part(struct set *s, size_t part, struct err *e)
{
    int rc = check_part(s, part, e);
    if (!rc)
        rc = open_part(s, part, e);
    for (size_t i = 0; !rc && i < s->document.info.columns.count; i++)
        rc = open_column(s, i, e);
    if (!rc && (rc = set_memory_load(&s->memory, s->file, &s->document.parts[part], e)))
        err_wrap(e, "%s/" SET_PART_NAME, s->dir, part + 1);
    return rc;
}

static int load(struct set *s, struct err *e)
{
    size_t count = s->document.part_count, columns = s->document.info.columns.count;
    s->part = count;
    s->part_rows = calloc(count + 1, sizeof *s->part_rows);
    s->columns = malloc(columns * sizeof *s->columns);
    if (!s->part_rows || !s->columns)
        return err_nomem(e);
    for (size_t i = 0; i < columns; i++)
        s->columns[i] = H5I_INVALID_HID;
    for (size_t i = 0; i < count; i++)
        s->part_rows[i + 1] = s->part_rows[i] + s->document.parts[i].rows;
    int rc = set_memory_new(&s->memory, s->document.request_count, s->document.row_count, e);
    for (size_t i = 0; !rc && i < count; i++)
        rc = load_part(s, i, e);
    return rc ? rc : set_memory_end(&s->memory, e);
}

/* Why there is no finished set. */
static int say_unfinished(struct set *s, const char *dir, struct err *e)
{
    if (!set_path(&s->text, dir, SET_UNFINISHED))
        return err_nomem(e);
    if (access((const char *)s->text.data, F_OK) == 0)
        return err_set(
            e, ERR_NOT_FOUND,
            "the training set in %s is unfinished: run the same flotilla backfill again, "
            "which goes on where it ended",
            dir);
    return err_set(e, ERR_NOT_FOUND,
                   "there is no training set in %s (no " SET_DOCUMENT "): flotilla backfill makes "
                   "one",
                   dir);
}

int set_open(struct set **out, const char *dir, struct err *e)
{
    struct set *s = calloc(1, sizeof *s);
    if (!s)
        return err_nomem(e);
    s->file = s->features = H5I_INVALID_HID;
    s->dir = strdup(dir);
    int rc = s->dir ? set_document_read(&s->document, dir, SET_DOCUMENT, e) : err_nomem(e);
    if (rc == ERR_NOT_FOUND)
        rc = say_unfinished(s, dir, e);
    if (!rc)
        rc = load(s, e);
    if (rc) {
        set_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void set_free(struct set *s)
{
    if (!s)
        return;
    close_part(s);
    set_memory_free(&s->memory);
    set_document_free(&s->document);
    buf_free(&s->text);
    free(s->block);
    free(s->columns);
    free(s->part_rows);
    free(s->dir);
    free(s);
}

const struct set_info *set_info(const struct set *s)
{
    return &s->document.info;
}

const struct set_rows *set_rows(const struct set *s)
{
    return &s->memory.rows;
}

/* ---------------------------------------------------------- vectors */

static int take_block(struct set *s, size_t floats, struct err *e)
{
    if (floats <= s->block_floats)
        return 0;
    float *block = realloc(s->block, floats * sizeof *block);
    if (!block)
        return err_nomem(e);
    s->block = block;
    s->block_floats = floats;
    return 0;
}

/* Columns beside each other become rows: few rows at a time, so that all stays in the cache. */
static void transpose(float *out, const float *block, size_t rows, size_t columns)
{
    enum { TILE = 16 };
    for (size_t from = 0; from < rows; from += TILE) {
        size_t to = from + TILE < rows ? from + TILE : rows;
        for (size_t c = 0; c < columns; c++)
            for (size_t i = from; i < to; i++)
                out[i * columns + c] = block[c * rows + i];
    }
}

/* Rows of the open part, counted from its first. */
static int read_block(struct set *s, uint64_t first, size_t rows, const size_t *columns,
                      size_t count, float *out, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < count; i++) {
        rc = open_column(s, columns[i], e);
        if (!rc && (rc = hdf5_get(s->columns[columns[i]], HDF5_FLOAT, 0, first, rows,
                                  s->block + i * rows, e)))
            err_wrap(e, "%s/" SET_PART_NAME ": column %.*s", s->dir, s->part + 1,
                     STR_ARG(s->document.info.columns.items[columns[i]]));
    }
    if (!rc)
        transpose(out, s->block, rows, count);
    return rc;
}

static size_t part_of(const struct set *s, uint64_t row)
{
    size_t low = 0, high = s->document.part_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (s->part_rows[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int set_read(struct set *s, uint64_t from, uint64_t to, const size_t *columns, size_t count,
             float *out, struct err *e)
{
    assert(from <= to && to <= s->document.row_count);
    if (from == to || count == 0)
        return 0;
    uint64_t most = BLOCK_BYTES / sizeof *out / count;
    most = most == 0 ? 1 : most > MOST_BLOCK_ROWS ? MOST_BLOCK_ROWS : most;
    most = most < to - from ? most : to - from;
    int rc = take_block(s, (size_t)most * count, e);
    for (size_t part = part_of(s, from); !rc && from < to;) {
        uint64_t end = s->part_rows[part + 1];
        if (from == end) {
            part++;
            continue;
        }
        uint64_t rows = to - from < most ? to - from : most;
        rows = end - from < rows ? end - from : rows;
        rc = open_part(s, part, e);
        if (!rc)
            rc = read_block(s, from - s->part_rows[part], (size_t)rows, columns, count, out, e);
        from += rows;
        out += rows * count;
    }
    return rc;
}

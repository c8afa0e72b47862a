#include "set/set_document.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "feature/definition.h"
#include "set/set_path.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FORMAT = 1, MOST_BYTES = 256 << 20, HEX_BYTES = 2 * FINGERPRINT_BYTES };

void set_document_free(struct set_document *d)
{
    free(d->parts);
    arena_free(&d->memory);
    *d = (struct set_document){0};
}

/* A copy, never without data. */
static bool copy(struct set_document *d, struct str *out, struct str text)
{
    *out = arena_copy(&d->memory, text.data ? text : str_of(""));
    return out->data != NULL;
}

/* HDF5 has names in folders as files have: these two would not be one name. */
static int check_columns(const struct set_info *info, struct err *e)
{
    if (info->columns.count == 0 || info->columns.count > SET_MOST_COLUMNS)
        return err_set(e, ERR_INVALID, "a training set has 1 to %d columns, not %zu: the features",
                       SET_MOST_COLUMNS, info->columns.count);
    if (info->fingerprints.len != info->columns.count * FINGERPRINT_BYTES)
        return err_set(e, ERR_INVALID, "%zu bytes of fingerprints are not those of %zu columns",
                       info->fingerprints.len, info->columns.count);
    for (size_t i = 0; i < info->columns.count; i++) {
        struct str name = info->columns.items[i];
        if (name.len == 0 || str_is(name, ".") || memchr(name.data, '/', name.len) ||
            memchr(name.data, 0, name.len))
            return err_set(e, ERR_INVALID,
                           "\"%.*s\" cannot be the name of a column of a training set: name the "
                           "feature otherwise",
                           STR_ARG(name));
    }
    return 0;
}

int set_document_set_counts(struct set_document *d, struct str counts, struct err *e)
{
    json_error_t why;
    struct str text = counts.len ? counts : str_of("{}");
    json_t *object = json_loadb(text.data, text.len, 0, &why);
    bool is_object = json_is_object(object);
    json_decref(object);
    if (!is_object)
        return err_set(e, ERR_INVALID, "the counts of a training set are a JSON object: %s",
                       why.text);
    return copy(d, &d->info.counts, text) ? 0 : err_nomem(e);
}

int set_document_new(struct set_document *d, const struct set_info *info, struct err *e)
{
    *d = (struct set_document){0};
    int rc = check_columns(info, e);
    if (rc)
        return rc;
    size_t count = info->columns.count;
    d->info = *info;
    d->info.columns.items = arena_alloc(&d->memory, count * sizeof *d->info.columns.items);
    bool ok = d->info.columns.items && copy(d, &d->info.fingerprints, info->fingerprints) &&
              copy(d, &d->info.definitions, info->definitions) &&
              copy(d, &d->info.labels, info->labels) && copy(d, &d->info.options, info->options);
    for (size_t i = 0; ok && i < count; i++)
        ok = copy(d, &d->info.columns.items[i], info->columns.items[i]);
    rc = ok ? set_document_set_counts(d, info->counts, e) : err_nomem(e);
    if (rc)
        set_document_free(d);
    return rc;
}

int set_document_add(struct set_document *d, const struct set_part *part, struct err *e)
{
    if (d->part_count == SET_MOST_PARTS)
        return err_set(e, ERR_TOO_LARGE, "a training set has at most %d parts: take a shorter time",
                       SET_MOST_PARTS);
    if (d->part_count == d->part_room) {
        size_t room = d->part_room ? 2 * d->part_room : 16;
        struct set_part *parts = realloc(d->parts, room * sizeof *parts);
        if (!parts)
            return err_nomem(e);
        d->parts = parts;
        d->part_room = room;
    }
    d->parts[d->part_count++] = *part;
    d->request_count += part->requests;
    d->row_count += part->rows;
    return 0;
}

const char *set_document_difference(const struct set_document *a, const struct set_document *b)
{
    const struct set_info *x = &a->info, *y = &b->info;
    if (x->columns.count != y->columns.count)
        return "columns";
    for (size_t i = 0; i < x->columns.count; i++)
        if (!str_equal(x->columns.items[i], y->columns.items[i]))
            return "columns";
    return !str_equal(x->fingerprints, y->fingerprints)       ? "fingerprints"
           : !str_equal(x->definitions, y->definitions)       ? "definitions"
           : !str_equal(x->labels, y->labels)                 ? "labels"
           : !str_equal(x->options, y->options)               ? "options"
           : x->label_window_ms != y->label_window_ms         ? "label_window_ms"
           : x->from_ms != y->from_ms || x->to_ms != y->to_ms ? "range of time"
                                                              : NULL;
}

/* ---------------------------------------------------------- writing */

static void put_columns(struct buf *b, const struct set_info *info)
{
    buf_put_text(b, "  \"columns\": [");
    for (size_t i = 0; i < info->columns.count; i++) {
        buf_put_text(b, i ? ",\n    {\"name\": " : "\n    {\"name\": ");
        json_put_text(b, info->columns.items[i]);
        buf_put_text(b, ", \"fingerprint\": \"");
        for (size_t j = 0; j < FINGERPRINT_BYTES; j++)
            buf_printf(b, "%02x", (uint8_t)info->fingerprints.data[i * FINGERPRINT_BYTES + j]);
        buf_put_text(b, "\"}");
    }
    buf_put_text(b, "\n  ],\n");
}

static void put_parts(struct buf *b, const struct set_document *d)
{
    buf_printf(b, "  \"requests\": %" PRIu64 ",\n  \"rows\": %" PRIu64 ",\n  \"parts\": [",
               d->request_count, d->row_count);
    for (size_t i = 0; i < d->part_count; i++) {
        const struct set_part *p = &d->parts[i];
        buf_printf(b,
                   "%s\n    {\"file\": \"" SET_PART_NAME "\", \"requests\": %" PRIu64
                   ", \"rows\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"xxh3\": \"%016" PRIx64 "\"}",
                   i ? "," : "", i + 1, p->requests, p->rows, p->bytes, p->hash);
    }
    buf_put_text(b, d->part_count ? "\n  ]\n" : "]\n");
}

static void put_document(struct buf *b, const struct set_document *d)
{
    const struct set_info *info = &d->info;
    buf_printf(b, "{\n  \"format\": %d,\n", FORMAT);
    put_columns(b, info);
    buf_put_text(b, "  \"labels\": ");
    json_put_text(b, info->labels);
    buf_put_text(b, ",\n  \"options\": ");
    json_put_text(b, info->options);
    buf_printf(b,
               ",\n  \"label_window_ms\": %" PRId64 ",\n  \"from_ms\": %" PRId64
               ",\n  \"to_ms\": %" PRId64 ",\n"
               "  \"sources\": [\"replayed\", \"logged\", \"impression\"],\n  \"counts\": ",
               info->label_window_ms, info->from_ms, info->to_ms);
    buf_put_str(b, info->counts);
    buf_put_text(b, ",\n  \"definitions\": ");
    json_put_text(b, info->definitions);
    buf_put_text(b, ",\n");
    put_parts(b, d);
    buf_put_text(b, "}\n");
}

static int write_file(const char *path, const struct buf *text, struct err *e)
{
    FILE *f = fopen(path, "wbe");
    if (!f)
        return err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    bool ok =
        fwrite(text->data, 1, text->len, f) == text->len && fflush(f) == 0 && fsync(fileno(f)) == 0;
    int reason = errno;
    ok = fclose(f) == 0 && ok;
    return ok ? 0 : err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(reason));
}

int set_document_write(const struct set_document *d, const char *dir, const char *name,
                       struct err *e)
{
    int rc = 0;
    struct buf text = {0}, path = {0}, beside = {0};
    put_document(&text, d);
    buf_printf(&beside, "%s/%s" SET_BESIDE, dir, name);
    buf_put_u8(&beside, 0);
    if (!set_path(&path, dir, name) || !buf_ok(&text) || !buf_ok(&beside)) {
        rc = err_nomem(e);
        goto out;
    }
    rc = write_file((const char *)beside.data, &text, e);
    if (!rc)
        rc = set_path_rename((const char *)beside.data, (const char *)path.data, dir, e);
out:
    buf_free(&beside);
    buf_free(&path);
    buf_free(&text);
    return rc;
}

/* ---------------------------------------------------------- reading */

static int wrong(struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "%s is missing or is not what it should be", what);
}

/* A text that stays in the tree of JSON. */
static struct str text_of(json_t *value)
{
    return json_is_string(value) ? (struct str){json_string_value(value), json_string_length(value)}
                                 : (struct str){0};
}

static bool unhex(uint8_t *out, struct str text, size_t bytes)
{
    if (text.len != 2 * bytes)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | digit : digit << 4);
    }
    return true;
}

static int read_columns(struct set_document *d, json_t *columns, struct err *e)
{
    size_t count = json_array_size(columns);
    if (count == 0 || count > SET_MOST_COLUMNS)
        return wrong(e, "\"columns\"");
    struct str *names = arena_alloc(&d->memory, count * sizeof *names);
    uint8_t *prints = arena_alloc(&d->memory, count * FINGERPRINT_BYTES);
    if (!names || !prints)
        return err_nomem(e);
    for (size_t i = 0; i < count; i++) {
        json_t *column = json_array_get(columns, i);
        struct str name = text_of(json_object_get(column, "name"));
        struct str print = text_of(json_object_get(column, "fingerprint"));
        if (!name.data || !unhex(prints + i * FINGERPRINT_BYTES, print, FINGERPRINT_BYTES))
            return wrong(e, "one of \"columns\"");
        if (!copy(d, &names[i], name))
            return err_nomem(e);
    }
    d->info.columns = (struct str_list){names, count};
    d->info.fingerprints = str_bytes(prints, count * FINGERPRINT_BYTES);
    struct err why = {0};
    return check_columns(&d->info, &why) ? err_set(e, ERR_CORRUPT, "%s", why.msg) : 0;
}

static bool number_of(uint64_t *out, json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    bool ok = json_is_integer(value) && json_integer_value(value) >= 0;
    *out = ok ? (uint64_t)json_integer_value(value) : 0;
    return ok;
}

/* A row has 28 bytes at least, a request more than one: numbers of them that its bytes cannot hold
 * would be asked of memory. */
static bool part_is_possible(const struct set_part *p)
{
    return p->rows <= p->bytes / 28 && p->requests <= p->bytes;
}

static int read_parts(struct set_document *d, json_t *root, struct err *e)
{
    json_t *parts = json_object_get(root, "parts");
    uint64_t requests = 0, rows = 0;
    if (!json_is_array(parts) || !number_of(&requests, root, "requests") ||
        !number_of(&rows, root, "rows"))
        return wrong(e, "\"parts\", \"requests\" or \"rows\"");
    for (size_t i = 0; i < json_array_size(parts); i++) {
        json_t *part = json_array_get(parts, i);
        struct set_part p = {0};
        uint8_t hash[8];
        char name[32];
        snprintf(name, sizeof name, SET_PART_NAME, i + 1);
        if (!str_is(text_of(json_object_get(part, "file")), name) ||
            !number_of(&p.requests, part, "requests") || !number_of(&p.rows, part, "rows") ||
            !number_of(&p.bytes, part, "bytes") || !part_is_possible(&p) ||
            !unhex(hash, text_of(json_object_get(part, "xxh3")), sizeof hash))
            return wrong(e, "one of \"parts\"");
        for (size_t j = 0; j < sizeof hash; j++)
            p.hash = p.hash << 8 | hash[j];
        int rc = set_document_add(d, &p, e);
        if (rc)
            return rc;
    }
    return requests == d->request_count && rows == d->row_count
               ? 0
               : wrong(e, "\"requests\" or \"rows\"");
}

static bool read_time(int64_t *out, json_t *root, const char *name)
{
    json_t *value = json_object_get(root, name);
    *out = json_integer_value(value);
    return json_is_integer(value);
}

static int read_document(struct set_document *d, json_t *root, struct err *e)
{
    struct set_info *info = &d->info;
    json_t *format = json_object_get(root, "format");
    if (!json_is_integer(format) || json_integer_value(format) != FORMAT)
        return err_set(e, ERR_CORRUPT, "its format is not %d: another version of Flotilla wrote it",
                       FORMAT);
    int rc = read_columns(d, json_object_get(root, "columns"), e);
    if (rc)
        return rc;
    struct str definitions = text_of(json_object_get(root, "definitions"));
    struct str labels = text_of(json_object_get(root, "labels"));
    struct str options = text_of(json_object_get(root, "options"));
    json_t *counts = json_object_get(root, "counts");
    if (!definitions.data || !labels.data || !options.data || !json_is_object(counts) ||
        !read_time(&info->label_window_ms, root, "label_window_ms") ||
        !read_time(&info->from_ms, root, "from_ms") || !read_time(&info->to_ms, root, "to_ms"))
        return wrong(e,
                     "one of \"definitions\", \"labels\", \"options\", \"counts\" and the times");
    char *text = json_dumps(counts, JSON_COMPACT);
    bool ok = text && copy(d, &info->counts, str_of(text)) &&
              copy(d, &info->definitions, definitions) && copy(d, &info->labels, labels) &&
              copy(d, &info->options, options);
    free(text);
    return ok ? read_parts(d, root, e) : err_nomem(e);
}

int set_document_read(struct set_document *d, const char *dir, const char *name, struct err *e)
{
    int rc = 0;
    json_t *root = NULL;
    json_error_t why;
    struct buf path = {0}, text = {0};
    *d = (struct set_document){0};
    if (!set_path(&path, dir, name)) {
        rc = err_nomem(e);
        goto out;
    }
    if (access((const char *)path.data, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        rc = err_set(e, ERR_NOT_FOUND, "there is no %s", (const char *)path.data);
        goto out;
    }
    rc = file_read(&text, (const char *)path.data, MOST_BYTES, e);
    if (rc)
        goto out;
    root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
    rc = root ? read_document(d, root, e)
              : err_set(e, ERR_CORRUPT, "line %d: %s", why.line, why.text);
    if (rc == ERR_CORRUPT)
        err_wrap(e, "%s", (const char *)path.data);
out:
    if (rc)
        set_document_free(d);
    json_decref(root);
    buf_free(&text);
    buf_free(&path);
    return rc;
}

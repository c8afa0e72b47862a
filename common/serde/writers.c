#include "serde/writers.h"

#include "base/file.h"
#include "base/table.h"
#include "serde/schema_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

struct writers {
    struct table *by_fingerprint; /* 8 bytes: place in list, as tag */
    struct buf list;              /* of struct schema *; those of schema_files first */
};

static struct schema *at(const struct writers *w, size_t i)
{
    struct schema *s;
    memcpy(&s, w->list.data + i * sizeof s, sizeof s);
    return s;
}

static size_t count(const struct writers *w)
{
    return w->list.len / sizeof(struct schema *);
}

/* The first of those with the same fingerprint counts: they are the same for readers. */
static int add(struct writers *w, struct str text, struct err *e)
{
    struct schema *s = NULL;
    int rc = schema_parse(&s, &text, 1, e);
    if (rc)
        return rc;
    uint64_t fingerprint = schema_fingerprint(s);
    struct str key = str_bytes(&fingerprint, sizeof fingerprint);
    buf_put(&w->list, &s, sizeof s);
    if (!buf_ok(&w->list)) {
        schema_free(s);
        return err_nomem(e);
    }
    if (table_find(w->by_fingerprint, key) != TABLE_NONE)
        return 0;
    uint32_t id = table_insert(w->by_fingerprint, key);
    if (id == TABLE_NONE)
        return err_nomem(e);
    table_set_tag(table_get(w->by_fingerprint, id), (int64_t)count(w) - 1);
    return 0;
}

static int add_file(struct writers *w, const char *dir, const char *name, struct err *e)
{
    struct buf path = {0}, text = {0};
    buf_printf(&path, "%s/%s", dir, name);
    buf_put_u8(&path, 0);
    int rc = buf_ok(&path) ? file_read(&text, (const char *)path.data, SCHEMA_MAX_BYTES, e)
                           : err_nomem(e);
    if (!rc && (rc = add(w, buf_str(&text), e)) && rc != ERR_NOMEM) {
        err_wrap(e, "schemas.dir: %s", (const char *)path.data);
        rc = e ? (e->code = ERR_INVALID) : ERR_INVALID;
    }
    buf_free(&text);
    buf_free(&path);
    return rc;
}

static bool is_schema(const char *name)
{
    size_t n = strlen(name);
    return n > 5 && strcmp(name + n - 5, ".avsc") == 0;
}

static int add_directory(struct writers *w, const char *path, struct err *e)
{
    DIR *dir = opendir(path);
    if (!dir)
        return err_set(e, ERR_IO, "schemas.dir: %s: %s", path, strerror(errno));
    const struct dirent *entry;
    int rc = 0;
    while (!rc && (entry = readdir(dir)))
        if (is_schema(entry->d_name))
            rc = add_file(w, path, entry->d_name, e);
    closedir(dir);
    return rc;
}

int writers_new(struct writers **out, const char *dir, struct err *e)
{
    struct writers *w = calloc(1, sizeof *w);
    if (!w)
        return err_nomem(e);
    w->by_fingerprint = table_new();
    int rc = w->by_fingerprint ? 0 : err_nomem(e);
    for (const struct schema_file *f = schema_files; f->name && !rc; f++)
        if ((rc = add(w, str_of(f->text), e)))
            err_wrap(e, "schemas/%s.avsc", f->name);
    if (!rc && *dir)
        rc = add_directory(w, dir, e);
    if (rc)
        writers_free(w);
    else
        *out = w;
    return rc;
}

void writers_free(struct writers *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < count(w); i++)
        schema_free(at(w, i));
    buf_free(&w->list);
    table_free(w->by_fingerprint);
    free(w);
}

const struct schema *writers_find(const struct writers *w, uint64_t fingerprint)
{
    uint32_t id = table_find(w->by_fingerprint, str_bytes(&fingerprint, sizeof fingerprint));
    return id == TABLE_NONE ? NULL : at(w, (size_t)table_tag(table_get(w->by_fingerprint, id)));
}

const struct schema *writers_named(const struct writers *w, const char *name, struct str *text)
{
    for (size_t i = 0; schema_files[i].name; i++) {
        if (strcmp(schema_files[i].name, name) == 0) {
            *text = str_of(schema_files[i].text);
            return at(w, i);
        }
    }
    return NULL;
}

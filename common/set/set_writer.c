#include "base/buf.h"
#include "set/set_document.h"
#include "set/set_part.h"
#include "set/set_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PART_ROWS = 1000000, PART_BYTES = 256 << 20 };

struct set_writer {
    char *dir;
    int lock; /* the directory, while it is written: one writer at a time */
    struct set_document document;
    struct set_limits limits;
    struct set_part_writer *part; /* NULL: the next request begins one */
    struct buf path, beside;      /* of the part; "" where there is none */
    bool failed;
};

/* ---------------------------------------------------------- the directory */

static bool has_ending(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcmp(name + n - m, ending) == 0;
}

static bool is_part(const char *name)
{
    unsigned number = 0;
    int end = 0;
    return sscanf(name, "part-%u%n", &number, &end) == 1 && end > 0 &&
           (strcmp(name + end, ".h5") == 0 || strcmp(name + end, ".h5" SET_BESIDE) == 0);
}

/* Something that sets do not have in their directory: whoever named the directory meant another. */
static int check_name(const char *dir, const char *name, bool is_begun, struct err *e)
{
    bool ours = strcmp(name, SET_UNFINISHED) == 0 || strcmp(name, SET_UNFINISHED SET_BESIDE) == 0 ||
                (is_begun && (is_part(name) || strcmp(name, SET_DOCUMENT SET_BESIDE) == 0));
    return ours ? 0
                : err_set(e, ERR_INVALID,
                          "%s has a file %s, which is not of an unfinished training set: name "
                          "another directory, or empty it",
                          dir, name);
}

static int check_directory(const char *dir, bool is_begun, struct err *e)
{
    int rc = 0;
    DIR *d = opendir(dir);
    if (!d)
        return err_set(e, ERR_IO, "cannot read directory %s: %s", dir, strerror(errno));
    for (struct dirent *entry; !rc && (entry = readdir(d));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = check_name(dir, entry->d_name, is_begun, e);
    closedir(d);
    return rc;
}

/* Removes the parts from this one on, and what is not whole. */
static int remove_rest(const char *dir, size_t kept, struct err *e)
{
    int rc = 0;
    DIR *d = opendir(dir);
    if (!d)
        return err_set(e, ERR_IO, "cannot read directory %s: %s", dir, strerror(errno));
    for (struct dirent *entry; !rc && (entry = readdir(d));) {
        unsigned number = 0;
        const char *name = entry->d_name;
        bool is_whole = is_part(name) && !has_ending(name, SET_BESIDE);
        sscanf(name, "part-%u", &number);
        if ((is_whole && number > kept) || has_ending(name, SET_BESIDE))
            if (unlinkat(dirfd(d), name, 0) != 0)
                rc = err_set(e, ERR_IO, "cannot remove %s/%s: %s", dir, name, strerror(errno));
    }
    closedir(d);
    return rc;
}

static int lock_directory(struct set_writer *w, struct err *e)
{
    if (mkdir(w->dir, 0777) != 0 && errno != EEXIST)
        return err_set(e, ERR_IO, "cannot make directory %s: %s", w->dir, strerror(errno));
    w->lock = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->lock < 0)
        return err_set(e, ERR_IO, "cannot open directory %s: %s", w->dir, strerror(errno));
    if (flock(w->lock, LOCK_EX | LOCK_NB) != 0)
        return err_set(e, ERR_INVALID,
                       "another process is writing the training set in %s: wait for it, or name "
                       "another directory",
                       w->dir);
    return 0;
}

/* ---------------------------------------------------------- going on */

/* Parts that are there as they were written; behind the first that is not, they are made again. */
static int keep_parts(struct set_writer *w, const struct set_document *found, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < found->part_count; i++) {
        uint64_t hash = 0, bytes = 0;
        if (!set_path_part(&w->path, w->dir, i, ""))
            return err_nomem(e);
        rc = set_path_hash(&hash, &bytes, (const char *)w->path.data, e);
        if (rc == ERR_NOT_FOUND)
            break;
        if (!rc && (hash != found->parts[i].hash || bytes != found->parts[i].bytes))
            break;
        if (!rc)
            rc = set_document_add(&w->document, &found->parts[i], e);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* An unfinished set of the same is gone on with; none, or one without anything in it, is fine. */
static int look_around(struct set_writer *w, struct err *e)
{
    struct set_document found = {0};
    struct err why = {0};
    if (!set_path(&w->path, w->dir, SET_DOCUMENT))
        return err_nomem(e);
    if (access((const char *)w->path.data, F_OK) == 0)
        return err_set(e, ERR_INVALID,
                       "%s has a finished training set: name another directory, or remove it",
                       w->dir);
    int rc = set_document_read(&found, w->dir, SET_UNFINISHED, &why);
    if (rc && rc != ERR_NOT_FOUND)
        return err_set(e, rc == ERR_CORRUPT ? ERR_INVALID : rc, "%s%s", why.msg,
                       rc == ERR_CORRUPT ? ": remove the directory" : "");
    bool is_begun = rc == 0;
    rc = check_directory(w->dir, is_begun, e);
    const char *other = is_begun ? set_document_difference(&found, &w->document) : NULL;
    if (!rc && other && found.part_count)
        rc = err_set(e, ERR_INVALID,
                     "%s has an unfinished training set of other %s: name another directory, or "
                     "remove it",
                     w->dir, other);
    if (!rc && is_begun)
        rc = keep_parts(w, &found, e);
    set_document_free(&found);
    return rc;
}

int set_writer_new(struct set_writer **out, const char *dir, const struct set_info *info,
                   uint64_t *kept, struct err *e)
{
    struct set_writer *w = calloc(1, sizeof *w);
    if (!w)
        return err_nomem(e);
    w->lock = -1;
    w->limits = (struct set_limits){PART_ROWS, PART_BYTES};
    w->dir = strdup(dir);
    int rc = w->dir ? set_document_new(&w->document, info, e) : err_nomem(e);
    if (!rc)
        rc = lock_directory(w, e);
    if (!rc)
        rc = look_around(w, e);
    if (!rc)
        rc = remove_rest(dir, w->document.part_count, e);
    if (!rc)
        rc = set_document_write(&w->document, dir, SET_UNFINISHED, e);
    if (rc) {
        set_writer_free(w);
        return rc;
    }
    *kept = w->document.request_count;
    *out = w;
    return 0;
}

void set_writer_limit(struct set_writer *w, uint64_t rows, uint64_t bytes)
{
    w->limits = (struct set_limits){rows ? rows : w->limits.rows, bytes ? bytes : w->limits.bytes};
}

void set_writer_free(struct set_writer *w)
{
    if (!w)
        return;
    if (w->part) {
        set_part_free(w->part);
        unlink((const char *)w->beside.data);
    }
    set_document_free(&w->document);
    buf_free(&w->beside);
    buf_free(&w->path);
    if (w->lock >= 0)
        close(w->lock);
    free(w->dir);
    free(w);
}

/* ---------------------------------------------------------- writing */

static int begin_part(struct set_writer *w, struct err *e)
{
    size_t index = w->document.part_count;
    if (!set_path_part(&w->path, w->dir, index, "") ||
        !set_path_part(&w->beside, w->dir, index, SET_BESIDE))
        return err_nomem(e);
    return set_part_new(&w->part, (const char *)w->beside.data, &w->document.info.columns,
                        &w->limits, e);
}

/* The part counts once unfinished.json names it: what is there without that is made again. */
static int end_part(struct set_writer *w, struct err *e)
{
    struct set_part part = {0};
    const char *beside = (const char *)w->beside.data, *path = (const char *)w->path.data;
    int rc = set_part_end(w->part, &part.requests, &part.rows, e);
    if (!rc)
        rc = set_path_sync(beside, e);
    if (!rc)
        rc = set_path_hash(&part.hash, &part.bytes, beside, e);
    if (!rc)
        rc = set_path_rename(beside, path, w->dir, e);
    if (rc)
        return rc;
    set_part_free(w->part);
    w->part = NULL;
    rc = set_document_add(&w->document, &part, e);
    return rc ? rc : set_document_write(&w->document, w->dir, SET_UNFINISHED, e);
}

static int put(struct set_writer *w, const struct set_request *r, struct err *e)
{
    int rc = w->part && !set_part_takes(w->part, r) ? end_part(w, e) : 0;
    if (!rc && !w->part)
        rc = begin_part(w, e);
    return rc ? rc : set_part_put(w->part, r, e);
}

static int check_usable(const struct set_writer *w, struct err *e)
{
    return w->failed ? err_set(e, ERR_IO, "writing the training set in %s failed before", w->dir)
                     : 0;
}

int set_writer_put(struct set_writer *w, const struct set_request *r, struct err *e)
{
    int rc = check_usable(w, e);
    if (!rc && r->count > INT32_MAX)
        rc = err_set(e, ERR_TOO_LARGE, "request %.*s has %zu candidates, more than %d",
                     STR_ARG(r->id), r->count, INT32_MAX);
    if (rc)
        return rc;
    rc = put(w, r, e);
    w->failed = rc != 0;
    return rc;
}

int set_writer_finish(struct set_writer *w, struct str counts, struct err *e)
{
    int rc = check_usable(w, e);
    if (!rc)
        rc = set_document_set_counts(&w->document, counts, e);
    if (rc)
        return rc;
    if (w->part)
        rc = end_part(w, e);
    if (!rc)
        rc = set_document_write(&w->document, w->dir, SET_DOCUMENT, e);
    if (!rc &&
        (!set_path(&w->path, w->dir, SET_UNFINISHED) || unlink((const char *)w->path.data) != 0))
        rc =
            err_set(e, ERR_IO, "cannot remove %s: %s", (const char *)w->path.data, strerror(errno));
    w->failed = rc != 0;
    return rc;
}

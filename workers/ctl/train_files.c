/* The files that `flotilla train` writes: a model, a page. */
#include "train_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot(const char *path, int why, struct err *e)
{
    return err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(why));
}

static int write_to(const char *path, const struct buf *b, bool wait, struct err *e)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return cannot(path, errno, e);
    bool is_good = fwrite(b->data, 1, b->len, file) == b->len && !fflush(file) &&
                   (!wait || !fsync(fileno(file)));
    int why = errno;
    if (fclose(file) && is_good)
        return cannot(path, errno, e);
    return is_good ? 0 : cannot(path, why, e);
}

/* Beside its place and then there: who is killed leaves no half of a file. */
static int replace(const char *path, const struct buf *b, struct err *e)
{
    struct buf beside = {0};
    buf_printf(&beside, "%s.part", path);
    buf_put_u8(&beside, 0);
    if (!buf_ok(&beside)) {
        buf_free(&beside);
        return err_nomem(e);
    }
    const char *part = (const char *)beside.data;
    int rc = write_to(part, b, true, e);
    if (!rc && rename(part, path))
        rc = cannot(path, errno, e);
    if (rc)
        unlink(part);
    buf_free(&beside);
    return rc;
}

int train_write_file(const char *path, const struct buf *b, struct err *e)
{
    struct stat there;
    if (!buf_ok(b))
        return err_nomem(e);
    bool is_link = !lstat(path, &there) && S_ISLNK(there.st_mode);
    bool is_there = !stat(path, &there);
    /* A device or a pipe is written to; so is what a link leads to that is not there yet, and what
     * /dev/stdout stands for. */
    if ((is_there && !S_ISREG(there.st_mode)) || (is_link && !is_there) ||
        strncmp(path, "/dev/", strlen("/dev/")) == 0)
        return write_to(path, b, false, e);
    char *place = is_link ? realpath(path, NULL) : NULL;
    if (is_link && !place)
        return cannot(path, errno, e);
    int rc = replace(place ? place : path, b, e);
    free(place);
    return rc;
}

/* The directory that a path is in. */
static int check_directory(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    char *dir = n ? strndup(path, n) : strdup(".");
    if (!dir)
        return err_nomem(e);
    int rc = access(dir, W_OK | X_OK) ? cannot(path, errno, e) : 0;
    free(dir);
    return rc;
}

int train_check_file(const char *path, struct err *e)
{
    struct stat there;
    char *place = realpath(path, NULL);
    int rc = 0;
    if (!place)
        return check_directory(path, e);
    if (stat(place, &there) || access(place, W_OK))
        rc = cannot(path, errno, e);
    else if (S_ISDIR(there.st_mode))
        rc = cannot(path, EISDIR, e);
    else if (S_ISREG(there.st_mode))
        rc = check_directory(place, e);
    free(place);
    return rc;
}

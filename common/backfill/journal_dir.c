#include "backfill/journal_dir.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { MANIFEST_MAX_BYTES = 64 * 1024 * 1024, RUN_LEAST_BYTES = 3, RUN_DIGITS = 6 };

/* The number is of the form: what another program wrote is made anew. */
static const char form[8] = "FLJRNL01";

#define MARK       "journal" /* there as long as the directory is one */
#define SEALED     "sealed"
#define SEALED_NEW "sealed.new"

/* ---- The directory ---- */

/* run-000001: what else begins so is somebody's own. */
static bool is_run(const char *name)
{
    size_t digits = strncmp(name, "run-", 4) == 0 ? strspn(name + 4, "0123456789") : 0;
    return digits >= RUN_DIGITS && name[4 + digits] == 0;
}

static bool is_ours(const char *name)
{
    return is_run(name) || strcmp(name, MARK) == 0 || strcmp(name, SEALED) == 0 ||
           strcmp(name, SEALED_NEW) == 0;
}

/* Calls each(…) for every file but . and ..; stops at the first that does not return 0. */
static int each_file(int file, const char *dir,
                     int (*each)(int file, const char *dir, const char *name, struct err *e),
                     struct err *e)
{
    /* A descriptor of its own: closedir() closes it. */
    int again = openat(file, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = again < 0 ? NULL : fdopendir(again);
    if (!d) {
        if (again >= 0)
            close(again);
        return err_set(e, ERR_IO, "cannot read %s: %s", dir, strerror(errno));
    }
    int rc = 0;
    for (const struct dirent *f; !rc && (f = readdir(d));)
        if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
            rc = each(file, dir, f->d_name, e);
    closedir(d);
    return rc;
}

static int refuse_foreign(int file, const char *dir, const char *name, struct err *e)
{
    (void)file;
    return is_ours(name) ? 0
                         : err_set(e, ERR_INVALID,
                                   "%s has a file %s, which is none of a journal's: choose a "
                                   "directory of its own for the journal",
                                   dir, name);
}

/* Somebody's own files may have such names: what has no mark is no journal. */
static int refuse_any(int file, const char *dir, const char *name, struct err *e)
{
    (void)file;
    return err_set(e, ERR_INVALID,
                   "%s has a file %s and is no journal: choose a directory of its own for the "
                   "journal",
                   dir, name);
}

static int mark(int file, const char *dir, struct err *e)
{
    if (faccessat(file, MARK, F_OK, 0) == 0)
        return each_file(file, dir, refuse_foreign, e);
    int rc = each_file(file, dir, refuse_any, e);
    if (rc)
        return rc;
    int made = openat(file, MARK, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (made < 0)
        return err_set(e, ERR_IO, "cannot make %s/" MARK ": %s", dir, strerror(errno));
    close(made);
    return 0;
}

static int remove_ours(int file, const char *dir, const char *name, struct err *e)
{
    if (!is_ours(name) || strcmp(name, MARK) == 0 || unlinkat(file, name, 0) == 0 ||
        errno == ENOENT)
        return 0;
    return err_set(e, ERR_IO, "cannot remove %s/%s: %s", dir, name, strerror(errno));
}

int journal_dir_open(int *out, const char *dir, struct err *e)
{
    if (mkdir(dir, 0755) && errno != EEXIST)
        return err_set(e, ERR_IO, "cannot make the directory %s: %s", dir, strerror(errno));
    int file = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return err_set(e, ERR_IO, "cannot open the directory %s: %s", dir, strerror(errno));
    int rc = 0;
    if (flock(file, LOCK_EX | LOCK_NB))
        rc =
            errno == EWOULDBLOCK
                ? err_set(e, ERR_INVALID, "another process works in %s: wait for it or end it", dir)
                : err_set(e, ERR_IO, "cannot lock %s: %s", dir, strerror(errno));
    if (!rc)
        rc = mark(file, dir, e);
    if (rc)
        close(file);
    else
        *out = file;
    return rc;
}

int journal_dir_clear(int file, const char *dir, struct err *e)
{
    /* The manifest first: without it nothing else is taken for whole. */
    int rc = remove_ours(file, dir, SEALED, e);
    return rc ? rc : each_file(file, dir, remove_ours, e);
}

int journal_dir_remove(int file, const char *dir, struct err *e)
{
    int rc = journal_dir_clear(file, dir, e);
    if (!rc && unlinkat(file, MARK, 0) && errno != ENOENT)
        rc = err_set(e, ERR_IO, "cannot remove %s/" MARK ": %s", dir, strerror(errno));
    if (!rc && rmdir(dir))
        rc = err_set(e, ERR_IO, "cannot remove the directory %s: %s", dir, strerror(errno));
    return rc;
}

/* ---- The manifest ---- */

void manifest_free(struct manifest *m)
{
    free(m->runs);
    buf_free(&m->bytes);
    *m = (struct manifest){0};
}

static int parse(struct manifest *m, struct cursor *c, struct err *e)
{
    m->identity = cursor_sized(c);
    m->counts = cursor_sized(c);
    for (int i = 0; i < ENTRY_KINDS; i++) {
        m->kinds[i] = cursor_varint(c);
        m->newest_ms[i] = cursor_zigzag(c);
    }
    m->collected = (size_t)cursor_varint(c);
    uint64_t count = cursor_varint(c);
    if (c->bad || count > cursor_left(c) / RUN_LEAST_BYTES || m->collected > count)
        return ERR_CORRUPT;
    m->runs = calloc((size_t)count + 1, sizeof *m->runs);
    if (!m->runs)
        return err_nomem(e);
    for (m->count = 0; m->count < count; m->count++) {
        struct run *r = &m->runs[m->count];
        *r = (struct run){.number = (uint32_t)cursor_varint(c), .file = -1};
        r->bytes = cursor_varint(c);
        r->timed = cursor_varint(c);
        if (r->timed > r->bytes)
            return ERR_CORRUPT;
    }
    return c->bad || c->at != c->end ? ERR_CORRUPT : 0;
}

static int manifest_path(struct buf *out, const char *dir, const char *name, struct err *e)
{
    buf_printf(out, "%s/%s", dir, name);
    buf_put_u8(out, 0);
    return buf_ok(out) ? 0 : err_nomem(e);
}

int manifest_read(struct manifest *out, const char *dir, bool *found, struct err *e)
{
    struct buf path = {0};
    struct stat s;
    *out = (struct manifest){0};
    *found = false;
    int rc = manifest_path(&path, dir, SEALED, e);
    if (!rc && stat((const char *)path.data, &s) && errno == ENOENT) {
        buf_free(&path);
        return 0;
    }
    if (!rc)
        rc = file_read(&out->bytes, (const char *)path.data, MANIFEST_MAX_BYTES, e);
    const struct buf *b = &out->bytes;
    if (!rc && b->len >= sizeof form && memcmp(b->data, form, sizeof form) == 0) {
        uint64_t checksum = 0;
        size_t n = b->len < sizeof form + 8 ? 0 : b->len - 8;
        if (n)
            memcpy(&checksum, b->data + n, 8);
        *found = n && XXH3_64bits(b->data, n) == checksum;
        struct cursor c = cursor_of(b->data + sizeof form, *found ? n - sizeof form : 0);
        rc = *found ? parse(out, &c, e) : ERR_CORRUPT;
        if (rc == ERR_CORRUPT)
            err_set(e, ERR_CORRUPT,
                    "%s is damaged: remove the journal's directory and read everything again",
                    (const char *)path.data);
    }
    if (rc)
        manifest_free(out);
    buf_free(&path);
    return rc;
}

static void put_manifest(struct buf *out, const struct manifest *m)
{
    buf_put(out, form, sizeof form);
    buf_put_sized(out, m->identity);
    buf_put_sized(out, m->counts);
    for (int i = 0; i < ENTRY_KINDS; i++) {
        buf_put_varint(out, m->kinds[i]);
        buf_put_zigzag(out, m->newest_ms[i]);
    }
    buf_put_varint(out, m->collected);
    buf_put_varint(out, m->count);
    for (size_t i = 0; i < m->count; i++) {
        buf_put_varint(out, m->runs[i].number);
        buf_put_varint(out, m->runs[i].bytes);
        buf_put_varint(out, m->runs[i].timed);
    }
    if (buf_ok(out))
        buf_put_u64(out, XXH3_64bits(out->data, out->len));
}

static int write_file(const char *path, const struct buf *b, struct err *e)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    FILE *f = file < 0 ? NULL : fdopen(file, "w");
    bool ok = f && fwrite(b->data, 1, b->len, f) == b->len && fflush(f) == 0 && fsync(file) == 0;
    int why = errno;
    if (f)
        ok = fclose(f) == 0 && ok;
    else if (file >= 0)
        close(file);
    return ok ? 0 : err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(why));
}

int manifest_write(const struct manifest *m, int file, const char *dir, struct err *e)
{
    struct buf bytes = {0}, path = {0};
    put_manifest(&bytes, m);
    int rc = buf_ok(&bytes) ? manifest_path(&path, dir, SEALED_NEW, e) : err_nomem(e);
    /* Runs are on disk, and so must be their names before the manifest's is. */
    if (!rc && fsync(file))
        rc = err_set(e, ERR_IO, "cannot write %s: %s", dir, strerror(errno));
    if (!rc)
        rc = write_file((const char *)path.data, &bytes, e);
    if (!rc && (renameat(file, SEALED_NEW, file, SEALED) || fsync(file)))
        rc = err_set(e, ERR_IO, "cannot write %s/" SEALED ": %s", dir, strerror(errno));
    buf_free(&bytes);
    buf_free(&path);
    return rc;
}

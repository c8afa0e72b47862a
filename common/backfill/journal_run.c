#include "backfill/journal_run.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { HEAD_BYTES = 16 };

#define MAKE_ANEW "remove the journal's directory and read everything again"

struct head {
    uint64_t bytes;
    uint64_t checksum;
};

void run_path(struct buf *out, const char *dir, uint32_t number)
{
    buf_printf(out, "%s/run-%06u", dir, number);
    buf_put_u8(out, 0);
}

static int open_file(int *out, const char *dir, uint32_t number, int flags, struct err *e)
{
    struct buf path = {0};
    int rc = 0;
    run_path(&path, dir, number);
    if (!buf_ok(&path))
        rc = err_nomem(e);
    else if ((*out = open((const char *)path.data, flags | O_CLOEXEC, 0644)) < 0)
        rc = err_set(e, errno == ENOENT ? ERR_CORRUPT : ERR_IO, "cannot open %s: %s",
                     (const char *)path.data, strerror(errno));
    buf_free(&path);
    return rc;
}

/* ---- Writing ---- */

int run_writer_open(struct run_writer *w, const char *dir, uint32_t number, struct err *e)
{
    w->dir = dir;
    w->run = (struct run){.number = number, .file = -1};
    w->behind_attributes = false;
    buf_reset(&w->block);
    int rc = open_file(&w->file, dir, number, O_RDWR | O_CREAT | O_TRUNC, e);
    if (rc)
        w->file = -1;
    return rc;
}

static int write_failed(const struct run *r, const char *dir, int why, struct err *e)
{
    const char *what = why == ENOSPC || why == EDQUOT
                           ? ": free space there, or choose a directory on another disk; a journal "
                             "takes about as much as the records in Kafka without compression"
                           : "";
    return err_set(e, ERR_IO, "cannot write %s/run-%06u behind its first %llu bytes: %s%s", dir,
                   r->number, (unsigned long long)r->bytes, strerror(why), what);
}

static int write_all(struct run_writer *w, const void *bytes, size_t n, struct err *e)
{
    const char *at = bytes;
    while (n) {
        ssize_t written = write(w->file, at, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return write_failed(&w->run, w->dir, written ? errno : ENOSPC, e);
        at += written;
        n -= (size_t)written;
        w->run.bytes += (uint64_t)written;
    }
    return 0;
}

/* The block has room for its head before the entries. */
static int end_block(struct run_writer *w, struct err *e)
{
    if (!buf_ok(&w->block))
        return err_nomem(e);
    if (w->block.len <= HEAD_BYTES)
        return 0;
    size_t n = w->block.len - HEAD_BYTES;
    struct head head = {n, XXH3_64bits_withSeed(w->block.data + HEAD_BYTES, n, w->run.bytes)};
    memcpy(w->block.data, &head, HEAD_BYTES);
    int rc = write_all(w, w->block.data, w->block.len, e);
    buf_reset(&w->block);
    return rc;
}

int run_put(struct run_writer *w, const struct raw_entry *raw, struct err *e)
{
    static const uint8_t no_head[HEAD_BYTES];
    int rc = 0;
    if (!w->behind_attributes && !kind_is_attributes(raw->place.kind)) {
        rc = end_block(w, e);
        w->behind_attributes = true;
        w->run.timed = w->run.bytes;
    }
    if (!rc && !w->block.len)
        buf_put(&w->block, no_head, HEAD_BYTES);
    buf_put_sized(&w->block, raw->bytes);
    if (!rc && (w->block.len >= RUN_BLOCK_BYTES || !buf_ok(&w->block)))
        rc = end_block(w, e);
    return rc;
}

int run_writer_close(struct run_writer *w, struct run *out, struct err *e)
{
    int rc = end_block(w, e);
    if (!rc && !w->behind_attributes)
        w->run.timed = w->run.bytes;
    if (rc)
        return rc;
    w->run.file = w->file;
    w->file = -1;
    *out = w->run;
    return 0;
}

int run_sync(const struct run *r, const char *dir, struct err *e)
{
    return fsync(r->file) ? write_failed(r, dir, errno, e) : 0;
}

void run_writer_free(struct run_writer *w)
{
    if (w->file >= 0)
        close(w->file);
    w->file = -1;
    buf_free(&w->block);
}

/* ---- Reading ---- */

int run_open(struct run *r, const char *dir, struct err *e)
{
    struct stat s;
    r->file = -1;
    int rc = open_file(&r->file, dir, r->number, O_RDONLY, e);
    if (rc)
        return err_wrap(e, "the journal is not whole (" MAKE_ANEW ")");
    if (fstat(r->file, &s) == 0 && (uint64_t)s.st_size == r->bytes)
        return 0;
    return err_set(e, ERR_CORRUPT,
                   "%s/run-%06u has not the %llu bytes that were written: " MAKE_ANEW, dir,
                   r->number, (unsigned long long)r->bytes);
}

void run_close(struct run *r)
{
    if (r->file >= 0)
        close(r->file);
    r->file = -1;
}

void run_reader_start(struct run_reader *r, const struct run *run, const char *dir, uint64_t from,
                      uint64_t to)
{
    *r = (struct run_reader){.run = run, .dir = dir, .at = from, .end = to};
}

void run_reader_free(struct run_reader *r)
{
    buf_free(&r->block);
}

static int damaged(const struct run_reader *r, const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT,
                   "%s/run-%06u is damaged in the block at byte %llu (%s): " MAKE_ANEW, r->dir,
                   r->run->number, (unsigned long long)r->at, what);
}

static int read_at(const struct run_reader *r, void *out, size_t n, uint64_t at, struct err *e)
{
    for (size_t done = 0; done < n;) {
        ssize_t got =
            pread(r->run->file, (char *)out + done, n - done, (off_t)(at + (uint64_t)done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(e, ERR_IO, "cannot read %s/run-%06u: %s", r->dir, r->run->number,
                           strerror(errno));
        if (got == 0)
            return damaged(r, "it ends too early", e);
        done += (size_t)got;
    }
    return 0;
}

static int next_block(struct run_reader *r, struct err *e)
{
    struct head head;
    int rc = read_at(r, &head, HEAD_BYTES, r->at, e);
    if (rc)
        return rc;
    if (head.bytes > RUN_ENTRY_BYTES + RUN_BLOCK_BYTES + VARINT_BYTES ||
        head.bytes > r->end - r->at)
        return damaged(r, "its length", e);
    buf_reset(&r->block);
    if (!buf_reserve(&r->block, head.bytes))
        return err_nomem(e);
    if ((rc = read_at(r, r->block.data, head.bytes, r->at + HEAD_BYTES, e)))
        return rc;
    if (XXH3_64bits_withSeed(r->block.data, head.bytes, r->at) != head.checksum)
        return damaged(r, "its checksum", e);
    r->entries = cursor_of(r->block.data, head.bytes);
    r->at += HEAD_BYTES + head.bytes;
    return 0;
}

int run_next(struct run_reader *r, bool *more, struct err *e)
{
    *more = true;
    if (!cursor_left(&r->entries)) {
        *more = r->at < r->end;
        int rc = *more ? next_block(r, e) : 0;
        if (rc || !*more)
            return rc;
    }
    struct str bytes = cursor_sized(&r->entries);
    if (r->entries.bad || !entry_place(&r->entry, bytes))
        return damaged(r, "an entry", e);
    return 0;
}

#include "set/set_path.h"

#include "set/set_document.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

enum { READ_BYTES = 1 << 18 };

bool set_path(struct buf *out, const char *dir, const char *name)
{
    buf_reset(out);
    buf_printf(out, "%s/%s", dir, name);
    buf_put_u8(out, 0);
    return buf_ok(out);
}

bool set_path_part(struct buf *out, const char *dir, size_t index, const char *behind)
{
    buf_reset(out);
    buf_printf(out, "%s/" SET_PART_NAME "%s", dir, index + 1, behind);
    buf_put_u8(out, 0);
    return buf_ok(out);
}

static int hash_all(XXH3_state_t *state, uint64_t *bytes, uint8_t *piece, int fd, const char *path,
                    struct err *e)
{
    for (;;) {
        ssize_t n = read(fd, piece, READ_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, ERR_IO, "cannot read %s: %s", path, strerror(errno));
        if (n == 0)
            return 0;
        XXH3_64bits_update(state, piece, (size_t)n);
        *bytes += (uint64_t)n;
    }
}

int set_path_hash(uint64_t *hash, uint64_t *bytes, const char *path, struct err *e)
{
    int rc = 0;
    *bytes = 0;
    XXH3_state_t *state = NULL;
    uint8_t *piece = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s", path,
                       strerror(errno));
    state = XXH3_createState();
    piece = malloc(READ_BYTES);
    if (!state || !piece) {
        rc = err_nomem(e);
        goto out;
    }
    XXH3_64bits_reset(state);
    rc = hash_all(state, bytes, piece, fd, path, e);
    *hash = rc ? 0 : XXH3_64bits_digest(state);
out:
    free(piece);
    XXH3_freeState(state);
    close(fd);
    return rc;
}

int set_path_sync(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    return failed ? err_set(e, ERR_IO, "cannot bring %s to disk: %s", path, strerror(reason)) : 0;
}

int set_path_rename(const char *from, const char *to, const char *dir, struct err *e)
{
    if (rename(from, to) != 0)
        return err_set(e, ERR_IO, "cannot rename %s to %s: %s", from, to, strerror(errno));
    return set_path_sync(dir, e);
}

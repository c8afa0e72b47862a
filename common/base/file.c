#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

int file_read(struct buf *out, const char *path, size_t max_bytes, struct err *e)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return err_set(e, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    size_t start = out->len, n = 1;
    while (n && out->len - start <= max_bytes && buf_reserve(out, 16384)) {
        n = fread(out->data + out->len, 1, 16384, f);
        out->len += n;
    }
    int failed = ferror(f), reason = errno;
    fclose(f);
    if (failed)
        return err_set(e, ERR_IO, "cannot read %s: %s", path, strerror(reason));
    if (!buf_ok(out))
        return err_nomem(e);
    if (out->len - start > max_bytes)
        return err_set(e, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, max_bytes);
    return 0;
}

static int exists(struct buf *out, const char *folder, const char *name, struct err *e)
{
    buf_reset(out);
    buf_printf(out, "%s/%s", folder, name);
    buf_put_u8(out, 0);
    if (!buf_ok(out))
        return err_nomem(e);
    return access((const char *)out->data, R_OK) == 0 ? 0 : ERR_NOT_FOUND;
}

int file_find_data(struct buf *out, const char *name, struct err *e)
{
    char binary[PATH_MAX], folder[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", binary, sizeof binary - 1);
    if (n > 0) {
        binary[n] = 0;
        char *slash = strrchr(binary, '/');
        if (slash)
            *slash = 0;
        snprintf(folder, sizeof folder, "%s/../share/flotilla", binary);
        int rc = exists(out, folder, name, e);
        if (rc != ERR_NOT_FOUND)
            return rc;
    }
    /* The source tree keeps the SQL beside the schemas. */
    int rc = exists(out, FLOTILLA_SOURCE_DIR, name, e);
    if (rc == ERR_NOT_FOUND)
        rc = exists(out, FLOTILLA_SOURCE_DIR "/schemas", name, e);
    if (rc == ERR_NOT_FOUND)
        return err_set(
            e, rc,
            "%s is neither installed beside the program nor in its source tree: install again",
            name);
    return rc;
}

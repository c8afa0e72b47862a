/* flotilla models export: a version's file as it was registered. */
#include "models.h"

#include "db/model_registry.h"
#include "model/model_check.h"

#include <errno.h>
#include <stdio.h>

static int write_file(const char *path, struct str bytes, struct err *e)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return err_set(e, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    bool good = fwrite(bytes.data, 1, bytes.len, f) == bytes.len;
    good &= fclose(f) == 0;
    return good ? 0 : err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(errno));
}

static int check_sum(const struct model_parts *parts, struct err *e)
{
    uint8_t sum[MODEL_SHA256_BYTES];
    int rc = model_sha256(sum, parts->bytes, e);
    if (!rc && !str_equal(parts->sha256, str_bytes(sum, sizeof sum)))
        rc = err_set(e, ERR_CORRUPT,
                     "what the registry has is not what was registered: the "
                     "SHA-256 of the file differs");
    return rc;
}

static enum ctl_status run(const struct ctl *c, struct err *e)
{
    const char *path = ctl_option(c, "to");
    struct model_entries found = {0};
    struct db *d = NULL;
    int64_t version;
    if (!path)
        err_set(e, ERR_INVALID, "--to is needed");
    if (!path || model_version_parse(&version, c->args[1], 1, e))
        return CTL_USAGE;
    int rc = ctl_open_db(&d, c, e);
    if (!rc)
        rc = model_registry_find(&found, d, c->args[0], version, e);
    if (!rc)
        rc = check_sum(&found.items[0].parts, e);
    if (!rc)
        rc = write_file(path, found.items[0].parts.bytes, e);
    model_entries_free(&found);
    db_free(d);
    return rc ? CTL_FAILED : CTL_OK;
}

const struct command models_export_command = {
    .name = "models export",
    .arguments = "NAME VERSION",
    .least = 2,
    .most = 2,
    .purpose = "write a version's file as it was registered",
    .example = "flotilla models export shop 3 --to shop-3.ubj",
    .options = {{"to", "FILE", "where to"}},
    .run = run,
};

/* flotilla migrate: the tables of PostgreSQL. */
#include "ctl.h"

#include "base/file.h"
#include "db/migrations.h"

#include <stdio.h>

static void report(void *arg, const struct migration *m)
{
    (void)arg;
    printf("%s %s\n", m->name, m->applied_before ? "is in force" : "applied");
    fflush(stdout);
}

static enum ctl_status migrate(const struct ctl *c, struct err *e)
{
    struct db_opts opts = {.url = conf_text(c->conf, "postgres.url"),
                           .application = "flotilla migrate",
                           .stopping = ctl_stopping,
                           .migrating = true};
    struct db *d = NULL;
    struct buf folder = {0};
    int rc = db_new(&d, &opts, e);
    if (!rc)
        rc = file_find_data(&folder, "sql", e);
    if (!rc)
        rc = db_connect(d, e);
    if (!rc)
        rc = migrations_apply(d, (const char *)folder.data, report, NULL, e);
    buf_free(&folder);
    db_free(d);
    return rc == ERR_INVALID ? CTL_USAGE : rc ? CTL_FAILED : CTL_OK;
}

const struct command migrate_command = {
    .name = "migrate",
    .arguments = "",
    .purpose = "make and update the tables in PostgreSQL; needs a role that may do so",
    .example = "flotilla migrate --set postgres.url=postgresql://admin@127.0.0.1/flotilla",
    .run = migrate,
};

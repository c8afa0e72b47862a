#include "db/migrations.h"

#include "base/failpoint.h"
#include "base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_FILE_BYTES = 16 * 1024 * 1024 };

/* Any number of one's own; the same for all versions of the program. */
#define LOCK_NUMBER "7017386211473"

/* One file of the folder. */
struct script {
    struct migration migration;
    struct buf sql; /* terminated */
};

/* 001_what.sql: its number, or -1 for a file of another kind. */
static int version_of(const char *name)
{
    size_t n = strlen(name);
    bool is_one = n > 8 && isdigit((unsigned char)name[0]) && isdigit((unsigned char)name[1]) &&
                  isdigit((unsigned char)name[2]) && name[3] == '_' &&
                  strcmp(name + n - 4, ".sql") == 0;
    return is_one && n < sizeof((struct migration *)0)->name ? atoi(name) : -1;
}

static int is_migration(const struct dirent *entry)
{
    return version_of(entry->d_name) >= 0;
}

static int read_script(struct script *s, const char *folder, const char *name, struct err *e)
{
    struct buf path = {0};
    uint8_t digest[SHA256_DIGEST_LENGTH];
    s->migration.version = version_of(name);
    memcpy(s->migration.name, name, strlen(name) + 1); /* version_of() has seen that it fits. */
    buf_printf(&path, "%s/%s", folder, name);
    buf_put_u8(&path, 0);
    int rc = buf_ok(&path) ? file_read(&s->sql, (const char *)path.data, MAX_FILE_BYTES, e)
                           : err_nomem(e);
    buf_free(&path);
    if (rc)
        return rc;
    SHA256(s->sql.data, s->sql.len, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(s->migration.sha256 + 2 * i, 3, "%02x", digest[i]);
    buf_put_u8(&s->sql, 0);
    return buf_ok(&s->sql) ? 0 : err_nomem(e);
}

static void free_scripts(struct script *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_free(&list[i].sql);
    free(list);
}

/* All files of the folder, by number. */
static int read_scripts(struct script **out, size_t *count, const char *folder, struct err *e)
{
    struct dirent **entries = NULL;
    int found = scandir(folder, &entries, is_migration, alphasort), rc = 0;
    if (found < 0)
        return err_set(e, ERR_IO, "cannot read the folder %s: %s", folder, strerror(errno));
    struct script *list = calloc(found ? (size_t)found : 1, sizeof *list);
    if (!list)
        rc = err_nomem(e);
    if (!rc && !found)
        rc = err_set(e, ERR_IO, "there are no migrations in %s: install again", folder);
    for (int i = 0; i < found; i++) {
        if (!rc)
            rc = read_script(&list[i], folder, entries[i]->d_name, e);
        if (!rc && i && list[i].migration.version == list[i - 1].migration.version)
            rc = err_set(e, ERR_INVALID, "%s and %s have the same number: rename one",
                         list[i - 1].migration.name, list[i].migration.name);
        free(entries[i]);
    }
    free(entries);
    if (rc) {
        free_scripts(list, list ? (size_t)found : 0);
        return rc;
    }
    *out = list;
    *count = (size_t)found;
    return 0;
}

/* Whether the file was applied before; refuses one that was applied and is another now. */
static int look_up(struct db *d, struct migration *m, struct err *e)
{
    PGresult *r = NULL;
    char version[16];
    snprintf(version, sizeof version, "%d", m->version);
    const char *values[] = {version};
    int rc = db_query(
        d, &r,
        "SELECT sha256, name, applied_at::date FROM schema_migrations WHERE version = $1::integer",
        1, values, e);
    if (rc)
        return rc;
    m->applied_before = PQntuples(r) == 1;
    if (m->applied_before && strcmp(PQgetvalue(r, 0, 0), m->sha256) != 0)
        rc = err_set(e, ERR_INVALID,
                     "migration %s is not the file that was applied on %s (as %s): migrations are "
                     "never changed; restore it, and "
                     "put the change into a new one",
                     m->name, PQgetvalue(r, 0, 2), PQgetvalue(r, 0, 1));
    PQclear(r);
    return rc;
}

static int remember(struct db *d, const struct migration *m, struct err *e)
{
    char version[16];
    snprintf(version, sizeof version, "%d", m->version);
    const char *values[] = {version, m->name, m->sha256};
    return db_query(
        d, NULL,
        "INSERT INTO schema_migrations (version, name, sha256) VALUES ($1::integer, $2, $3)", 3,
        values, e);
}

static int apply(struct db *d, const struct script *s, struct err *e)
{
    FAILPOINT("migrations.before_begin");
    int rc = db_run(d, "BEGIN", e);
    FAILPOINT("migrations.begun");
    if (!rc)
        rc = db_run(d, (const char *)s->sql.data, e);
    FAILPOINT("migrations.script_run");
    if (!rc)
        rc = remember(d, &s->migration, e);
    FAILPOINT("migrations.before_commit");
    if (!rc)
        rc = db_run(d, "COMMIT", e);
    FAILPOINT("migrations.committed");
    if (!rc)
        return 0;
    db_rollback(d);
    err_wrap(e, "migration %s", s->migration.name);
    return rc;
}

int migrations_apply(struct db *d, const char *folder,
                     void (*each)(void *arg, const struct migration *m), void *arg, struct err *e)
{
    static const char prepare[] =
        "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT "
        "NULL, "
        "sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()); "
        "COMMENT ON TABLE schema_migrations IS 'Which files of schemas/sql are in force; written "
        "by flotilla migrate.'";
    struct script *list = NULL;
    size_t n = 0;
    int rc = read_scripts(&list, &n, folder, e);
    if (rc)
        return rc;
    /* The lock is of the session, so that it holds over all transactions; each of them is committed
     * by itself. */
    rc = db_run(d, "SELECT pg_advisory_lock(" LOCK_NUMBER ")", e);
    if (!rc)
        rc = db_run(d, prepare, e);
    FAILPOINT("migrations.locked");
    for (size_t i = 0; i < n && !rc; i++) {
        rc = look_up(d, &list[i].migration, e);
        if (!rc && !list[i].migration.applied_before)
            rc = apply(d, &list[i], e);
        if (!rc && each)
            each(arg, &list[i].migration);
    }
    db_run(d, "SELECT pg_advisory_unlock_all()", NULL);
    free_scripts(list, n);
    return rc;
}

/* flotilla features get: the values of one key, as the recorder has stored them. */
#include "ctl.h"
#include "grid.h"

#include "base/json.h"

#include <stdlib.h>

enum { MOST_DIMENSIONS = 16 };

/* Arguments as JSON, which PostgreSQL makes an array of: no quoting of our own. */
static void put_keys(struct buf *b, const struct ctl *c)
{
    buf_put_u8(b, '[');
    for (int i = 1; i < c->arg_count; i++) {
        buf_put_text(b, i > 1 ? "," : "");
        json_put_text(b, str_of(c->args[i]));
    }
    buf_put_u8(b, ']');
}

/* Nothing of this key: whether anything of its scope is there tells what was mistyped. */
static int explain(struct db *d, const struct ctl *c, const char *keys, struct err *e)
{
    static const char sql[] = "SELECT scope, (SELECT cardinality(key) FROM feature_values v "
                              "WHERE v.scope = s.scope LIMIT 1) "
                              "FROM (SELECT DISTINCT scope FROM feature_values) s ORDER BY scope";
    PGresult *r = NULL;
    struct buf known = {0};
    int dimensions = -1;
    int rc = db_query(d, &r, sql, 0, NULL, e);
    if (rc)
        return rc;
    for (int i = 0; i < PQntuples(r); i++) {
        buf_printf(&known, "%s%s", i ? ", " : "", PQgetvalue(r, i, 0));
        if (strcmp(PQgetvalue(r, i, 0), c->args[0]) == 0)
            dimensions = atoi(PQgetvalue(r, i, 1));
    }
    if (PQntuples(r) == 0)
        err_set(e, ERR_NOT_FOUND,
                "no values are recorded yet: see with `flotilla status` whether the features and "
                "recorder workers run");
    else if (dimensions < 0)
        err_set(e, ERR_NOT_FOUND, "nothing is recorded of a scope %s: there are %.*s", c->args[0],
                STR_ARG(buf_str(&known)));
    else if (dimensions != c->arg_count - 1)
        err_set(e, ERR_INVALID, "a key of %s has %d parts, %d are given", c->args[0], dimensions,
                c->arg_count - 1);
    else
        err_set(e, ERR_NOT_FOUND, "nothing is recorded of %s %s", c->args[0], keys);
    PQclear(r);
    buf_free(&known);
    return e->code;
}

static int print_json(struct db *d, const char *const *keys, struct buf *b, struct err *e)
{
    static const char sql[] =
        "SELECT to_json(key), (extract(epoch FROM as_of) * 1000)::bigint, \"values\" "
        "FROM feature_values WHERE scope = $1 "
        "AND key = ARRAY(SELECT jsonb_array_elements_text($2::jsonb))";
    PGresult *r = NULL;
    int rc = db_query(d, &r, sql, 2, keys, e);
    if (!rc && PQntuples(r) == 1) {
        buf_put_text(b, "{\"scope\":");
        json_put_text(b, str_of(keys[0]));
        buf_printf(b, ",\"key\":%s,\"as_of\":%s,\"values\":%s}\n", PQgetvalue(r, 0, 0),
                   PQgetvalue(r, 0, 1), PQgetvalue(r, 0, 2));
    }
    PQclear(r);
    return rc;
}

static int print_table(struct db *d, const char *const *keys, struct buf *b, struct err *e)
{
    static const char sql[] =
        "SELECT v.name, v.value, to_char(f.as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS') "
        "FROM feature_values f LEFT JOIN LATERAL jsonb_each_text(f.\"values\") AS v (name, value) "
        "ON true WHERE scope = $1 AND key = ARRAY(SELECT jsonb_array_elements_text($2::jsonb)) "
        "ORDER BY v.name COLLATE \"C\"";
    PGresult *r = NULL;
    struct grid g;
    int rc = db_query(d, &r, sql, 2, keys, e);
    if (rc || PQntuples(r) == 0) {
        PQclear(r);
        return rc;
    }
    buf_printf(b, "%s %s as of %s UTC\n\n", keys[0], keys[1], PQgetvalue(r, 0, 2));
    grid_start(&g, "NAME,>VALUE");
    for (int i = 0; i < PQntuples(r) && !PQgetisnull(r, i, 0); i++) {
        grid_put(&g, "%s", PQgetvalue(r, i, 0));
        grid_put(&g, "%s", PQgetisnull(r, i, 1) ? "missing" : PQgetvalue(r, i, 1));
    }
    grid_end(&g, b);
    PQclear(r);
    return 0;
}

static enum ctl_status get(const struct ctl *c, struct err *e)
{
    struct db *d = NULL;
    struct buf key = {0}, b = {0};
    put_keys(&key, c);
    buf_put_u8(&key, 0);
    int rc = buf_ok(&key) ? ctl_open_db(&d, c, e) : err_nomem(e);
    const char *keys[] = {c->args[0], (const char *)key.data};
    if (!rc)
        rc = ctl_option(c, "json") ? print_json(d, keys, &b, e) : print_table(d, keys, &b, e);
    if (!rc && b.len == 0 && buf_ok(&b))
        rc = explain(d, c, keys[1], e);
    if (!rc)
        rc = ctl_print(&b, e);
    buf_free(&key);
    buf_free(&b);
    db_free(d);
    return rc == ERR_INVALID ? CTL_USAGE : rc ? CTL_FAILED : CTL_OK;
}

const struct command features_get_command = {
    .name = "features get",
    .arguments = "SCOPE [KEY...]",
    .least = 1,
    .most = 1 + MOST_DIMENSIONS,
    .purpose = "the latest values of one key, read from PostgreSQL",
    .example = "flotilla features get user u1\n"
               "         flotilla features get 'user*proposition.genres' u1 Drama\n"
               "         flotilla features get global",
    .options = {{"json", NULL, "{\"scope\", \"key\", \"as_of\", \"values\"} on one line"}},
    .run = get,
};

/* flotilla dead-letters list: what could not be used, one by one or counted. */
#include "ctl.h"
#include "grid.h"
#include "letters.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { STANDARD_LIMIT = 50, MOST_LIMIT = 1000000 };

/* What letters may be counted by, beside their topic; details differ in numbers where the fault is
 * the same. */
static const struct grouping {
    const char *name, *expression, *heading;
} groupings[] = {
    {"topic", "''", ""},
    {"reason", "d.reason", "REASON"},
    {"worker", "d.worker", "WORKER"},
    {"detail", "d.reason || ': ' || regexp_replace(d.detail, '[0-9]+', 'N', 'g')",
     "REASON AND DETAIL"},
};

#define PLACE  "d.topic || '/' || d.partition || '/' || d.\"offset\""
#define UTC(t) "to_char(" t " AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"

struct listing {
    const struct ctl *ctl;
    const struct grouping *by; /* NULL: one by one */
    struct letter_filter filter;
    int64_t limit;
    struct db *db;
    struct buf sql, out;
};

/* ---- What a terminal has room for ---- */

/* 0: it is none, and nothing is cut. */
static size_t terminal_width(void)
{
    struct winsize size;
    return isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) ? size.ws_col : 0;
}

/* Appends lines of text, of each at most so many characters. */
static void put_cut(struct buf *out, struct str text, size_t width)
{
    size_t column = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool starts = ((uint8_t)text.data[i] & 0xc0) != 0x80;
        column = text.data[i] == '\n' ? 0 : column + starts;
        if (!width || column <= width)
            buf_put_u8(out, (uint8_t)text.data[i]);
    }
}

/* ---- Queries ---- */

static void put_one_by_one(struct listing *l)
{
    const char *columns =
        ctl_option(l->ctl, "json")
            ? "json_build_object('topic', d.topic, 'partition', d.partition, 'offset', "
              "d.\"offset\", 'recorded_at', d.recorded_at, 'timestamp', d.\"timestamp\", 'worker', "
              "d.worker, 'reason', d.reason, 'detail', d.detail, 'value_bytes', "
              "octet_length(d.value), 'state', coalesce(r.state, 'none'))"
            : UTC("d.recorded_at") ", " PLACE
                                   ", d.worker, d.reason, coalesce(r.state, ''), left(d.detail, "
                                   "400)";
    buf_printf(&l->sql,
               "SELECT %s" LETTERS_FROM "WHERE true%s ORDER BY d.recorded_at DESC, "
               "d.topic, d.partition, d.\"offset\" DESC LIMIT %" PRId64,
               columns, (const char *)l->filter.sql.data, l->limit + 1);
}

static void put_counted(struct listing *l)
{
    bool json = ctl_option(l->ctl, "json");
    buf_printf(&l->sql,
               "SELECT %s FROM (SELECT count(*) AS letters, count(*) FILTER (WHERE r.state = "
               "'sent') AS sent, d.topic, %s AS what, min(d.recorded_at) AS first, "
               "max(d.recorded_at) AS last, max(d.partition || '/' || d.\"offset\" || ': ' || "
               "left(d.detail, 400)) AS example" LETTERS_FROM
               "WHERE true%s GROUP BY d.topic, what) g ORDER BY letters DESC, topic, what "
               "LIMIT %" PRId64,
               json ? "to_json(g)"
                    : "letters, sent, topic, what, " UTC("first") ", " UTC("last") ", example",
               l->by->expression, (const char *)l->filter.sql.data, l->limit + 1);
}

/* ---- Printing ---- */

static void print_json(struct listing *l, const PGresult *r, int rows)
{
    for (int i = 0; i < rows; i++)
        buf_printf(&l->out, "%s\n", PQgetvalue(r, i, 0));
}

static void print_table(struct listing *l, const PGresult *r, int rows)
{
    struct grid g;
    struct buf table = {0};
    char headings[128];
    snprintf(headings, sizeof headings,
             ">LETTERS,>REPLAYED,TOPIC,%s,FIRST (UTC),LAST (UTC),EXAMPLE",
             l->by ? l->by->heading : "");
    grid_start(&g, l->by ? headings : "RECORDED (UTC),PLACE,WORKER,REASON,REPLAY,DETAIL");
    for (int i = 0; i < rows; i++)
        for (int column = 0; column < PQnfields(r); column++)
            grid_put(&g, "%s", PQgetvalue(r, i, column));
    grid_end(&g, &table);
    put_cut(&l->out, buf_str(&table), terminal_width());
    l->out.failed |= table.failed;
    buf_free(&table);
}

static int print_rows(struct listing *l, const PGresult *r, struct err *e)
{
    bool more = PQntuples(r) > l->limit;
    int rows = more ? (int)l->limit : PQntuples(r);
    if (ctl_option(l->ctl, "json"))
        print_json(l, r, rows);
    else if (rows)
        print_table(l, r, rows);
    int rc = ctl_print(&l->out, e);
    if (!rc && !rows)
        fprintf(stderr, "there are none\n");
    if (!rc && more)
        fprintf(stderr, "there are more: --limit %" PRId64 " shows twice as many\n", l->limit * 2);
    return rc;
}

/* ---- The command ---- */

static int find_grouping(struct listing *l, struct err *e)
{
    const char *name = ctl_option(l->ctl, "by");
    for (size_t i = 0; name && i < sizeof groupings / sizeof *groupings; i++)
        if (strcmp(groupings[i].name, name) == 0)
            l->by = &groupings[i];
    return !name || l->by ? 0
                          : err_set(e, ERR_INVALID,
                                    "--by is \"%s\": give topic, reason, worker or detail", name);
}

static int run_query(struct listing *l, struct err *e)
{
    PGresult *r = NULL;
    if (l->by)
        put_counted(l);
    else
        put_one_by_one(l);
    buf_put_u8(&l->sql, 0);
    if (!buf_ok(&l->sql))
        return err_nomem(e);
    int rc = db_query(l->db, &r, (const char *)l->sql.data, l->filter.count,
                      (const char *const *)l->filter.values, e);
    if (!rc)
        rc = print_rows(l, r, e);
    PQclear(r);
    return rc;
}

static enum ctl_status list(const struct ctl *c, struct err *e)
{
    struct listing l = {.ctl = c};
    int rc = find_grouping(&l, e);
    if (!rc)
        rc = ctl_number(&l.limit, c, "limit", STANDARD_LIMIT, 1, MOST_LIMIT, e);
    if (!rc)
        rc = letter_filter_read(&l.filter, c, clock_now_ms(), e);
    if (!rc)
        rc = letters_open(&l.db, c, e);
    if (!rc)
        rc = run_query(&l, e);
    db_free(l.db);
    letter_filter_free(&l.filter);
    buf_free(&l.sql);
    buf_free(&l.out);
    return rc == ERR_INVALID ? CTL_USAGE : rc ? CTL_FAILED : CTL_OK;
}

const struct command dead_letters_list_command = {
    .name = "dead-letters list",
    .arguments = "",
    .purpose = "show the records that could not be used, the newest first, or count them",
    .example = "flotilla dead-letters list --by detail --filter since=1h\n"
               "         flotilla dead-letters list --filter topic=events --filter "
               "reason=undecodable\n\n" LETTER_FILTER_HELP,
    .options = {{"filter", "CONDITION", "only those; may be given several times: see below"},
                {"by", "WHAT", "count them by topic, reason, worker or detail, numbers left aside"},
                {"limit", "N", "at most so many lines (50)"},
                {"json", NULL, "a line of JSON for each"}},
    .run = list,
};

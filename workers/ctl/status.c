/* flotilla status */
#include "ctl.h"
#include "fleet.h"
#include "grid.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>
#include <unistd.h>

enum { MOST_WATCH_S = 86400, SLICE_MS = 50 };

/* ---- For a person ---- */

static void put_restore(struct grid *g, const struct fleet_worker *w)
{
    if (!w->reached)
        grid_put(g, "-");
    else if (!w->restoring)
        grid_put(g, "done");
    else if (w->records_to_restore > 0)
        grid_put(g, "%.0f %%, %d left",
                 100.0 * (double)w->restored_records / (double)w->records_to_restore, w->restoring);
    else
        grid_put(g, "%d left", w->restoring);
}

static void put_worker(struct grid *g, const struct fleet *f, const struct fleet_worker *w)
{
    char lag[HUMAN_BYTES], ago[HUMAN_BYTES];
    grid_put(g, "%s", w->group->name);
    grid_put(g, "%s", w->instance);
    grid_put(g, "%s", w->reached ? w->state : "unknown");
    grid_put(g, "%s", w->ready ? "yes" : "no");
    grid_put(g, "%d", w->partitions);
    grid_put(g, "%s", human_count(lag, w->lag));
    put_restore(g, w);
    if (w->last_commit_ms > 0 && w->last_commit_ms <= f->now_ms)
        grid_put(g, "%s ago", human_ms(ago, f->now_ms - w->last_commit_ms));
    else
        grid_put(g, "%s", w->last_commit_ms > 0 ? "now" : "-");
    if (w->port)
        grid_put(g, "%s:%d", w->host, w->port);
    else
        grid_put(g, "%s", w->host);
    grid_put(g, "%s", w->reason);
}

static void put_workers(struct buf *b, const struct fleet *f)
{
    struct grid g;
    grid_start(&g,
               "WORKER,INSTANCE,STATE,READY,>PARTITIONS,>LAG,RESTORE,>LAST COMMIT,ADDRESS,REASON");
    for (int k = 0; k < FLEET_GROUPS; k++) {
        if (!fleet_misses(f, &fleet_groups[k]))
            continue;
        grid_put(&g, "%s", fleet_groups[k].name);
        grid_put(&g, "none runs");
        for (int i = 2; i < 9; i++)
            grid_put(&g, "-");
        grid_put(&g, "start flotilla-%s", fleet_groups[k].name);
    }
    for (size_t i = 0; i < f->worker_count; i++)
        put_worker(&g, f, &f->workers[i]);
    grid_end(&g, b);
}

static void put_partitions(struct buf *b, const struct fleet *f)
{
    struct grid g;
    char text[HUMAN_BYTES];
    grid_start(&g, "TOPIC,>PARTITION,READ BY,INSTANCE,>COMMITTED,>END,>LAG");
    for (size_t i = 0; i < f->partition_count; i++) {
        const struct fleet_partition *p = &f->partitions[i];
        grid_put(&g, "%s", p->topic);
        grid_put(&g, "%d", p->partition);
        grid_put(&g, "%s", p->group->name);
        grid_put(&g, "%s", p->worker >= 0 ? f->workers[p->worker].instance : "nobody");
        grid_put(&g, "%s", p->committed >= 0 ? human_count(text, p->committed) : "-");
        grid_put(&g, "%s", human_count(text, p->end));
        grid_put(&g, "%s", p->known ? human_count(text, p->lag) : "not known");
    }
    grid_end(&g, b);
}

static void print_table(struct buf *b, const struct fleet *f)
{
    put_workers(b, f);
    buf_put_u8(b, '\n');
    put_partitions(b, f);
    for (int i = 0; i < f->note_count; i++)
        buf_printf(b, "%s%s\n", i ? "" : "\n", f->notes[i]);
}

/* ---- For a program ---- */

static void put_text(struct buf *b, const char *name, const char *text)
{
    buf_printf(b, ",\"%s\":", name);
    json_put_text(b, str_of(text));
}

static void put_number(struct buf *b, const char *name, int64_t n, bool known)
{
    buf_printf(b, ",\"%s\":", name);
    if (known)
        buf_printf(b, "%lld", (long long)n);
    else
        buf_put_text(b, "null");
}

static void worker_json(struct buf *b, const struct fleet_worker *w)
{
    buf_printf(b, "{\"worker\":\"%s\"", w->group->name);
    put_text(b, "instance", w->instance);
    put_text(b, "host", w->host);
    put_number(b, "http_port", w->port, w->port != 0);
    buf_printf(b, ",\"reached\":%s,\"ready\":%s", w->reached ? "true" : "false",
               w->ready ? "true" : "false");
    put_text(b, "state", w->reached ? w->state : "unknown");
    put_text(b, "reason", w->reason);
    put_number(b, "partitions", w->partitions, true);
    put_number(b, "lag", w->lag, true);
    put_number(b, "partitions_restoring", w->restoring, w->reached);
    put_number(b, "restored_records", w->restored_records, w->reached);
    put_number(b, "records_to_restore", w->records_to_restore, w->reached);
    put_number(b, "epochs", w->epochs, w->epochs >= 0);
    put_number(b, "last_commit_ms", w->last_commit_ms, w->last_commit_ms > 0);
    buf_put_u8(b, '}');
}

static void partition_json(struct buf *b, const struct fleet *f, const struct fleet_partition *p)
{
    buf_printf(b, "{\"worker\":\"%s\"", p->group->name);
    put_text(b, "topic", p->topic);
    put_number(b, "partition", p->partition, true);
    if (p->worker >= 0)
        put_text(b, "instance", f->workers[p->worker].instance);
    else
        buf_put_text(b, ",\"instance\":null");
    put_number(b, "committed", p->committed, p->known && p->committed >= 0);
    put_number(b, "end", p->end, true);
    put_number(b, "lag", p->lag, p->known);
    buf_put_u8(b, '}');
}

static void print_json(struct buf *b, const struct fleet *f, bool well)
{
    buf_printf(b, "{\"time_ms\":%lld,\"ok\":%s,\"workers\":[", (long long)f->now_ms,
               well ? "true" : "false");
    for (size_t i = 0; i < f->worker_count; i++) {
        buf_put_text(b, i ? "," : "");
        worker_json(b, &f->workers[i]);
    }
    buf_put_text(b, "],\"partitions\":[");
    for (size_t i = 0; i < f->partition_count; i++) {
        buf_put_text(b, i ? "," : "");
        partition_json(b, f, &f->partitions[i]);
    }
    buf_put_text(b, "],\"notes\":[");
    for (int i = 0; i < f->note_count; i++) {
        buf_put_text(b, i ? "," : "");
        json_put_text(b, str_of(f->notes[i]));
    }
    buf_put_text(b, "]}\n");
}

/* ---- The command ---- */

static int show(const struct ctl *c, int64_t max_lag, bool *well, struct err *e)
{
    struct fleet f;
    struct buf b = {0};
    int rc = fleet_read(&f, c->conf, clock_now_ms(), e);
    if (!rc) {
        *well = fleet_is_well(&f, max_lag);
        if (ctl_option(c, "watch") && !ctl_option(c, "json") && isatty(STDOUT_FILENO))
            buf_put_text(&b, "\033[H\033[2J");
        if (ctl_option(c, "json"))
            print_json(&b, &f, *well);
        else
            print_table(&b, &f);
        rc = ctl_print(&b, e);
    }
    fleet_free(&f);
    buf_free(&b);
    return rc;
}

static void wait_s(int64_t seconds)
{
    int64_t until_us = clock_monotonic_us() + seconds * 1000000;
    while (!ctl_stopping() && clock_monotonic_us() < until_us)
        clock_sleep_ms(SLICE_MS);
}

static enum ctl_status status(const struct ctl *c, struct err *e)
{
    int64_t watch_s, max_lag;
    bool well = false;
    int rc = ctl_number(&watch_s, c, "watch", 0, 1, MOST_WATCH_S, e);
    if (!rc)
        rc = ctl_number(&max_lag, c, "max-lag", -1, 0, INT64_MAX, e);
    if (!rc)
        rc = show(c, max_lag, &well, e);
    while (!rc && watch_s && !ctl_stopping()) {
        wait_s(watch_s);
        if (!ctl_stopping())
            rc = show(c, max_lag, &well, e);
    }
    return rc == ERR_INVALID ? CTL_USAGE : rc ? CTL_FAILED : well ? CTL_OK : CTL_WRONG;
}

const struct command status_command = {
    .name = "status",
    .arguments = "",
    .purpose = "workers and partitions, worst first; exit status 3 if a kind of worker is missing, "
               "one is not ready, or lags",
    .example = "flotilla status --max-lag 10000 --watch 2",
    .options = {{"json", NULL, "one JSON object on a line"},
                {"watch", "SECONDS", "again and again, until Ctrl-C"},
                {"max-lag", "N", "a partition with more records to read than this is wrong"}},
    .run = status,
};

/* flotilla models show: a version, where it comes from and how good it is. */
#include "grid.h"
#include "models.h"
#include "models_listing.h"

#include "feature/fingerprint.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static void put_time(struct buf *b, const char *name, int64_t ms)
{
    char text[32];
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    if (ms && gmtime_r(&seconds, &utc) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc))
        buf_printf(b, "  %-11s %s UTC\n", name, text);
}

static void put_training(struct buf *b, const struct model_entry *m)
{
    const struct model_training *t = &m->training;
    char requests[HUMAN_BYTES], rows[HUMAN_BYTES], positives[HUMAN_BYTES], window[HUMAN_BYTES];
    buf_printf(b, "  calibration %s\n", listing_calibration(m));
    if (m->parent)
        buf_printf(b, "  parent      version %lld\n", (long long)m->parent);
    if (m->parameters)
        buf_printf(b, "  parameters  %s\n", m->parameters);
    if (!t->requests)
        return;
    buf_printf(b, "  trained on  %s requests, %s candidates, %s of them positive\n",
               human_count(requests, (int64_t)t->requests), human_count(rows, (int64_t)t->rows),
               human_count(positives, (int64_t)t->positives));
    if (t->labels)
        buf_printf(b, "  labels      %s, within %s\n", t->labels,
                   human_ms(window, t->label_window_ms));
    put_time(b, "from", t->from_ms);
    put_time(b, "validation", t->validation_from_ms);
    put_time(b, "test", t->test_from_ms);
    put_time(b, "to", t->to_ms);
}

static void put_number(struct grid *g, double value)
{
    if (isnan(value))
        grid_put(g, "-");
    else
        grid_put(g, "%.4f", value);
}

/* All numbers are in --json; a person sees those of all requests, and how the model does by
 * segment. */
static void put_report(struct buf *b, const struct model_entry *m)
{
    struct grid g;
    if (!m->report_count)
        return;
    buf_put_text(b, "\n");
    grid_start(&g, "SCORER,SEGMENT,METRIC,>VALUE,>LOW,>HIGH,>N");
    for (size_t i = 0; i < m->report_count; i++) {
        const struct model_metric *row = &m->report[i];
        char n[HUMAN_BYTES];
        if (isnan(row->value) || (*row->segment && strcmp(row->scorer, "model") != 0))
            continue;
        grid_put(&g, "%s", row->scorer);
        grid_put(&g, "%s", *row->segment ? row->segment : "all");
        grid_put(&g, "%s", row->metric);
        put_number(&g, row->value);
        put_number(&g, row->low);
        put_number(&g, row->high);
        grid_put(&g, "%s", human_count(n, (int64_t)row->n));
    }
    grid_end(&g, b);
}

static void put_entry(struct buf *b, const struct listing *l, const struct model_entry *m)
{
    const struct rollout_plan *plan = plans_find(&l->plans, m->parts.name.data);
    struct buf duties = {0};
    struct grid g;
    model_put_duties(&duties, plan, m->parts.version);
    buf_printf(b, "%.*s version %lld\n", STR_ARG(m->parts.name), (long long)m->parts.version);
    buf_printf(b, "  registered  %s UTC by %s (%s)\n", m->created_at, m->os_user, m->actor);
    buf_printf(b, "  note        %s\n", m->note ? m->note : "-");
    buf_printf(b, "  serves as   %.*s\n",
               STR_ARG(duties.len ? buf_str(&duties) : str_of(l->plans_known ? "-" : "not known")));
    buf_printf(b, "  objective   %s\n  trees       %lld, depth %lld\n", m->objective,
               (long long)m->trees, (long long)m->depth);
    buf_printf(b, "  file        %zu bytes, SHA-256 ", m->bytes_size);
    for (size_t i = 0; i < m->parts.sha256.len; i++)
        buf_printf(b, "%02x", (unsigned char)m->parts.sha256.data[i]);
    buf_printf(b, "\n  metrics     %s\n", m->metrics ? m->metrics : "-");
    put_training(b, m);
    put_report(b, m);
    buf_put_u8(b, '\n');
    grid_start(&g, ">COLUMN,VALUE,FINGERPRINT");
    for (size_t i = 0; i < m->parts.fingerprints.len / FINGERPRINT_BYTES; i++) {
        char text[2 * FINGERPRINT_BYTES + 1];
        fingerprint_text(text, (const uint8_t *)m->parts.fingerprints.data + i * FINGERPRINT_BYTES);
        grid_put(&g, "%zu", i);
        grid_put(&g, "%.*s", STR_ARG(m->parts.features.items[i]));
        grid_put(&g, "%s", text);
    }
    grid_end(&g, b);
    b->failed |= duties.failed;
    buf_free(&duties);
}

static enum ctl_status show(const struct ctl *c, struct err *e)
{
    struct listing l = {0};
    struct buf b = {0};
    int64_t version = 0;
    if (c->arg_count > 1 && model_version_parse(&version, c->args[1], 1, e))
        return CTL_USAGE;
    int rc = listing_find(&l, c, c->args[0], version, e);
    if (!rc && ctl_option(c, "json"))
        listing_put_json(&b, &l, l.entries.items);
    else if (!rc)
        put_entry(&b, &l, l.entries.items);
    if (!rc)
        rc = ctl_print(&b, e);
    buf_free(&b);
    listing_free(&l);
    return rc ? CTL_FAILED : CTL_OK;
}

const struct command models_show_command = {
    .name = "models show",
    .arguments = "NAME [VERSION]",
    .least = 1,
    .most = 2,
    .purpose =
        "show a version (default: the newest): its columns, what it was trained on, its report",
    .example = "flotilla models show shop 3",
    .options = {{"json", NULL, "one line of JSON"}},
    .run = show,
};

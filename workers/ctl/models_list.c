/* flotilla models list: what the registry has. */
#include "grid.h"
#include "models.h"
#include "models_listing.h"

#include <math.h>
#include <stdio.h>

/* The first of these that the model's report has: "ndcg@10 0.613". */
static void put_key_metric(struct grid *g, const struct model_entry *m)
{
    static const char *const keys[] = {"ndcg", "auc", "rmse"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        for (size_t i = 0; i < m->report_count; i++) {
            const struct model_metric *row = &m->report[i];
            if (strcmp(row->scorer, "model") != 0 || *row->segment || isnan(row->value) ||
                strncmp(row->metric, keys[k], strlen(keys[k])) != 0)
                continue;
            grid_put(g, "%s %.4g", row->metric, row->value);
            return;
        }
    grid_put(g, "%s", "");
}

static void put_table(struct buf *b, const struct listing *l)
{
    struct grid g;
    char size[HUMAN_BYTES];
    grid_start(&g,
               "MODEL,>VERSION,CREATED (UTC),BY,>TREES,>DEPTH,>COLUMNS,>BYTES,TEST,SERVES,NOTE");
    for (size_t i = 0; i < l->entries.count; i++) {
        const struct model_entry *m = &l->entries.items[i];
        struct buf duties = {0};
        model_put_duties(&duties, plans_find(&l->plans, m->parts.name.data), m->parts.version);
        grid_put(&g, "%.*s", STR_ARG(m->parts.name));
        grid_put(&g, "%lld", (long long)m->parts.version);
        grid_put(&g, "%s", m->created_at);
        grid_put(&g, "%s", m->os_user);
        grid_put(&g, "%lld", (long long)m->trees);
        grid_put(&g, "%lld", (long long)m->depth);
        grid_put(&g, "%zu", m->parts.features.count);
        grid_put(&g, "%s", human_count(size, (int64_t)m->bytes_size));
        put_key_metric(&g, m);
        grid_put(&g, "%.*s", STR_ARG(buf_str(&duties)));
        grid_put(&g, "%s", m->note ? m->note : "");
        b->failed |= duties.failed;
        buf_free(&duties);
    }
    grid_end(&g, b);
}

static enum ctl_status list(const struct ctl *c, struct err *e)
{
    struct listing l = {0};
    struct buf b = {0};
    int rc = listing_read(&l, c, c->arg_count ? c->args[0] : NULL, e);
    if (!rc && l.entries.count == 0)
        fprintf(stderr, "there are none\n");
    else if (!rc && !ctl_option(c, "json"))
        put_table(&b, &l);
    for (size_t i = 0; !rc && i < l.entries.count && ctl_option(c, "json"); i++)
        listing_put_json(&b, &l, &l.entries.items[i]);
    if (!rc)
        rc = ctl_print(&b, e);
    buf_free(&b);
    listing_free(&l);
    return rc ? CTL_FAILED : CTL_OK;
}

const struct command models_list_command = {
    .name = "models list",
    .arguments = "[NAME]",
    .most = 1,
    .purpose = "list versions in the registry, the newest first, and what they do",
    .example = "flotilla models list shop",
    .options = {{"json", NULL, "a line of JSON for each"}},
    .run = list,
};

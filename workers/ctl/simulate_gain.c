#include "ctl/simulate_gain.h"

#include "ctl/ratio.h"

#include <math.h>
#include <stdlib.h>

static const double quantile = 1.959963984540054; /* of the normal distribution: 97.5 % */

enum arm { ARM_RULES, ARM_MODEL, ARMS };

struct gain {
    int64_t version; /* the newest that ranked; 0: rules did, always */
    struct ratio clicks[ARMS];
    struct ratio share; /* of the gain, pages that the model ranked */
    double shown, twin, best;
    int64_t pairs;
};

int gain_new(struct gain **out, uint32_t users, struct err *e)
{
    struct gain *g = calloc(1, sizeof *g);
    int rc = g ? 0 : err_nomem(e);
    for (int arm = 0; arm < ARMS && !rc; arm++)
        rc = ratio_init(&g->clicks[arm], users, e);
    if (!rc)
        rc = ratio_init(&g->share, users, e);
    if (rc)
        gain_free(g);
    else
        *out = g;
    return rc;
}

void gain_free(struct gain *g)
{
    if (!g)
        return;
    for (int arm = 0; arm < ARMS; arm++)
        ratio_free(&g->clicks[arm]);
    ratio_free(&g->share);
    free(g);
}

static void begin(struct gain *g, int64_t version)
{
    for (int arm = 0; arm < ARMS; arm++)
        ratio_clear(&g->clicks[arm]);
    ratio_clear(&g->share);
    g->version = version;
    g->shown = g->twin = g->best = 0;
    g->pairs = 0;
}

static void add_pair(struct gain *g, const struct visits_pair *p)
{
    /* Nothing better than the rules' list may be possible. */
    if (p->best > p->twin)
        ratio_add(&g->share, p->user, p->shown - p->twin, p->best - p->twin);
    g->shown += p->shown;
    g->twin += p->twin;
    g->best += p->best;
    g->pairs++;
}

void gain_add(struct gain *g, const struct visits_shown *shown)
{
    const struct visits_pair *p = &shown->pair;
    enum arm arm = p->by_model ? ARM_MODEL : ARM_RULES;
    if (!shown->is_seen && !shown->is_pair)
        return;
    if (p->by_model && p->version > g->version)
        begin(g, p->version);
    if (p->by_model && p->version != g->version)
        return;
    if (shown->is_seen)
        ratio_add(&g->clicks[arm], shown->user, shown->clicks, 1);
    if (shown->is_pair && p->by_model)
        add_pair(g, p);
}

static void put_interval(struct buf *out, struct ratio_value v)
{
    if (isnan(v.error))
        return;
    buf_printf(out, " [%.3f, %.3f]", v.value - quantile * v.error, v.value + quantile * v.error);
}

/* Users keep their arm, so the arms are independent. */
static void put_difference(struct buf *out, struct ratio_value model, struct ratio_value rules)
{
    struct ratio_value d = {model.value - rules.value, hypot(model.error, rules.error)};
    if (isnan(d.error))
        return;
    buf_printf(out, ": %+.3f", d.value);
    put_interval(out, d);
}

static void put_clicks(const struct gain *g, struct buf *out)
{
    struct ratio_value model = ratio_value(&g->clicks[ARM_MODEL]);
    struct ratio_value rules = ratio_value(&g->clicks[ARM_RULES]);
    buf_put_text(out, "clicks      ");
    if (!isnan(model.value)) {
        buf_printf(out, "model v%lld %.3f a page", (long long)g->version, model.value);
        put_interval(out, model);
    }
    if (!isnan(rules.value)) {
        buf_printf(out, "%srules %.3f%s", isnan(model.value) ? "" : ", ", rules.value,
                   isnan(model.value) ? " a page" : "");
        put_interval(out, rules);
    }
    put_difference(out, model, rules);
    buf_put_u8(out, '\n');
}

void gain_print(const struct gain *g, struct buf *out)
{
    if (!g->clicks[ARM_MODEL].seen && !g->clicks[ARM_RULES].seen)
        return;
    put_clicks(g, out);
    struct ratio_value share = ratio_value(&g->share);
    if (isnan(share.value))
        return;
    double pairs = (double)g->pairs;
    buf_printf(out, "gain        model v%lld %.1f %%", (long long)g->version, 100 * share.value);
    if (!isnan(share.error))
        buf_printf(out, " [%.1f, %.1f]", 100 * (share.value - quantile * share.error),
                   100 * (share.value + quantile * share.error));
    buf_printf(out,
               " of what is possible: expected clicks a page %.3f, rules %.3f, best %.3f (%lld "
               "pages)\n",
               g->shown / pairs, g->twin / pairs, g->best / pairs, (long long)g->pairs);
}

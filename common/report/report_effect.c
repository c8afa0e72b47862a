/* What the model would bring, from what was explored. */
#include "report/report_parts.h"

#include "stats/off_policy.h"

#include <math.h>
#include <stdlib.h>

/* Rewards by row, and what the model expects of each: of clicks, or of their value. */
struct reward {
    float *rewards, *expected;
    bool has_expected;
};

static void fill(struct reward *x, const struct report *r, bool value, double mean_value)
{
    const struct report_part *p = &r->part;
    const struct report_scorer *model = &r->data.scorers[0];
    x->has_expected = model->is_probability || r->data.regression;
    for (uint64_t i = 0; i < p->row_count; i++) {
        float label = p->labels[i];
        x->rewards[i] = value || isnan(label) ? label : label > 0;
        x->expected[i] = value ? (float)((double)model->scores[i] * mean_value) : model->scores[i];
    }
}

static struct metric_value times(struct metric_value v, double by)
{
    if (by < 0)
        return (struct metric_value){v.value * by, v.high * by, v.low * by};
    return (struct metric_value){v.value * by, v.low * by, v.high * by};
}

static void keep(struct report_brought out[REPORT_ESTIMATES],
                 const struct off_policy_estimates x[2])
{
    const struct metric_value model[] = {x[0].ips, x[0].snips, x[0].dr};
    const struct metric_value baseline[] = {x[1].ips, x[1].snips, x[1].dr};
    const struct metric_value against[] = {x[1].ips_against, x[1].snips_against, x[1].dr_against};
    for (size_t i = 0; i < REPORT_ESTIMATES; i++)
        out[i] = (struct report_brought){.model = times(model[i], 1000),
                                         .baseline = times(baseline[i], 1000),
                                         .difference = times(against[i], -1000)};
}

static int estimate(struct report *r, const struct reward *x, bool value, struct err *e)
{
    const struct set_rows *all = r->data.rows;
    const struct report_part *p = &r->part;
    struct report_effect *effect = &r->effect;
    struct off_policy_requests requests;
    struct off_policy_estimates estimates[2];
    struct off_policy_log log = {.request_count = p->request_count,
                                 .first = p->first,
                                 .items = all->propositions + p->base,
                                 .places = all->places + p->base,
                                 .propensities = all->propensities + p->base,
                                 .rewards = x->rewards,
                                 .weights = p->weights,
                                 .clusters = p->clusters};
    const float *expected = x->has_expected ? x->expected : NULL;
    struct off_policy_target targets[] = {
        {.scores = r->data.margins ? r->data.margins : r->data.scorers[0].scores,
         .expected = expected},
        {.scores = r->data.scorers[r->baseline].scores, .expected = expected}};
    int rc = off_policy_estimate(&requests, estimates, &log, targets, 2, 0.95, e);
    if (rc)
        return err_wrap(e, "business effect");
    keep(value ? effect->value : effect->clicks, estimates);
    *(value ? &effect->logged_value : &effect->logged_clicks) = times(requests.logged, 1000);
    effect->used = requests.used;
    effect->unexplored = requests.unexplored;
    effect->unknown = requests.unknown;
    effect->overlap = estimates[0].overlap;
    effect->effective = estimates[0].effective;
    effect->mean_weight = estimates[0].mean_weight;
    effect->reason = estimates[0].reason;
    effect->known = requests.used > 0 && isfinite(estimates[0].ips.value);
    return 0;
}

int report_effect_make(struct report *r, struct err *e)
{
    const struct report_part *p = &r->part;
    struct report_effect *effect = &r->effect;
    struct reward x = {malloc((p->row_count + 1) * sizeof *x.rewards),
                       malloc((p->row_count + 1) * sizeof *x.expected), false};
    double sum = 0;
    int rc = x.rewards && x.expected ? 0 : err_nomem(e);
    effect->has_clicks = !r->data.regression;
    effect->has_value = r->data.regression;
    for (uint64_t i = 0; i < p->row_count; i++) {
        float label = p->labels[i];
        sum += isnan(label) ? 0 : (double)label;
        effect->has_value |= !isnan(label) && label != 0 && label != 1;
    }
    if (!rc && effect->has_clicks) {
        fill(&x, r, false, 1);
        rc = estimate(r, &x, false, e);
    }
    if (!rc && effect->has_value) {
        fill(&x, r, true, r->data.regression ? 1 : sum / (double)p->positives);
        rc = estimate(r, &x, true, e);
    }
    free(x.rewards);
    free(x.expected);
    return rc;
}

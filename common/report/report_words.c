#include "report/report_words.h"

#include <math.h>

static const struct {
    const char *label;
    bool at_k;
    const char *meaning;
} metrics[METRICS] = {
    [METRIC_AUC] = {"AUC", false, "chance that a positive row is scored above a negative one"},
    [METRIC_LOG_LOSS] = {"log loss", false, "surprise about what happened; lower is better"},
    [METRIC_KS] = {"KS", false, "greatest distance between the scores of positives and negatives"},
    [METRIC_GINI] = {"Gini", false, "2 AUC - 1"},
    [METRIC_ACCURACY] = {"accuracy", false, "share of rows on the right side of the threshold"},
    [METRIC_PRECISION] = {"precision", false, "share of positives among rows over the threshold"},
    [METRIC_RECALL] = {"recall", false, "share of the positives that are over the threshold"},
    [METRIC_F1] = {"F1", false, "harmonic mean of precision and recall"},
    [METRIC_ECE] = {"calibration error", false,
                    "how far scores are from what happened, on average; lower is better"},
    [METRIC_NDCG] = {"NDCG", true, "how near the top the positives stand; 1 is the best order"},
    [METRIC_MAP] = {"MAP", false, "mean average precision of the whole list"},
    [METRIC_MRR] = {"MRR", false, "1 / place of the first positive, on average"},
    [METRIC_PRECISION_AT_K] = {"precision", true, "share of positives among the first"},
    [METRIC_RECALL_AT_K] = {"recall", true, "share of the positives that are among the first"},
    [METRIC_RMSE] = {"RMSE", false, "root of the mean squared error; lower is better"},
    [METRIC_MAE] = {"MAE", false, "mean absolute error; lower is better"},
    [METRIC_R2] = {"R²", false, "share of the variance that is explained"},
};

void report_put_metric(struct buf *out, const struct report *r, enum metric_kind m)
{
    buf_put_text(out, metrics[m].label);
    if (metrics[m].at_k)
        buf_printf(out, "@%d", r->k);
}

const char *report_metric_meaning(enum metric_kind m)
{
    return metrics[m].meaning;
}

const enum metric_kind *report_metrics_shown(const struct report *r)
{
    static const enum metric_kind classification[] = {
        METRIC_NDCG,        METRIC_MAP, METRIC_MRR,      METRIC_PRECISION_AT_K,
        METRIC_RECALL_AT_K, METRIC_AUC, METRIC_GINI,     METRIC_KS,
        METRIC_LOG_LOSS,    METRIC_ECE, METRIC_ACCURACY, METRIC_PRECISION,
        METRIC_RECALL,      METRIC_F1,  METRICS};
    static const enum metric_kind regression[] = {METRIC_NDCG, METRIC_RMSE, METRIC_MAE, METRIC_R2,
                                                  METRICS};
    return r->data.regression ? regression : classification;
}

const char *report_baseline_name(const struct report *r)
{
    return r->baseline ? r->data.scorers[r->baseline].name : NULL;
}

/* Above zero by the bootstrap's percentiles and by Student's test, of enough users or requests. */
static bool is_credible(const struct report *r, struct metric_value gain)
{
    size_t clusters = r->part.positive_clusters;
    return clusters >= REPORT_DECIDING && gain.low > 0 &&
           report_p_below(-gain.value, gain, clusters) <= 0.025;
}

enum report_verdict report_verdict(const struct report *r)
{
    if (!r->baseline || isnan(r->gain.value))
        return VERDICT_ALONE;
    if (is_credible(r, r->gain))
        return VERDICT_BETTER;
    struct metric_value loss = {-r->gain.value, -r->gain.high, -r->gain.low};
    return is_credible(r, loss) ? VERDICT_WORSE : VERDICT_OPEN;
}

/* ---- Is it better ---- */

/* What the metric is of the model, and of the baseline. */
static void put_both(struct buf *out, const struct report *r)
{
    report_put_metric(out, r, r->metric);
    buf_put_u8(out, ' ');
    report_put_number(out, r->results[0].values[r->metric].value);
    if (!r->baseline)
        return;
    buf_put_text(out, " against ");
    report_put_number(out, r->results[r->baseline].values[r->metric].value);
}

void report_put_headline(struct buf *out, const struct report *r)
{
    const char *than = report_baseline_name(r);
    double all = r->baseline ? r->results[r->baseline].values[r->metric].value : NAN;
    if (isnan(r->results[0].values[r->metric].value)) {
        buf_put_text(out, "It cannot be judged: no request has both what was chosen and what was "
                          "not.");
        return;
    }
    switch (report_verdict(r)) {
    case VERDICT_BETTER:
        buf_printf(out, "Better than %s: ", than);
        break;
    case VERDICT_WORSE:
        buf_printf(out, "Worse than %s: ", than);
        break;
    case VERDICT_OPEN:
        buf_printf(out, "Not proven better than %s: ", than);
        break;
    case VERDICT_ALONE:
        buf_put_text(out, "Nothing to compare it with: ");
    }
    put_both(out, r);
    if (fabs(all) > 0 && isfinite(r->gain.value)) {
        buf_put_text(out, r->gain.value < 0 ? ", worse by " : ", better by ");
        report_put_percent(out, fabs(r->gain.value / all));
    }
    buf_put_u8(out, '.');
}

/* ---- How sure ---- */

static uint64_t judged_requests(const struct report *r)
{
    return r->metric == METRIC_NDCG ? r->part.positive_requests : r->part.labelled_requests;
}

static void put_requests(struct buf *out, const struct report *r)
{
    report_put_count(out, judged_requests(r));
    buf_printf(out, " request%s%s", judged_requests(r) == 1 ? "" : "s",
               r->metric == METRIC_NDCG ? " with a positive" : "");
}

size_t report_best_other(const struct report *r)
{
    size_t best = r->baseline;
    int sign = metric_sign(r->metric);
    for (size_t i = 1; best && i < r->data.scorer_count; i++)
        if (sign * r->results[i].values[r->metric].value >
            sign * r->results[best].values[r->metric].value)
            best = i;
    return best == r->baseline ? 0 : best;
}

bool report_other_is_better(const struct report *r)
{
    size_t other = report_best_other(r);
    if (!other)
        return false;
    struct metric_value gain = report_gain_of(&r->results[other].against[r->metric], r->metric);
    return is_credible(r, (struct metric_value){-gain.value, -gain.high, -gain.low});
}

static void put_best_other(struct buf *out, const struct report *r)
{
    size_t other = report_best_other(r);
    if (!other)
        return;
    struct metric_value gain = report_gain_of(&r->results[other].against[r->metric], r->metric);
    buf_printf(out, " But %s orders better than %s (", r->data.scorers[other].name,
               report_baseline_name(r));
    report_put_number(out, r->results[other].values[r->metric].value);
    buf_put_text(out, "): the advantage over it is ");
    report_put_difference(out, gain);
    buf_put_text(out, is_credible(r, gain)        ? ", above zero as well"
                      : report_other_is_better(r) ? ", so that would be the better choice"
                                                  : ", which can be chance");
    buf_put_u8(out, '.');
}

void report_put_certainty(struct buf *out, const struct report *r)
{
    enum report_verdict verdict = report_verdict(r);
    if (isnan(r->results[0].values[r->metric].value)) {
        buf_put_text(out, "There are ");
        put_requests(out, r);
        buf_put_text(out, ", and all their labels are of one kind.");
        return;
    }
    if (verdict == VERDICT_ALONE) {
        buf_put_text(out, "Judged on ");
        put_requests(out, r);
        buf_put_text(out, ", later than all that it was trained on: ");
        report_put_metric(out, r, r->metric);
        buf_put_u8(out, ' ');
        report_put_value(out, r->results[0].values[r->metric]);
        buf_put_u8(out, '.');
        return;
    }
    buf_put_text(out, "Its advantage is ");
    report_put_difference(out, r->gain);
    buf_put_text(out, " on ");
    put_requests(out, r);
    buf_put_text(out, ", later than all that it was trained on. ");
    if (isnan(r->gain.low) || r->part.positive_clusters < REPORT_DECIDING)
        buf_put_text(out, "These are too few to decide by: it could as well be chance.");
    else if (verdict == VERDICT_OPEN && (r->gain.low > 0 || r->gain.high < 0))
        buf_put_text(out,
                     "The 95 % interval lies just beside zero, which of so few can be chance.");
    else if (verdict == VERDICT_OPEN)
        buf_put_text(out, "The 95 % interval has zero in it: so much can be chance.");
    else
        buf_printf(out, "The 95 %% interval lies %s zero: this is unlikely to be chance.",
                   verdict == VERDICT_BETTER ? "above" : "below");
    put_best_other(out, r);
}

/* ---- How it was found out ---- */

void report_put_method(struct buf *out, const struct report *r)
{
    if (isnan(r->results[0].values[r->metric].low)) {
        buf_put_text(out, "There are too few requests for intervals.");
        return;
    }
    buf_put_text(out, "Intervals are 95 % bootstrap intervals: ");
    report_put_count(out, (uint64_t)r->replicates);
    buf_put_text(out, " times, ");
    if (r->part.clusters) {
        report_put_count(out, r->part.user_count);
        buf_put_text(out, " users were drawn with all their requests");
    } else {
        report_put_count(out, r->part.request_count);
        buf_put_text(out, " requests were drawn with all their rows");
    }
    buf_put_text(out, ", the same for all that is compared.");
}

/* What a model would bring, and what to do with it. */
#include "report/report_words.h"

#include <math.h>

enum { MODEL_NAME_MOST = 48 };

/* Errors of calibration beyond this are worth a word: a twentieth of all chances is off. */
static const double MUCH_ERROR = 0.05;

/* ---- What it would bring ---- */

static void put_brought(struct buf *out, const struct report *r, const char *what,
                        const struct report_brought *x, const char *method)
{
    buf_printf(out, "about ");
    report_put_value(out, x->model);
    buf_printf(out, " %s per 1,000 requests", what);
    if (r->baseline) {
        buf_put_text(out, " against ");
        report_put_value(out, x->baseline);
        buf_printf(out, " by %s, a difference of ", report_baseline_name(r));
        report_put_difference(out, x->difference);
    }
    buf_printf(out, " (%s)", method);
}

void report_put_effect(struct buf *out, const struct report *r)
{
    static const char *const methods[REPORT_ESTIMATES] = {"IPS", "self-normalised",
                                                          "doubly robust"};
    const struct report_effect *x = &r->effect;
    if (!x->known) {
        buf_put_text(out, "What it would bring cannot be told, only how well it orders: ");
        buf_put_text(out, x->reason ? x->reason : "nothing was explored");
        buf_put_text(out, ". In a placement: `exploration: {share: 0.05, temperature: 1}`.");
        return;
    }
    /* The doubly robust one has the least variance; it needs scores that are expectations. */
    const struct report_brought *of = x->has_clicks ? x->clicks : x->value;
    size_t best = isfinite(of[2].model.value) ? 2 : 1;
    buf_put_text(out, "It would bring ");
    put_brought(out, r, x->has_clicks ? "clicks" : "of value", &of[best], methods[best]);
    if (x->has_clicks && x->has_value && isfinite(x->value[best].model.value)) {
        buf_put_text(out, ", and ");
        put_brought(out, r, "of value", &x->value[best], methods[best]);
    }
    buf_put_text(out, ". This holds as far as what an item brings depends on the item, the user, "
                      "the context and its place, not on the items around it, and the logged "
                      "propensities are right.");
    if (x->reason)
        buf_printf(out, " But do not rely on it: %s.", x->reason);
}

/* ---- What to do ---- */

/* How many times the requests of this test would make a difference like this one plain. */
static double times_needed(const struct report *r)
{
    double half = (r->gain.high - r->gain.low) / 2;
    return pow(half / r->gain.value, 2);
}

/* The report of a model that is not registered yet cannot know its version. */
static void put_version(struct buf *out, const struct report *r)
{
    if (r->given->version)
        buf_printf(out, "%lld", (long long)r->given->version);
    else
        buf_put_text(out, "VERSION");
}

/* Within code, which a backquote would end. */
static void put_model(struct buf *out, const struct report *r)
{
    size_t from = out->len;
    report_put_name(out, str_of(r->data.model), MODEL_NAME_MOST);
    for (size_t i = from; i < out->len; i++)
        if (out->data[i] == '`')
            out->data[i] = '\'';
}

static void put_share_command(struct buf *out, const struct report *r, const char *mode,
                              const char *share)
{
    buf_put_text(out, "`flotilla models plan ");
    put_model(out, r);
    buf_put_text(out, " --challenger name=new,version=");
    put_version(out, r);
    buf_printf(out, ",mode=%s,share=%s`", mode, share);
}

static void put_step(struct buf *out, const struct report *r)
{
    enum report_verdict verdict = report_verdict(r);
    size_t other = report_other_is_better(r) ? report_best_other(r) : r->baseline;
    if (isnan(r->results[0].values[r->metric].low) || r->part.positive_clusters < REPORT_DECIDING) {
        buf_put_text(out, "Let more requests be answered and clicked, then make the set and train "
                          "again: this test part is too small to decide by.");
    } else if (verdict == VERDICT_WORSE || other != r->baseline) {
        buf_printf(out,
                   "Do not serve it: %s ranks better. Look below for features that carry "
                   "nothing, and whether the data that it was trained on is of another kind "
                   "than the test part.",
                   r->data.scorers[other].name);
    } else if (verdict == VERDICT_BETTER) {
        buf_put_text(out, report_count_below(r)
                              ? "Give it a share of the users first, and watch the "
                                "segments for which it is worse: "
                              : "Give it a share of the users: ");
        put_share_command(out, r, "canary", "0.05");
        buf_put_text(out, " and if that holds: `flotilla models promote ");
        put_model(out, r);
        buf_put_u8(out, ' ');
        put_version(out, r);
        buf_put_u8(out, '`');
    } else {
        buf_put_text(out, "Find out on live users: ");
        put_share_command(out, r, "ab", "0.1");
    }
}

/* Whether scores can be taken for chances, if that is known to be wrong. */
static void put_calibration(struct buf *out, const struct report *r)
{
    struct metric_value error = r->results[0].values[METRIC_ECE];
    bool is_calibrated = r->data.calibration && r->data.calibration->kind != CALIBRATION_NONE;
    if (!(error.low > MUCH_ERROR))
        return;
    buf_put_text(out, " Its scores are no chances (calibration error ");
    report_put_value(out, error);
    buf_put_text(out, is_calibrated
                          ? "): it was calibrated, so the test part is of another kind than the "
                            "validation part; see whether chances change over time."
                          : "): calibrate before anything is decided by a score instead of an "
                            "order.");
}

void report_put_advice(struct buf *out, const struct report *r)
{
    put_step(out, r);
    if (report_verdict(r) == VERDICT_OPEN && r->gain.value > 0 && times_needed(r) > 1 &&
        times_needed(r) < 1000) {
        buf_put_text(out, " If the advantage is what it looks like, about ");
        report_put_number(out, ceil(times_needed(r) * 10) / 10);
        buf_put_text(out, " times as many test requests would show it.");
    }
    put_calibration(out, r);
}

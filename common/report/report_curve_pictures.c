/* Scores and what became of them: calibration, distribution, gain, lift. */
#include "report/report_pictures.h"

#include "report/report_svg.h"
#include "report/report_words.h"

#include <math.h>

/* ---- Calibration; of regression, what was predicted and what came ---- */

static void calibration_range(struct svg *s, const struct report *r)
{
    const struct report_curves *c = &r->curves;
    double low = r->data.regression ? INFINITY : 0, high = -INFINITY;
    for (size_t i = 0; i < c->bin_count; i++) {
        low = fmin(low, fmin(c->bins[i].said, c->bins[i].happened.low));
        high = fmax(high, fmax(c->bins[i].said, c->bins[i].happened.high));
    }
    for (size_t i = 0; i < c->raw_bin_count; i++)
        high = fmax(high, fmax(c->raw_bins[i].said, c->raw_bins[i].happened.value));
    double margin = (high - low) * 0.04;
    svg_range(s, low, high + margin, low, high + margin);
}

void picture_calibration(struct buf *out, const struct report *r)
{
    struct svg s;
    const struct report_curves *c = &r->curves;
    bool regression = r->data.regression;
    const char *classes[] = {"model", "base", "all"};
    const char *words[] = {regression ? "mean of what came" : "published score",
                           c->raw_bin_count ? "before calibration" : NULL, NULL};
    svg_start(&s, out, "calibration",
              regression ? "Predicted and actual" : "Calibration: what was said, what happened",
              "Ten groups of rows of rising score, each with its 95 % interval. On the diagonal, "
              "what was said is what happened.",
              300);
    calibration_range(&s, r);
    svg_y_axis(&s, regression ? "actual, mean" : "share that was positive");
    svg_x_axis(&s, regression ? "predicted, mean" : "score, mean");
    svg_legend(&s, classes, words);
    svg_line(&s, s.left, s.bottom, s.right, s.top, "all");
    if (c->raw_bin_count) {
        svg_path_start(&s);
        for (size_t i = 0; i < c->raw_bin_count; i++)
            svg_path_to(&s, svg_x(&s, c->raw_bins[i].said),
                        svg_y(&s, c->raw_bins[i].happened.value), i == 0);
        svg_path_end(&s, "line base", false);
    }
    svg_path_start(&s);
    for (size_t i = 0; i < c->bin_count; i++)
        svg_path_to(&s, svg_x(&s, c->bins[i].said), svg_y(&s, c->bins[i].happened.value), i == 0);
    svg_path_end(&s, "line model", false);
    for (size_t i = 0; i < c->bin_count; i++) {
        struct metric_value v = c->bins[i].happened;
        svg_interval_y(&s, c->bins[i].said, v.low, v.value, v.high, "model");
    }
    svg_end(&s);
}

/* ---- Distribution ---- */

static uint64_t sum_of(const uint64_t *counts)
{
    uint64_t n = 0;
    for (size_t i = 0; i < REPORT_SCORE_BINS; i++)
        n += counts[i];
    return n ? n : 1;
}

static double tallest(const uint64_t *counts)
{
    uint64_t most = 0;
    for (size_t i = 0; i < REPORT_SCORE_BINS; i++)
        most = counts[i] > most ? counts[i] : most;
    return (double)most / (double)sum_of(counts);
}

static void histogram(struct svg *s, const uint64_t *counts, const char *class)
{
    double step = (s->x_high - s->x_low) / REPORT_SCORE_BINS;
    svg_path_start(s);
    svg_path_to(s, s->left, s->bottom, true);
    for (size_t i = 0; i < REPORT_SCORE_BINS; i++) {
        double y = svg_y(s, (double)counts[i] / (double)sum_of(counts));
        svg_path_to(s, svg_x(s, s->x_low + step * (double)i), y, false);
        svg_path_to(s, svg_x(s, s->x_low + step * (double)(i + 1)), y, false);
    }
    svg_path_to(s, s->right, s->bottom, false);
    svg_path_end(s, class, true);
}

void picture_distribution(struct buf *out, const struct report *r)
{
    struct svg s;
    const struct report_curves *c = &r->curves;
    bool regression = r->data.regression;
    const char *classes[] = {"model", "base"};
    const char *words[] = {"positives", "negatives", NULL};
    svg_start(&s, out, "distribution", regression ? "Errors: actual - predicted" : "Scores",
              regression ? "How often errors of each size are."
                         : "How often scores are, of positives and of negatives, each as shares of "
                           "their own number. The half percent of highest scores is left "
                           "out.",
              260);
    double top = tallest(c->score_counts[0]);
    if (!regression)
        top = fmax(top, tallest(c->score_counts[1]));
    svg_range(&s, c->score_low, c->score_high, 0, top * 1.05);
    svg_y_axis(&s, regression ? "share of the rows" : "share of the positives, of the negatives");
    svg_x_axis(&s, regression ? "actual - predicted" : "score");
    histogram(&s, c->score_counts[0], regression ? "area model" : "area base");
    if (!regression) {
        histogram(&s, c->score_counts[1], "area model");
        svg_legend(&s, classes, words);
    }
    svg_end(&s);
}

/* ---- Gain and lift ---- */

static void gain_line(struct svg *s, const double *gain, const char *class)
{
    svg_path_start(s);
    for (size_t i = 0; i < REPORT_GAIN_POINTS; i++)
        svg_path_to(s, svg_x(s, (double)i), svg_y(s, 100 * gain[i]), i == 0);
    svg_path_end(s, class, false);
}

void picture_gain(struct buf *out, const struct report *r)
{
    struct svg s;
    const char *classes[] = {"model", "base"};
    const char *words[] = {r->data.scorers[0].name, report_baseline_name(r), NULL};
    svg_start(&s, out, "gain", "Gain: how many positives the highest scores hold",
              "The share of all positives that is among the rows of highest score. The diagonal is "
              "chance.",
              280);
    svg_range(&s, 0, 100, 0, 100);
    svg_y_axis(&s, "% of the positives");
    svg_x_axis(&s, "% of the rows, highest score first");
    svg_legend(&s, classes, words);
    svg_line(&s, s.left, s.bottom, s.right, s.top, "all");
    if (r->baseline)
        gain_line(&s, r->curves.gain[1], "line base");
    gain_line(&s, r->curves.gain[0], "line model");
    svg_end(&s);
}

/* How many times the positives of the same number of rows at random, by tenths of the rows. */
static double lift_at(const double *gain, size_t bin)
{
    size_t step = (REPORT_GAIN_POINTS - 1) / REPORT_BINS;
    return (gain[(bin + 1) * step] - gain[bin * step]) * REPORT_BINS;
}

void picture_lift(struct buf *out, const struct report *r)
{
    struct svg s;
    double top = 1;
    const char *classes[] = {"model", "base"};
    const char *words[] = {r->data.scorers[0].name, report_baseline_name(r), NULL};
    svg_start(&s, out, "lift", "Lift: positives by tenth of the rows, against chance",
              "Each pair of bars is a tenth of the rows, those of highest score first; 1 is what "
              "chance gives.",
              280);
    for (size_t i = 0; i < REPORT_BINS; i++) {
        top = fmax(top, lift_at(r->curves.gain[0], i));
        top = r->baseline ? fmax(top, lift_at(r->curves.gain[1], i)) : top;
    }
    svg_range(&s, 0.5, REPORT_BINS + 0.5, 0, top * 1.05);
    svg_y_axis(&s, "times as many positives as by chance");
    svg_x_axis(&s, "tenth of the rows, highest score first");
    svg_legend(&s, classes, words);
    double width = (s.right - s.left) / REPORT_BINS * (r->baseline ? 0.36 : 0.72);
    for (size_t i = 0; i < REPORT_BINS; i++) {
        double x = svg_x(&s, (double)i + 1), y = svg_y(&s, lift_at(r->curves.gain[0], i));
        svg_rect(&s, r->baseline ? x - width : x - width / 2, y, width, s.bottom - y, "model");
        if (!r->baseline)
            continue;
        y = svg_y(&s, lift_at(r->curves.gain[1], i));
        svg_rect(&s, x, y, width, s.bottom - y, "base");
    }
    svg_line(&s, s.left, svg_y(&s, 1), s.right, svg_y(&s, 1), "all");
    svg_end(&s);
}

/* What the pictures show: rows sorted by score, and counted. */
#include "report/report_parts.h"

#include <math.h>
#include <stdlib.h>

/* A labelled row; rows are sorted by score, highest first. */
struct scored {
    float score, label;
};

static int highest_first(const void *a, const void *b)
{
    float x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
    return (x < y) - (x > y);
}

/* Labelled rows of these scores; a score that is NaN is the lowest. */
static uint64_t sort_rows(struct scored *out, const struct report *r, const float *scores)
{
    const struct report_part *p = &r->part;
    uint64_t n = 0;
    for (uint64_t i = 0; i < p->row_count; i++)
        if (!isnan(p->labels[i]))
            out[n++] = (struct scored){isnan(scores[i]) ? -INFINITY : scores[i], p->labels[i]};
    qsort(out, n, sizeof *out, highest_first);
    return n;
}

/* ---- Calibration ---- */

/* Wilson's interval of a share (Wilson 1927). */
static struct metric_value share_of(double positives, double n)
{
    static const double z = 1.959964;
    double share = positives / n, z2 = z * z / n;
    double middle = (share + z2 / 2) / (1 + z2);
    double half = z / (1 + z2) * sqrt(share * (1 - share) / n + z2 / (4 * n));
    return (struct metric_value){share, fmax(middle - half, 0), fmin(middle + half, 1)};
}

static struct metric_value mean_of(double sum, double squares, double n)
{
    double mean = sum / n, half = 1.959964 * sqrt(fmax(squares / n - mean * mean, 0) / n);
    return (struct metric_value){mean, mean - half, mean + half};
}

static void make_bin(struct report_bin *bin, const struct scored *rows, uint64_t n, bool regression)
{
    double said = 0, positives = 0, sum = 0, squares = 0;
    for (uint64_t i = 0; i < n; i++) {
        double label = (double)rows[i].label;
        said += (double)rows[i].score;
        positives += label > 0;
        sum += label;
        squares += label * label;
    }
    bin->rows = n;
    bin->said = said / (double)n;
    bin->happened = regression ? mean_of(sum, squares, (double)n) : share_of(positives, (double)n);
}

/* Bins of about equal numbers of rows, lowest first; rows of one score stay together. */
static size_t make_bins(struct report_bin bins[REPORT_BINS], const struct scored *rows, uint64_t n,
                        bool regression)
{
    size_t count = 0;
    uint64_t end = n;
    while (end > 0 && isinf(rows[end - 1].score))
        end--;
    uint64_t all = end;
    for (size_t i = 1; i <= REPORT_BINS; i++) {
        uint64_t begin = all - all * i / REPORT_BINS;
        if (begin >= end)
            continue;
        while (begin > 0 && rows[begin - 1].score == rows[begin].score)
            begin--;
        make_bin(&bins[count++], rows + begin, end - begin, regression);
        end = begin;
    }
    return count;
}

/* ---- Gain ---- */

/* Ties give their positives evenly. */
static void make_gain(double out[REPORT_GAIN_POINTS], const struct scored *rows, uint64_t n,
                      uint64_t positives)
{
    uint64_t at = 0;
    double seen = 0;
    size_t point = 0;
    while (at < n) {
        uint64_t end = at;
        double tied = 0;
        for (; end < n && rows[end].score == rows[at].score; end++)
            tied += rows[end].label > 0;
        for (; point < REPORT_GAIN_POINTS; point++) {
            double place = (double)point / (REPORT_GAIN_POINTS - 1) * (double)n;
            if (place > (double)end)
                break;
            double part = (place - (double)at) / (double)(end - at);
            out[point] = (seen + tied * part) / (double)positives;
        }
        seen += tied;
        at = end;
    }
}

/* ---- Distribution ---- */

static size_t score_bin(const struct report_curves *c, double score)
{
    double span = c->score_high - c->score_low;
    double place = span > 0 ? (score - c->score_low) / span * REPORT_SCORE_BINS : 0;
    return (size_t)fmin(fmax(place, 0), REPORT_SCORE_BINS - 1);
}

static void count_score(struct report_curves *c, bool positive, double score)
{
    if (score >= c->score_low && score <= c->score_high)
        c->score_counts[positive][score_bin(c, score)]++;
}

/* Scores from the lowest (0 of probabilities) to the 99.5th percentile: what lies beyond would
 * press the rest together. */
static void count_scores(struct report_curves *c, const struct scored *rows, uint64_t n,
                         bool probability)
{
    uint64_t last = n;
    while (last > 1 && isinf(rows[last - 1].score))
        last--;
    c->score_low = probability ? 0 : (double)rows[last - 1].score;
    c->score_high = (double)rows[n / 200].score;
    if (!(c->score_high > c->score_low))
        c->score_high = (double)rows[0].score;
    for (uint64_t i = 0; i < n; i++)
        count_score(c, rows[i].label > 0, (double)rows[i].score);
}

/* Of what happened minus what was said, within the middle 99 %. */
static void count_residuals(struct report_curves *c, struct scored *rows, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        rows[i].score = rows[i].label - rows[i].score;
    qsort(rows, n, sizeof *rows, highest_first);
    c->score_low = (double)rows[n - 1 - n / 200].score;
    c->score_high = (double)rows[n / 200].score;
    for (uint64_t i = 0; i < n; i++)
        count_score(c, false, (double)rows[i].score);
}

int report_curves_make(struct report *r, struct err *e)
{
    struct report_curves *c = &r->curves;
    const struct report_scorer *model = &r->data.scorers[0];
    bool regression = r->data.regression;
    struct scored *rows = malloc(r->part.labelled * sizeof *rows);
    if (!rows)
        return err_nomem(e);
    uint64_t n = sort_rows(rows, r, model->scores);
    if (model->is_probability || regression)
        c->bin_count = make_bins(c->bins, rows, n, regression);
    if (!regression) {
        make_gain(c->gain[0], rows, n, r->part.positives);
        count_scores(c, rows, n, model->is_probability);
    } else {
        count_residuals(c, rows, n);
    }
    if (!regression && r->data.calibration && r->data.calibration->kind != CALIBRATION_NONE &&
        r->data.uncalibrated) {
        n = sort_rows(rows, r, r->data.uncalibrated);
        c->raw_bin_count = make_bins(c->raw_bins, rows, n, false);
    }
    if (!regression && r->baseline) {
        n = sort_rows(rows, r, r->data.scorers[r->baseline].scores);
        make_gain(c->gain[1], rows, n, r->part.positives);
    }
    free(rows);
    return 0;
}

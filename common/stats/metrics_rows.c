/* Metrics of rows, whatever request they are of. */
#include "stats/metrics_inside.h"

#include "stats/float_order.h"

#include <math.h>
#include <stdlib.h>

static const double least_probability = 1e-15;

/* What a way through scores from the highest to the lowest needs to know and finds out. */
struct curve {
    double positives, negatives; /* of all rows */
    double positive, negative;   /* of those that were passed */
    double area;                 /* pairs in the right order, ties half */
    double farthest;             /* of both distributions */
};

static void curve_pass(struct curve *c, double positive, double negative)
{
    c->area += negative * (c->positive + positive / 2);
    c->positive += positive;
    c->negative += negative;
    double distance = fabs(c->positive / c->positives - c->negative / c->negatives);
    c->farthest = distance > c->farthest ? distance : c->farthest;
}

static void curve_tell(double values[METRICS], const struct curve *c)
{
    bool both = c->positives > 0 && c->negatives > 0;
    double auc = both ? c->area / (c->positives * c->negatives) : NAN;
    values[METRIC_AUC] = auc;
    values[METRIC_GINI] = 2 * auc - 1;
    values[METRIC_KS] = both ? c->farthest : NAN;
}

/* Rows in groups of about equal weight, those with equal scores together: each is where the middle
 * of its equals falls. */
struct calibration_groups {
    double total, passed;
    double difference[CALIBRATION_BINS]; /* of labels and scores */
};

static void groups_pass(struct calibration_groups *g, double weight, double positive, double scores)
{
    double middle = (g->passed + weight / 2) / g->total * CALIBRATION_BINS;
    int bin = middle < CALIBRATION_BINS ? (int)middle : CALIBRATION_BINS - 1;
    g->difference[bin] += positive - scores;
    g->passed += weight;
}

static double groups_tell(const struct calibration_groups *g)
{
    double sum = 0;
    for (int bin = 0; bin < CALIBRATION_BINS; bin++)
        sum += fabs(g->difference[bin]);
    return sum / g->total;
}

/* ------------------------------------------------------------ exact values */

/* Rows of one score. */
struct equals {
    size_t from, to; /* in the order of scores */
    float score;
    double positive, negative;
};

/* A scorer's rows in the order of scores. */
struct ordered {
    const struct metric_sample *s;
    const float *scores; /* by row of the sample */
    const double *weights;
    uint32_t *order;
};

static struct equals equals_from(const struct ordered *o, size_t from)
{
    struct equals g = {.from = from, .to = from, .score = o->scores[o->order[from]]};
    uint32_t rank = float_rank(g.score);
    for (; g.to < o->s->row_count && float_rank(o->scores[o->order[g.to]]) == rank; g.to++) {
        uint32_t row = o->order[g.to];
        *(o->s->labels[row] > 0 ? &g.positive : &g.negative) += o->weights[row];
    }
    return g;
}

/* As equals_from(), going down: `to` is where the group before it began. */
static struct equals equals_until(const struct ordered *o, size_t to)
{
    size_t from = to - 1;
    uint32_t rank = float_rank(o->scores[o->order[from]]);
    while (from && float_rank(o->scores[o->order[from - 1]]) == rank)
        from--;
    return equals_from(o, from);
}

/* AUC, KS and the threshold that has the best F1. */
static void go_down(struct metric_part *p, const struct ordered *o)
{
    struct curve c = {0};
    double best = 0;
    for (size_t i = 0; i < o->s->row_count; i++)
        *(o->s->labels[i] > 0 ? &c.positives : &c.negatives) += o->weights[i];
    bool search = isnan(p->threshold);
    for (size_t to = o->s->row_count; to > 0;) {
        struct equals g = equals_until(o, to);
        curve_pass(&c, g.positive, g.negative);
        double f1 = 2 * c.positive / (c.positive + c.negative + c.positives);
        if (search && f1 > best && !isnan(g.score)) {
            best = f1;
            p->threshold = (double)g.score;
        }
        to = g.from;
    }
    curve_tell(p->values, &c);
}

static double total_weight(const struct ordered *o)
{
    double total = 0;
    for (size_t i = 0; i < o->s->row_count; i++)
        total += o->weights[i];
    return total;
}

/* ECE, and the bins that replicates work on. */
static void go_up(struct metric_part *p, const struct ordered *o, size_t different)
{
    struct calibration_groups groups = {.total = total_weight(o)};
    double bin_weight = 0, bin_score = 0;
    size_t bin = 0, number = 0, n = o->s->row_count;
    for (size_t from = 0; from < n; number++) {
        struct equals g = equals_from(o, from);
        double weight = g.positive + g.negative, score = (double)g.score;
        size_t middle = (g.from + g.to) / 2;
        size_t at = different <= METRIC_BINS ? number : middle * METRIC_BINS / n;
        groups_pass(&groups, weight, g.positive, weight * score);
        if (at != bin)
            bin_weight = bin_score = 0;
        bin = at;
        bin_weight += weight;
        bin_score += weight * score;
        p->bin_scores[bin] = bin_score / bin_weight;
        for (size_t i = g.from; i < g.to; i++)
            p->codes[o->order[i]] = (uint16_t)(2 * bin + (o->s->labels[o->order[i]] > 0 ? 1 : 0));
        from = g.to;
    }
    p->bin_count = n ? bin + 1 : 0;
    if (p->is_probability && n)
        p->values[METRIC_ECE] = groups_tell(&groups);
}

static size_t count_different(const struct ordered *o)
{
    size_t different = 0;
    for (size_t i = 0; i < o->s->row_count; i++)
        different +=
            !i || float_rank(o->scores[o->order[i]]) != float_rank(o->scores[o->order[i - 1]]);
    return different;
}

/* ------------------------------------------------------------ sums */

static double mean_label(const struct metric_sample *s, const double *weights)
{
    double sum = 0, total = 0;
    for (size_t i = 0; i < s->row_count; i++) {
        sum += weights[i] * (double)s->labels[i];
        total += weights[i];
    }
    return sum / total;
}

static void add_row(double sums[ROW_SUMS], const struct metric_part *p, double weight, double label,
                    double score, double mean)
{
    bool is_positive = label > 0, is_over = score >= p->threshold;
    double error = score - label;
    sums[SUM_WEIGHT] += weight;
    sums[SUM_POSITIVE] += is_positive ? weight : 0;
    sums[SUM_TRUE] += is_positive && is_over ? weight : 0;
    sums[SUM_FALSE] += !is_positive && is_over ? weight : 0;
    sums[SUM_SQUARE] += weight * error * error;
    sums[SUM_ABSOLUTE] += weight * fabs(error);
    sums[SUM_LABEL] += weight * (label - mean);
    sums[SUM_LABEL_SQUARE] += weight * (label - mean) * (label - mean);
    if (p->is_probability) {
        double clipped = fmin(fmax(score, least_probability), 1 - least_probability);
        sums[SUM_LOG_LOSS] -= weight * log(is_positive ? clipped : 1 - clipped);
    }
}

static void add_rows(struct metric_part *p, const struct ordered *o, bool is_regression)
{
    const struct metric_sample *s = o->s;
    double mean = mean_label(s, o->weights), all[ROW_SUMS] = {0};
    for (size_t q = 0; q < s->request_count; q++)
        for (uint64_t i = s->first[q]; i < s->first[q + 1]; i++)
            add_row(p->row_sums + s->clusters[q] * (size_t)ROW_SUMS, p, o->weights[i],
                    (double)s->labels[i], (double)o->scores[i], mean);
    for (size_t c = 0; c < s->cluster_count; c++)
        for (int k = 0; k < ROW_SUMS; k++)
            all[k] += p->row_sums[c * ROW_SUMS + (size_t)k];
    metric_of_sums(p->values, all, p->is_probability, is_regression);
}

void metric_of_sums(double values[METRICS], const double sums[ROW_SUMS], bool is_probability,
                    bool is_regression)
{
    double weight = sums[SUM_WEIGHT], positive = sums[SUM_POSITIVE];
    double over = sums[SUM_TRUE] + sums[SUM_FALSE];
    if (is_regression) {
        double spread = sums[SUM_LABEL_SQUARE] - sums[SUM_LABEL] * sums[SUM_LABEL] / weight;
        values[METRIC_RMSE] = sqrt(sums[SUM_SQUARE] / weight);
        values[METRIC_MAE] = sums[SUM_ABSOLUTE] / weight;
        values[METRIC_R2] = spread > 0 ? 1 - sums[SUM_SQUARE] / spread : NAN;
    } else if (is_probability) {
        double right = sums[SUM_TRUE] + weight - positive - sums[SUM_FALSE];
        values[METRIC_LOG_LOSS] = sums[SUM_LOG_LOSS] / weight;
        values[METRIC_ACCURACY] = right / weight;
        values[METRIC_PRECISION] = sums[SUM_TRUE] / over;
        values[METRIC_RECALL] = sums[SUM_TRUE] / positive;
        values[METRIC_F1] = 2 * sums[SUM_TRUE] / (over + positive);
    }
}

void metric_of_histogram(double values[METRICS], const struct metric_part *p,
                         const double *histogram)
{
    struct curve c = {0};
    struct calibration_groups groups = {0};
    for (size_t bin = 0; bin < p->bin_count; bin++) {
        c.negatives += histogram[2 * bin];
        c.positives += histogram[2 * bin + 1];
    }
    groups.total = c.negatives + c.positives;
    for (size_t bin = 0; bin < p->bin_count && p->is_probability; bin++) {
        double weight = histogram[2 * bin] + histogram[2 * bin + 1];
        if (weight > 0)
            groups_pass(&groups, weight, histogram[2 * bin + 1], weight * p->bin_scores[bin]);
    }
    for (size_t bin = p->bin_count; bin > 0; bin--)
        curve_pass(&c, histogram[2 * bin - 1], histogram[2 * bin - 2]);
    curve_tell(values, &c);
    if (p->is_probability)
        values[METRIC_ECE] = groups_tell(&groups);
}

/* ------------------------------------------------------------ */

static bool are_probabilities(const struct ordered *o)
{
    for (size_t i = 0; i < o->s->row_count; i++)
        if (!(o->scores[i] >= 0 && o->scores[i] <= 1))
            return false;
    return true;
}

static int make_part(struct metric_part *p, const struct metric_sample *s, struct err *e)
{
    p->row_sums = calloc(s->cluster_count * ROW_SUMS + 1, sizeof *p->row_sums);
    p->codes = malloc(s->row_count * sizeof *p->codes + 1);
    p->bin_scores = malloc(METRIC_BINS * sizeof *p->bin_scores);
    return p->row_sums && p->codes && p->bin_scores ? 0 : err_nomem(e);
}

int metric_by_row(struct metric_part *p, const struct metric_sample *s,
                  const struct metric_scorer *scorer, bool is_regression, struct err *e)
{
    size_t n = s->row_count;
    float *scores = malloc(n * sizeof *scores + 1);
    double *weights = malloc(n * sizeof *weights + 1);
    struct ordered o = {s, scores, weights, malloc(n * sizeof *o.order + 1)};
    int rc = make_part(p, s, e);
    if (!scores || !weights || !o.order)
        rc = err_nomem(e);
    for (size_t i = 0; i < n && !rc; i++)
        scores[i] = scorer->scores[s->rows[i]];
    for (size_t q = 0; q < s->request_count && !rc; q++)
        for (uint64_t i = s->first[q]; i < s->first[q + 1]; i++)
            weights[i] = s->weights[q];
    if (!rc)
        rc = float_order(o.order, scores, n, e);
    if (!rc) {
        p->is_probability = scorer->is_probability && !is_regression && are_probabilities(&o);
        p->threshold = scorer->threshold;
        if (!is_regression) {
            go_down(p, &o);
            go_up(p, &o, count_different(&o));
        }
        if (!p->is_probability)
            p->threshold = NAN;
        add_rows(p, &o, is_regression);
    }
    free(o.order);
    free(weights);
    free(scores);
    return rc;
}

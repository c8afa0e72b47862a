/* The fits of calibration.h, and the score that is published. */
#include "model/calibration.h"
#include "model/calibration_memory.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Fewer of either kind say nothing about a probability. */
enum { LEAST_OF_EACH = 20 };

/* A row, then a pool of rows with the same value. */
struct pool {
    double margin; /* weighted mean */
    double positive, weight;
};

const char *calibration_name(enum calibration_kind kind)
{
    static const char *const names[] = {"none", "platt", "isotonic"};
    return names[kind];
}

void calibration_free(struct calibration *c)
{
    if (!c)
        return;
    free(c->memory);
    free(c);
}

int calibration_make(struct calibration **out, enum calibration_kind kind, size_t knots,
                     struct err *e)
{
    struct calibration *c = calloc(1, sizeof *c);
    struct calibration_memory *m = calloc(1, sizeof *m + 2 * knots * sizeof *m->numbers);
    if (!c || !m) {
        free(c);
        free(m);
        return err_nomem(e);
    }
    c->kind = kind;
    c->count = knots;
    c->margins = m->numbers;
    c->values = m->numbers + knots;
    c->memory = m;
    m->knots = knots;
    *out = c;
    return 0;
}

/* ---- Applying ---- */

static double on_the_line(const struct calibration *c, double margin)
{
    size_t low = 0, high = c->count - 1;
    if (!(margin > c->margins[0]))
        return c->values[0];
    if (margin >= c->margins[high])
        return c->values[high];
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (c->margins[middle] <= margin)
            low = middle;
        else
            high = middle;
    }
    double part = (margin - c->margins[low]) / (c->margins[high] - c->margins[low]);
    double value = c->values[low] + part * (c->values[high] - c->values[low]);
    /* Rounding must not lift a value over the next knot's: what is higher stays no lower. */
    return value < c->values[high] ? value : c->values[high];
}

float calibration_apply(const struct calibration *c, float margin, float score)
{
    if (c->kind == CALIBRATION_NONE)
        return score;
    if (c->kind == CALIBRATION_PLATT)
        return (float)(1 / (1 + exp(-(c->slope * (double)margin + c->intercept))));
    return (float)on_the_line(c, (double)margin);
}

/* ---- Platt ---- */

/* The negative log likelihood of the targets, after Lin, Lin and Weng 2007: without overflow. */
static double loss_of(const struct pool *rows, size_t n, double slope, double intercept)
{
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        double z = slope * rows[i].margin + intercept;
        loss += rows[i].weight * (z >= 0 ? (1 - rows[i].positive) * z + log1p(exp(-z))
                                         : -rows[i].positive * z + log1p(exp(z)));
    }
    return loss;
}

/* Platt's targets instead of 1 and 0: the fit cannot run to certainty. */
static void set_targets(struct pool *rows, size_t n)
{
    double positive = 0, negative = 0;
    for (size_t i = 0; i < n; i++)
        *(rows[i].positive > 0 ? &positive : &negative) += rows[i].weight;
    for (size_t i = 0; i < n; i++)
        rows[i].positive =
            rows[i].positive > 0 ? (positive + 1) / (positive + 2) : 1 / (negative + 2);
}

/* First and second derivatives of the loss. */
struct slopes {
    double by_slope, by_intercept;
    double slope_slope, slope_intercept, intercept_intercept;
};

static struct slopes slopes_of(const struct pool *rows, size_t n, double slope, double intercept)
{
    const double ridge = 1e-12; /* The matrix stays invertible where all rows are certain. */
    struct slopes s = {.slope_slope = ridge, .intercept_intercept = ridge};
    for (size_t i = 0; i < n; i++) {
        double p = 1 / (1 + exp(-(slope * rows[i].margin + intercept)));
        double off = rows[i].weight * (p - rows[i].positive), bend = rows[i].weight * p * (1 - p);
        s.by_slope += off * rows[i].margin;
        s.by_intercept += off;
        s.slope_slope += bend * rows[i].margin * rows[i].margin;
        s.slope_intercept += bend * rows[i].margin;
        s.intercept_intercept += bend;
    }
    return s;
}

/* Newton's method with steps halved until the loss falls. The loss is convex: where no step helps,
 * this is the least there is. */
static void fit_line(struct calibration *c, const struct pool *rows, size_t n)
{
    enum { MOST_STEPS = 200, MOST_HALVES = 40 };
    double loss = loss_of(rows, n, c->slope, c->intercept);
    for (int step = 0; step < MOST_STEPS; step++) {
        struct slopes s = slopes_of(rows, n, c->slope, c->intercept);
        double det = s.slope_slope * s.intercept_intercept - s.slope_intercept * s.slope_intercept;
        double a = (s.intercept_intercept * s.by_slope - s.slope_intercept * s.by_intercept) / det;
        double b = (s.slope_slope * s.by_intercept - s.slope_intercept * s.by_slope) / det;
        double size = 1, next = loss;
        bool better = false;
        for (int half = 0; half < MOST_HALVES && !better; half++, size /= 2) {
            next = loss_of(rows, n, c->slope - size * a, c->intercept - size * b);
            better = next < loss;
            if (better) {
                c->slope -= size * a;
                c->intercept -= size * b;
            }
        }
        if (!better || loss - next <= 1e-15 * loss)
            return;
        loss = next;
    }
}

static int fit_platt(struct calibration **out, struct pool *rows, size_t n, struct err *e)
{
    struct calibration *c;
    double positive = 0, weight = 0;
    int rc = calibration_make(&c, CALIBRATION_PLATT, 0, e);
    if (rc)
        return rc;
    set_targets(rows, n);
    for (size_t i = 0; i < n; i++) {
        positive += rows[i].weight * rows[i].positive;
        weight += rows[i].weight;
    }
    c->intercept = log(positive / (weight - positive));
    fit_line(c, rows, n);
    if (!(c->slope > 0) || !isfinite(c->slope) || !isfinite(c->intercept)) {
        calibration_free(c);
        return err_set(e, ERR_INVALID,
                       "no calibration by Platt: on these rows a higher margin is not more often "
                       "positive, so the model has not learned what they say");
    }
    *out = c;
    return 0;
}

/* ---- Isotonic ---- */

static void join(struct pool *to, const struct pool *from)
{
    double weight = to->weight + from->weight;
    to->margin += (from->margin - to->margin) * (from->weight / weight);
    to->positive += from->positive;
    to->weight = weight;
}

static double value_of(const struct pool *p)
{
    return p->positive / p->weight;
}

/* Pools of equal margins, then of neighbours whose values fall; returns how many there are. */
static size_t pool_violators(struct pool *pools, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n;) {
        struct pool next = pools[i++];
        for (; i < n && pools[i].margin == next.margin; i++) {
            next.positive += pools[i].positive;
            next.weight += pools[i].weight;
        }
        while (count && value_of(&pools[count - 1]) >= value_of(&next)) {
            struct pool before = pools[--count];
            join(&before, &next);
            next = before;
        }
        pools[count++] = next;
    }
    return count;
}

/* Neighbours become one until there are at most CALIBRATION_MOST_KNOTS: each but the last has its
 * share of the weight. */
static size_t thin(struct pool *pools, size_t n)
{
    double weight = 0;
    size_t count = 0;
    if (n <= CALIBRATION_MOST_KNOTS)
        return n;
    for (size_t i = 0; i < n; i++)
        weight += pools[i].weight;
    for (size_t i = 0; i < n; count++) {
        struct pool next = pools[i++];
        while (i < n && next.weight < weight / (CALIBRATION_MOST_KNOTS - 1))
            join(&next, &pools[i++]);
        pools[count] = next;
    }
    return count;
}

/* Nothing is certain after a number of rows: the values stay as far from 0 and 1 as Laplace's rule
 * keeps them for all rows together. */
static double keep_doubt(double value, double weight)
{
    double least = 1 / (weight + 2);
    return fmin(fmax(value, least), 1 - least);
}

static int fit_isotonic(struct calibration **out, struct pool *rows, size_t n, struct err *e)
{
    double weight = 0;
    for (size_t i = 0; i < n; i++)
        weight += rows[i].weight;
    size_t count = thin(rows, pool_violators(rows, n));
    struct calibration *c;
    int rc = calibration_make(&c, CALIBRATION_ISOTONIC, count, e);
    if (rc)
        return rc;
    double *margins = c->memory->numbers, *values = margins + count;
    c->count = 0;
    for (size_t i = 0; i < count; i++) {
        /* Means of neighbouring pools may round to the same margin: the higher value counts. */
        if (c->count && rows[i].margin <= margins[c->count - 1])
            c->count--;
        margins[c->count] = rows[i].margin;
        values[c->count++] = keep_doubt(value_of(&rows[i]), weight);
    }
    *out = c;
    return 0;
}

/* ---- Rows ---- */

static int by_margin(const void *a, const void *b)
{
    const struct pool *x = a, *y = b;
    return (x->margin > y->margin) - (x->margin < y->margin);
}

/* Rows with a label, a margin and a weight; the counts of both kinds. */
static size_t take_rows(struct pool *rows, const float *margins, const float *labels,
                        const double *weights, size_t count, size_t kinds[2])
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        double weight = weights ? weights[i] : 1;
        if (isnan(labels[i]) || !isfinite(margins[i]) || !(weight > 0) || !isfinite(weight))
            continue;
        bool is_positive = labels[i] > 0;
        kinds[is_positive]++;
        /* Adding 0 makes a negative zero the same margin, and text, as zero. */
        rows[n++] = (struct pool){(double)margins[i] + 0.0, is_positive ? 1 : 0, weight};
    }
    return n;
}

static void weigh_positives(struct pool *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rows[i].positive *= rows[i].weight;
}

int calibration_fit(struct calibration **out, enum calibration_kind kind, const float *margins,
                    const float *labels, const double *weights, size_t count, struct err *e)
{
    size_t kinds[2] = {0, 0};
    if (kind == CALIBRATION_NONE)
        return calibration_make(out, kind, 0, e);
    struct pool *rows = malloc((count + 1) * sizeof *rows);
    if (!rows)
        return err_nomem(e);
    size_t n = take_rows(rows, margins, labels, weights, count, kinds);
    int rc = 0;
    if (kinds[0] < LEAST_OF_EACH || kinds[1] < LEAST_OF_EACH)
        rc = err_set(e, ERR_INVALID,
                     "no calibration: %zu positive and %zu negative rows are too few, %d of each "
                     "are needed: take more time for validation, or calibration none",
                     kinds[1], kinds[0], LEAST_OF_EACH);
    else if (kind == CALIBRATION_PLATT)
        rc = fit_platt(out, rows, n, e);
    else {
        qsort(rows, n, sizeof *rows, by_margin);
        weigh_positives(rows, n);
        rc = fit_isotonic(out, rows, n, e);
    }
    free(rows);
    return rc;
}

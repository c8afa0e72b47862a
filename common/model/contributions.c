/*
 * Shapley values of a tree's columns, by their integral form (Owen, "Multilinear Extensions of
 * Games", 1972): where a leaf is reached with the product over the columns of its path of
 *
 *     f(t) = zero (1 - t) + one t
 *
 * (one: whether the row goes this way, zero: the share of training rows that do), a column's value
 * is the integral over t from 0 to 1 of leaf (one - zero) times the product of the other columns'
 * f(t). It is a polynomial, which Gauss's rule integrates exactly with half as many points as the
 * tree is deep. All terms are sums of what is not negative, so that nothing cancels in deep trees,
 * where TreeSHAP's own way, which takes columns out of a path again, loses its digits.
 */
#include "model/ensemble.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_POINTS = ENSEMBLE_MAX_DEPTH / 2 + 1 };

/* Below this, a share is none: what stands behind it weighs nothing, and cannot be divided by. */
#define NO_SHARE 1e-290

/* A column on the way to a node: with all splits on it so far. */
struct step {
    int32_t column;
    double one, zero;
};

struct walk {
    const struct ensemble_tree *tree;
    const float *row;
    double *out, bias;
    size_t points;
    double at[MAX_POINTS], weight[MAX_POINTS];
    struct step path[ENSEMBLE_MAX_DEPTH];
    double reach[ENSEMBLE_MAX_DEPTH + 1][MAX_POINTS]; /* product of f at each point */
    double sum[ENSEMBLE_MAX_DEPTH + 1][MAX_POINTS];   /* over leaves below: value times reach */
};

/* The points of Gauss and Legendre between 0 and 1: zeros of the n-th Legendre polynomial, found by
 * Newton's method from near them. */
static void set_points(struct walk *w, size_t n)
{
    w->points = n;
    for (size_t i = 0; i < n; i++) {
        double x = cos(acos(-1) * ((double)i + 0.75) / ((double)n + 0.5)), slope = 1;
        for (int round = 0; round < 10; round++) {
            double before = 1, p = x;
            for (size_t k = 2; k <= n; k++) {
                double next = ((2 * (double)k - 1) * x * p - ((double)k - 1) * before) / (double)k;
                before = p;
                p = next;
            }
            slope = (double)n * (x * p - before) / (x * x - 1);
            x -= p / slope;
        }
        w->at[i] = (1 + x) / 2;
        w->weight[i] = 1 / ((1 - x * x) * slope * slope);
    }
}

static double factor(const struct step *s, double t)
{
    return s->zero * (1 - t) + s->one * t;
}

static void walk_node(struct walk *w, int32_t number, int depth, double share);

/* To a child; `before` is the step of the same column that is passed last, or one that changes
 * nothing. What that one counted for the leaves below is taken back: here it is counted whole. */
static void walk_child(struct walk *w, int32_t child, int depth, double share, struct step before)
{
    struct step step = w->path[depth];
    double *reach = w->reach[depth + 1], moved = 0;
    if (step.one == 0 && step.zero < NO_SHARE)
        return;
    for (size_t q = 0; q < w->points; q++)
        reach[q] = w->reach[depth][q] / factor(&before, w->at[q]) * factor(&step, w->at[q]);
    walk_node(w, child, depth + 1, share);
    for (size_t q = 0; q < w->points; q++) {
        double sum = w->sum[depth + 1][q];
        moved += w->weight[q] * sum *
                 ((step.one - step.zero) / factor(&step, w->at[q]) -
                  (before.one - before.zero) / factor(&before, w->at[q]));
        w->sum[depth][q] += sum;
    }
    w->out[step.column] += moved;
}

static void walk_node(struct walk *w, int32_t number, int depth, double share)
{
    const struct ensemble_node *node = &w->tree->nodes[number];
    if (node->left < 0) {
        for (size_t q = 0; q < w->points; q++)
            w->sum[depth][q] = (double)node->value * w->reach[depth][q];
        w->bias += (double)node->value * share;
        return;
    }
    for (size_t q = 0; q < w->points; q++)
        w->sum[depth][q] = 0;
    struct step before = {node->column, 1, 1};
    for (int i = depth - 1; i >= 0; i--) {
        if (w->path[i].column == node->column) {
            before = w->path[i];
            break;
        }
    }
    double left = (double)w->tree->nodes[node->left].cover;
    double right = (double)w->tree->nodes[node->right].cover;
    double left_share = left + right > 0 ? left / (left + right) : 0.5;
    bool goes_left = ensemble_goes_left(node, w->row);
    w->path[depth] =
        (struct step){node->column, goes_left ? before.one : 0, before.zero * left_share};
    walk_child(w, node->left, depth, share * left_share, before);
    w->path[depth] =
        (struct step){node->column, goes_left ? 0 : before.one, before.zero * (1 - left_share)};
    walk_child(w, node->right, depth, share * (1 - left_share), before);
}

int ensemble_contributions(const struct ensemble *m, const float *row, double *out, struct err *e)
{
    struct walk *w = malloc(sizeof *w);
    int depth = 0;
    if (!w)
        return err_nomem(e);
    for (size_t i = 0; i < m->tree_count; i++)
        depth = m->trees[i].depth > depth ? m->trees[i].depth : depth;
    for (size_t i = 0; i <= m->column_count; i++)
        out[i] = 0;
    w->row = row;
    w->out = out;
    w->bias = (double)m->base_margin;
    set_points(w, (size_t)(depth + 1) / 2);
    for (size_t q = 0; q < w->points; q++)
        w->reach[0][q] = 1;
    for (size_t i = 0; i < m->tree_count; i++) {
        w->tree = &m->trees[i];
        walk_node(w, 0, 0, 1);
    }
    out[m->column_count] = w->bias;
    free(w);
    return 0;
}

#include "training/instances.h"

#include <math.h>
#include <stdlib.h>

/* Of one run of requests. */
struct making {
    struct instances *out;
    const struct set_rows *rows;
    size_t first, count;
    const struct instances_opts *opts;
    bool graded;   /* labels above 0 differ, and that counts */
    bool weighted; /* some weight is not 1 */
};

static int check_label(const struct making *m, size_t request, float label, struct err *e)
{
    const char *why = NULL;
    if (isinf(label))
        why = "is infinite";
    else if (label < 0 && m->opts->kind == INSTANCES_RANKING)
        why = "is below 0: a ranking needs labels from 0 to 31";
    else if (label > 31 && m->opts->kind == INSTANCES_RANKING)
        why = "is above 31, where the gain 2^label ends: give smaller weights in the label rules";
    else if (label != floorf(label) && m->opts->kind == INSTANCES_RANKING)
        why =
            "is no whole number: a ranking needs grades, so give whole weights in the label rules";
    if (!why)
        return 0;
    return err_set(e, ERR_INVALID, "a label of request %.*s %s",
                   STR_ARG(m->rows->texts[m->rows->ids[request]]), why);
}

/* Counts, and checks. */
static int count_rows(struct making *m, struct err *e)
{
    struct instances *out = m->out;
    float largest = 0, smallest = INFINITY;
    int rc = 0;
    for (size_t r = m->first; r < m->first + m->count && !rc; r++) {
        size_t before = out->count;
        m->weighted |= m->rows->shares[r] < 1;
        for (uint64_t i = m->rows->first[r]; i < m->rows->first[r + 1] && !rc; i++) {
            float label = m->rows->labels[i];
            if (isnan(label))
                continue;
            out->count++;
            out->explored |= !m->opts->no_propensities && m->rows->propensities[i] < 1;
            largest = label > largest ? label : largest;
            smallest = label > 0 && label < smallest ? label : smallest;
            rc = check_label(m, r, label, e);
        }
        out->group_count += out->count > before;
    }
    m->graded =
        m->opts->kind == INSTANCES_BINARY && !m->opts->flat && largest > 0 && largest != smallest;
    m->weighted |= out->explored || m->graded;
    return rc;
}

static double weight_of(struct making *m, size_t request, uint64_t row)
{
    double share = m->rows->shares[request], p = m->rows->propensities[row], weight = 1;
    float label = m->rows->labels[row];
    if (share > 0 && share < 1)
        weight /= share;
    if (m->out->explored && p < 1) {
        m->out->cut += !(p > 1 / INSTANCES_MOST);
        weight *= p > 1 / INSTANCES_MOST ? 1 / p : INSTANCES_MOST;
    }
    if (m->graded && label > 0)
        weight *= (double)label;
    return weight;
}

/* The weight of a group: see the header. */
struct mean {
    double all, positive;
    size_t rows, positives;
    float least, most; /* labels */
};

static double group_weight(const struct mean *g)
{
    return g->positives ? g->positive / (double)g->positives : g->all / (double)g->rows;
}

static void fill(struct making *m)
{
    struct instances *out = m->out;
    bool by_group = m->opts->kind == INSTANCES_RANKING;
    size_t n = 0, groups = 0;
    for (size_t r = m->first; r < m->first + m->count; r++) {
        struct mean g = {.least = INFINITY, .most = -INFINITY};
        for (uint64_t i = m->rows->first[r]; i < m->rows->first[r + 1]; i++) {
            float label = m->rows->labels[i];
            if (isnan(label))
                continue;
            double weight = weight_of(m, r, i);
            bool positive = label > 0;
            g.all += weight;
            g.positive += positive ? weight : 0;
            g.rows++;
            g.positives += positive;
            g.least = fminf(g.least, label);
            g.most = fmaxf(g.most, label);
            if (out->weights && !by_group)
                out->weights[n] = (float)weight;
            out->labels[n] = label;
            out->targets[n++] = m->opts->kind == INSTANCES_BINARY ? (positive ? 1 : 0) : label;
        }
        out->positives += g.positives;
        out->unequal += g.rows && g.least < g.most;
        if (g.rows && by_group && out->weights)
            out->weights[groups] = (float)group_weight(&g);
        if (g.rows)
            out->groups[groups++] = (uint32_t)g.rows;
    }
}

/* Weights to a mean of 1; the mean of the targets. */
static void summarise(struct making *m)
{
    struct instances *out = m->out;
    bool by_group = m->opts->kind == INSTANCES_RANKING;
    size_t weights = by_group ? out->group_count : out->count;
    double sum = 0, total = 0;
    for (size_t i = 0; out->weights && i < weights; i++)
        sum += (double)out->weights[i];
    double factor = sum > 0 ? (double)weights / sum : 1;
    for (size_t i = 0; out->weights && i < weights; i++)
        out->weights[i] = (float)((double)out->weights[i] * factor);
    out->least = INFINITY;
    out->most = -INFINITY;
    for (size_t i = 0; i < out->count; i++) {
        double weight = out->weights && !by_group ? (double)out->weights[i] : 1;
        double target = (double)out->targets[i];
        out->mean += weight * target;
        total += weight;
        out->least = fmin(out->least, target);
        out->most = fmax(out->most, target);
    }
    out->mean = total > 0 ? out->mean / total : 0;
}

int instances_make(struct instances *out, const struct set_rows *rows, size_t first, size_t count,
                   const struct instances_opts *opts, struct err *e)
{
    struct making m = {.out = out, .rows = rows, .first = first, .count = count, .opts = opts};
    *out = (struct instances){0};
    int rc = count_rows(&m, e);
    if (rc)
        return rc;
    out->targets = malloc((out->count + 1) * sizeof *out->targets);
    out->labels = malloc((out->count + 1) * sizeof *out->labels);
    out->groups = malloc((out->group_count + 1) * sizeof *out->groups);
    if (m.weighted)
        out->weights = malloc((out->count + 1) * sizeof *out->weights);
    if (!out->targets || !out->labels || !out->groups || (m.weighted && !out->weights))
        return err_nomem(e);
    fill(&m);
    summarise(&m);
    return 0;
}

void instances_forget_rows(struct instances *i)
{
    free(i->targets);
    free(i->labels);
    free(i->weights);
    free(i->groups);
    i->targets = i->labels = i->weights = NULL;
    i->groups = NULL;
}

void instances_free(struct instances *i)
{
    instances_forget_rows(i);
    *i = (struct instances){0};
}

#include "stats/metrics_inside.h"

#include "stats/cluster.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_REPLICATES = 100000 };

static const struct {
    const char *name;
    int sign;
} about[METRICS] = {
    [METRIC_AUC] = {"auc", 1},
    [METRIC_LOG_LOSS] = {"log_loss", -1},
    [METRIC_KS] = {"ks", 1},
    [METRIC_GINI] = {"gini", 1},
    [METRIC_ACCURACY] = {"accuracy", 1},
    [METRIC_PRECISION] = {"precision", 1},
    [METRIC_RECALL] = {"recall", 1},
    [METRIC_F1] = {"f1", 1},
    [METRIC_ECE] = {"ece", -1},
    [METRIC_NDCG] = {"ndcg", 1},
    [METRIC_MAP] = {"map", 1},
    [METRIC_MRR] = {"mrr", 1},
    [METRIC_PRECISION_AT_K] = {"precision_at_k", 1},
    [METRIC_RECALL_AT_K] = {"recall_at_k", 1},
    [METRIC_RMSE] = {"rmse", -1},
    [METRIC_MAE] = {"mae", -1},
    [METRIC_R2] = {"r2", 1},
};

const char *metric_name(enum metric_kind m)
{
    return about[m].name;
}

int metric_sign(enum metric_kind m)
{
    return about[m].sign;
}

/* ------------------------------------------------------------ rows that have a label */

static void sample_free(struct metric_sample *s)
{
    free(s->labels);
    free(s->clusters);
    free(s->weights);
    free(s->first);
    free(s->rows);
}

static int sample_of(struct metric_sample *s, const struct metric_rows *rows, struct err *e)
{
    uint64_t from = rows->request_count ? rows->first[0] : 0;
    uint64_t to = rows->request_count ? rows->first[rows->request_count] : 0;
    size_t most = (size_t)(to - from);
    if (to > UINT32_MAX)
        return err_set(e, ERR_TOO_LARGE, "metrics of row %llu: at most %u rows can be judged",
                       (unsigned long long)to, UINT32_MAX);
    s->rows = malloc(most * sizeof *s->rows + 1);
    s->labels = malloc(most * sizeof *s->labels + 1);
    s->first = malloc((rows->request_count + 1) * sizeof *s->first);
    s->weights = malloc(rows->request_count * sizeof *s->weights + 1);
    s->clusters = malloc(rows->request_count * sizeof *s->clusters + 1);
    if (!s->rows || !s->labels || !s->first || !s->weights || !s->clusters)
        return err_nomem(e);
    s->first[0] = 0;
    for (size_t q = 0; q < rows->request_count; q++) {
        size_t before = s->row_count, to_request = s->request_count;
        for (uint64_t row = rows->first[q]; row < rows->first[q + 1]; row++) {
            if (isnan(rows->labels[row]))
                continue;
            s->labels[s->row_count] = rows->labels[row];
            s->rows[s->row_count++] = (uint32_t)row;
        }
        if (s->row_count == before)
            continue;
        s->weights[to_request] = rows->weights ? rows->weights[q] : 1;
        s->clusters[to_request] = rows->clusters ? rows->clusters[q] : (uint32_t)q;
        s->first[++s->request_count] = s->row_count;
    }
    return clusters_number(s->clusters, s->request_count, &s->cluster_count, e);
}

/* ------------------------------------------------------------ */

static void part_free(struct metric_part *p)
{
    free(p->replicates);
    free(p->bin_scores);
    free(p->codes);
    free(p->request_sums);
    free(p->row_sums);
}

static int check(const struct metric_opts *o, struct err *e)
{
    if (o->k < 1)
        return err_set(e, ERR_INVALID, "metrics at k = %d: k must be at least 1", o->k);
    if (o->replicates < 0 || o->replicates > MOST_REPLICATES)
        return err_set(e, ERR_INVALID, "%d replicates of a bootstrap: 0 to %d are possible",
                       o->replicates, MOST_REPLICATES);
    if (!(o->level > 0 && o->level < 1))
        return err_set(e, ERR_INVALID, "intervals of level %g: it must be between 0 and 1",
                       o->level);
    return 0;
}

static void count_rows(struct metric_results *out, const struct metric_sample *s)
{
    out->rows = s->row_count;
    for (size_t i = 0; i < s->row_count; i++)
        out->positives += s->labels[i] > 0;
}

/* An interval of a distance, which is centred on its value, may reach below 0. */
static struct metric_value not_below_zero(enum metric_kind m, struct metric_value v)
{
    if ((m == METRIC_KS || m == METRIC_ECE) && v.low < 0)
        v.low = 0;
    return v;
}

/* Turns values and replicates into intervals, and into those of differences to the first. */
static int tell(struct metric_results *out, struct metric_part *parts, size_t count,
                const struct metric_opts *o, struct err *e)
{
    size_t n = (size_t)o->replicates;
    double *differences = malloc(n * sizeof *differences + 1);
    if (!differences)
        return err_nomem(e);
    for (size_t i = 0; i < count; i++)
        for (enum metric_kind m = 0; m < METRICS; m++) {
            for (size_t r = 0; r < n; r++)
                differences[r] = parts[i].replicates[m * n + r] - parts[0].replicates[m * n + r];
            out[i].against[m] = metric_interval(m, parts[i].values[m] - parts[0].values[m],
                                                differences, n, o->level);
        }
    /* They are sorted only when nothing is paired any longer. */
    for (size_t i = 0; i < count; i++)
        for (enum metric_kind m = 0; m < METRICS; m++) {
            double *own = n ? parts[i].replicates + m * n : NULL;
            out[i].values[m] =
                not_below_zero(m, metric_interval(m, parts[i].values[m], own, n, o->level));
        }
    free(differences);
    return 0;
}

static int judge(struct metric_part *parts, const struct metric_sample *s,
                 const struct metric_scorer *scorers, size_t count, const struct metric_opts *o,
                 struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++) {
        for (enum metric_kind m = 0; m < METRICS; m++)
            parts[i].values[m] = NAN;
        rc = metric_by_row(&parts[i], s, &scorers[i], o->regression, e);
        if (!rc)
            rc = metric_by_request(&parts[i], s, &scorers[i], (size_t)o->k, o->regression, e);
    }
    return rc || !o->replicates ? rc : metric_draw(parts, count, s, o, e);
}

int metrics_of(struct metric_results *out, const struct metric_rows *rows,
               const struct metric_scorer *scorers, size_t count, const struct metric_opts *opts,
               struct err *e)
{
    struct metric_sample s = {0};
    struct metric_part *parts = NULL;
    int rc = check(opts, e);
    if (rc)
        return rc;
    parts = calloc(count + 1, sizeof *parts);
    rc = parts ? sample_of(&s, rows, e) : err_nomem(e);
    if (!rc)
        rc = judge(parts, &s, scorers, count, opts, e);
    for (size_t i = 0; i < count && !rc; i++) {
        out[i] =
            (struct metric_results){.threshold = parts[i].threshold, .requests = parts[i].requests};
        count_rows(&out[i], &s);
    }
    if (!rc)
        rc = tell(out, parts, count, opts, e);
    for (size_t i = 0; i < count && parts; i++)
        part_free(&parts[i]);
    free(parts);
    sample_free(&s);
    return rc;
}

int metrics_of_random(struct metric_results *out, const struct metric_rows *rows,
                      const struct metric_opts *opts, struct err *e)
{
    static const struct metric_value unknown = {NAN, NAN, NAN};
    size_t n = rows->request_count ? (size_t)rows->first[rows->request_count] : 0;
    /* Equal scores are all orders at once. */
    float *scores = calloc(n + 1, sizeof *scores);
    if (!scores)
        return err_nomem(e);
    struct metric_scorer scorer = {.name = "random", .scores = scores, .threshold = NAN};
    int rc = metrics_of(out, rows, &scorer, 1, opts, e);
    free(scores);
    if (!rc)
        out->values[METRIC_KS] = out->against[METRIC_KS] = unknown;
    return rc;
}

/* One segment: its rows copied together, judged, and held against the whole and the baseline. */
#include "report/report_parts.h"

#include <math.h>
#include <stdlib.h>

/* One-sided, of all segments together. */
static const double SEGMENT_LEVEL = 0.05;

/* Rows of some requests, with the scores of model and baseline, and the model's order. */
struct gathered {
    uint64_t *first;
    float *labels, *model, *baseline, *order;
    double *weights;
    uint32_t *clusters;
    size_t request_count;
    uint64_t row_count;
};

static void gathered_free(struct gathered *x)
{
    free(x->first);
    free(x->labels);
    free(x->model);
    free(x->baseline);
    free(x->order);
    free(x->weights);
    free(x->clusters);
}

static int gathered_new(struct gathered *x, size_t requests, uint64_t rows, struct err *e)
{
    *x = (struct gathered){.first = malloc((requests + 1) * sizeof *x->first),
                           .labels = malloc((rows + 1) * sizeof *x->labels),
                           .model = malloc((rows + 1) * sizeof *x->model),
                           .baseline = malloc((rows + 1) * sizeof *x->baseline),
                           .order = malloc((rows + 1) * sizeof *x->order),
                           .weights = malloc((requests + 1) * sizeof *x->weights),
                           .clusters = malloc((requests + 1) * sizeof *x->clusters)};
    bool ok =
        x->first && x->labels && x->model && x->baseline && x->order && x->weights && x->clusters;
    if (ok)
        x->first[0] = 0;
    return ok ? 0 : err_nomem(e);
}

static bool belongs(const struct report_segment *s, const uint8_t *slots, size_t request,
                    uint64_t row)
{
    return slots[s->kind == SEGMENT_OF_ROWS ? row : request] == s->slot;
}

static void gather_request(struct gathered *x, const struct report *r,
                           const struct report_segment *s, const uint8_t *slots, size_t request)
{
    const struct report_part *p = &r->part;
    for (uint64_t row = p->first[request]; row < p->first[request + 1]; row++) {
        if (!belongs(s, slots, request, row))
            continue;
        x->labels[x->row_count] = p->labels[row];
        x->model[x->row_count] = r->data.scorers[0].scores[row];
        x->order[x->row_count] = r->data.margins ? r->data.margins[row] : 0;
        x->baseline[x->row_count++] = r->data.scorers[r->baseline].scores[row];
    }
    if (x->row_count == x->first[x->request_count])
        return;
    x->weights[x->request_count] = p->weights ? p->weights[request] : 1;
    x->clusters[x->request_count++] = p->clusters ? p->clusters[request] : (uint32_t)request;
    x->first[x->request_count] = x->row_count;
}

/* How many requests and rows, labelled or not, are to be copied. */
static void measure(size_t *requests, uint64_t *rows, const struct report *r,
                    const struct report_segment *s, const uint8_t *slots)
{
    const struct report_part *p = &r->part;
    *requests = 0;
    *rows = 0;
    for (size_t i = 0; i < p->request_count; i++) {
        uint64_t before = *rows;
        for (uint64_t row = p->first[i]; row < p->first[i + 1]; row++)
            *rows += belongs(s, slots, i, row);
        *requests += *rows > before;
    }
}

static int cluster_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* How many users, or requests, it is of. Sorts them. */
static size_t count_clusters(struct gathered *x)
{
    size_t count = 0;
    qsort(x->clusters, x->request_count, sizeof *x->clusters, cluster_order);
    for (size_t i = 0; i < x->request_count; i++)
        count += i == 0 || x->clusters[i] != x->clusters[i - 1];
    return count;
}

int report_segment_judge(struct report *r, struct report_segment *s, const uint8_t *slots,
                         int replicates, struct err *e)
{
    struct gathered x;
    size_t requests;
    uint64_t row_count;
    static const struct metric_value unknown = {NAN, NAN, NAN};
    s->model = s->baseline = s->gain = unknown;
    s->metric = s->kind == SEGMENT_OF_REQUESTS ? r->metric
                : r->data.regression           ? METRIC_RMSE
                                               : METRIC_AUC;
    measure(&requests, &row_count, r, s, slots);
    s->requests = requests;
    if (!s->judged)
        return 0;
    int rc = gathered_new(&x, requests, row_count, e);
    for (size_t i = 0; !rc && i < r->part.request_count; i++)
        gather_request(&x, r, s, slots, i);
    if (!rc) {
        const struct metric_rows rows = {.request_count = x.request_count,
                                         .first = x.first,
                                         .labels = x.labels,
                                         .weights = r->part.weights ? x.weights : NULL,
                                         .clusters = r->part.clusters ? x.clusters : NULL};
        const struct report_scores scores = {
            .model = x.model, .baseline = x.baseline, .order = r->data.margins ? x.order : NULL};
        rc = report_judge(&s->model, &s->baseline, &s->gain, r, &rows, &scores, s->metric,
                          replicates, e);
        s->clusters = count_clusters(&x);
    }
    gathered_free(&x);
    return rc;
}

/* ---- Comparing ---- */

double report_p_below(double value, struct metric_value interval, size_t clusters)
{
    double n = (double)clusters, degrees = n - 1;
    double error = (interval.high - interval.low) / (2 * 1.959964) * sqrt(n / fmax(degrees, 1));
    if (error == 0 && clusters >= REPORT_DECIDING)
        return value < 0 ? 0 : 1; /* all alike */
    if (clusters < 2 || !(error > 0))
        return NAN;
    double t = value / error;
    double z = (8 * degrees + 1) / (8 * degrees + 3) * sqrt(degrees * log1p(t * t / degrees));
    return 0.5 * erfc(copysign(z, t) / -sqrt(2));
}

struct test {
    double p;
    bool *result;
};

static int smallest_first(const void *a, const void *b)
{
    double x = ((const struct test *)a)->p, y = ((const struct test *)b)->p;
    return (x > y) - (x < y);
}

/* Holm: the i-th smallest of n, from 0, against level / (n - i), up to the first that fails. */
static void correct(struct test *tests, size_t count)
{
    qsort(tests, count, sizeof *tests, smallest_first);
    for (size_t i = 0; i < count && tests[i].p <= SEGMENT_LEVEL / (double)(count - i); i++)
        *tests[i].result = true;
}

static double below_all(const struct report *r, const struct report_segment *s)
{
    double all = r->results[0].values[s->metric].value;
    double above = (s->model.value - all) * metric_sign(s->metric);
    return report_p_below(above, s->model, s->clusters);
}

static int worst_first(const void *a, const void *b)
{
    const struct report_segment *x = a, *y = b;
    if (x->cold != y->cold)
        return y->cold - x->cold;
    if (x->cold)
        return 0;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    double p = x->model.value * metric_sign(x->metric), q = y->model.value * metric_sign(y->metric);
    if (p != q && !isnan(p) && !isnan(q))
        return p < q ? -1 : 1;
    return isnan(p) != isnan(q) ? (isnan(p) ? 1 : -1) : strcmp(x->name, y->name);
}

int report_segments_compare(struct report *r, struct err *e)
{
    struct test *all = malloc((r->segment_count + 1) * sizeof *all);
    struct test *baseline = malloc((r->segment_count + 1) * sizeof *baseline);
    size_t all_count = 0, baseline_count = 0;
    int rc = all && baseline ? 0 : err_nomem(e);
    /* The cold ones stand in the order in which they were made; qsort keeps no order of equals. */
    for (size_t i = 0; !rc && i < r->segment_count; i++)
        if (!r->segments[i].cold) {
            qsort(r->segments + i, r->segment_count - i, sizeof *r->segments, worst_first);
            break;
        }
    for (size_t i = 0; !rc && i < r->segment_count; i++) {
        struct report_segment *s = &r->segments[i];
        double p = below_all(r, s), q = report_p_below(s->gain.value, s->gain, s->clusters);
        if (s->judged && !isnan(p))
            all[all_count++] = (struct test){p, &s->below_all};
        if (s->judged && !isnan(q))
            baseline[baseline_count++] = (struct test){q, &s->below_baseline};
    }
    if (!rc) {
        correct(all, all_count);
        correct(baseline, baseline_count);
    }
    free(all);
    free(baseline);
    return rc;
}

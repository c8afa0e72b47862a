/*
 * Metrics, off-policy estimates, drift references and PSI of common/stats as a filter, so that
 * tests in another language can hold them against another implementation. A JSON object a line, an
 * answer a line; null is NaN.
 *
 *   {"do": "metrics", "first": [0, 2], "labels": [1, 0], "weights": [...], "clusters": [...],
 *    "scorers": [{"scores": [...], "probability": true, "threshold": 0.5}], "k": 10,
 *    "replicates": 0, "level": 0.95, "seed": 1, "regression": false}
 *        [{"auc": [value, low, high, difference, low, high], ..., "threshold": 0.5, "rows": 2,
 *          "positives": 1, "requests": 1}, ...], one each
 *   {"do": "random", ...}    the same of all orders
 *   {"do": "off_policy", "first": [...], "places": [...], "propensities": [...], "rewards": [...],
 *    "targets": [{"scores": [...], "expected": [...]}]}
 *        {"logged": [value, low, high], "used": 2, "unexplored": 0, "unknown": 0, "targets":
 *          [{"ips": [value, low, high], "snips": ..., "dr": ..., "mean_weight": ...,
 *            "effective": 40, "overlap": 0.5, "reason": ""}]}
 *   {"do": "reference", "values": [...]}   the reference of a column x with these values
 *   {"do": "psi", "counts": [...], "reference": [...]}   a number
 *
 * and for what cannot be done: {"error": "..."}.
 */
#include "base/json.h"
#include "stats/drift_reference.h"
#include "stats/off_policy.h"
#include "stats/psi.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void *make(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (!memory)
        abort();
    return memory;
}

static double number_of(const json_t *j)
{
    return json_is_number(j) ? json_number_value(j) : NAN;
}

static float *floats_of(const json_t *list)
{
    float *out = make(json_array_size(list), sizeof *out);
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (float)number_of(json_array_get(list, i));
    return out;
}

static uint64_t *counts_of(const json_t *list)
{
    uint64_t *out = make(json_array_size(list), sizeof *out);
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (uint64_t)json_integer_value(json_array_get(list, i));
    return out;
}

static void put_error(struct buf *out, const struct err *e)
{
    buf_reset(out);
    buf_put_text(out, "{\"error\": ");
    json_put_text(out, str_of(e->msg));
    buf_put_u8(out, '}');
}

/* ------------------------------------------------------------ metrics */

static void put_value(struct buf *out, const struct metric_value *v)
{
    json_put_number(out, v->value);
    buf_put_text(out, ", ");
    json_put_number(out, v->low);
    buf_put_text(out, ", ");
    json_put_number(out, v->high);
}

static void put_results(struct buf *out, const struct metric_results *r)
{
    buf_put_u8(out, '{');
    for (enum metric_kind m = 0; m < METRICS; m++) {
        buf_printf(out, "\"%s\": [", metric_name(m));
        put_value(out, &r->values[m]);
        buf_put_text(out, ", ");
        put_value(out, &r->against[m]);
        buf_put_text(out, "], ");
    }
    buf_put_text(out, "\"threshold\": ");
    json_put_number(out, r->threshold);
    buf_printf(out, ", \"rows\": %llu, \"positives\": %llu, \"requests\": %llu}",
               (unsigned long long)r->rows, (unsigned long long)r->positives,
               (unsigned long long)r->requests);
}

static struct metric_rows rows_of(const json_t *j)
{
    const json_t *weights = json_object_get(j, "weights");
    const json_t *clusters = json_object_get(j, "clusters");
    struct metric_rows rows = {.request_count = json_array_size(json_object_get(j, "first")) - 1,
                               .first = counts_of(json_object_get(j, "first")),
                               .labels = floats_of(json_object_get(j, "labels"))};
    double *own_weights = weights ? make(rows.request_count, sizeof *own_weights) : NULL;
    uint32_t *own_clusters = clusters ? make(rows.request_count, sizeof *own_clusters) : NULL;
    for (size_t i = 0; i < rows.request_count; i++) {
        if (weights)
            own_weights[i] = number_of(json_array_get(weights, i));
        if (clusters)
            own_clusters[i] = (uint32_t)json_integer_value(json_array_get(clusters, i));
    }
    rows.weights = own_weights;
    rows.clusters = own_clusters;
    return rows;
}

static void rows_free(struct metric_rows *rows)
{
    free((void *)(uintptr_t)rows->clusters);
    free((void *)(uintptr_t)rows->weights);
    free((void *)(uintptr_t)rows->labels);
    free((void *)(uintptr_t)rows->first);
}

static struct metric_opts opts_of(const json_t *j)
{
    return (struct metric_opts){
        .k = (int)json_integer_value(json_object_get(j, "k")),
        .replicates = (int)json_integer_value(json_object_get(j, "replicates")),
        .level = number_of(json_object_get(j, "level")),
        .seed = (uint64_t)json_integer_value(json_object_get(j, "seed")),
        .regression = json_is_true(json_object_get(j, "regression")),
    };
}

static void answer_metrics(struct buf *out, const json_t *j, bool is_random)
{
    const json_t *list = json_object_get(j, "scorers");
    size_t count = is_random ? 1 : json_array_size(list);
    struct metric_rows rows = rows_of(j);
    struct metric_opts opts = opts_of(j);
    struct metric_scorer *scorers = make(count, sizeof *scorers);
    struct metric_results *results = make(count, sizeof *results);
    struct err e = {0};
    for (size_t i = 0; i < count && !is_random; i++) {
        const json_t *s = json_array_get(list, i);
        scorers[i].scores = floats_of(json_object_get(s, "scores"));
        scorers[i].is_probability = json_is_true(json_object_get(s, "probability"));
        scorers[i].threshold = number_of(json_object_get(s, "threshold"));
    }
    int rc = is_random ? metrics_of_random(results, &rows, &opts, &e)
                       : metrics_of(results, &rows, scorers, count, &opts, &e);
    buf_put_u8(out, '[');
    for (size_t i = 0; i < count && !rc; i++) {
        buf_put_text(out, i ? ", " : "");
        put_results(out, &results[i]);
    }
    buf_put_u8(out, ']');
    if (rc)
        put_error(out, &e);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)scorers[i].scores);
    free(results);
    free(scorers);
    rows_free(&rows);
}

/* ------------------------------------------------------------ off-policy estimates */

static double *doubles_of(const json_t *list)
{
    double *out = make(json_array_size(list), sizeof *out);
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = number_of(json_array_get(list, i));
    return out;
}

static int32_t *places_of(const json_t *list)
{
    int32_t *out = make(json_array_size(list), sizeof *out);
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return out;
}

static void put_named(struct buf *out, const char *name, const struct metric_value *v)
{
    buf_printf(out, "\"%s\": [", name);
    put_value(out, v);
    buf_put_text(out, "], ");
}

static void put_estimates(struct buf *out, const struct off_policy_estimates *o)
{
    buf_put_u8(out, '{');
    put_named(out, "ips", &o->ips);
    put_named(out, "snips", &o->snips);
    put_named(out, "dr", &o->dr);
    put_named(out, "mean_weight", &o->mean_weight);
    buf_put_text(out, "\"effective\": ");
    json_put_number(out, o->effective);
    buf_put_text(out, ", \"overlap\": ");
    json_put_number(out, o->overlap);
    buf_put_text(out, ", \"reason\": ");
    json_put_text(out, str_of(o->reason ? o->reason : ""));
    buf_put_u8(out, '}');
}

static void put_off_policy(struct buf *out, const struct off_policy_requests *r,
                           const struct off_policy_estimates *o, size_t count)
{
    buf_put_u8(out, '{');
    put_named(out, "logged", &r->logged);
    buf_printf(out, "\"used\": %llu, \"unexplored\": %llu, \"unknown\": %llu, \"targets\": [",
               (unsigned long long)r->used, (unsigned long long)r->unexplored,
               (unsigned long long)r->unknown);
    for (size_t i = 0; i < count; i++) {
        buf_put_text(out, i ? ", " : "");
        put_estimates(out, &o[i]);
    }
    buf_put_text(out, "]}");
}

static void answer_off_policy(struct buf *out, const json_t *j)
{
    const json_t *list = json_object_get(j, "targets");
    size_t count = json_array_size(list);
    struct off_policy_log log = {.request_count = json_array_size(json_object_get(j, "first")) - 1,
                                 .first = counts_of(json_object_get(j, "first")),
                                 .places = places_of(json_object_get(j, "places")),
                                 .propensities = doubles_of(json_object_get(j, "propensities")),
                                 .rewards = floats_of(json_object_get(j, "rewards"))};
    struct off_policy_target *targets = make(count, sizeof *targets);
    struct off_policy_estimates *estimates = make(count, sizeof *estimates);
    struct off_policy_requests requests;
    struct err e = {0};
    for (size_t i = 0; i < count; i++) {
        targets[i].scores = floats_of(json_object_get(json_array_get(list, i), "scores"));
        targets[i].expected = floats_of(json_object_get(json_array_get(list, i), "expected"));
    }
    if (off_policy_estimate(&requests, estimates, &log, targets, count, 0.95, &e))
        put_error(out, &e);
    else
        put_off_policy(out, &requests, estimates, count);
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)targets[i].expected);
        free((void *)(uintptr_t)targets[i].scores);
    }
    free(estimates);
    free(targets);
    free((void *)(uintptr_t)log.rewards);
    free((void *)(uintptr_t)log.propensities);
    free((void *)(uintptr_t)log.places);
    free((void *)(uintptr_t)log.first);
}

/* ------------------------------------------------------------ drift */

static void answer_reference(struct buf *out, const json_t *j)
{
    const json_t *list = json_object_get(j, "values");
    float *values = floats_of(list);
    struct drift_reference *r = NULL;
    struct str name = str_of("x");
    struct err e = {0};
    size_t n = json_array_size(list);
    int rc = drift_reference_new(&r, &name, 1, n, &e);
    if (!rc) {
        drift_reference_put(r, 0, values, values, n);
        rc = drift_reference_finish(r, &e);
    }
    if (rc)
        put_error(out, &e);
    else
        drift_reference_write(r, out);
    drift_reference_free(r);
    free(values);
}

static void answer_psi(struct buf *out, const json_t *j)
{
    uint64_t *counts = counts_of(json_object_get(j, "counts"));
    uint64_t *reference = counts_of(json_object_get(j, "reference"));
    json_put_number(out, psi(counts, reference, json_array_size(json_object_get(j, "counts"))));
    free(reference);
    free(counts);
}

/* ------------------------------------------------------------ */

static void answer(struct buf *out, const json_t *j)
{
    struct str what = str_of(json_string_value(json_object_get(j, "do")));
    if (str_is(what, "metrics") || str_is(what, "random"))
        answer_metrics(out, j, str_is(what, "random"));
    else if (str_is(what, "off_policy"))
        answer_off_policy(out, j);
    else if (str_is(what, "reference"))
        answer_reference(out, j);
    else if (str_is(what, "psi"))
        answer_psi(out, j);
    else
        buf_put_text(out, "{\"error\": \"no such thing is done here\"}");
}

int main(void)
{
    struct buf out = {0};
    char *line = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getline(&line, &room, stdin)) > 0;) {
        json_t *j = json_loadb(line, (size_t)n, 0, NULL);
        buf_reset(&out);
        answer(&out, j);
        json_decref(j);
        if (!buf_ok(&out))
            abort();
        printf("%.*s\n", STR_ARG(buf_str(&out)));
    }
    free(line);
    buf_free(&out);
    return 0;
}

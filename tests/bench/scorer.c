/*
 * How long margins of a request's candidates take, against XGBoost's own predictor on the same rows
 * of the same model.
 *
 * XGBoost trains the model here, from a seed, and hands it over as UBJ. A request is counted whole:
 * specialising to the shared columns, ranking the others' values, margins, from rows of floats.
 * XGBoost gets the same rows in one call a request, and in calls of 512, 2048 and all rows, of
 * which the fastest is its best batch. All of it on one core, each way after the other, nine times
 * over; printed are the medians. tests/bench/scorer.sh builds and runs it.
 */
#include "model/scorer.h"
#include "base/prng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <xgboost/c_api.h>

enum { ROUNDS = 9, ROWS = 8192, TRAINING_REQUESTS = 5000, TRAINING_CANDIDATES = 20 };
enum { MOST_COLUMNS = 512, BATCHES = 3 };

struct model {
    size_t trees, depth, columns, shared; /* the first columns are the shared ones */
    BoosterHandle booster;
    struct ensemble *ensemble;
    struct scorer *scorer;
};

struct bench {
    struct prng random;
    struct scorer_scratch *scratch;
    float *rows, *margins;
};

static _Noreturn void die(const char *what, const struct err *e)
{
    fprintf(stderr, "bench_scorer: %s: %s\n", what, e ? e->msg : XGBGetLastError());
    exit(1);
}

static void must(int failed, const char *what)
{
    if (failed)
        die(what, NULL);
}

/* ------------------------------------------------------------ rows */

/* Kinds of columns by their number: continuous, skewed, counts, few levels; every fourth may be
 * missing. */
static float value(struct prng *r, size_t column)
{
    if (column % 4 == 3 && prng_unit(r) < 0.05 + 0.05 * (double)(column % 5))
        return NAN;
    switch (column % 6) {
    case 2:
        return (float)exp(prng_normal(r));
    case 3:
        return (float)prng_unit(r);
    case 4:
        return (float)prng_below(r, 1 + prng_below(r, 20));
    case 5:
        return (float)prng_below(r, 4);
    default:
        return (float)prng_normal(r);
    }
}

static void put_request(struct prng *r, const struct model *m, float *rows, size_t candidates)
{
    for (size_t c = 0; c < candidates; c++)
        for (size_t i = 0; i < m->columns; i++)
            rows[c * m->columns + i] = c && i < m->shared ? rows[i] : value(r, i);
}

/* ------------------------------------------------------------ the model */

static double bounded(float x)
{
    return x != x ? 0.4 : x > 3 ? 3 : (double)x;
}

/* Labels that depend on the columns in pairs, so that trees of all depths find something. */
static void put_labels(struct prng *r, const struct model *m, const float *rows, float *labels,
                       size_t count)
{
    double weight[MOST_COLUMNS];
    size_t partner[MOST_COLUMNS];
    for (size_t i = 0; i < m->columns; i++) {
        weight[i] = 0.35 * prng_normal(r);
        partner[i] = prng_below(r, (uint32_t)m->columns);
    }
    for (size_t c = 0; c < count; c++) {
        const float *x = rows + c * m->columns;
        double sum = -1;
        for (size_t i = 0; i < m->columns; i++)
            sum += weight[i] * bounded(x[i]) * (0.4 + bounded(x[partner[i]]));
        labels[c] = prng_unit(r) < 1 / (1 + exp(-sum));
    }
}

static void set(BoosterHandle booster, const char *name, const char *text)
{
    must(XGBoosterSetParam(booster, name, text), name);
}

static void train(struct model *m, uint64_t seed)
{
    size_t count = (size_t)TRAINING_REQUESTS * TRAINING_CANDIDATES;
    float *rows = malloc(count * m->columns * sizeof *rows), *labels = malloc(count * sizeof *rows);
    char depth[8];
    struct prng r;
    DMatrixHandle data;
    prng_seed(&r, seed);
    if (!rows || !labels)
        die("the training rows", &(struct err){.msg = "out of memory"});
    for (size_t i = 0; i < TRAINING_REQUESTS; i++)
        put_request(&r, m, rows + i * TRAINING_CANDIDATES * m->columns, TRAINING_CANDIDATES);
    put_labels(&r, m, rows, labels, count);
    must(XGDMatrixCreateFromMat(rows, count, m->columns, NAN, &data), "the training data");
    must(XGDMatrixSetFloatInfo(data, "label", labels, count), "the labels");
    must(XGBoosterCreate(&data, 1, &m->booster), "a booster");
    snprintf(depth, sizeof depth, "%zu", m->depth);
    set(m->booster, "objective", "binary:logistic");
    set(m->booster, "base_score", "0.3");
    set(m->booster, "tree_method", "hist");
    set(m->booster, "eta", "0.1");
    set(m->booster, "max_depth", depth);
    set(m->booster, "nthread", "1");
    for (size_t i = 0; i < m->trees; i++)
        must(XGBoosterUpdateOneIter(m->booster, (int)i, data), "training");
    XGDMatrixFree(data);
    free(rows);
    free(labels);
}

static void set_up(struct model *m)
{
    const char *bytes;
    bst_ulong n;
    bool shared[MOST_COLUMNS] = {false};
    struct err e;
    train(m, 1);
    must(XGBoosterSaveModelToBuffer(m->booster, "{\"format\": \"ubj\"}", &n, &bytes), "saving");
    if (ensemble_read(&m->ensemble, str_bytes(bytes, n), &e))
        die("ensemble_read", &e);
    for (size_t i = 0; i < m->shared; i++)
        shared[i] = true;
    if (scorer_new(&m->scorer, m->ensemble, shared, &e))
        die("scorer_new", &e);
}

static void tear_down(struct model *m)
{
    scorer_free(m->scorer);
    ensemble_free(m->ensemble);
    XGBoosterFree(m->booster);
}

/* ------------------------------------------------------------ ways */

/* XGBoost's margins: its own memory, until the next call. */
static const float *by_xgboost(const struct model *m, const float *rows, size_t count)
{
    static const char config[] = "{\"type\": 1, \"training\": false, \"iteration_begin\": 0, "
                                 "\"iteration_end\": 0, \"strict_shape\": false, "
                                 "\"missing\": NaN, \"cache_id\": 0}";
    char array[160];
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *margins;
    snprintf(array, sizeof array,
             "{\"data\": [%zu, true], \"shape\": [%zu, %zu], \"typestr\": \"<f4\", "
             "\"version\": 3}",
             (size_t)(uintptr_t)rows, count, m->columns);
    must(XGBoosterPredictFromDense(m->booster, array, config, NULL, &shape, &dimensions, &margins),
         "predicting");
    return margins;
}

static void specialise(const struct bench *b, const struct model *m, enum scorer_path path,
                       const float *rows)
{
    struct err e;
    if (scorer_specialise(m->scorer, b->scratch, path, rows, &e))
        die("scorer_specialise", &e);
}

static void by_scorer(const struct bench *b, const struct model *m, enum scorer_path path,
                      const float *rows, size_t count, float *margins)
{
    specialise(b, m, path, rows);
    scorer_margins(m->scorer, b->scratch, path, rows, m->columns, count, margins);
}

/* How many margins differ in a bit from XGBoost's. */
static size_t different(const struct bench *b, const struct model *m, enum scorer_path path,
                        size_t candidates, size_t requests)
{
    size_t n = 0;
    for (size_t i = 0; i < requests; i++) {
        const float *rows = b->rows + i * candidates * m->columns;
        by_scorer(b, m, path, rows, candidates, b->margins);
        const float *theirs = by_xgboost(m, rows, candidates);
        for (size_t c = 0; c < candidates; c++)
            n += memcmp(&b->margins[c], &theirs[c], sizeof *theirs) != 0;
    }
    return n;
}

/* ------------------------------------------------------------ measuring */

/* Of the processor: what else the machine does is not counted. */
static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *rounds)
{
    qsort(rounds, ROUNDS, sizeof *rounds, by_size);
    return rounds[ROUNDS / 2];
}

/* Microseconds a row of each way, a round each. */
struct times {
    double request[ROUNDS], batch[BATCHES][ROUNDS];
    double whole[SCORER_PATHS][ROUNDS], specialise[SCORER_PATHS][ROUNDS];
};

static double batches_us(const struct bench *b, const struct model *m, size_t rows, size_t batch)
{
    size_t done = 0;
    double began = now_us();
    for (; done + batch <= rows; done += batch)
        by_xgboost(m, b->rows + done * m->columns, batch);
    return (now_us() - began) / (double)done;
}

static void measure_path(const struct bench *b, const struct model *m, enum scorer_path path,
                         size_t candidates, size_t requests, struct times *t, size_t round)
{
    double count = (double)(candidates * requests), began = now_us();
    for (size_t i = 0; i < requests; i++)
        by_scorer(b, m, path, b->rows + i * candidates * m->columns, candidates, b->margins);
    t->whole[path][round] = (now_us() - began) / count;
    began = now_us();
    for (size_t i = 0; i < requests; i++)
        specialise(b, m, path, b->rows + i * candidates * m->columns);
    t->specialise[path][round] = (now_us() - began) / (double)requests;
}

static void measure_round(const struct bench *b, const struct model *m, size_t candidates,
                          size_t requests, struct times *t, size_t round)
{
    size_t rows = candidates * requests;
    const size_t sizes[BATCHES] = {512, 2048, rows};
    double began = now_us();
    for (size_t i = 0; i < requests; i++)
        by_xgboost(m, b->rows + i * candidates * m->columns, candidates);
    t->request[round] = (now_us() - began) / (double)rows;
    for (size_t i = 0; i < BATCHES; i++)
        t->batch[i][round] = batches_us(b, m, rows, sizes[i] < rows ? sizes[i] : rows);
    for (int path = 0; path < SCORER_PATHS; path++)
        if (scorer_can((enum scorer_path)path))
            measure_path(b, m, (enum scorer_path)path, candidates, requests, t, round);
}

static void measure(struct bench *b, const struct model *m, size_t candidates)
{
    static struct times t;
    size_t requests = ROWS / candidates;
    for (size_t i = 0; i < requests; i++)
        put_request(&b->random, m, b->rows + i * candidates * m->columns, candidates);
    for (size_t round = 0; round < ROUNDS; round++)
        measure_round(b, m, candidates, requests, &t, round);
    double request = median(t.request), best = median(t.batch[0]);
    for (size_t i = 1; i < BATCHES; i++)
        best = fmin(best, median(t.batch[i]));
    for (int i = SCORER_PATHS - 1; i >= 0; i--) {
        enum scorer_path path = (enum scorer_path)i;
        if (!scorer_can(path)) {
            printf("%10zu  %-7s this processor lacks it\n", candidates, scorer_path_name(path));
            continue;
        }
        double whole = median(t.whole[i]);
        printf("%10zu  %-7s %8.3f %8.3f %8.4f %9.1f %10.1f %7.1f %7.1f %9zu\n", candidates,
               scorer_path_name(path), request, best, whole, whole * (double)candidates,
               median(t.specialise[i]), request / whole, best / whole,
               different(b, m, path, candidates, requests));
    }
}

static void run(struct bench *b, struct model m)
{
    static const size_t candidates[] = {24, 100, 500};
    set_up(&m);
    printf("\n%zu trees of depth %zu, %zu columns, %zu of them shared; prepared: %zu KB\n", m.trees,
           m.depth, m.columns, m.shared, scorer_bytes(m.scorer) / 1024);
    printf("%10s  %-7s %17s %8s %9s %10s %15s %9s\n", "candidates", "path", "XGBoost us/row",
           "us/row", "us/request", "specialise", "ratio to", "different");
    printf("%10s  %-7s %8s %8s %8s %9s %10s %7s %7s %9s\n", "", "", "request", "batch", "", "", "",
           "request", "batch", "margins");
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++)
        measure(b, &m, candidates[i]);
    tear_down(&m);
}

int main(int argc, char **argv)
{
    static const struct model models[] = {
        {.trees = 300, .depth = 6, .columns = 50, .shared = 30},
        {.trees = 100, .depth = 6, .columns = 20, .shared = 10},
        {.trees = 500, .depth = 8, .columns = 50, .shared = 30},
    };
    struct bench b = {0};
    struct err e;
    size_t only = argc > 1 ? strtoul(argv[1], NULL, 10) : 0; /* the number of a model, from 1 */
    prng_seed(&b.random, 2);
    b.rows = malloc(sizeof *b.rows * ROWS * MOST_COLUMNS);
    b.margins = malloc(sizeof *b.margins * ROWS);
    if (!b.rows || !b.margins)
        die("the rows", &(struct err){.msg = "out of memory"});
    if (scorer_scratch_new(&b.scratch, &e))
        die("scorer_scratch_new", &e);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (!only || only == i + 1)
            run(&b, models[i]);
    scorer_scratch_free(b.scratch);
    free(b.rows);
    free(b.margins);
    return 0;
}

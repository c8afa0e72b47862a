#include "support/booster.h"

#include "unit/unit.h"

#include "base/prng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <xgboost/c_api.h>

struct booster {
    BoosterHandle handle;
};

static void must(int rc)
{
    if (rc)
        fail_msg("XGBoost: %s", XGBGetLastError());
}

static float value_of(struct prng *r, const struct booster_data *data, size_t column)
{
    float x = data->whole ? (float)prng_below(r, 9) - 4 : (float)prng_normal(r);
    bool missing = prng_unit(r) < (double)data->missing || column + data->unused >= data->columns;
    return missing ? NAN : x;
}

/* Depends on all columns, the first ones most; not negative, and 0 or 1 where a label must be. */
static float label_of(struct prng *r, const struct booster_data *data, const float *row, bool real)
{
    double sum = prng_normal(r) / 2;
    for (size_t c = 0; c < data->columns; c++)
        sum += isnan(row[c]) ? 0.1 : sin((double)row[c] * (double)(c + 1)) / (double)(c + 1);
    return data->constant ? 1 : real ? (float)exp(sum / 2) : (float)(sum > 0);
}

static DMatrixHandle matrix_of(const struct booster_data *data, bool real)
{
    struct prng r;
    DMatrixHandle m;
    float *values = malloc(data->rows * data->columns * sizeof *values);
    float *labels = malloc(data->rows * sizeof *labels);
    unsigned group = (unsigned)data->rows / 4,
             groups[] = {group, group, group, (unsigned)data->rows - 3 * group};
    assert_true(values && labels);
    prng_seed(&r, data->seed);
    for (size_t i = 0; i < data->rows; i++) {
        for (size_t c = 0; c < data->columns; c++)
            values[i * data->columns + c] = value_of(&r, data, c);
        labels[i] = label_of(&r, data, values + i * data->columns, real);
    }
    must(XGDMatrixCreateFromMat(values, data->rows, data->columns, NAN, &m));
    must(XGDMatrixSetFloatInfo(m, "label", labels, data->rows));
    must(XGDMatrixSetUIntInfo(m, "group", groups, 4));
    free(values);
    free(labels);
    return m;
}

struct booster *booster_train(const struct booster_data *data, int rounds,
                              const char *const *parameters)
{
    struct booster *b = calloc(1, sizeof *b);
    bool real = false;
    assert_non_null(b);
    for (size_t i = 0; parameters[i]; i += 2)
        real |= strcmp(parameters[i], "objective") == 0 &&
                (strncmp(parameters[i + 1], "reg:", 4) == 0 ||
                 strncmp(parameters[i + 1], "count:", 6) == 0) &&
                strcmp(parameters[i + 1], "reg:logistic") != 0;
    DMatrixHandle m = matrix_of(data, real);
    must(XGBoosterCreate(&m, 1, &b->handle));
    must(XGBoosterSetParam(b->handle, "nthread", "1"));
    must(XGBoosterSetParam(b->handle, "verbosity", "0"));
    for (size_t i = 0; parameters[i]; i += 2)
        must(XGBoosterSetParam(b->handle, parameters[i], parameters[i + 1]));
    for (int i = 0; i < rounds; i++)
        must(XGBoosterUpdateOneIter(b->handle, i, m));
    /* Without a round, nothing has looked at the parameters. */
    bst_ulong n;
    const float *scores;
    if (!rounds)
        must(XGBoosterPredict(b->handle, m, 0, 0, 0, &n, &scores));
    must(XGDMatrixFree(m));
    return b;
}

void booster_free(struct booster *b)
{
    must(XGBoosterFree(b->handle));
    free(b);
}

void booster_save(struct booster *b, const char *format, struct buf *out)
{
    char config[40];
    const char *bytes;
    bst_ulong n;
    snprintf(config, sizeof config, "{\"format\":\"%s\"}", format);
    must(XGBoosterSaveModelToBuffer(b->handle, config, &n, &bytes));
    buf_reset(out);
    buf_put(out, bytes, n);
    assert_true(buf_ok(out));
}

void booster_predict(struct booster *b, enum booster_what what, const float *rows, size_t count,
                     size_t columns, float *out)
{
    char array[200], config[200];
    bst_ulong const *shape;
    bst_ulong dimensions;
    const float *result;
    snprintf(array, sizeof array,
             "{\"data\":[%zu,true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\",\"version\":3}",
             (size_t)(uintptr_t)rows, count, columns);
    snprintf(config, sizeof config,
             "{\"type\":%d,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,"
             "\"strict_shape\":false,\"missing\":NaN,\"cache_id\":0}",
             what == BOOSTER_MARGIN ? 1 : 0);
    must(XGBoosterPredictFromDense(b->handle, array, config, NULL, &shape, &dimensions, &result));
    assert_int_equal(shape[0], count);
    memcpy(out, result, count * sizeof *out);
}

void booster_contributions(struct booster *b, const float *rows, size_t count, size_t columns,
                           float *out)
{
    bst_ulong const *shape;
    bst_ulong dimensions;
    const float *result;
    DMatrixHandle m;
    must(XGDMatrixCreateFromMat(rows, count, columns, NAN, &m));
    must(XGBoosterPredictFromDMatrix(b->handle, m,
                                     "{\"type\":2,\"training\":false,\"iteration_begin\":0,"
                                     "\"iteration_end\":0,\"strict_shape\":true}",
                                     &shape, &dimensions, &result));
    assert_int_equal(shape[dimensions - 1], columns + 1);
    memcpy(out, result, count * (columns + 1) * sizeof *out);
    must(XGDMatrixFree(m));
}

void booster_scores(struct booster *b, const float *margins, size_t count, float *out)
{
    bst_ulong const *shape;
    bst_ulong dimensions;
    const float *result;
    DMatrixHandle m;
    float *zeros = calloc(count, sizeof *zeros);
    assert_non_null(zeros);
    must(XGDMatrixCreateFromMat(zeros, count, 1, NAN, &m));
    must(XGDMatrixSetFloatInfo(m, "base_margin", margins, count));
    must(XGBoosterPredictFromDMatrix(b->handle, m,
                                     "{\"type\":0,\"training\":false,\"iteration_begin\":0,"
                                     "\"iteration_end\":0,\"strict_shape\":true}",
                                     &shape, &dimensions, &result));
    assert_int_equal(shape[0], count);
    memcpy(out, result, count * sizeof *out);
    must(XGDMatrixFree(m));
    free(zeros);
}

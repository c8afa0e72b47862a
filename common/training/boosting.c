#include "training/boosting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

enum { INTERFACE_BYTES = 200, CONFIG_BYTES = 200 };

struct boosting_matrix {
    DMatrixHandle handle;
    size_t rows, columns;
};

struct boosting {
    BoosterHandle handle;
    struct boosting_matrix *train, *valid; /* valid NULL: there is none */
    int rounds;
};

/* What XGBoost says ends with a stack trace; a person needs the first line of it, without the time
 * and the place in its source. */
static int failed(struct err *e, const char *what)
{
    const char *said = XGBGetLastError(), *place = strstr(said, ": ");
    if (*said == '[' && place && strchr(said, ']') && strchr(said, ']') < place)
        said = place + 2;
    return err_set(e, ERR_FATAL, "XGBoost, %s: %.*s", what, (int)strcspn(said, "\n"), said);
}

static void interface(char text[INTERFACE_BYTES], const float *rows, size_t count, size_t columns)
{
    snprintf(text, INTERFACE_BYTES,
             "{\"data\":[%zu,true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\",\"version\":3}",
             (size_t)(uintptr_t)rows, count, columns);
}

const char *boosting_version(char text[32])
{
    int major, minor, patch;
    XGBoostVersion(&major, &minor, &patch);
    snprintf(text, 32, "%d.%d.%d", major, minor, patch);
    return text;
}

/* ---- Matrices ---- */

/* XGBoost asks for rows by callbacks that can say no more than that there are none. */
struct feed {
    const struct boosting_source *source;
    DMatrixHandle proxy;
    struct err *e;
    int rc;
};

static void feed_reset(DataIterHandle handle)
{
    struct feed *f = handle;
    f->source->rewind(f->source->arg);
}

static int feed_next(DataIterHandle handle)
{
    struct feed *f = handle;
    char text[INTERFACE_BYTES];
    float *values;
    size_t count;
    if (f->rc)
        return 0;
    f->rc = f->source->next(f->source->arg, &values, &count, f->e);
    if (f->rc || !count)
        return 0;
    interface(text, values, count, f->source->columns);
    if (XGProxyDMatrixSetDataDense(f->proxy, text)) {
        f->rc = failed(f->e, "reading rows");
        return 0;
    }
    return 1;
}

static int count_rows(struct boosting_matrix *m, size_t columns, struct err *e)
{
    bst_ulong rows;
    if (XGDMatrixNumRow(m->handle, &rows))
        return failed(e, "making a matrix");
    m->rows = rows;
    m->columns = columns;
    return 0;
}

static int make_quantised(struct boosting_matrix *m, struct feed *f, int threads, int bins,
                          struct err *e)
{
    char config[CONFIG_BYTES];
    snprintf(config, sizeof config, "{\"missing\":NaN,\"nthread\":%d,\"max_bin\":%d}", threads,
             bins);
    int failure = XGQuantileDMatrixCreateFromCallback(f, f->proxy, NULL, feed_reset, feed_next,
                                                      config, &m->handle);
    if (f->rc)
        return f->rc;
    return failure ? failed(e, "making a matrix") : count_rows(m, f->source->columns, e);
}

int boosting_matrix_new(struct boosting_matrix **out, const struct boosting_source *source,
                        int threads, int bins, struct err *e)
{
    struct boosting_matrix *m = calloc(1, sizeof *m);
    struct feed f = {.source = source, .e = e};
    int rc = 0;
    *out = NULL;
    if (!m)
        return err_nomem(e);
    if (XGBSetGlobalConfig("{\"verbosity\":0}") || XGProxyDMatrixCreate(&f.proxy))
        rc = failed(e, "making a matrix");
    if (!rc)
        rc = make_quantised(m, &f, threads, bins, e);
    if (f.proxy)
        XGDMatrixFree(f.proxy);
    if (rc) {
        boosting_matrix_free(m);
        return rc;
    }
    *out = m;
    return 0;
}

/* All rows of a source, one after the other. */
static int read_all(const struct boosting_source *s, float *out, size_t rows, struct err *e)
{
    size_t done = 0, count;
    float *values;
    int rc;
    s->rewind(s->arg);
    while (!(rc = s->next(s->arg, &values, &count, e)) && count && count <= rows - done) {
        memcpy(out + done * s->columns, values, count * s->columns * sizeof *out);
        done += count;
    }
    if (!rc && (count || done != rows))
        rc = err_set(e, ERR_INVALID, "%zu rows were to be read, and there are %s", rows,
                     count ? "more" : "fewer");
    return rc;
}

int boosting_matrix_plain(struct boosting_matrix **out, const struct boosting_source *source,
                          size_t rows, int threads, struct err *e)
{
    struct boosting_matrix *m = calloc(1, sizeof *m);
    float *values = malloc((rows * source->columns + 1) * sizeof *values);
    char text[INTERFACE_BYTES], config[CONFIG_BYTES];
    int rc = m && values ? read_all(source, values, rows, e) : err_nomem(e);
    *out = NULL;
    if (!rc) {
        interface(text, values, rows, source->columns);
        snprintf(config, sizeof config, "{\"missing\":NaN,\"nthread\":%d}", threads);
        rc = XGDMatrixCreateFromDense(text, config, &m->handle) ? failed(e, "making a matrix")
                                                                : count_rows(m, source->columns, e);
    }
    free(values);
    if (rc) {
        boosting_matrix_free(m);
        return rc;
    }
    *out = m;
    return 0;
}

void boosting_matrix_free(struct boosting_matrix *m)
{
    if (m && m->handle)
        XGDMatrixFree(m->handle);
    free(m);
}

int boosting_matrix_tell(struct boosting_matrix *m, const float *targets, const uint32_t *groups,
                         size_t group_count, const float *weights, struct err *e)
{
    if (XGDMatrixSetFloatInfo(m->handle, "label", targets, m->rows))
        return failed(e, "setting labels");
    if (groups && XGDMatrixSetUIntInfo(m->handle, "group", groups, group_count))
        return failed(e, "setting groups");
    if (weights &&
        XGDMatrixSetFloatInfo(m->handle, "weight", weights, groups ? group_count : m->rows))
        return failed(e, "setting weights");
    return 0;
}

/* ---- Training ---- */

int boosting_new(struct boosting **out, struct boosting_matrix *const *matrices,
                 size_t matrix_count, const struct boosting_parameter *parameters, size_t count,
                 struct err *e)
{
    struct boosting *b = calloc(1, sizeof *b);
    DMatrixHandle handles[BOOSTING_MATRICES];
    *out = NULL;
    if (!b)
        return err_nomem(e);
    b->train = matrices[0];
    b->valid = matrix_count > 1 ? matrices[1] : NULL;
    /* XGBoost keeps what it has predicted for these. */
    for (size_t i = 0; i < matrix_count; i++)
        handles[i] = matrices[i]->handle;
    int failure = XGBoosterCreate(handles, matrix_count, &b->handle);
    if (failure)
        b->handle = NULL;
    for (size_t i = 0; i < count && !failure; i++)
        failure = XGBoosterSetParam(b->handle, parameters[i].name, parameters[i].value);
    if (failure) {
        int rc = failed(e, "taking parameters");
        boosting_free(b);
        return rc;
    }
    *out = b;
    return 0;
}

void boosting_free(struct boosting *b)
{
    if (b && b->handle)
        XGBoosterFree(b->handle);
    free(b);
}

int boosting_round(struct boosting *b, struct err *e)
{
    if (XGBoosterUpdateOneIter(b->handle, b->rounds, b->train->handle))
        return failed(e, "growing a tree");
    b->rounds++;
    return 0;
}

int boosting_metric(struct boosting *b, double *metric, struct err *e)
{
    const char *name = "valid", *text, *colon;
    DMatrixHandle matrices[] = {b->valid->handle};
    if (XGBoosterEvalOneIter(b->handle, b->rounds - 1, matrices, &name, 1, &text))
        return failed(e, "judging a tree");
    /* "[12]\tvalid-logloss:0.25": of several metrics the last one counts. */
    colon = strrchr(text, ':');
    if (!colon)
        return err_set(e, ERR_FATAL, "XGBoost says \"%s\" of a tree, which is no metric", text);
    *metric = strtod(colon + 1, NULL);
    return 0;
}

int boosting_margins(struct boosting *b, const struct boosting_matrix *m, uint32_t trees,
                     float *out, struct err *e)
{
    char config[CONFIG_BYTES];
    const bst_ulong *shape;
    const float *margins;
    bst_ulong dimensions;
    snprintf(config, sizeof config,
             "{\"type\":1,\"training\":false,\"iteration_begin\":0,\"iteration_end\":%u,"
             "\"strict_shape\":false}",
             trees);
    if (XGBoosterPredictFromDMatrix(b->handle, m->handle, config, &shape, &dimensions, &margins))
        return failed(e, "predicting");
    memcpy(out, margins, m->rows * sizeof *out);
    return 0;
}

/* ---- Model files ---- */

static int save(BoosterHandle handle, const char *const *names, size_t count, struct buf *out,
                struct err *e)
{
    const char *bytes;
    bst_ulong n;
    if (XGBoosterSetStrFeatureInfo(handle, "feature_name", (const char **)names, count))
        return failed(e, "naming columns");
    if (XGBoosterSaveModelToBuffer(handle, "{\"format\":\"ubj\"}", &n, &bytes))
        return failed(e, "writing a model");
    buf_reset(out);
    buf_put(out, bytes, n);
    return buf_ok(out) ? 0 : err_nomem(e);
}

int boosting_save(struct boosting *b, uint32_t trees, const char *const *names, size_t count,
                  struct buf *out, struct err *e)
{
    BoosterHandle first = NULL;
    if (XGBoosterSlice(b->handle, 0, (int)trees, 1, &first))
        return failed(e, "cutting off trees");
    int rc = save(first, names, count, out, e);
    XGBoosterFree(first);
    return rc;
}

static int predict(BoosterHandle handle, const float *rows, size_t count, size_t columns,
                   bool margins, float *out, struct err *e)
{
    char text[INTERFACE_BYTES], config[CONFIG_BYTES];
    const bst_ulong *shape;
    const float *scores;
    bst_ulong dimensions;
    interface(text, rows, count, columns);
    snprintf(config, sizeof config,
             "{\"type\":%d,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,"
             "\"strict_shape\":false,\"missing\":NaN,\"cache_id\":0}",
             margins ? 1 : 0);
    if (XGBoosterPredictFromDense(handle, text, config, NULL, &shape, &dimensions, &scores))
        return failed(e, "predicting");
    memcpy(out, scores, count * sizeof *out);
    return 0;
}

int boosting_predict(struct str bytes, const float *rows, size_t count, size_t columns,
                     bool margins, float *out, struct err *e)
{
    BoosterHandle handle = NULL;
    int rc = 0;
    if (XGBoosterCreate(NULL, 0, &handle))
        return failed(e, "reading a model");
    if (XGBoosterSetParam(handle, "nthread", "1") ||
        XGBoosterLoadModelFromBuffer(handle, bytes.data, bytes.len))
        rc = failed(e, "reading a model");
    if (!rc)
        rc = predict(handle, rows, count, columns, margins, out, e);
    XGBoosterFree(handle);
    return rc;
}

/*
 * What training costs beside XGBoost's library alone: called by train.py.
 *
 *   train make DIR ROWS COLUMNS            writes a set: 20 rows a request, all shown, a tenth of
 *                                          the values missing, a label that hangs on the columns
 *   train compare DIR ROUNDS THREADS       fit_make() on it, then the library alone on the same
 *                                          rows, in memory before the clock starts: same objective,
 *                                          parameters, seed, rounds, threads, the loss of the
 *                                          validation rows after each tree; in turn, three times
 *
 * compare prints a JSON object: of each the best wall time and the best time of the processor, in
 * seconds, and whether the models are equal in every byte. Of the library, both its ways are
 * measured: a matrix that is quantised while it is made, and one that keeps the floats.
 */
#include "base/clock.h"
#include "base/prng.h"
#include "training/boosting.h"
#include "training/fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xgboost/c_api.h>

enum { REQUEST_ROWS = 20, MOST_COLUMNS = 100, PROPOSITIONS = 5000, SEED = 1, TURNS = 3 };

static const char *const parameters[] = {
    "eta=0.1",  "max_depth=6", "min_child_weight=20", "subsample=0.8", "colsample_bytree=0.5",
    "lambda=2", "max_bin=256"};

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "train: %s: %s\n", what, why);
    exit(1);
}

static void expect(int rc, const char *what, const struct err *e)
{
    if (rc)
        die(what, e->msg);
}

static void must(int status, const char *what)
{
    if (status)
        die(what, XGBGetLastError());
}

static void *take(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        die("memory", "there is not enough");
    return memory;
}

/* ------------------------------------------------------------ a set */

struct maker {
    struct prng random;
    size_t columns;
    float vectors[REQUEST_ROWS * MOST_COLUMNS], labels[REQUEST_ROWS], scores[REQUEST_ROWS];
    int32_t places[REQUEST_ROWS];
    double propensities[REQUEST_ROWS];
    uint32_t seen[REQUEST_ROWS];
    char names[PROPOSITIONS][16];
    struct str propositions[REQUEST_ROWS], segments[REQUEST_ROWS];
};

/* Columns are of several kinds: even, of few values, counts that are mostly small. */
static float value(struct prng *r, size_t column)
{
    uint64_t bits = prng_next(r);
    double unit = (double)(bits >> 40) * 0x1p-24;
    if ((bits & 0xff) < 26)
        return NAN;
    switch (column % 3) {
    case 0:
        return (float)unit;
    case 1:
        return (float)floor(8 * unit);
    default:
        return (float)floor(1 / (unit + 0.002));
    }
}

static void make_request(struct maker *m, struct set_writer *w, uint64_t number)
{
    char id[32], user[32];
    struct err e;
    for (size_t i = 0; i < REQUEST_ROWS; i++) {
        float *row = m->vectors + i * m->columns;
        double sum = -3;
        for (size_t c = 0; c < m->columns; c++)
            row[c] = value(&m->random, c);
        for (size_t c = 0; c + 1 < m->columns; c += 3)
            sum += (isnan(row[c]) ? 0.4 : (double)row[c]) * (isnan(row[c + 1]) ? 0.2 : 0.3);
        m->labels[i] = prng_unit(&m->random) < 1 / (1 + exp(-sum)) ? 1 : 0;
        m->places[i] = (int32_t)i;
        m->propensities[i] = 1;
        m->propositions[i] = str_of(m->names[prng_below(&m->random, PROPOSITIONS)]);
        m->segments[i] = str_of("");
    }
    snprintf(id, sizeof id, "r%llu", (unsigned long long)number);
    snprintf(user, sizeof user, "u%u", prng_below(&m->random, 100000));
    struct set_request request = {.id = str_of(id),
                                  .user_id = str_of(user),
                                  .placement = str_of("home"),
                                  .timestamp_ms = 1700000000000 + (int64_t)number * 100,
                                  .source = SET_REPLAYED,
                                  .model = str_of(""),
                                  .variant = str_of(""),
                                  .share = 1,
                                  .segments = str_of("{}"),
                                  .count = REQUEST_ROWS,
                                  .propositions = m->propositions,
                                  .proposition_segments = m->segments,
                                  .vectors = m->vectors,
                                  .labels = m->labels,
                                  .places = m->places,
                                  .propensities = m->propensities,
                                  .scores = m->scores,
                                  .proposition_seen = m->seen};
    expect(set_writer_put(w, &request, &e), "writing a request", &e);
}

static struct set_writer *writer_for(const char *dir, size_t columns)
{
    struct set_writer *w = NULL;
    struct feature_set *definitions = NULL;
    struct str names[MOST_COLUMNS];
    uint8_t prints[MOST_COLUMNS * FINGERPRINT_BYTES];
    struct buf yaml = {0};
    uint64_t kept;
    struct err e;
    buf_put_text(&yaml, "features:\n");
    for (size_t i = 0; i < columns; i++)
        buf_printf(&yaml, "  - {name: f%zu, scope: proposition, attribute: {field: f%zu}}\n", i, i);
    expect(feature_set_parse(&definitions, "train.c", buf_str(&yaml), &e), "the definitions", &e);
    for (size_t i = 0; i < columns; i++) {
        names[i] = str_of(definitions->outputs[i].name);
        memcpy(prints + i * FINGERPRINT_BYTES, definitions->outputs[i].feature->fingerprint,
               FINGERPRINT_BYTES);
    }
    struct set_info info = {.columns = {names, columns},
                            .fingerprints = str_bytes(prints, columns * FINGERPRINT_BYTES),
                            .definitions = buf_str(&yaml),
                            .labels = str_of("click=1"),
                            .label_window_ms = 1800000,
                            .from_ms = 1700000000000,
                            .to_ms = 1800000000000};
    expect(set_writer_new(&w, dir, &info, &kept, &e), "the set", &e);
    if (kept)
        die("the set", "it was begun before: name another directory");
    feature_set_free(definitions);
    buf_free(&yaml);
    return w;
}

static void make(const char *dir, uint64_t rows, size_t columns)
{
    struct maker *m = take(1, sizeof *m);
    struct err e;
    prng_seed(&m->random, SEED);
    m->columns = columns;
    for (size_t i = 0; i < PROPOSITIONS; i++)
        snprintf(m->names[i], sizeof m->names[i], "p%zu", i);
    struct set_writer *w = writer_for(dir, columns);
    for (uint64_t i = 0; i < rows / REQUEST_ROWS; i++)
        make_request(m, w, i);
    expect(set_writer_finish(w, str_of("{}"), &e), "the end of the set", &e);
    set_writer_free(w);
    free(m);
}

/* ------------------------------------------------------------ Flotilla */

struct run {
    struct set *set;
    struct feature_set *definitions;
    struct space_point given;
    struct fit_opts opts;
};

static int64_t now_us(void *arg)
{
    (void)arg;
    return clock_monotonic_us();
}

static void open_run(struct run *r, const char *dir, uint32_t rounds, int threads)
{
    struct err e;
    *r = (struct run){0};
    expect(set_open(&r->set, dir, &e), "the set", &e);
    expect(feature_set_parse(&r->definitions, "set.json", set_info(r->set)->definitions, &e),
           "the definitions", &e);
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        expect(space_give(&r->given, parameters[i], &e), "a parameter", &e);
    r->opts = (struct fit_opts){.objective = fit_objective_find("binary:logistic"),
                                .definitions = r->definitions,
                                .split = {0.2, 0.125, SPLIT_BY_SHARE, false},
                                .given = &r->given,
                                .trials = 1,
                                .seed = SEED,
                                .threads = threads,
                                .rounds = rounds,
                                .patience = rounds,
                                .k = 10,
                                .calibration = FIT_NONE,
                                .hooks = {.now_us = now_us}};
}

static void close_run(struct run *r)
{
    feature_set_free(r->definitions);
    set_free(r->set);
}

/* ------------------------------------------------------------ the library alone */

/* Rows of a part in memory. */
struct matrix {
    size_t rows, columns;
    float *values;
    struct instances told;
};

static void load(struct matrix *m, const struct run *r, const struct fit *f, enum split_part part)
{
    const struct split_range *range = &f->split.parts[part];
    struct instances_opts opts = {.kind = INSTANCES_BINARY};
    struct labelled_opts what = {.set = r->set,
                                 .first = range->first,
                                 .count = range->count,
                                 .columns = f->survey.used,
                                 .column_count = f->survey.used_count};
    struct labelled *l = NULL;
    struct err e;
    float *batch;
    size_t count = 1;
    *m = (struct matrix){.columns = f->survey.used_count};
    expect(instances_make(&m->told, set_rows(r->set), range->first, range->count, &opts, &e),
           "the labels", &e);
    expect(labelled_new(&l, &what, &e), "the rows", &e);
    m->values = take(m->told.count * m->columns, sizeof *m->values);
    while (count) {
        expect(labelled_next(l, &batch, &count, &e), "the rows", &e);
        memcpy(m->values + m->rows * m->columns, batch, count * m->columns * sizeof *batch);
        m->rows += count;
    }
    labelled_free(l);
}

static void unload(struct matrix *m)
{
    free(m->values);
    instances_free(&m->told);
}

/* What the library asks for rows: all at once. */
struct feed {
    const struct matrix *matrix;
    DMatrixHandle proxy;
    bool was_read;
};

static void array_text(char text[200], const struct matrix *m)
{
    snprintf(text, 200,
             "{\"data\":[%zu,true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\",\"version\":3}",
             (size_t)(uintptr_t)m->values, m->rows, m->columns);
}

static void feed_reset(DataIterHandle handle)
{
    ((struct feed *)handle)->was_read = false;
}

static int feed_next(DataIterHandle handle)
{
    struct feed *f = handle;
    char text[200];
    if (f->was_read)
        return 0;
    f->was_read = true;
    array_text(text, f->matrix);
    must(XGProxyDMatrixSetDataDense(f->proxy, text), "the rows");
    return 1;
}

static DMatrixHandle quantised(const struct matrix *m, DMatrixHandle like, int threads)
{
    DMatrixHandle out;
    struct feed f = {.matrix = m};
    char config[200];
    snprintf(config, sizeof config, "{\"missing\":NaN,\"nthread\":%d,\"max_bin\":256}", threads);
    must(XGProxyDMatrixCreate(&f.proxy), "a matrix");
    must(
        XGQuantileDMatrixCreateFromCallback(&f, f.proxy, like, feed_reset, feed_next, config, &out),
        "a matrix");
    XGDMatrixFree(f.proxy);
    return out;
}

static DMatrixHandle plain(const struct matrix *m, DMatrixHandle like, int threads)
{
    DMatrixHandle out;
    char text[200], config[100];
    (void)like;
    array_text(text, m);
    snprintf(config, sizeof config, "{\"missing\":NaN,\"nthread\":%d}", threads);
    must(XGDMatrixCreateFromDense(text, config, &out), "a matrix");
    return out;
}

static void set(BoosterHandle b, const char *name, const char *text)
{
    must(XGBoosterSetParam(b, name, text), name);
}

static BoosterHandle booster_for(DMatrixHandle both[2], const struct run *r, double mean)
{
    BoosterHandle b;
    char text[32];
    must(XGBoosterCreate(both, 2, &b), "a booster");
    set(b, "verbosity", "0");
    set(b, "tree_method", "hist");
    set(b, "objective", "binary:logistic");
    set(b, "eval_metric", "logloss");
    set(b, "seed_per_iteration", "true");
    snprintf(text, sizeof text, "%d", r->opts.threads);
    set(b, "nthread", text);
    snprintf(text, sizeof text, "%d", SEED);
    set(b, "seed", text);
    snprintf(text, sizeof text, "%.9g", mean);
    set(b, "base_score", text);
    for (int i = 0; i < SPACE_PARAMETERS; i++)
        if (r->given.is_given[i]) {
            space_value_text(text, &r->given, (enum space_parameter)i);
            set(b, space_name((enum space_parameter)i), text);
        }
    return b;
}

/* How long something took; the least of several turns. */
struct spent {
    double wall_s, cpu_s;
};

static struct spent now(void)
{
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return (struct spent){(double)clock_monotonic_us() / 1e6,
                          (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9};
}

static void keep_least(struct spent *least, struct spent began, struct spent ended)
{
    double wall_s = ended.wall_s - began.wall_s, cpu_s = ended.cpu_s - began.cpu_s;
    least->wall_s = least->wall_s > 0 ? fmin(least->wall_s, wall_s) : wall_s;
    least->cpu_s = least->cpu_s > 0 ? fmin(least->cpu_s, cpu_s) : cpu_s;
}

typedef DMatrixHandle matrix_maker(const struct matrix *m, DMatrixHandle like, int threads);

/* Matrices and trees; then, behind the clock, the model file. */
static void library_alone(struct spent *least, matrix_maker *make_matrix,
                          const struct matrix parts[2], const struct run *r, const struct fit *f,
                          struct buf *model)
{
    DMatrixHandle both[2];
    BoosterHandle first;
    const char *name = "valid", *bytes;
    bst_ulong n;
    struct spent began = now();
    for (int i = 0; i < 2; i++) {
        both[i] = make_matrix(&parts[i], i ? both[0] : NULL, r->opts.threads);
        must(XGDMatrixSetFloatInfo(both[i], "label", parts[i].told.targets, parts[i].rows),
             "the labels");
    }
    BoosterHandle b = booster_for(both, r, parts[0].told.mean);
    for (uint32_t i = 0; i < r->opts.rounds; i++) {
        must(XGBoosterUpdateOneIter(b, (int)i, both[0]), "a tree");
        must(XGBoosterEvalOneIter(b, (int)i, &both[1], &name, 1, &bytes), "the loss");
    }
    keep_least(least, began, now());
    const char *names[MOST_COLUMNS];
    for (size_t i = 0; i < f->survey.used_count; i++)
        names[i] = r->definitions->outputs[f->survey.used[i]].name;
    must(XGBoosterSlice(b, 0, (int)f->trials[0].trees, 1, &first), "the trees");
    must(XGBoosterSetStrFeatureInfo(first, "feature_name", names, f->survey.used_count), "names");
    must(XGBoosterSaveModelToBuffer(first, "{\"format\":\"ubj\"}", &n, &bytes), "the model");
    buf_reset(model);
    buf_put(model, bytes, n);
    XGBoosterFree(first);
    XGBoosterFree(b);
    for (int i = 0; i < 2; i++)
        XGDMatrixFree(both[i]);
}

/* ------------------------------------------------------------ beside each other */

static void fit_once(struct spent *least, struct fit **f, struct run *r)
{
    struct err e;
    struct spent began = now();
    expect(fit_make(f, r->set, &r->opts, &e), "training", &e);
    keep_least(least, began, now());
}

static void compare(const char *dir, uint32_t rounds, int threads)
{
    struct run r;
    struct matrix parts[2] = {0};
    struct fit *f = NULL;
    struct buf models[2] = {0};
    struct spent least[3] = {0};
    open_run(&r, dir, rounds, threads);
    for (int turn = 0; turn < TURNS; turn++) {
        fit_free(f);
        fit_once(&least[0], &f, &r);
        for (int i = 0; turn == 0 && i < 2; i++)
            load(&parts[i], &r, f, i ? SPLIT_VALIDATION : SPLIT_TRAIN);
        library_alone(&least[1], quantised, parts, &r, f, &models[0]);
        library_alone(&least[2], plain, parts, &r, f, &models[1]);
    }
    bool same = str_equal(buf_str(&models[0]), buf_str(&f->bytes));
    printf("{\"rows\":%zu,\"columns\":%zu,\"trees\":%u,\"equal\":%s,\"fit\":[%.3f,%.3f],"
           "\"quantised\":[%.3f,%.3f],\"plain\":[%.3f,%.3f]}\n",
           parts[0].rows, parts[0].columns, rounds, same ? "true" : "false", least[0].wall_s,
           least[0].cpu_s, least[1].wall_s, least[1].cpu_s, least[2].wall_s, least[2].cpu_s);
    for (int i = 0; i < 2; i++) {
        unload(&parts[i]);
        buf_free(&models[i]);
    }
    fit_free(f);
    close_run(&r);
}

int main(int argc, char **argv)
{
    long a = argc == 5 ? atol(argv[3]) : 0, b = argc == 5 ? atol(argv[4]) : 0;
    if (a > 0 && b > 0 && b <= MOST_COLUMNS && strcmp(argv[1], "make") == 0)
        make(argv[2], (uint64_t)a, (size_t)b);
    else if (a > 0 && a <= FIT_MOST_ROUNDS && b > 0 && strcmp(argv[1], "compare") == 0)
        compare(argv[2], (uint32_t)a, (int)b);
    else
        die("usage", "make DIR ROWS COLUMNS, or compare DIR ROUNDS THREADS");
    return 0;
}

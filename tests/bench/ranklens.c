/*
 * Orders the requests of a training set by a model, as a ranker would: with the project's own
 * scorer, and with what serving knows (a `position` is the one that is taken when serving).
 *
 *   bench_ranklens SET MODEL.ubj FROM_MS
 *
 * For each request from that time on a line: its id, then "LABEL:MARGIN" for each candidate in the
 * order of the request. Every margin is held against XGBoost's own, and a difference in a bit ends
 * the run.
 */
#include "base/file.h"
#include "feature/definition.h"
#include "model/ensemble.h"
#include "model/scorer.h"
#include "set/set.h"
#include "training/boosting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run {
    struct set *set;
    struct buf bytes; /* of the model */
    struct ensemble *model;
    struct scorer *scorer;
    struct scorer_scratch *scratch;
    size_t *columns;  /* of the set, all */
    float *positions; /* of each column: what a position is served with; NaN: another feature */
    float *rows, *margins, *theirs;
    size_t first;  /* request that is scored */
    uint64_t from; /* its first row */
    size_t count;  /* rows from there */
};

static int columns_of(struct run *r, struct err *e)
{
    const struct set_info *info = set_info(r->set);
    struct feature_set *features = NULL;
    size_t count = info->columns.count;
    r->columns = calloc(count + 1, sizeof *r->columns);
    r->positions = calloc(count + 1, sizeof *r->positions);
    if (!r->columns || !r->positions)
        return err_nomem(e);
    int rc = feature_set_parse(&features, "set.json", info->definitions, e);
    if (!rc && (features->output_count != count || r->model->column_count != count))
        rc = err_set(e, ERR_INVALID, "the model has %zu columns, the set %zu, its definitions %zu",
                     r->model->column_count, count, features->output_count);
    for (size_t i = 0; i < count && !rc; i++) {
        const struct feature *f = features->outputs[i].feature;
        r->columns[i] = i;
        r->positions[i] = f->kind == FEATURE_POSITION ? (float)f->at_serving : NAN;
    }
    feature_set_free(features);
    return rc;
}

/* Requests are in order of time; those to score are the last. */
static int read_rows(struct run *r, int64_t from_ms, struct err *e)
{
    const struct set_rows *all = set_rows(r->set);
    size_t columns = r->model->column_count;
    while (r->first < all->request_count && all->timestamps_ms[r->first] < from_ms)
        r->first++;
    r->from = all->first[r->first];
    r->count = (size_t)(all->row_count - r->from);
    r->rows = malloc((r->count * columns + 1) * sizeof *r->rows);
    r->margins = malloc((r->count + 1) * sizeof *r->margins);
    r->theirs = malloc((r->count + 1) * sizeof *r->theirs);
    if (!r->rows || !r->margins || !r->theirs)
        return err_nomem(e);
    int rc = set_read(r->set, r->from, all->row_count, r->columns, columns, r->rows, e);
    for (size_t i = 0; i < r->count * columns && !rc; i++)
        if (!isnan(r->positions[i % columns]))
            r->rows[i] = r->positions[i % columns];
    return rc;
}

static int score(struct run *r, size_t request, struct err *e)
{
    const struct set_rows *all = set_rows(r->set);
    size_t columns = r->model->column_count, at = (size_t)(all->first[request] - r->from);
    size_t count = (size_t)(all->first[request + 1] - all->first[request]);
    const float *rows = r->rows + at * columns;
    int rc = count ? scorer_specialise(r->scorer, r->scratch, scorer_best(), rows, e) : 0;
    if (!rc && count)
        scorer_margins(r->scorer, r->scratch, scorer_best(), rows, columns, count, r->margins + at);
    return rc;
}

static int compare(struct run *r, struct err *e)
{
    size_t columns = r->model->column_count, different = 0;
    int rc = r->count ? boosting_predict(buf_str(&r->bytes), r->rows, r->count, columns, true,
                                         r->theirs, e)
                      : 0;
    for (size_t i = 0; i < r->count && !rc; i++)
        different += memcmp(&r->margins[i], &r->theirs[i], sizeof *r->margins) != 0;
    return different
               ? err_set(e, ERR_FATAL, "%zu of %zu margins are not XGBoost's", different, r->count)
               : rc;
}

static void print_request(const struct run *r, size_t request)
{
    const struct set_rows *all = set_rows(r->set);
    struct str id = all->texts[all->ids[request]];
    printf("%.*s", STR_ARG(id));
    for (uint64_t row = all->first[request]; row < all->first[request + 1]; row++)
        printf(" %g:%.9g", (double)all->labels[row], (double)r->margins[row - r->from]);
    printf("\n");
}

static int go(struct run *r, char **argv, struct err *e)
{
    int64_t from_ms = strtoll(argv[3], NULL, 10);
    int rc = set_open(&r->set, argv[1], e);
    if (!rc)
        rc = file_read(&r->bytes, argv[2], ENSEMBLE_MAX_BYTES, e);
    if (!rc)
        rc = ensemble_read(&r->model, buf_str(&r->bytes), e);
    if (!rc)
        rc = columns_of(r, e);
    bool *shared = rc ? NULL : calloc(r->model->column_count + 1, sizeof *shared);
    if (!rc && !shared)
        rc = err_nomem(e);
    if (!rc)
        rc = scorer_new(&r->scorer, r->model, shared, e);
    if (!rc)
        rc = scorer_scratch_new(&r->scratch, e);
    if (!rc)
        rc = read_rows(r, from_ms, e);
    for (size_t i = r->first; !rc && i < set_rows(r->set)->request_count; i++)
        rc = score(r, i, e);
    if (!rc)
        rc = compare(r, e);
    for (size_t i = r->first; !rc && i < set_rows(r->set)->request_count; i++)
        print_request(r, i);
    free(shared);
    return rc;
}

int main(int argc, char **argv)
{
    struct run r = {0};
    struct err e = {0};
    if (argc != 4) {
        fprintf(stderr, "usage: bench_ranklens SET MODEL.ubj FROM_MS\n");
        return 2;
    }
    int rc = go(&r, argv, &e);
    if (rc)
        fprintf(stderr, "bench_ranklens: %s\n", e.msg);
    else
        fprintf(stderr, "%zu margins, each equal to XGBoost's in every bit\n", r.count);
    scorer_scratch_free(r.scratch);
    scorer_free(r.scorer);
    ensemble_free(r.model);
    buf_free(&r.bytes);
    set_free(r.set);
    free(r.columns);
    free(r.positions);
    free(r.rows);
    free(r.margins);
    free(r.theirs);
    return rc ? 1 : 0;
}

#include "training/scoring.h"

#include "model/scorer.h"
#include "training/boosting.h"

#include <math.h>
#include <stdlib.h>

enum { SAMPLE_STEP = 64, SAMPLE_MOST = 2000, BLOCK_ROWS = 4096 };

static const struct output *output_of(const struct feature_set *s, struct str name)
{
    for (size_t i = 0; i < s->output_count; i++)
        if (str_is(name, s->outputs[i].name))
            return &s->outputs[i];
    return NULL;
}

size_t scoring_served(struct labelled_fixed *out, const struct str_list *columns,
                      const struct feature_set *definitions)
{
    size_t n = 0;
    for (size_t i = 0; i < columns->count; i++) {
        const struct output *o = output_of(definitions, columns->items[i]);
        if (o && o->feature->kind == FEATURE_POSITION)
            out[n++] = (struct labelled_fixed){i, (float)o->feature->at_serving};
    }
    return n;
}

/* ---- The model ---- */

struct scored {
    const struct ensemble *m;
    struct scorer *scorer;
    struct scorer_scratch *scratch;
    enum scorer_path path;
    size_t columns;
    size_t count;  /* rows so far */
    float *sample; /* SAMPLE_MOST rows */
    float *expected, *said;
    size_t sample_count;
};

static int open_scorer(struct scored *s, struct err *e)
{
    size_t n = s->m->column_count;
    /* What a request's candidates share is served faster; here no more is assumed than is known. */
    bool *shared = calloc(n + 1, sizeof *shared);
    s->sample = malloc((SAMPLE_MOST * n + 1) * sizeof *s->sample);
    s->expected = malloc(SAMPLE_MOST * sizeof *s->expected);
    s->said = malloc(SAMPLE_MOST * sizeof *s->said);
    int rc = shared && s->sample && s->expected && s->said ? 0 : err_nomem(e);
    s->path = scorer_best();
    if (!rc)
        rc = scorer_new(&s->scorer, s->m, shared, e);
    if (!rc)
        rc = scorer_scratch_new(&s->scratch, e);
    if (!rc)
        rc = scorer_specialise(s->scorer, s->scratch, s->path, s->sample, e);
    free(shared);
    return rc;
}

static void close_scorer(struct scored *s)
{
    scorer_scratch_free(s->scratch);
    scorer_free(s->scorer);
    free(s->sample);
    free(s->expected);
    free(s->said);
}

static void score_batch(struct scored *s, const float *values, size_t count, float *margins,
                        float *scores)
{
    size_t n = s->columns;
    for (size_t at = 0; at < count; at += BLOCK_ROWS) {
        size_t rows = count - at < BLOCK_ROWS ? count - at : BLOCK_ROWS;
        scorer_margins(s->scorer, s->scratch, s->path, values + at * n, n, rows, margins + at);
    }
    for (size_t i = 0; i < count; i++) {
        if (scores)
            scores[i] = ensemble_score(s->m, margins[i]);
        if ((s->count + i) % SAMPLE_STEP == 0 && s->sample_count < SAMPLE_MOST) {
            memcpy(s->sample + s->sample_count * n, values + i * n, n * sizeof *values);
            s->expected[s->sample_count++] = margins[i];
        }
    }
    s->count += count;
}

static int check_sample(struct scored *s, struct str bytes, struct err *e)
{
    for (int margins = 1; margins >= 0; margins--) {
        int rc =
            boosting_predict(bytes, s->sample, s->sample_count, s->columns, margins, s->said, e);
        for (size_t i = 0; i < s->sample_count && !rc; i++) {
            float own = margins ? s->expected[i] : ensemble_score(s->m, s->expected[i]);
            if (memcmp(&own, &s->said[i], sizeof own) != 0)
                rc = err_set(e, ERR_FATAL,
                             "row %zu is scored %.9g here and %.9g by XGBoost's library: the "
                             "model is not used; please report this",
                             i * SAMPLE_STEP, (double)own, (double)s->said[i]);
        }
        if (rc)
            return rc;
    }
    return 0;
}

int scoring_model(const struct labelled_opts *what, const struct ensemble *m, struct str bytes,
                  float *margins, float *scores, struct err *e)
{
    struct scored s = {.m = m, .columns = what->column_count};
    struct labelled *l = NULL;
    float *values;
    size_t count;
    int rc = open_scorer(&s, e);
    if (!rc)
        rc = labelled_new(&l, what, e);
    while (!rc && !(rc = labelled_next(l, &values, &count, e)) && count)
        score_batch(&s, values, count, margins + s.count, scores ? scores + s.count : NULL);
    if (!rc && s.sample_count)
        rc = check_sample(&s, bytes, e);
    labelled_free(l);
    close_scorer(&s);
    return rc;
}

/* ---- What was there before ---- */

/* The columns of the set that the values of the definitions are, and those that the set has not. */
static void match_columns(const struct set_info *info, const struct feature_set *definitions,
                          size_t *columns, size_t *places, size_t *count)
{
    *count = 0;
    for (size_t o = 0; o < definitions->output_count; o++) {
        for (size_t i = 0; i < info->columns.count; i++) {
            if (!str_is(info->columns.items[i], definitions->outputs[o].name))
                continue;
            columns[*count] = i;
            places[(*count)++] = o;
            break;
        }
    }
}

static int score_rows(struct labelled *l, const struct rules *r, const size_t *places, size_t n,
                      double *vector, float *scores, struct err *e)
{
    float *values;
    size_t count, done = 0;
    int rc;
    while (!(rc = labelled_next(l, &values, &count, e)) && count) {
        for (size_t i = 0; i < count; i++) {
            for (size_t c = 0; c < n; c++)
                vector[places[c]] = (double)values[i * n + c];
            scores[done + i] = (float)rules_ln_score(r, vector);
        }
        done += count;
    }
    return rc;
}

static int make_rules(struct rules **out, const struct feature_set *definitions,
                      enum scoring_rules kind, bool *found, struct err *e)
{
    struct rule_opts popularity = {.kind = RULE_POPULARITY, .weight = 1, .missing = NAN};
    struct err none;
    int rc = rules_new(out, definitions, e);
    if (!rc && kind == SCORING_RULES)
        rc = rules_add_rest(*out, e);
    else if (!rc && (rc = rules_add(*out, &popularity, &none)) == ERR_NOT_FOUND)
        rc = 0;
    else if (rc)
        err_set(e, rc, "%s", none.msg);
    *found = !rc && rules_count(*out) > 0;
    return rc;
}

int scoring_by_rules(const struct labelled_opts *what, const struct feature_set *definitions,
                     enum scoring_rules kind, bool *found, float *scores, struct err *e)
{
    size_t n = definitions->output_count;
    struct labelled_opts opts = *what;
    struct rules *rules = NULL;
    struct labelled *l = NULL;
    size_t *columns = malloc((n + 1) * sizeof *columns);
    size_t *places = malloc((n + 1) * sizeof *places);
    double *vector = malloc((n + 1) * sizeof *vector);
    int rc = columns && places && vector ? 0 : err_nomem(e);
    for (size_t i = 0; i < n && !rc; i++)
        vector[i] = NAN;
    if (!rc)
        rc = make_rules(&rules, definitions, kind, found, e);
    if (!rc && *found) {
        match_columns(set_info(what->set), definitions, columns, places, &opts.column_count);
        opts.columns = columns;
        opts.all = true;
        rc = labelled_new(&l, &opts, e);
    }
    if (!rc && *found)
        rc = score_rows(l, rules, places, opts.column_count, vector, scores, e);
    labelled_free(l);
    rules_free(rules);
    free(columns);
    free(places);
    free(vector);
    return rc;
}

bool scoring_as_shown(const struct set_rows *rows, size_t first, size_t count, float *scores)
{
    uint64_t from = rows->first[first], to = rows->first[first + count];
    bool is_known = false;
    for (uint64_t i = from; i < to; i++) {
        scores[i - from] = rows->places[i] < 0 ? NAN : (float)-rows->places[i];
        is_known |= rows->places[i] >= 0;
    }
    return is_known;
}

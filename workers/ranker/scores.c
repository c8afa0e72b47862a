/* Candidates with vectors become candidates with scores, and with what moved them. */
#include "ranker/ranker_inside.h"

#include <math.h>

int scores_vectors(struct making *m)
{
    struct answer *out = m->answer;
    struct rank_request q = *m->ask->request;
    size_t width = m->r->opts.set->output_count;
    double *vectors = arena_alloc(m->arena, out->candidates.count * width * sizeof *vectors + 1);
    if (!vectors)
        return err_nomem(m->e);
    q.candidates = out->candidates;
    out->vectors = vectors;
    return vectors_read(m->r->vectors, &m->ask->view, &q, NULL, vectors, m->e);
}

/* Room for scores and utilities. */
static float *make_scores(struct making *m)
{
    size_t n = m->answer->candidates.count;
    float *scores = arena_alloc(m->arena, n * sizeof *scores + 1);
    m->utilities = arena_alloc(m->arena, n * sizeof *m->utilities + 1);
    m->answer->scores = scores;
    return m->utilities ? scores : NULL;
}

int scores_margins(struct ranker *r, const struct model *model, const double *vectors, size_t count,
                   struct arena *a, float **margins, struct err *e)
{
    float *rows = arena_alloc(a, count * model->column_count * sizeof *rows + 1);
    *margins = arena_alloc(a, count * sizeof **margins + 1);
    if (!rows || !*margins)
        return err_nomem(e);
    if (!count)
        return 0;
    model_rows(model, vectors, count, rows);
    int rc = scorer_specialise(model->scorer, r->scratch, r->path, rows, e);
    if (!rc)
        scorer_margins(model->scorer, r->scratch, r->path, rows, model->column_count, count,
                       *margins);
    return rc;
}

int scores_by_model(struct making *m)
{
    struct answer *out = m->answer;
    const struct model *model = out->pick.model;
    float *scores = make_scores(m), *margins;
    if (!scores)
        return err_nomem(m->e);
    int rc =
        scores_margins(m->r, model, out->vectors, out->candidates.count, m->arena, &margins, m->e);
    for (size_t i = 0; i < out->candidates.count && !rc; i++) {
        scores[i] = model_score(model, margins[i]);
        m->utilities[i] = (double)margins[i];
    }
    return rc;
}

int scores_by_rules(struct making *m)
{
    struct answer *out = m->answer;
    size_t width = m->r->opts.set->output_count;
    float *scores = make_scores(m);
    if (!scores)
        return err_nomem(m->e);
    for (size_t i = 0; i < out->candidates.count; i++) {
        double ln_score = m->ln_scores
                              ? m->ln_scores[i]
                              : rules_ln_score(out->placement->rules, out->vectors + i * width);
        scores[i] = (float)rules_score(ln_score);
        m->utilities[i] = ln_score;
    }
    return 0;
}

static struct double_map make_map(struct making *m, size_t count)
{
    struct double_map map = {arena_alloc(m->arena, count * sizeof *map.items + 1), 0};
    return map;
}

static int explain_rules(struct making *m, const double *vector, struct double_map *out)
{
    const struct rules *rules = m->answer->placement->rules;
    *out = make_map(m, rules_count(rules));
    if (!out->items)
        return err_nomem(m->e);
    for (size_t i = 0; i < rules_count(rules); i++)
        out->items[out->count++] = (struct double_entry){str_of(rules_term_name(rules, i)),
                                                         rules_term_ln(rules, i, vector)};
    return 0;
}

static int explain_model(struct making *m, const double *vector, struct double_map *out)
{
    const struct model *model = m->answer->pick.model;
    size_t n = model->column_count;
    double *values = arena_alloc(m->arena, (n + 1) * sizeof *values);
    float *row = arena_alloc(m->arena, n * sizeof *row + 1);
    *out = make_map(m, n + 1);
    if (!values || !row || !out->items)
        return err_nomem(m->e);
    model_rows(model, vector, 1, row);
    int rc = ensemble_contributions(model->ensemble, row, values, m->e);
    for (size_t i = 0; i < n && !rc; i++)
        out->items[out->count++] = (struct double_entry){str_of(model->columns[i]), values[i]};
    if (!rc)
        out->items[out->count++] = (struct double_entry){str_of("bias"), values[n]};
    return rc;
}

int scores_explain(struct making *m, size_t candidate, struct double_map *out)
{
    const double *vector = m->answer->vectors + candidate * m->r->opts.set->output_count;
    return m->answer->pick.model ? explain_model(m, vector, out) : explain_rules(m, vector, out);
}

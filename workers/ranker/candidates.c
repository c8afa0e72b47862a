/* Candidates that the request does not name: the best of the catalogue by the rules. */
#include "ranker/ranker_inside.h"

#include <math.h>

/* Looked at by full rules, at most: so many for each that is wanted, and never less than LEAST. */
enum { SCORED_FOR_EACH = 2, SCORED_LEAST = 100 };

static bool is_hidden(void *arg, struct str id)
{
    const struct making *m = arg;
    return hidden_has(&m->r->hidden, id);
}

/* The full rules need vectors; what they were read into is given back by the next reset of the
 * arena, with the request. */
static int score(void *arg, const struct str *ids, size_t count, double *ln_scores, struct err *e)
{
    struct making *m = arg;
    const struct rules *rules = m->answer->placement->rules;
    size_t width = m->r->opts.set->output_count;
    struct rank_request q = *m->ask->request;
    double *vectors = arena_alloc(m->arena, count * width * sizeof *vectors + 1);
    if (!vectors)
        return err_nomem(e);
    q.candidates = (struct str_list){(struct str *)(uintptr_t)ids, count};
    int rc = vectors_read(m->r->vectors, &m->ask->view, &q, NULL, vectors, e);
    for (size_t i = 0; i < count && !rc; i++)
        ln_scores[i] = rules_ln_score(rules, vectors + i * width);
    return rc;
}

static int take(struct making *m, const struct catalogue_answer *found)
{
    struct answer *out = m->answer;
    size_t n = found->count;
    out->candidates.items = arena_alloc(m->arena, n * sizeof *out->candidates.items + 1);
    m->ln_scores = arena_alloc(m->arena, n * sizeof *m->ln_scores + 1);
    if (!out->candidates.items || !m->ln_scores)
        return err_nomem(m->e);
    if (n) {
        memcpy(out->candidates.items, found->ids, n * sizeof *found->ids);
        memcpy(m->ln_scores, found->ln_scores, n * sizeof *found->ln_scores);
    }
    out->candidates.count = n;
    return 0;
}

int candidates_find(struct making *m, size_t most, bool full)
{
    const struct ranker_ask *ask = m->ask;
    const struct placement *p = m->answer->placement;
    struct catalogue_answer found;
    struct str record = ask->view.user(ask->view.arg, ask->request->user_id);
    size_t scored = SCORED_FOR_EACH * most;
    int rc = hidden_read(&m->r->hidden, m->r->opts.set, p, record, ask->request->timestamp, m->e);
    if (rc)
        return rc;
    struct catalogue_ask wanted = {
        .placement = m->placement,
        .as_of_ms = ask->now_ms,
        .most = most,
        .most_scored = scored > SCORED_LEAST ? scored : SCORED_LEAST,
        .ln_bound = rules_ln_personal_bound(p->rules),
        .hidden = p->hide_count ? is_hidden : NULL,
        .score = full ? score : NULL,
        .arg = m,
    };
    rc = catalogue_best(&found, m->r->opts.catalogue, &wanted, m->e);
    return rc ? rc : take(m, &found);
}

int candidates_base(struct making *m)
{
    size_t n = m->answer->candidates.count;
    m->ln_scores = arena_alloc(m->arena, n * sizeof *m->ln_scores + 1);
    if (!m->ln_scores)
        return err_nomem(m->e);
    for (size_t i = 0; i < n; i++) {
        double known =
            catalogue_ln_base(m->r->opts.catalogue, m->answer->candidates.items[i], m->placement);
        m->ln_scores[i] = isnan(known) ? m->r->ln_unknown[m->placement] : known;
    }
    return 0;
}

#include "ranker/ranker.h"

#include "feature/contribution.h"
#include "ranker/ranker_inside.h"

#include <math.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* A deadline that is nearer leaves no time for vectors. */
enum { NEAR_MS = 2 };

/* Items whose score is explained, at most: each costs as much as many scores. */
enum { EXPLAINED = 100 };

static int name_columns(struct ranker *r, struct err *e)
{
    const struct feature_set *set = r->opts.set;
    r->columns = calloc(set->output_count + 1, sizeof *r->columns);
    if (!r->columns)
        return err_nomem(e);
    for (size_t i = 0; i < set->output_count; i++) {
        r->columns[i] = str_of(set->outputs[i].name);
        buf_put(&r->fingerprints, set->outputs[i].feature->fingerprint, FINGERPRINT_BYTES);
    }
    return buf_ok(&r->fingerprints) ? 0 : err_nomem(e);
}

/* The place of a proposition without any value: what `missing` of the rules says. */
static int score_unknown(struct ranker *r, struct err *e)
{
    size_t n = r->opts.set->output_count;
    double *nothing = malloc((n + 1) * sizeof *nothing);
    if (!nothing)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++)
        nothing[i] = NAN;
    for (size_t i = 0; i < placements_count(r->opts.placements); i++)
        r->ln_unknown[i] = rules_ln_base(placements_at(r->opts.placements, i)->rules, nothing);
    free(nothing);
    return 0;
}

int ranker_new(struct ranker **out, const struct ranker_opts *opts, struct err *e)
{
    struct ranker *r = calloc(1, sizeof *r);
    if (!r)
        return err_nomem(e);
    r->opts = *opts;
    r->path = scorer_best();
    int rc = vectors_new(&r->vectors, opts->set, e);
    if (!rc)
        rc = chooser_new(&r->chooser, e);
    if (!rc)
        rc = scorer_scratch_new(&r->scratch, e);
    if (!rc)
        rc = name_columns(r, e);
    if (!rc)
        rc = score_unknown(r, e);
    if (rc) {
        ranker_free(r);
        return rc;
    }
    r->items = metric_get(opts->metrics, METRIC_COUNTER, "flotilla_ranker_candidates_total",
                          "Candidates that were scored.", NULL, NULL);
    *out = r;
    return 0;
}

void ranker_free(struct ranker *r)
{
    if (!r)
        return;
    vectors_free(r->vectors);
    chooser_free(r->chooser);
    scorer_scratch_free(r->scratch);
    hidden_free(&r->hidden);
    free(r->columns);
    buf_free(&r->fingerprints);
    free(r);
}

double ranker_uniform(struct str id, const char *purpose)
{
    uint64_t seed = XXH3_64bits(purpose, strlen(purpose));
    return (double)(XXH3_64bits_withSeed(id.data, id.len, seed) >> 11) * 0x1p-53;
}

int ranker_check(const struct rank_request *q, struct err *e)
{
    if (!q->request_id.len)
        return err_set(e, ERR_SCHEMA,
                       "request_id is empty: an answer could not be told from others");
    if (q->limit < 0)
        return err_set(e, ERR_SCHEMA, "limit is %d: give 0 or more", q->limit);
    if (q->timestamp > CONTRIBUTION_MAX_MS || q->timestamp < -CONTRIBUTION_MAX_MS)
        return err_set(e, ERR_SCHEMA, "timestamp %lld is no time in milliseconds since 1970",
                       (long long)q->timestamp);
    return 0;
}

/* ------------------------------------------------------------ how much a request gets */

enum effort { EFFORT_NONE, EFFORT_BASE, EFFORT_WHOLE };

/* A time that arithmetic cannot overflow with: the end of all times where it is none. */
static int64_t bounded(int64_t time_ms)
{
    return time_ms > CONTRIBUTION_MAX_MS    ? CONTRIBUTION_MAX_MS
           : time_ms < -CONTRIBUTION_MAX_MS ? -CONTRIBUTION_MAX_MS
                                            : time_ms;
}

static enum effort decide(const struct ranker *r, const struct ranker_ask *ask,
                          const char **degraded)
{
    const struct rank_request *q = ask->request;
    int64_t arrived_ms = bounded(ask->arrived_ms);
    int64_t until_ms =
        q->deadline.given ? bounded(q->deadline.value) : arrived_ms + r->opts.budget_ms;
    int64_t left_ms = until_ms - ask->now_ms;
    int64_t waited_ms = ask->now_ms - arrived_ms;
    if (waited_ms < 0)
        waited_ms = 0;
    *degraded = NULL;
    if (left_ms <= 0) {
        *degraded = q->deadline.given ? "deadline" : "overload";
        return EFFORT_NONE;
    }
    if (waited_ms / 3 > left_ms) { /* over three quarters are gone */
        *degraded = "overload";
        return EFFORT_NONE;
    }
    if (q->candidates.count > r->opts.max_candidates) {
        *degraded = "too_large";
        return EFFORT_NONE;
    }
    if (q->limit == 0)
        return EFFORT_NONE;
    if (left_ms < NEAR_MS) {
        *degraded = "deadline";
        return EFFORT_BASE;
    }
    if (waited_ms > left_ms) { /* over half are gone */
        *degraded = "overload";
        return EFFORT_BASE;
    }
    return EFFORT_WHOLE;
}

/* ------------------------------------------------------------ making an answer */

/* Without diversity and exploration, rules show the best of the catalogue as they are. */
static size_t wanted_from_catalogue(const struct making *m)
{
    const struct placement *p = m->answer->placement;
    size_t limit = (size_t)m->ask->request->limit;
    bool as_they_are = !m->answer->pick.model && !p->diversity && p->explored_share <= 0;
    size_t most = as_they_are || limit > p->candidates ? limit : p->candidates;
    return most < m->r->opts.max_candidates ? most : m->r->opts.max_candidates;
}

static int rank_by_base(struct making *m)
{
    const struct rank_request *q = m->ask->request;
    size_t limit = (size_t)q->limit;
    if (limit > m->r->opts.max_candidates)
        limit = m->r->opts.max_candidates;
    int rc = q->candidates.count ? candidates_base(m) : candidates_find(m, limit, false);
    return rc ? rc : scores_by_rules(m);
}

static int rank_whole(struct making *m)
{
    struct answer *out = m->answer;
    int rc = 0;
    if (!m->ask->request->candidates.count)
        rc = candidates_find(m, wanted_from_catalogue(m), true);
    if (!rc)
        rc = scores_vectors(m);
    metric_add(m->r->items, (double)out->candidates.count);
    if (rc)
        return rc;
    return out->pick.model ? scores_by_model(m) : scores_by_rules(m);
}

static const struct value_hashes *diversity_values(struct making *m)
{
    const struct str_list *ids = &m->answer->candidates;
    struct value_hashes *values = arena_alloc(m->arena, ids->count * sizeof *values + 1);
    for (size_t i = 0; values && i < ids->count; i++)
        values[i] = catalogue_values(m->r->opts.catalogue, ids->items[i], m->placement);
    return values;
}

static int put_items(struct making *m, const struct choice *shown, bool explain)
{
    struct answer *out = m->answer;
    size_t n = shown->count;
    struct ranked *items = arena_alloc(m->arena, n * sizeof *items + 1);
    uint32_t *places = arena_alloc(m->arena, n * sizeof *places + 1);
    double *propensities = arena_alloc(m->arena, n * sizeof *propensities + 1);
    int rc = 0;
    if (!items || !places || !propensities)
        return err_nomem(m->e);
    for (size_t i = 0; i < n && !rc; i++) {
        uint32_t c = places[i] = shown->places[i];
        propensities[i] = shown->propensities[i];
        items[i] = (struct ranked){.proposition_id = out->candidates.items[c],
                                   .score = (double)out->scores[c],
                                   .propensity = shown->propensities[i]};
        if (explain && i < EXPLAINED)
            rc = scores_explain(m, c, &items[i].contributions);
    }
    out->ranking.items = (struct ranked_list){items, n};
    out->places = places;
    out->propensities = propensities;
    return rc;
}

static int order(struct making *m)
{
    struct answer *out = m->answer;
    const struct placement *p = out->placement;
    const struct rank_request *q = m->ask->request;
    struct choice shown;
    struct choose_request r = {
        .ids = out->candidates.items,
        .utilities = m->utilities,
        .count = out->candidates.count,
        .limit = (size_t)q->limit,
        .share = p->explored_share,
        .temperature = p->temperature,
        .seed = XXH3_64bits(q->request_id.data, q->request_id.len),
    };
    if (p->diversity) {
        r.values = diversity_values(m);
        r.most = p->most;
        r.first = p->first;
        if (!r.values)
            return err_nomem(m->e);
    }
    out->utilities = m->utilities;
    int rc = choose(&shown, m->r->chooser, &r, m->e);
    return rc ? rc : put_items(m, &shown, q->explain && out->vectors);
}

/* A candidate and its place among them. */
struct placed {
    struct str id;
    size_t place;
};

static int by_id(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    int order = str_compare(x->id, y->id);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static int by_place(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    return (x->place > y->place) - (x->place < y->place);
}

/* Those of the request's own candidates that the catalogue does not have, each once, in the order
 * of the request. */
static int find_unknown(struct making *m)
{
    const struct str_list *ids = &m->ask->request->candidates;
    struct str_list *unknown = &m->answer->ranking.unknown;
    struct placed *found = NULL;
    size_t n = 0;
    for (size_t i = 0; i < ids->count; i++) {
        if (catalogue_has(m->r->opts.catalogue, ids->items[i]))
            continue;
        if (!found && !(found = arena_alloc(m->arena, (ids->count - i) * sizeof *found)))
            return err_nomem(m->e);
        found[n++] = (struct placed){ids->items[i], i};
    }
    unknown->items = arena_alloc(m->arena, n * sizeof *unknown->items + 1);
    if (!unknown->items)
        return err_nomem(m->e);
    if (!n)
        return 0;
    qsort(found, n, sizeof *found, by_id);
    size_t different = 1;
    for (size_t i = 1; i < n; i++)
        if (!str_equal(found[i].id, found[i - 1].id))
            found[different++] = found[i];
    qsort(found, different, sizeof *found, by_place);
    for (size_t i = 0; i < different; i++)
        unknown->items[unknown->count++] = found[i].id;
    return 0;
}

/* A request that cannot be computed is answered with nothing rather than not at all. */
static int give_up(struct answer *out, struct err *e)
{
    if (e->code != ERR_TOO_LARGE)
        return e->code;
    *e = (struct err){0};
    out->ranking.items = (struct ranked_list){0};
    out->pick = (struct pick){.variant = "rules", .degraded = "too_large"};
    out->vectors = NULL;
    return 0;
}

static void name_answer(struct answer *out, const char *degraded)
{
    const struct pick *p = &out->pick;
    out->ranking.model = str_of(p->model ? p->model->name : "rules");
    out->ranking.version = p->model ? p->model->version : 0;
    out->ranking.variant = str_of(p->variant);
    out->ranking.degraded = str_of(degraded);
}

int ranker_answer(struct ranker *r, const struct ranker_ask *ask, struct arena *a,
                  struct answer *out, struct err *e)
{
    const struct rank_request *q = ask->request;
    const char *degraded;
    struct making m = {.r = r, .ask = ask, .arena = a, .answer = out, .e = e};
    enum effort effort = decide(r, ask, &degraded);
    int rc = 0;
    m.placement = placements_find(r->opts.placements, q->placement);
    *out = (struct answer){
        .ranking = {q->request_id, q->user_id, q->timestamp, q->placement, .items = {0}},
        .placement = placements_at(r->opts.placements, m.placement),
        .candidates = q->candidates,
        .pick = {.variant = "rules"},
    };
    if (effort == EFFORT_WHOLE && out->placement->model)
        out->pick = serving_pick(r->opts.serving, str_of(out->placement->model), q->user_id);
    if (effort == EFFORT_WHOLE)
        rc = rank_whole(&m);
    else if (effort == EFFORT_BASE)
        rc = rank_by_base(&m);
    if (!rc && effort != EFFORT_NONE)
        rc = order(&m);
    if (!rc && effort != EFFORT_NONE)
        rc = find_unknown(&m);
    if (rc && (rc = give_up(out, e)))
        return rc;
    if (!degraded)
        degraded = out->pick.degraded;
    if (!degraded && ask->is_stale && effort != EFFORT_NONE)
        degraded = "stale_state";
    name_answer(out, degraded);
    return 0;
}

int ranker_refresh(struct ranker *r, struct str proposition, const struct state_view *view,
                   int64_t now_ms, struct err *e)
{
    double ln_bases[MAX_PLACEMENTS + 1];
    size_t count = placements_count(r->opts.placements);
    struct arena a = {0};
    double *vector = arena_alloc(&a, r->opts.set->output_count * sizeof *vector + 1);
    struct rank_request q = {
        .user_id = str_of(""), .timestamp = now_ms, .candidates = {&proposition, 1}};
    int rc = vector ? vectors_read(r->vectors, view, &q, NULL, vector, e) : err_nomem(e);
    for (size_t i = 0; i < count && !rc; i++)
        ln_bases[i] = rules_ln_base(placements_at(r->opts.placements, i)->rules, vector);
    arena_free(&a);
    return rc ? rc : catalogue_score(r->opts.catalogue, proposition, ln_bases, now_ms, e);
}

/* What was scored, for training and for telling drift: the record of score.log. */
#include "ranker/ranker_inside.h"

bool ranker_logs(const struct answer *answer)
{
    double share = answer->placement->logged_share;
    return answer->vectors && share > 0 &&
           ranker_uniform(answer->ranking.request_id, "score.log") < share;
}

static int put_vectors(struct ranker *r, const struct answer *answer, struct arena *a,
                       struct score_log *out, struct err *e)
{
    size_t n = answer->candidates.count * r->opts.set->output_count;
    float *values = arena_alloc(a, n * sizeof *values + 1);
    if (!values)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)answer->vectors[i];
    out->vectors = str_bytes(values, n * sizeof *values);
    return 0;
}

static int put_shadows(struct ranker *r, const struct answer *answer, struct arena *a,
                       struct score_log *out, struct err *e)
{
    struct pick picks[ROLLOUT_MAX_CHALLENGERS];
    struct str model = str_of(answer->placement->model);
    size_t count =
        model.data ? serving_shadows(r->opts.serving, model, picks, ROLLOUT_MAX_CHALLENGERS) : 0;
    int rc = 0;
    out->shadows.items = arena_alloc(a, count * sizeof *out->shadows.items + 1);
    if (!out->shadows.items)
        return err_nomem(e);
    for (size_t i = 0; i < count && !rc; i++) {
        struct shadow_score *s = &out->shadows.items[i];
        size_t n = answer->candidates.count;
        float *margins;
        rc = scores_margins(r, picks[i].model, answer->vectors, n, a, &margins, e);
        for (size_t c = 0; c < n && !rc; c++)
            margins[c] = model_score(picks[i].model, margins[c]);
        *s = (struct shadow_score){str_of(picks[i].variant), picks[i].model->version, {margins, n}};
        out->shadows.count += !rc;
    }
    return rc;
}

/* From which it can be told how likely an item stood at its place, whatever stood above it. */
static void put_exploration(const struct answer *answer, struct score_log *out)
{
    const struct placement *p = answer->placement;
    out->explored_share = p->explored_share;
    out->temperature = p->temperature;
    out->diverse = p->diversity != NULL;
    if (p->explored_share > 0)
        out->utilities =
            (struct double_list){(double *)(uintptr_t)answer->utilities, answer->candidates.count};
}

int ranker_log(struct ranker *r, const struct ranker_ask *ask, const struct answer *answer,
               bool shadows, struct arena *a, struct score_log *out, struct err *e)
{
    const struct ranking *k = &answer->ranking;
    *out = (struct score_log){
        .request_id = k->request_id,
        .user_id = k->user_id,
        .timestamp = k->timestamp,
        .placement = k->placement,
        .context = ask->request->context,
        .model = k->model,
        .version = k->version,
        .variant = k->variant,
        .degraded = k->degraded,
        .share = answer->placement->logged_share,
        .features = {r->columns, r->opts.set->output_count},
        .fingerprints = buf_str(&r->fingerprints),
        .candidates = answer->candidates,
        .scores = {(float *)(uintptr_t)answer->scores, answer->candidates.count},
        .shown = {(int32_t *)(uintptr_t)answer->places, k->items.count},
        .propensities = {(double *)(uintptr_t)answer->propensities, k->items.count},
    };
    put_exploration(answer, out);
    int rc = put_vectors(r, answer, a, out, e);
    return rc || !shadows ? rc : put_shadows(r, answer, a, out, e);
}

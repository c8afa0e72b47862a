#include "feature/vector.h"

#include "feature/overlap.h"
#include "feature/scope_reader.h"
#include "feature/terms.h"

#include <stdlib.h>

struct vectors {
    const struct feature_set *set;
    struct candidate_plan plan;
    struct scope_reader reader;
    struct arena arena; /* of the request */
};

int vectors_new(struct vectors **out, const struct feature_set *set, struct err *e)
{
    struct vectors *v = calloc(1, sizeof *v);
    if (!v)
        return err_nomem(e);
    v->set = set;
    int rc = candidate_plan_init(&v->plan, set, e);
    if (!rc)
        rc = scope_reader_init(&v->reader, &v->plan, e);
    if (rc) {
        vectors_free(v);
        return rc;
    }
    *out = v;
    return 0;
}

void vectors_free(struct vectors *v)
{
    if (!v)
        return;
    scope_reader_free(&v->reader);
    candidate_plan_free(&v->plan);
    arena_free(&v->arena);
    free(v);
}

/* One request. */
struct reading {
    struct vectors *v;
    const struct feature_set *set;
    const struct state_view *view;
    const struct rank_request *request;
    struct situation *situations; /* of each candidate */
    struct candidate **candidates;
    const struct key_contents **contents; /* of each candidate, in the scope at hand */
    size_t count;
    const double *positions;
    double *out;
    struct err *e;
};

static int make_candidates(struct reading *r)
{
    const struct rank_request *q = r->request;
    const struct known *user = entities_find(r->view->users, q->user_id);
    struct arena *a = &r->v->arena;
    int rc = 0;
    r->count = q->candidates.count;
    r->situations = arena_alloc(a, r->count * sizeof *r->situations + 1);
    r->candidates = arena_alloc(a, r->count * sizeof *r->candidates + 1);
    r->contents = arena_alloc(a, r->count * sizeof *r->contents + 1);
    if (!r->situations || !r->candidates || !r->contents)
        return err_nomem(r->e);
    for (size_t i = 0; i < r->count; i++)
        r->situations[i] = (struct situation){
            .user_id = q->user_id,
            .user = user,
            .proposition_id = q->candidates.items[i],
            .proposition = entities_find(r->view->propositions, q->candidates.items[i]),
            .context = &q->context,
        };
    for (size_t i = 0; i < r->count && !rc; i++)
        rc = candidate_of(&r->candidates[i], &r->v->plan, &r->situations[i], a, r->e);
    return rc;
}

/* ------------------------------------------------------------ values */

static double *value_at(struct reading *r, size_t candidate, size_t output)
{
    return &r->out[candidate * r->set->output_count + output];
}

/* The first candidate's value is that of all. */
static void same_for_all(struct reading *r, size_t output)
{
    size_t stride = r->set->output_count;
    double *to = value_at(r, 0, output);
    for (size_t i = 1; i < r->count; i++)
        to[i * stride] = *to;
}

/* Values of one window of the first `count` candidates. */
static void put_values(struct reading *r, const struct feature *f, size_t window, size_t count)
{
    size_t stride = r->set->output_count, at = f->content + window;
    double *to = value_at(r, 0, f->first_output + window);
    int64_t as_of_ms = r->request->timestamp;
    if (f->kind != FEATURE_RATE) {
        for (size_t i = 0; i < count; i++)
            to[i * stride] = content_value(&r->contents[i]->contents[at], f, 0, as_of_ms);
        return;
    }
    double prior = shared_cells_prior(r->view->shared, f, window, as_of_ms);
    for (size_t i = 0; i < count; i++)
        to[i * stride] = content_rate(&r->contents[i]->contents[at], f, prior);
}

/* All aggregates of a scope but overlap; of a gap, the mean. */
static int read_scope(struct reading *r, const struct scope_request *q, size_t number)
{
    const struct scope *scope = &r->set->scopes[number];
    size_t read;
    int rc = scope_reader_read(r->contents, &read, &r->v->reader, number, q, r->e);
    for (size_t s = 0; s < scope->slot_count && read && !rc; s++)
        for (size_t w = 0; w < feature_contents(scope->slots[s]); w++) {
            put_values(r, scope->slots[s], w, read);
            if (!scope->has_proposition)
                same_for_all(r, scope->slots[s]->first_output + w);
        }
    return rc;
}

static int read_scopes(struct reading *r)
{
    struct scope_request q = {.situations = r->situations,
                              .candidates = r->candidates,
                              .count = r->count,
                              .as_of_ms = r->request->timestamp,
                              .shared = r->view->shared,
                              .arena = &r->v->arena};
    int rc = 0;
    for (size_t i = 0; i < r->set->scope_count && !rc; i++)
        if (!r->set->scopes[i].is_total)
            rc = read_scope(r, &q, i);
    return rc;
}

/* The number of a candidate that is kept with it. */
static double number_of(const struct reading *r, size_t candidate, size_t place)
{
    return candidate_numbers(r->candidates[candidate], &r->v->plan)[place].number;
}

/* The candidate's number minus the mean, which stands there already. */
static void finish_gap(struct reading *r, const struct feature *f)
{
    size_t place = r->v->plan.feature_places[f - r->set->features];
    for (size_t i = 0; i < r->count; i++)
        for (size_t w = 0; w < f->window_count; w++) {
            double *value = value_at(r, i, f->first_output + w);
            *value = number_of(r, i, place) - *value;
        }
}

static int read_overlap(struct reading *r, const struct feature *f)
{
    const struct candidate_plan *p = &r->v->plan;
    const struct user_cells *user = &r->v->reader.users[f->scope];
    struct overlap_values *values = arena_alloc(&r->v->arena, r->count * sizeof *values);
    if (!values)
        return err_nomem(r->e);
    for (size_t i = 0; i < r->count; i++) {
        const struct candidate *c = r->candidates[i];
        struct hash_list list = candidate_lists(c, p)[p->attribute_places[f->dimension.attribute]];
        values[i] = (struct overlap_values){candidate_hashes(c, p) + list.first, list.count};
    }
    struct overlap_reading o = {
        .feature = f,
        .as_of_ms = r->request->timestamp,
        .propositions = r->view->propositions,
        .candidates = values,
        .count = r->count,
        .out = value_at(r, 0, f->first_output),
        .stride = r->set->output_count,
    };
    if (user->count)
        o.part = cell_part(user->cells[0].cell, f->slot);
    return overlap_read(&o, &r->v->arena, r->e);
}

/* Of a proposition, what is kept with it; of the user or the context, the same for all. */
static void read_number(struct reading *r, const struct feature *f)
{
    int64_t as_of_ms = r->request->timestamp;
    size_t place = r->v->plan.feature_places[f - r->set->features];
    if (place == SIZE_MAX) {
        struct request_number n = request_number(f, &r->situations[0]);
        *value_at(r, 0, f->first_output) = request_number_at(f, &n, as_of_ms);
        same_for_all(r, f->first_output);
        return;
    }
    for (size_t i = 0; i < r->count; i++)
        *value_at(r, i, f->first_output) =
            f->kind == FEATURE_ATTRIBUTE
                ? number_of(r, i, place)
                : request_number_at(f, &candidate_numbers(r->candidates[i], &r->v->plan)[place],
                                    as_of_ms);
}

static int read_match(struct reading *r, const struct feature *f)
{
    struct str_list query = {0};
    struct arena *a = &r->v->arena;
    struct str text = situation_context(&r->situations[0], f->context);
    bool ok = !text.data || terms_of(&query, text, a);
    for (size_t i = 0; i < r->count && ok; i++)
        ok = request_match(value_at(r, i, f->first_output), f, &r->situations[i], query, a);
    return ok ? 0 : err_nomem(r->e);
}

/* There is at least one candidate. */
static int read_request_time(struct reading *r, const struct feature *f)
{
    switch (f->kind) {
    case FEATURE_STANDING:
        return request_standings(value_at(r, 0, f->standing_of), value_at(r, 0, f->first_output),
                                 r->count, r->set->output_count, &r->v->arena)
                   ? 0
                   : err_nomem(r->e);
    case FEATURE_MATCH:
        return read_match(r, f);
    case FEATURE_TIME:
        *value_at(r, 0, f->first_output) = request_time_part(f, r->request->timestamp);
        same_for_all(r, f->first_output);
        return 0;
    case FEATURE_POSITION:
        for (size_t i = 0; i < r->count; i++)
            *value_at(r, i, f->first_output) = r->positions ? r->positions[i] : f->at_serving;
        return 0;
    default: /* attribute, age */
        read_number(r, f);
        return 0;
    }
}

int vectors_read(struct vectors *v, const struct state_view *view,
                 const struct rank_request *request, const double *positions, double *out,
                 struct err *e)
{
    struct reading r = {.v = v,
                        .set = v->set,
                        .view = view,
                        .request = request,
                        .positions = positions,
                        .out = out,
                        .e = e};
    arena_reset(&v->arena);
    if (request->timestamp > CONTRIBUTION_MAX_MS || request->timestamp < -CONTRIBUTION_MAX_MS)
        return err_set(e, ERR_SCHEMA, "timestamp %lld is no time in milliseconds since 1970",
                       (long long)request->timestamp);
    int rc = scope_reader_open(&v->reader, view->user(view->arg, request->user_id), &v->arena, e);
    if (!rc)
        rc = make_candidates(&r);
    if (!rc)
        rc = read_scopes(&r);
    for (size_t i = 0; i < v->set->feature_count && r.count && !rc; i++) {
        const struct feature *f = &v->set->features[i];
        if (f->kind == FEATURE_OVERLAP)
            rc = read_overlap(&r, f);
        else if (f->kind == FEATURE_GAP)
            finish_gap(&r, f);
        else if (!feature_is_aggregate(f->kind))
            rc = read_request_time(&r, f);
    }
    return rc;
}

int key_values(struct double_map *out, int64_t *as_of_ms, const struct feature_set *set,
               size_t scope, struct str cell, struct shared_cells *totals, struct arena *a,
               struct err *e)
{
    const struct scope *s = &set->scopes[scope];
    struct key_contents *c = arena_alloc(a, key_contents_bytes(s));
    *out = (struct double_map){arena_alloc(a, s->content_count * sizeof *out->items + 1), 0};
    if (!c || !out->items)
        return err_nomem(e);
    *as_of_ms = cell_newest_ms(cell);
    key_contents_read(c, s, cell, *as_of_ms);
    for (size_t i = 0; i < s->slot_count; i++) {
        const struct feature *f = s->slots[i];
        if (feature_needs_candidate(f->kind))
            continue;
        for (size_t w = 0; w < feature_contents(f); w++) {
            double prior =
                f->kind == FEATURE_RATE ? shared_cells_prior(totals, f, w, *as_of_ms) : 0;
            out->items[out->count++] = (struct double_entry){
                str_of(set->outputs[f->first_output + w].name),
                content_value(&c->contents[f->content + w], f, prior, *as_of_ms)};
        }
    }
    return 0;
}

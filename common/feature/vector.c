#include "feature/vector.h"

#include "feature/distinct.h"
#include "feature/request_time.h"
#include "feature/terms.h"

#include <math.h>
#include <stdlib.h>

struct vectors {
    const struct feature_set *set;
    struct arena arena;      /* of the request */
    struct buf scratch, key; /* merged parts; a shared key */
    struct user_keys *keys;  /* of each scope with the user */
};

int vectors_new(struct vectors **out, const struct feature_set *set, struct err *e)
{
    struct vectors *v = calloc(1, sizeof *v);
    if (!v || !(v->keys = calloc(set->scope_count + 1, sizeof *v->keys))) {
        free(v);
        return err_nomem(e);
    }
    v->set = set;
    *out = v;
    return 0;
}

void vectors_free(struct vectors *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->set->scope_count; i++)
        user_keys_free(&v->keys[i]);
    arena_free(&v->arena);
    buf_free(&v->scratch);
    buf_free(&v->key);
    free(v->keys);
    free(v);
}

/* One request. */
struct reading {
    struct vectors *v;
    const struct feature_set *set;
    const struct state_view *view;
    const struct rank_request *request;
    struct situation *candidates;
    size_t count;
    const double *positions;
    double *out;
    struct err *e;
};

static int open_scope(void *arg, size_t scope, struct str section, struct err *e)
{
    struct reading *r = arg;
    return user_keys_open(&r->v->keys[scope], section, e);
}

static int open_user(struct reading *r)
{
    struct str record = r->view->user(r->view->arg, r->request->user_id);
    return user_record_each(r->set, record, open_scope, r, r->e);
}

static int make_candidates(struct reading *r)
{
    const struct rank_request *q = r->request;
    const struct known *user = entities_find(r->view->users, q->user_id);
    r->count = q->candidates.count;
    r->candidates = arena_alloc(&r->v->arena, r->count * sizeof *r->candidates + 1);
    if (!r->candidates)
        return err_nomem(r->e);
    for (size_t i = 0; i < r->count; i++)
        r->candidates[i] = (struct situation){
            .user_id = q->user_id,
            .user = user,
            .proposition_id = q->candidates.items[i],
            .proposition = entities_find(r->view->propositions, q->candidates.items[i]),
            .context = &q->context,
        };
    return 0;
}

static struct str find_cell(struct reading *r, size_t scope, struct str key)
{
    if (!r->set->scopes[scope].has_user)
        return r->view->shared(r->view->arg, scope, key);
    const struct user_keys *keys = &r->v->keys[scope];
    uint32_t i = user_keys_find(keys, key);
    return i == USER_KEY_NONE ? (struct str){"", 0} : keys->keys[i].cell;
}

/* The cells of all keys of a scope that a candidate belongs to; is_missing: it belongs to none.
 * Those with nothing seen are left out. */
static int find_cells(struct reading *r, size_t scope, const struct situation *s,
                      struct str_list *cells, bool *is_missing)
{
    struct str_list keys;
    int rc = situation_keys(&keys, s, &r->set->scopes[scope], r->set->scopes[scope].has_user,
                            &r->v->arena, r->e);
    *cells = (struct str_list){0};
    *is_missing = keys.count == 0;
    if (rc || keys.count == 0)
        return rc;
    cells->items = arena_alloc(&r->v->arena, keys.count * sizeof *cells->items);
    if (!cells->items)
        return err_nomem(r->e);
    for (size_t i = 0; i < keys.count; i++) {
        struct str cell = find_cell(r, scope, keys.items[i]);
        if (cell.len == 0)
            continue;
        cells->items[cells->count++] = cell;
    }
    return 0;
}

static struct str total_of(const struct state_view *view, const struct feature *f)
{
    return f->total >= 0 ? view->shared(view->arg, (size_t)f->total, str_of(""))
                         : (struct str){"", 0};
}

static double *value_at(struct reading *r, size_t candidate, size_t output)
{
    return &r->out[candidate * r->set->output_count + output];
}

/* All aggregates of a scope but overlap; of a gap, the mean. */
static int read_scope_of(struct reading *r, size_t number, size_t candidate)
{
    const struct scope *scope = &r->set->scopes[number];
    struct str_list cells;
    bool is_missing;
    int rc = find_cells(r, number, &r->candidates[candidate], &cells, &is_missing);
    for (size_t s = 0; s < scope->slot_count && !rc; s++) {
        const struct feature *f = scope->slots[s];
        if (f->kind == FEATURE_OVERLAP)
            continue;
        buf_reset(&r->v->scratch);
        struct part p = cell_merged_part(&r->v->scratch, scope, s, cells.items, cells.count);
        if (!buf_ok(&r->v->scratch))
            return err_nomem(r->e);
        struct str total = total_of(r->view, f);
        size_t windows = f->window_count && f->kind != FEATURE_DISTINCT ? f->window_count : 1;
        for (size_t w = 0; w < windows; w++)
            *value_at(r, candidate, f->first_output + w) =
                is_missing ? NAN : cell_value(f, w, p, total, r->request->timestamp);
    }
    return rc;
}

static int read_scope(struct reading *r, size_t number)
{
    const struct scope *scope = &r->set->scopes[number];
    size_t different = scope->has_proposition ? r->count : r->count ? 1 : 0;
    for (size_t i = 0; i < different; i++) {
        int rc = read_scope_of(r, number, i);
        if (rc)
            return rc;
    }
    for (size_t i = different; i < r->count; i++)
        for (size_t s = 0; s < scope->slot_count; s++)
            for (size_t o = scope->slots[s]->first_output;
                 o < r->set->output_count && r->set->outputs[o].feature == scope->slots[s]; o++)
                *value_at(r, i, o) = *value_at(r, 0, o);
    return 0;
}

/* The candidate's number minus the mean, which stands there already. */
static void finish_gap(struct reading *r, const struct feature *f)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct known_value *v = situation_attribute(&r->candidates[i], &f->dimension);
        double number = v && v->type == ATTRIBUTE_NUMBER ? v->number : NAN;
        for (size_t w = 0; w < f->window_count; w++)
            *value_at(r, i, f->first_output + w) = number - *value_at(r, i, f->first_output + w);
    }
}

/* Values of the attribute among past propositions: hash and which of them has it. */
struct past_value {
    uint64_t hash;
    size_t number;
};

struct past {
    const struct reading *r;
    const struct feature *f;
    struct past_value *values; /* NULL: only count */
    size_t count, propositions;
};

static void add_past(void *arg, struct str id)
{
    struct past *p = arg;
    struct situation s = {.proposition = entities_find(p->r->view->propositions, id)};
    const struct known_value *v = situation_attribute(&s, &p->f->dimension);
    for (size_t i = 0; v && i < v->keys.count; i++, p->count++)
        if (p->values)
            p->values[p->count] =
                (struct past_value){distinct_hash(v->keys.items[i]), p->propositions};
    p->propositions++;
}

static int by_hash(const void *a, const void *b)
{
    const struct past_value *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* How many past propositions have a value in common with the candidate. met: one for each, the last
 * candidate that met it. */
static size_t count_met(const struct past *p, const struct known_value *wanted, size_t candidate,
                        size_t *met)
{
    size_t count = 0;
    for (size_t i = 0; i < wanted->keys.count; i++) {
        uint64_t hash = distinct_hash(wanted->keys.items[i]);
        size_t low = 0, high = p->count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (p->values[middle].hash < hash)
                low = middle + 1;
            else
                high = middle;
        }
        for (; low < p->count && p->values[low].hash == hash; low++) {
            size_t number = p->values[low].number;
            count += met[number] != candidate + 1;
            met[number] = candidate + 1;
        }
    }
    return count;
}

static int read_overlap(struct reading *r, const struct feature *f)
{
    struct str cell = find_cell(r, (size_t)f->scope, str_of(""));
    struct part part = cell_part(cell, f->slot);
    struct past p = {.r = r, .f = f};
    aggregate_each_past(f, part, r->request->timestamp, add_past, &p);
    p.values = arena_alloc(&r->v->arena, p.count * sizeof *p.values + 1);
    size_t *met = arena_alloc(&r->v->arena, p.propositions * sizeof *met + 1);
    if (!p.values || !met)
        return err_nomem(r->e);
    if (p.propositions)
        memset(met, 0, p.propositions * sizeof *met);
    p.count = p.propositions = 0;
    aggregate_each_past(f, part, r->request->timestamp, add_past, &p);
    qsort(p.values, p.count, sizeof *p.values, by_hash);
    for (size_t i = 0; i < r->count; i++) {
        const struct known_value *wanted = situation_attribute(&r->candidates[i], &f->dimension);
        bool readable = p.propositions && wanted && wanted->keys.count;
        *value_at(r, i, f->first_output) =
            readable ? (double)count_met(&p, wanted, i, met) / (double)p.propositions : NAN;
    }
    return 0;
}

static int read_request_time(struct reading *r, const struct feature *f)
{
    struct str_list query = {0};
    struct arena *a = &r->v->arena;
    if (f->kind == FEATURE_MATCH && r->count) {
        struct str text = situation_context(&r->candidates[0], f->context);
        if (text.data && !terms_of(&query, text, a))
            return err_nomem(r->e);
    }
    if (f->kind == FEATURE_STANDING)
        return r->count && !request_standings(value_at(r, 0, f->standing_of),
                                              value_at(r, 0, f->first_output), r->count,
                                              r->set->output_count, a)
                   ? err_nomem(r->e)
                   : 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct situation *s = &r->candidates[i];
        double *value = value_at(r, i, f->first_output);
        if (f->kind == FEATURE_ATTRIBUTE)
            *value = request_attribute(f, s);
        else if (f->kind == FEATURE_AGE)
            *value = request_age(f, s, r->request->timestamp);
        else if (f->kind == FEATURE_TIME)
            *value = request_time_part(f, r->request->timestamp);
        else if (f->kind == FEATURE_POSITION)
            *value = r->positions ? r->positions[i] : f->at_serving;
        else if (!request_match(value, f, s, query, a))
            return err_nomem(r->e);
    }
    return 0;
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
    int rc = open_user(&r);
    if (!rc)
        rc = make_candidates(&r);
    for (size_t i = 0; i < v->set->scope_count && !rc; i++)
        if (!v->set->scopes[i].is_total)
            rc = read_scope(&r, i);
    for (size_t i = 0; i < v->set->feature_count && !rc; i++) {
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
               size_t scope, struct str cell, const struct state_view *view, struct arena *a,
               struct err *e)
{
    const struct scope *s = &set->scopes[scope];
    size_t values = 0;
    for (size_t i = 0; i < s->slot_count; i++)
        values += s->slots[i]->window_count + 1;
    *out = (struct double_map){arena_alloc(a, values * sizeof *out->items + 1), 0};
    if (!out->items)
        return err_nomem(e);
    *as_of_ms = cell_newest_ms(cell);
    for (size_t i = 0; i < s->slot_count; i++) {
        const struct feature *f = s->slots[i];
        struct part p = cell_part(cell, i);
        if (feature_needs_candidate(f->kind))
            continue;
        for (size_t o = f->first_output; o < set->output_count && set->outputs[o].feature == f; o++)
            out->items[out->count++] = (struct double_entry){
                str_of(set->outputs[o].name),
                cell_value(f, set->outputs[o].window, p, total_of(view, f), *as_of_ms)};
    }
    return 0;
}

#include "feature/vector.h"
#include "unit.h"

#include "support/fixture.h"

#include "feature/distinct.h"
#include "feature/ring.h"

/* Of every kind, with one and with several keys a candidate, shared and of the user. */
static const char *const SET =
    "features:\n"
    "  - {name: uc, scope: user, count: {event: click, windows: [1m, 1h]}}\n"
    "  - {name: us, scope: user, recency: {event: show}}\n"
    "  - {name: gap, scope: user, gap: {event: click, attribute: price, windows: [1h]}}\n"
    "  - {name: met, scope: user, overlap: {event: click, attribute: genres, last: 70, "
    "within: 1h}}\n"
    "  - {name: pc, scope: proposition, count: {event: click, windows: [1m, 1h]}}\n"
    "  - {name: pr, scope: proposition, rate: {of: click, per: show, windows: [1m, 1h], "
    "weight: 3, prior: global}}\n"
    "  - {name: ps, scope: proposition, recency: {event: show}}\n"
    "  - {name: gr, scope: proposition.genres, rate: {of: click, per: show, windows: [1m], "
    "weight: 0, prior: 0.1}}\n"
    "  - {name: gs, scope: proposition.genres, sum: {event: click, windows: [1m, 1h]}}\n"
    "  - {name: gm, scope: proposition.genres, mean: {event: click, windows: [1h]}}\n"
    "  - {name: gn, scope: proposition.genres, min: {event: click, windows: [1m]}}\n"
    "  - {name: gx, scope: proposition.genres, max: {event: click, windows: [1m]}}\n"
    "  - {name: gh, scope: proposition.genres, decay: {event: click, half_life: 1m}}\n"
    "  - {name: gt, scope: proposition.genres, recency: {event: click}}\n"
    "  - {name: gd, scope: proposition.genres*context.device, distinct: {event: click, of: user, "
    "window: 1m}}\n"
    "  - {name: dr, scope: context.device, rate: {of: click, per: show, windows: [1m], weight: 1, "
    "prior: global}}\n"
    "  - {name: tp, scope: user.tier*proposition, count: {event: click, windows: [1m]}}\n"
    "  - {name: up, scope: user*proposition, rate: {of: click, per: show, windows: [1h], "
    "weight: 2, prior: global}}\n"
    "  - {name: ug, scope: proposition.genres*user, count: {event: click, windows: [1m, 1h]}}\n"
    "  - {name: uh, scope: user*proposition.genres, decay: {event: show, half_life: 1m}}\n"
    "  - {name: uv, scope: user*proposition.genres*proposition.maker, mean: {event: click, "
    "windows: [1m]}}\n"
    "  - {name: ud, scope: user*context.device*proposition.genres, distinct: {event: click, "
    "of: proposition, window: 1m}}\n";

enum { PROPOSITIONS = 12, CANDIDATES = 15, GENRES = 5 };

/* State, and all that reads it. */
struct world {
    struct feature_set *set;
    struct entities *users, *propositions;
    struct apply *apply;
    struct vectors *vectors;
    struct shared_cells *shared;
    struct table *records;
    struct deltas *deltas;
    struct buf after;
    struct arena arena;
    struct random random;
    size_t events;
};

static struct str record_of(void *arg, struct str user_id)
{
    struct world *w = arg;
    uint32_t id = table_find(w->records, user_id);
    return id == TABLE_NONE ? str_of("") : table_value(table_get(w->records, id));
}

static struct state_view view_of(struct world *w)
{
    return (struct state_view){record_of, w, w->shared, w->users, w->propositions};
}

static void set_up(struct world *w, uint64_t seed)
{
    struct err e;
    *w = (struct world){.set = definitions(SET), .random = {seed}};
    w->records = table_new();
    assert_int_equal(deltas_new(&w->deltas, w->set, &e), 0);
    assert_int_equal(entities_new(&w->users, w->set, SIDE_USER, &e), 0);
    assert_int_equal(entities_new(&w->propositions, w->set, SIDE_PROPOSITION, &e), 0);
    assert_int_equal(apply_new(&w->apply, w->set, w->users, w->propositions, 8, false, &e), 0);
    assert_int_equal(vectors_new(&w->vectors, w->set, &e), 0);
    assert_int_equal(shared_cells_new(&w->shared, w->set, &e), 0);
}

static void tear_down(struct world *w)
{
    vectors_free(w->vectors);
    shared_cells_free(w->shared);
    apply_free(w->apply);
    entities_free(w->users);
    entities_free(w->propositions);
    table_free(w->records);
    deltas_free(w->deltas);
    buf_free(&w->after);
    arena_free(&w->arena);
    feature_set_free(w->set);
}

static const char *const USER_IDS[] = {"u0", "u1", "u2"};
static const char *const GENRE_NAMES[GENRES] = {"drama", "comedy", "", "sci-fi", "a longer genre"};
static const char *const MAKERS[] = {"m0", "m1"};
static const char *const DEVICES[] = {"phone", "desk"};

static const char *proposition_name(size_t i)
{
    static const char *const names[PROPOSITIONS] = {"p0", "p1", "p2", "p3", "p4",  "p5",
                                                    "p6", "p7", "p8", "p9", "p10", "p11"};
    return names[i];
}

/* A record of a proposition, most often with genres, a maker and a price; the last two propositions
 * are never known. */
static void put_proposition(struct world *w)
{
    struct str genres[GENRES];
    struct attribute all[3];
    size_t n = 0, count = 0;
    struct random *r = &w->random;
    struct err e = {0};
    for (size_t g = 0; g < GENRES; g++)
        if (random_below(r, 2))
            genres[count++] = str_of(GENRE_NAMES[g]);
    if (random_below(r, 8))
        all[n++] = list_attribute("genres", genres, count);
    if (random_below(r, 4))
        all[n++] = text_attribute("maker", MAKERS[random_below(r, 2)]);
    if (random_below(r, 4))
        all[n++] = number_attribute("price", (double)random_below(r, 50));
    struct entity record = {.id = str_of(proposition_name((size_t)random_below(r, 10))),
                            .active = true,
                            .attributes = {all, n}};
    assert_int_equal(entities_put(w->propositions, &record, &e), 0);
}

static void put_user(struct world *w)
{
    struct attribute place;
    struct err e = {0};
    struct entity record =
        entity_of(&place, USER_IDS[random_below(&w->random, 2)], 0,
                  text_attribute("tier", random_below(&w->random, 2) ? "gold" : "basic"));
    assert_int_equal(entities_put(w->users, &record, &e), 0);
}

static struct text_map context_of(struct world *w, struct text_entry *place)
{
    *place = (struct text_entry){str_of("device"), str_of(DEVICES[random_below(&w->random, 2)])};
    return (struct text_map){place, random_below(&w->random, 6) != 0};
}

static int merge_delta(void *arg, struct str key, struct str cell, struct err *e)
{
    struct world *w = arg;
    return shared_cells_merge(w->shared, key, cell, e);
}

static void put_event(struct world *w, int64_t time_ms)
{
    struct random *r = &w->random;
    struct str shown[4];
    struct text_entry place;
    char id[32];
    struct err e = {0};
    enum applied outcome;
    snprintf(id, sizeof id, "e%zu", w->events++);
    struct event event = {.event_id = str_of(id),
                          .event = str_of(random_below(r, 2) ? "click" : "show"),
                          .user_id = str_of(USER_IDS[random_below(r, 3)]),
                          .timestamp = time_ms,
                          .propositions = {shown, (size_t)random_below(r, 4)},
                          .value = {random_below(r, 3) != 0, (double)random_below(r, 100) / 7},
                          .context = context_of(w, &place)};
    for (size_t i = 0; i < event.propositions.count; i++)
        shown[i] = str_of(proposition_name((size_t)random_below(r, PROPOSITIONS)));
    uint32_t user = table_insert(w->records, event.user_id);
    assert_int_not_equal(user, TABLE_NONE);
    deltas_clear(w->deltas);
    assert_int_equal(apply_event(w->apply, &event, time_ms, record_of(w, event.user_id), &w->after,
                                 w->deltas, &outcome, &e),
                     0);
    assert_true(table_set(w->records, user, buf_str(&w->after)));
    assert_int_equal(deltas_each(w->deltas, merge_delta, w, &e), 0);
}

/* ------------------------------------------------------------ the plain way */

/* What a window holds: all buckets decoded, then those taken that as_of reads. */
static struct bucket plain_window(const struct feature *f, size_t window, struct part p,
                                  int64_t as_of_ms, bool *any)
{
    struct cursor c = cursor_of(p.body.data, p.body.len);
    struct ring r;
    struct bucket all = {0};
    int64_t bucket_ms = f->windows[window].bucket_ms, last = bucket_of(as_of_ms, bucket_ms);
    r.count = 0;
    for (size_t i = 0; p.seen && i <= window; i++)
        ring_decode(&r, &c, f->kind);
    *any = false;
    for (size_t i = 0; i < r.count; i++) {
        int64_t bucket = bucket_of(p.newest_ms, bucket_ms) - r.ages[i];
        const struct bucket *b = &r.buckets[i];
        if (bucket > last || bucket < last - 59)
            continue;
        if (f->kind == FEATURE_MIN || f->kind == FEATURE_MAX) {
            bool better = !*any || (f->kind == FEATURE_MIN ? b->sum.high < all.sum.high
                                                           : b->sum.high > all.sum.high);
            all.sum.high = better ? b->sum.high : all.sum.high;
        } else {
            all.n += b->n;
            all.per += b->per;
            all.sum = double_double_add(all.sum, b->sum);
        }
        *any = true;
    }
    return all;
}

static double plain_rate(const struct feature *f, size_t window, struct part p, struct part total,
                         int64_t as_of_ms)
{
    bool any;
    struct bucket b = plain_window(f, window, p, as_of_ms, &any), t;
    double prior = f->prior;
    if (f->total >= 0) {
        t = plain_window(f, window, total, as_of_ms, &any);
        prior = t.per ? (double)t.n / (double)t.per : 0;
    }
    return f->weight == 0 && b.per == 0
               ? NAN
               : ((double)b.n + f->weight * prior) / ((double)b.per + f->weight);
}

static double plain_value(const struct feature *f, size_t window, struct part p, struct part total,
                          int64_t as_of_ms)
{
    bool any;
    int64_t at_ms = p.newest_ms > as_of_ms ? p.newest_ms : as_of_ms;
    struct cursor c = cursor_of(p.body.data, p.body.len);
    if (f->kind == FEATURE_RATE)
        return plain_rate(f, window, p, total, as_of_ms);
    if (f->kind == FEATURE_RECENCY)
        return p.seen ? (double)(at_ms - p.newest_ms) / 1000 : NAN;
    if (f->kind == FEATURE_DECAY)
        return p.seen ? cursor_double(&c) *
                            exp2((double)(p.newest_ms - at_ms) / (double)f->half_life_ms)
                      : 0;
    if (f->kind == FEATURE_DISTINCT) {
        int64_t bucket_ms = f->windows[0].bucket_ms;
        int64_t oldest = bucket_of(p.newest_ms, bucket_ms) - bucket_of(as_of_ms, bucket_ms) + 59;
        return p.seen ? distinct_read(p.body, oldest < 63 ? oldest : 63) : 0;
    }
    struct bucket b = plain_window(f, window, p, as_of_ms, &any);
    if (f->kind == FEATURE_COUNT)
        return (double)b.n;
    if (f->kind == FEATURE_SUM)
        return b.sum.high + b.sum.low;
    if (f->kind == FEATURE_MIN || f->kind == FEATURE_MAX)
        return any ? b.sum.high : NAN;
    return b.n ? (b.sum.high + b.sum.low) / (double)b.n : NAN; /* mean, gap */
}

/* The section of the scope at hand. */
struct section {
    size_t wanted;
    struct str bytes;
};

static int take_section(void *arg, size_t scope, struct str bytes, struct err *e)
{
    struct section *s = arg;
    (void)e;
    if (scope == s->wanted)
        s->bytes = bytes;
    return 0;
}

static struct str plain_cell(struct world *w, size_t number, struct str user_id, struct str key)
{
    struct err e = {0};
    struct section section = {number, str_of("")};
    struct user_keys keys = {0};
    uint32_t id;
    if (!w->set->scopes[number].has_user) {
        assert_int_equal(shared_cells_find_in(&id, w->shared, number, key, &e), 0);
        return shared_cells_get(w->shared, id);
    }
    assert_int_equal(user_record_each(w->set, record_of(w, user_id), take_section, &section, &e),
                     0);
    assert_int_equal(user_keys_open(&keys, section.bytes, &e), 0);
    id = user_keys_find(&keys, key);
    struct str cell = id == USER_KEY_NONE ? str_of("") : keys.keys[id].cell;
    user_keys_free(&keys);
    return cell;
}

/* All keys of a candidate merged into one cell. False: it belongs to none. */
static bool plain_merged(struct buf *out, struct world *w, size_t number, const struct situation *s)
{
    const struct scope *scope = &w->set->scopes[number];
    struct str_list keys;
    struct err e = {0};
    assert_int_equal(situation_keys(&keys, s, scope, scope->has_user, &w->arena, &e), 0);
    buf_reset(out);
    for (size_t i = 0; i < keys.count; i++) {
        struct buf merged = {0};
        cell_merge(&merged, scope, buf_str(out), plain_cell(w, number, s->user_id, keys.items[i]));
        buf_free(out);
        *out = merged;
    }
    return keys.count > 0;
}

/* Past propositions, and how many have a genre in common with the candidate. */
struct plain_past {
    struct world *w;
    const struct dimension *dimension;
    const struct situation *candidate;
    size_t count, met;
};

static void meet_plainly(void *arg, struct str id)
{
    struct plain_past *p = arg;
    struct situation past = {.proposition = entities_find(p->w->propositions, id)};
    struct str_list a = situation_values(&past, p->dimension),
                    b = situation_values(p->candidate, p->dimension);
    bool met = false;
    for (size_t i = 0; i < a.count; i++)
        for (size_t k = 0; k < b.count; k++)
            met |= str_equal(a.items[i], b.items[k]);
    p->count++;
    p->met += met;
}

static double plain_output(struct world *w, const struct output *o, const struct situation *s,
                           int64_t as_of_ms)
{
    const struct feature *f = o->feature;
    struct buf cell = {0};
    bool any = plain_merged(&cell, w, (size_t)f->scope, s);
    struct part p = cell_part(buf_str(&cell), f->slot), total = {0};
    const struct known_value *v = situation_attribute(s, &f->dimension);
    if (f->total >= 0)
        total = cell_part(plain_cell(w, (size_t)f->total, s->user_id, str_of("")), f->total_slot);
    double value = NAN;
    if (f->kind == FEATURE_OVERLAP) {
        struct plain_past past = {w, &f->dimension, s, 0, 0};
        aggregate_each_past(f, p, as_of_ms, meet_plainly, &past);
        if (past.count && v && v->keys.count)
            value = (double)past.met / (double)past.count;
    } else if (any) {
        value = plain_value(f, o->window, p, total, as_of_ms);
    }
    if (f->kind == FEATURE_GAP)
        value = v && v->type == ATTRIBUTE_NUMBER ? v->number - value : NAN;
    buf_free(&cell);
    return value;
}

static void compare(struct world *w, int64_t as_of_ms)
{
    struct str candidates[CANDIDATES];
    struct text_entry place;
    struct err e = {0};
    double *out = calloc(CANDIDATES * w->set->output_count, sizeof *out);
    struct state_view view = view_of(w);
    struct rank_request q = {.user_id = str_of(USER_IDS[random_below(&w->random, 3)]),
                             .timestamp = as_of_ms,
                             .candidates = {candidates, (size_t)random_below(&w->random, 16)},
                             .context = context_of(w, &place)};
    for (size_t i = 0; i < CANDIDATES; i++)
        candidates[i] = str_of(proposition_name((size_t)random_below(&w->random, PROPOSITIONS)));
    assert_int_equal(vectors_read(w->vectors, &view, &q, NULL, out, &e), 0);
    arena_reset(&w->arena);
    for (size_t i = 0; i < q.candidates.count; i++) {
        struct situation s = {q.user_id, entities_find(w->users, q.user_id), candidates[i],
                              entities_find(w->propositions, candidates[i]), &q.context};
        for (size_t o = 0; o < w->set->output_count; o++) {
            double got = out[i * w->set->output_count + o],
                   expected = plain_output(w, &w->set->outputs[o], &s, as_of_ms);
            if (isnan(got) != isnan(expected) ||
                fabs(got - expected) > 1e-11 * fmax(1, fabs(expected)))
                fail_msg("%s of %s at %lld: expected %.17g, got %.17g", w->set->outputs[o].name,
                         candidates[i].data, (long long)as_of_ms, expected, got);
        }
    }
    free(out);
}

/* Removes the key that stands at some place. */
static void remove_some_key(struct world *w)
{
    const struct table *t = shared_cells_table(w->shared);
    size_t count = table_count(t);
    struct err e = {0};
    if (count == 0)
        return;
    uint32_t id = table_first(t);
    for (int64_t i = random_below(&w->random, (int64_t)count); i > 0; i--)
        id = table_next(t, id);
    struct str key = arena_copy(&w->arena, table_key(table_get(t, id)));
    assert_int_equal(shared_cells_put(w->shared, key, str_of(""), &e), 0);
}

/* All times around now, onwards and back again: what is kept with the cells must be read anew at
 * each bucket that enters or leaves a window, and what is merged depends on how far behind it is.
 */
static void sweep(struct world *w, int64_t now_ms)
{
    enum { STEP_MS = 473, REACH_MS = 75000 };
    for (int64_t t = -REACH_MS; t < REACH_MS; t += STEP_MS)
        compare(w, now_ms + t);
    for (int64_t t = REACH_MS; t > -REACH_MS; t -= STEP_MS)
        compare(w, now_ms + t);
}

/*
 * Events of three users, up to 90 s late; requests, most of them about now, some long before or
 * after, so that what is kept, added up or merged in full is read in all ways; propositions that
 * change, keys that go.
 */
static void values_equal_those_of_merged_cells_read_plainly(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct world w;
        set_up(&w, seed);
        int64_t now_ms = (int64_t)(seed % 3) * 100000 - 100000;
        for (int step = 0; step < 400; step++) {
            struct random *r = &w.random;
            now_ms += random_below(r, random_below(r, 20) ? 700 : 60000);
            int64_t kind = random_below(r, 40);
            if (kind < 2)
                put_proposition(&w);
            else if (kind < 3)
                put_user(&w);
            else if (kind < 4)
                remove_some_key(&w);
            else if (kind < 24)
                put_event(&w, now_ms - (random_below(r, 3) ? 0 : random_below(r, 90000)));
            else
                compare(&w, now_ms + (random_below(r, 3) ? 0 : random_below(r, 140000) - 80000));
        }
        sweep(&w, now_ms);
        tear_down(&w);
    }
}

static void a_time_that_is_none_is_refused(void **state)
{
    (void)state;
    struct world w;
    struct err e = {0};
    struct rank_request q = {.user_id = str_of("u0"), .timestamp = CONTRIBUTION_MAX_MS + 1};
    set_up(&w, 1);
    struct state_view view = view_of(&w);
    assert_int_equal(vectors_read(w.vectors, &view, &q, NULL, NULL, &e), ERR_SCHEMA);
    assert_contains(e.msg, "9007199254740993 is no time");
    tear_down(&w);
}

static void a_damaged_record_is_an_error(void **state)
{
    (void)state;
    struct world w;
    struct err e = {0};
    struct rank_request q = {.user_id = str_of("u0")};
    set_up(&w, 1);
    uint32_t user = table_insert(w.records, q.user_id);
    assert_int_not_equal(user, TABLE_NONE);
    assert_true(table_set(w.records, user, str_of("\xff")));
    struct state_view view = view_of(&w);
    assert_int_equal(vectors_read(w.vectors, &view, &q, NULL, NULL, &e), ERR_CORRUPT);
    tear_down(&w);
}

/* Every allocation of a first reading fails once; the one after that is as if none had. */
static void memory_that_is_short_fails_one_request_only(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, 5);
    for (int i = 0; i < 30; i++)
        put_proposition(&w);
    for (int i = 0; i < 150; i++)
        put_event(&w, i * 100);
    struct str candidates[] = {str_of("p1"), str_of("p2"), str_of("p11")};
    struct rank_request q = {
        .user_id = str_of("u0"), .timestamp = 15000, .candidates = {candidates, 3}};
    double *out = calloc(3 * w.set->output_count, sizeof *out);
    struct state_view view = view_of(&w);
    for (int n = 1;; n++) {
        struct err e = {0};
        struct vectors *fresh = NULL;
        fail_alloc_at(n);
        int rc = vectors_new(&fresh, w.set, &e);
        if (!rc)
            rc = vectors_read(fresh, &view, &q, NULL, out, &e);
        bool failed = fail_alloc_end();
        vectors_free(fresh);
        /* What there was no memory to keep with a proposition is worked out for this request. */
        assert_true(rc == 0 || (failed && rc == ERR_NOMEM));
        if (!failed)
            break;
    }
    free(out);
    compare(&w, 15000);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_equal_those_of_merged_cells_read_plainly),
        cmocka_unit_test(a_time_that_is_none_is_refused),
        cmocka_unit_test(a_damaged_record_is_an_error),
        cmocka_unit_test(memory_that_is_short_fails_one_request_only),
    };
    return RUN(tests);
}

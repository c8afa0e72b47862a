/* The threshold algorithm over the order of a placement. */
#include "ranker/catalogue_inside.h"

#include <math.h>

enum { LEAST_BATCH = 16 };

/* A candidate that was scored. */
struct scored {
    double ln_score;
    size_t turn; /* place in the walk: those of higher base score come first */
    struct str id;
};

struct walk {
    struct catalogue *c;
    const struct catalogue_ask *ask;
    const struct ordered *order;
    struct ordered_place place;
    struct scored *best; /* a heap of at most `most`, the worst first */
    size_t count, most, most_scored, scored;
    struct str *ids; /* a batch */
    double *ln_scores;
    bool is_proven;
};

static bool is_worse(const struct scored *a, const struct scored *b)
{
    return a->ln_score != b->ln_score ? a->ln_score < b->ln_score : a->turn > b->turn;
}

static void sift_down(struct scored *heap, size_t count, size_t at)
{
    struct scored moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_worse(&heap[child + 1], &heap[child]))
            child++;
        if (!is_worse(&heap[child], &moved))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

static void sift_up(struct scored *heap, size_t at)
{
    struct scored moved = heap[at];
    for (; at > 0 && is_worse(&moved, &heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = moved;
}

static void keep(struct walk *w, struct str id, double ln_score, size_t turn)
{
    struct scored s = {isnan(ln_score) ? -1e300 : ln_score, turn, id};
    if (w->count < w->most) {
        w->best[w->count] = s;
        sift_up(w->best, w->count++);
    } else if (is_worse(&w->best[0], &s)) {
        w->best[0] = s;
        sift_down(w->best, w->count, 0);
    }
}

static bool may_be_shown(const struct walk *w, uint32_t number, struct str id)
{
    const struct item *item = w->c->items[number];
    if (w->ask->as_of_ms < item->valid_from_ms || w->ask->as_of_ms >= item->valid_until_ms)
        return false;
    return !w->ask->hidden || !w->ask->hidden(w->ask->arg, id);
}

/* Collects the next ones that may be among the best; is_proven: no other may. */
static size_t collect(struct walk *w, size_t most)
{
    const struct ordered_entry *entry;
    double bound = w->ask->score ? w->ask->ln_bound : 0;
    size_t n = 0;
    while (n < most) {
        if (!(entry = ordered_at(w->order, w->place)) ||
            (w->count == w->most && entry->key + bound <= w->best[0].ln_score)) {
            w->is_proven = true;
            break;
        }
        struct str id = table_key(table_get(w->c->table, entry->item));
        if (may_be_shown(w, entry->item, id)) {
            w->ids[n] = id;
            w->ln_scores[n++] = entry->key;
        }
        ordered_step(w->order, &w->place);
    }
    return n;
}

static int score_next(struct walk *w, struct err *e)
{
    size_t left = w->most_scored - w->scored, most = w->scored ? w->most / 4 : w->most;
    most = most < LEAST_BATCH && w->scored ? LEAST_BATCH : most;
    size_t n = collect(w, most < left ? most : left);
    int rc = n && w->ask->score ? w->ask->score(w->ask->arg, w->ids, n, w->ln_scores, e) : 0;
    for (size_t i = 0; i < n && !rc; i++)
        keep(w, w->ids[i], w->ln_scores[i], w->scored + i);
    w->scored += n;
    return rc;
}

/* Sorts the heap: its worst goes last, again and again. */
static int answer(struct catalogue_answer *out, struct walk *w, struct err *e)
{
    struct str *ids = arena_alloc(&w->c->arena, w->count * sizeof *ids + 1);
    double *ln_scores = arena_alloc(&w->c->arena, w->count * sizeof *ln_scores + 1);
    if (!ids || !ln_scores)
        return err_nomem(e);
    *out = (struct catalogue_answer){ids, ln_scores, w->count, w->scored, w->is_proven};
    while (w->count) {
        struct scored worst = w->best[0];
        w->best[0] = w->best[--w->count];
        if (w->count)
            sift_down(w->best, w->count, 0);
        ids[w->count] = worst.id;
        ln_scores[w->count] = worst.ln_score;
    }
    return 0;
}

int catalogue_best(struct catalogue_answer *out, struct catalogue *c,
                   const struct catalogue_ask *ask, struct err *e)
{
    struct walk w = {.c = c, .ask = ask, .order = c->orders[ask->placement]};
    size_t shown = ordered_count(w.order), batch;
    w.place = ordered_first();
    w.most = ask->most < shown ? ask->most : shown;
    w.most_scored = ask->most_scored            ? ask->most_scored
                    : ask->most < SIZE_MAX / 10 ? 10 * ask->most
                                                : SIZE_MAX;
    w.is_proven = w.most == 0;
    batch = w.most > LEAST_BATCH ? w.most : LEAST_BATCH;
    arena_reset(&c->arena);
    w.best = arena_alloc(&c->arena, w.most * sizeof *w.best + 1);
    w.ids = arena_alloc(&c->arena, batch * sizeof *w.ids);
    w.ln_scores = arena_alloc(&c->arena, batch * sizeof *w.ln_scores);
    if (!w.best || !w.ids || !w.ln_scores)
        return err_nomem(e);
    int rc = 0;
    while (!rc && !w.is_proven && w.scored < w.most_scored)
        rc = score_next(&w, e);
    return rc ? rc : answer(out, &w, e);
}

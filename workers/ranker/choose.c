#include "ranker/choose.h"

#include "base/arena.h"
#include "base/prng.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <xxhash.h>

enum { MOST_CANDIDATES = 1 << 24 };

#define NONE UINT32_MAX

struct chooser {
    struct arena arena; /* of the call */
};

/* One call. Candidates are named by their places in the request. */
struct run {
    const struct choose_request *q;
    struct arena *arena;
    struct prng random;
    double *utilities; /* finite */
    double *noise;     /* of a draw */
    bool is_draw;
    uint32_t *heap; /* those left, best first as heaps go */
    size_t heap_count;
    uint32_t *kept;    /* each id once */
    uint32_t *refused; /* by diversity */
    bool *is_shown;
    size_t count;
    size_t limit;
    uint32_t *groups; /* of all candidates: their values, numbered */
    size_t *first_group;
    uint32_t *members; /* of each group: how many of its candidates stand already */
    size_t group_count;
};

int chooser_new(struct chooser **out, struct err *e)
{
    *out = calloc(1, sizeof **out);
    return *out ? 0 : err_nomem(e);
}

void chooser_free(struct chooser *c)
{
    if (!c)
        return;
    arena_free(&c->arena);
    free(c);
}

static void *take(struct run *r, size_t count, size_t size)
{
    return arena_alloc(r->arena, count * size + 1);
}

/* ------------------------------------------------------------ candidates and groups */

/* Open addressing over numbers; at least half of the slots stay free. */
struct slots {
    uint32_t *numbers;
    size_t mask;
};

static bool slots_take(struct slots *s, struct run *r, size_t most)
{
    size_t room = 8;
    while (room < 2 * most)
        room *= 2;
    s->mask = room - 1;
    s->numbers = take(r, room, sizeof *s->numbers);
    if (s->numbers)
        memset(s->numbers, 0xff, room * sizeof *s->numbers);
    return s->numbers;
}

static bool keep_candidates(struct run *r)
{
    const struct choose_request *q = r->q;
    struct slots s;
    if (!slots_take(&s, r, q->count))
        return false;
    for (uint32_t i = 0; i < q->count; i++) {
        size_t at = XXH3_64bits(q->ids[i].data, q->ids[i].len) & s.mask;
        while (s.numbers[at] != NONE && !str_equal(q->ids[s.numbers[at]], q->ids[i]))
            at = (at + 1) & s.mask;
        if (s.numbers[at] != NONE)
            continue;
        s.numbers[at] = i;
        r->kept[r->count++] = i;
        double u = q->utilities[i];
        r->utilities[i] = isnan(u) ? -1e300 : fmin(fmax(u, -1e300), 1e300);
    }
    return true;
}

/* Gives the values of all candidates numbers from 0 on. */
static bool number_groups(struct run *r)
{
    const struct choose_request *q = r->q;
    size_t total = 0;
    struct slots s;
    for (size_t i = 0; i < q->count; i++)
        total += q->values[i].count;
    uint64_t *hashes = take(r, total, sizeof *hashes);
    r->groups = take(r, total, sizeof *r->groups);
    r->first_group = take(r, q->count + 1, sizeof *r->first_group);
    r->members = take(r, total, sizeof *r->members);
    if (!hashes || !r->groups || !r->first_group || !r->members || !slots_take(&s, r, total))
        return false;
    total = 0;
    for (size_t i = 0; i < q->count; i++) {
        r->first_group[i] = total;
        for (size_t k = 0; k < q->values[i].count; k++) {
            uint64_t hash = q->values[i].items[k];
            size_t at = hash & s.mask;
            while (s.numbers[at] != NONE && hashes[s.numbers[at]] != hash)
                at = (at + 1) & s.mask;
            if (s.numbers[at] == NONE) {
                hashes[r->group_count] = hash;
                s.numbers[at] = (uint32_t)r->group_count++;
            }
            r->groups[total++] = s.numbers[at];
        }
    }
    r->first_group[q->count] = total;
    return true;
}

static bool has_diversity(const struct run *r)
{
    return r->q->values && r->q->most > 0 && r->q->first > 0;
}

static bool is_allowed(const struct run *r, uint32_t candidate)
{
    for (size_t k = r->first_group[candidate]; k < r->first_group[candidate + 1]; k++)
        if (r->members[r->groups[k]] >= r->q->most)
            return false;
    return true;
}

/* ------------------------------------------------------------ order */

/* Whether a stands before b. In a draw utilities and noise are compared as differences, so that no
 * noise is rounded away next to a large utility. */
static bool is_before(const struct run *r, uint32_t a, uint32_t b)
{
    double difference = r->utilities[a] - r->utilities[b];
    if (r->is_draw) {
        double drawn = difference / r->q->temperature + (r->noise[a] - r->noise[b]);
        if (drawn != 0)
            return drawn > 0;
    }
    return difference != 0 ? difference > 0 : a < b;
}

static void sift_down(struct run *r, size_t at)
{
    uint32_t candidate = r->heap[at];
    for (size_t child; (child = 2 * at + 1) < r->heap_count; at = child) {
        if (child + 1 < r->heap_count && is_before(r, r->heap[child + 1], r->heap[child]))
            child++;
        if (!is_before(r, r->heap[child], candidate))
            break;
        r->heap[at] = r->heap[child];
    }
    r->heap[at] = candidate;
}

static uint32_t pop(struct run *r)
{
    uint32_t best = r->heap[0];
    r->heap[0] = r->heap[--r->heap_count];
    if (r->heap_count)
        sift_down(r, 0);
    return best;
}

/* Gumbel's standard distribution, by inversion of a number in (0, 1). */
static double gumbel(struct prng *random)
{
    double unit = ((double)(prng_next(random) >> 12) + 0.5) * 0x1p-52;
    return -log(-log(unit));
}

/* Makes a heap of what is in it, with noise of its own if this is a draw. */
static void heapify(struct run *r)
{
    for (size_t i = 0; r->is_draw && i < r->heap_count; i++)
        r->noise[r->heap[i]] = gumbel(&r->random);
    for (size_t i = r->heap_count / 2; i > 0; i--)
        sift_down(r, i - 1);
}

/* Fills the places that diversity is kept in; returns how many. Candidates are only ever taken out
 * of those allowed, so that one race serves all of these places: what has not arrived yet has the
 * same distribution as at the start. Afterwards all others race anew. */
static size_t arrange_diverse(struct run *r, uint32_t *order)
{
    size_t most = r->q->first < r->limit ? r->q->first : r->limit, placed = 0, refused = 0;
    if (r->group_count)
        memset(r->members, 0, r->group_count * sizeof *r->members);
    while (placed < most && r->heap_count) {
        uint32_t candidate = pop(r);
        if (!is_allowed(r, candidate)) {
            r->refused[refused++] = candidate;
            continue;
        }
        for (size_t k = r->first_group[candidate]; k < r->first_group[candidate + 1]; k++)
            r->members[r->groups[k]]++;
        order[placed++] = candidate;
    }
    memcpy(r->heap + r->heap_count, r->refused, refused * sizeof *r->heap);
    r->heap_count += refused;
    heapify(r);
    return placed;
}

/* Writes the order, of limit places; returns how many of them diversity was kept in. */
static size_t arrange(struct run *r, uint32_t *order, bool is_draw)
{
    r->is_draw = is_draw;
    memcpy(r->heap, r->kept, r->count * sizeof *r->heap);
    r->heap_count = r->count;
    heapify(r);
    size_t diverse = has_diversity(r) ? arrange_diverse(r, order) : 0;
    for (size_t i = diverse; i < r->limit; i++)
        order[i] = pop(r);
    return diverse;
}

/* ------------------------------------------------------------ propensities */

/* The sum of exp(utility / temperature), as a multiple of that of the largest utility in it. */
struct total {
    double largest;
    double sum; /* 0: of nothing */
};

static void add_to(struct total *t, double utility, double temperature)
{
    if (t->sum > 0 && utility <= t->largest) {
        t->sum += exp((utility - t->largest) / temperature);
        return;
    }
    double before = t->sum > 0 ? t->sum * exp((t->largest - utility) / temperature) : 0;
    *t = (struct total){utility, before + 1};
}

static double share_of(const struct total *t, double utility, double temperature)
{
    return exp((utility - t->largest) / temperature) / t->sum;
}

/* Lists of candidates by the last place at which each could have stood. */
struct lasts {
    uint32_t *first; /* of each place that diversity is kept in */
    uint32_t *next;  /* of each candidate */
};

static bool find_lasts(struct lasts *l, struct run *r, const uint32_t *order, size_t diverse)
{
    uint32_t *filled = take(r, r->group_count, sizeof *filled); /* the place that filled a group */
    uint32_t *stands = take(r, r->q->count, sizeof *stands);
    l->first = take(r, diverse, sizeof *l->first);
    l->next = take(r, r->q->count, sizeof *l->next);
    if (!filled || !stands || !l->first || !l->next)
        return false;
    memset(r->members, 0, r->group_count * sizeof *r->members);
    memset(filled, 0xff, r->group_count * sizeof *filled);
    memset(stands, 0xff, r->q->count * sizeof *stands);
    memset(l->first, 0xff, diverse * sizeof *l->first);
    for (uint32_t i = 0; i < diverse; i++) {
        stands[order[i]] = i;
        for (size_t k = r->first_group[order[i]]; k < r->first_group[order[i] + 1]; k++)
            if (++r->members[r->groups[k]] == r->q->most)
                filled[r->groups[k]] = i;
    }
    for (size_t i = 0; i < r->count; i++) {
        uint32_t candidate = r->kept[i], last = stands[candidate];
        for (size_t k = r->first_group[candidate]; k < r->first_group[candidate + 1]; k++)
            last = filled[r->groups[k]] < last ? filled[r->groups[k]] : last;
        last = last < diverse ? last : (uint32_t)diverse - 1;
        l->next[candidate] = l->first[last];
        l->first[last] = candidate;
    }
    return true;
}

/* Writes the probability of each place of an order that is drawn, given those above it. From the
 * last place to the first, so that sums only grow and nothing is lost by subtraction. */
static bool draw_shares(double *shares, struct run *r, const uint32_t *order, size_t diverse)
{
    double temperature = r->q->temperature;
    struct total rest = {0}, allowed = {0};
    struct lasts l;
    memset(r->is_shown, 0, r->q->count);
    for (size_t i = 0; i < r->limit; i++)
        r->is_shown[order[i]] = true;
    for (size_t i = 0; i < r->count && diverse < r->limit; i++)
        if (!r->is_shown[r->kept[i]])
            add_to(&rest, r->utilities[r->kept[i]], temperature);
    for (size_t i = r->limit; i > diverse; i--) {
        double utility = r->utilities[order[i - 1]];
        add_to(&rest, utility, temperature);
        shares[i - 1] = share_of(&rest, utility, temperature);
    }
    if (diverse && !find_lasts(&l, r, order, diverse))
        return false;
    for (size_t i = diverse; i > 0; i--) {
        for (uint32_t c = l.first[i - 1]; c != NONE; c = l.next[c])
            add_to(&allowed, r->utilities[c], temperature);
        shares[i - 1] = share_of(&allowed, r->utilities[order[i - 1]], temperature);
    }
    return true;
}

/* Turns shares of a draw into propensities of the mixture, which is the best order otherwise. */
static void mix(double *shares, const struct run *r, const uint32_t *order, const uint32_t *best)
{
    double share = r->q->share, drawn_ln = 0, before = 1;
    bool is_best = share < 1;
    for (size_t i = 0; i < r->limit && is_best; i++) {
        is_best = order[i] == best[i];
        drawn_ln += log(shares[i]);
        double now = (is_best ? 1 - share : 0) + share * exp(drawn_ln);
        shares[i] = fmax(now / before, DBL_MIN);
        before = now;
    }
}

/* ------------------------------------------------------------ */

static bool prepare(struct run *r)
{
    size_t n = r->q->count;
    r->utilities = take(r, n, sizeof *r->utilities);
    r->noise = take(r, n, sizeof *r->noise);
    r->heap = take(r, n, sizeof *r->heap);
    r->kept = take(r, n, sizeof *r->kept);
    r->refused = take(r, n, sizeof *r->refused);
    r->is_shown = take(r, n, sizeof *r->is_shown);
    if (!r->utilities || !r->noise || !r->heap || !r->kept || !r->refused || !r->is_shown ||
        !keep_candidates(r))
        return false;
    r->limit = r->q->limit < r->count ? r->q->limit : r->count;
    return !has_diversity(r) || number_groups(r);
}

static bool explore(struct choice *out, struct run *r, uint32_t *best, size_t diverse,
                    double *propensities)
{
    uint32_t *order = best;
    prng_seed(&r->random, r->q->seed);
    out->explored = prng_unit(&r->random) < r->q->share;
    if (out->explored) {
        if (!(order = take(r, r->limit, sizeof *order)))
            return false;
        diverse = arrange(r, order, true);
    }
    if (!draw_shares(propensities, r, order, diverse))
        return false;
    mix(propensities, r, order, best);
    out->places = order;
    return true;
}

int choose(struct choice *out, struct chooser *c, const struct choose_request *q, struct err *e)
{
    struct run r = {.q = q, .arena = &c->arena};
    if (q->count > MOST_CANDIDATES)
        return err_set(e, ERR_TOO_LARGE, "%zu candidates: at most %d can be ranked at a time",
                       q->count, MOST_CANDIDATES);
    arena_reset(&c->arena);
    if (!prepare(&r))
        return err_nomem(e);
    uint32_t *best = take(&r, r.limit, sizeof *best);
    double *propensities = take(&r, r.limit, sizeof *propensities);
    if (!best || !propensities)
        return err_nomem(e);
    size_t diverse = arrange(&r, best, false);
    for (size_t i = 0; i < r.limit; i++)
        propensities[i] = 1;
    *out = (struct choice){best, propensities, r.limit, false};
    if (q->share > 0 && !explore(out, &r, best, diverse, propensities))
        return err_nomem(e);
    return 0;
}

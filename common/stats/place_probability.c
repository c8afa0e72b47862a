#include "stats/place_probability.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Beyond these the integrand is below 1e-10 of the integral. */
static const double before_first = 12; /* e-foldings before anybody is likely to have arrived */
static const double latest = 24;       /* rate * time of arrival */

/* Of rates further apart than e^40 the slower never wins, however much further. */
static const double widest_gap = 40;

struct racer {
    uint32_t candidate;
    double utility;
    double ln_rate;
    double passed; /* rate * time */
};

struct race {
    struct racer *racers; /* each candidate once: those shown first, in that order, then others */
    size_t count, shown;
    double *numbers; /* levels * shown: P(just j arrived) of the others, at each level */
    double *sums;    /* of each place shown */
};

/* ------------------------------------------------------------ who races */

struct named {
    struct str id;
    uint32_t candidate;
};

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = str_compare(x->id, y->id);
    return order ? order : (x->candidate > y->candidate) - (x->candidate < y->candidate);
}

/* Marks candidates that come again. */
static bool mark_repeated(bool *is_out, const struct place_ranking *r, struct arena *a)
{
    memset(is_out, 0, r->count);
    if (!r->ids)
        return true;
    struct named *named = arena_alloc(a, r->count * sizeof *named + 1);
    for (size_t i = 0; named && i < r->count; i++)
        named[i] = (struct named){r->ids[i], (uint32_t)i};
    if (named)
        qsort(named, r->count, sizeof *named, by_name);
    for (size_t i = 1; named && i < r->count; i++)
        is_out[named[i].candidate] = str_equal(named[i].id, named[i - 1].id);
    return named;
}

static double finite_utility(double u)
{
    return isnan(u) ? -1e300 : fmin(fmax(u, -1e300), 1e300);
}

static void add_racer(struct race *race, const struct place_ranking *r, uint32_t candidate)
{
    race->racers[race->count++] =
        (struct racer){.candidate = candidate, .utility = finite_utility(r->utilities[candidate])};
}

static int line_up(struct race *race, const struct place_ranking *r, struct arena *a, struct err *e)
{
    bool *is_out = arena_alloc(a, r->count + 1);
    size_t levels = 2;
    for (size_t n = 1; n < r->shown_count; n *= 2)
        levels++;
    race->racers = arena_alloc(a, r->count * sizeof *race->racers + 1);
    race->numbers = arena_alloc(a, levels * r->shown_count * sizeof *race->numbers + 1);
    race->sums = arena_alloc(a, r->shown_count * sizeof *race->sums + 1);
    if (!is_out || !race->racers || !race->numbers || !race->sums || !mark_repeated(is_out, r, a))
        return err_nomem(e);
    for (size_t i = 0; i < r->shown_count; i++) {
        int32_t c = r->shown[i];
        if (c < 0 || (size_t)c >= r->count || is_out[c])
            return err_set(
                e, ERR_INVALID,
                "place %zu of a ranking shows candidate %d, which is none of its %zu, or "
                "is shown before",
                i, c, r->count);
        is_out[c] = true;
        add_racer(race, r, (uint32_t)c);
    }
    race->shown = race->count;
    for (uint32_t c = 0; c < r->count; c++)
        if (!is_out[c])
            add_racer(race, r, c);
    return 0;
}

static int by_utility(const void *a, const void *b)
{
    const struct racer *x = *(struct racer *const *)a, *y = *(struct racer *const *)b;
    return (x->utility > y->utility) - (x->utility < y->utility);
}

/* Rates relative to the fastest. Utilities are only ever compared to their neighbours, so that any
 * range and temperature is fine. */
static bool set_rates(struct race *race, double temperature, struct arena *a)
{
    struct racer **sorted = arena_alloc(a, race->count * sizeof *sorted + 1);
    if (!sorted)
        return false;
    for (size_t i = 0; i < race->count; i++)
        sorted[i] = &race->racers[i];
    qsort(sorted, race->count, sizeof *sorted, by_utility);
    for (size_t i = race->count; i > 1; i--) {
        double gap = (sorted[i - 1]->utility - sorted[i - 2]->utility) / temperature;
        sorted[i - 2]->ln_rate = sorted[i - 1]->ln_rate - fmin(gap, widest_gap);
    }
    return true;
}

/* ------------------------------------------------------------ the integral */

/* One more who has arrived with this probability. */
static void join(double *numbers, size_t count, double arrived)
{
    for (size_t j = count - 1; j > 0; j--)
        numbers[j] = numbers[j] * (1 - arrived) + numbers[j - 1] * arrived;
    numbers[0] *= 1 - arrived;
}

static double arrived_of(const struct racer *r)
{
    return -expm1(-r->passed);
}

/* Adds a node to the sums of places from to to - 1; numbers are of all other racers but these. Each
 * half gets the other's, so that none need be taken out again. */
static void add_node(struct race *race, double *numbers, size_t from, size_t to)
{
    if (to - from == 1) {
        double passed = race->racers[from].passed;
        race->sums[from] += passed * exp(-passed) * numbers[from];
        return;
    }
    size_t middle = (from + to) / 2;
    double *half = numbers + race->shown;
    memcpy(half, numbers, race->shown * sizeof *half);
    for (size_t i = middle; i < to; i++)
        join(half, race->shown, arrived_of(&race->racers[i]));
    add_node(race, half, from, middle);
    memcpy(half, numbers, race->shown * sizeof *half);
    for (size_t i = from; i < middle; i++)
        join(half, race->shown, arrived_of(&race->racers[i]));
    add_node(race, half, middle, to);
}

static void integrate(struct race *race)
{
    double step = 0.7 / sqrt((double)race->shown + 4), factor = exp(step), slowest = 0;
    double start = -before_first - log((double)race->count);
    for (size_t i = 0; i < race->count; i++)
        race->racers[i].passed = exp(race->racers[i].ln_rate + start);
    for (size_t i = 0; i < race->shown; i++) {
        slowest = fmin(slowest, race->racers[i].ln_rate);
        race->sums[i] = 0;
    }
    size_t nodes = (size_t)((log(latest) - slowest - start) / step) + 1;
    for (size_t k = 0; k < nodes; k++) {
        memset(race->numbers, 0, race->shown * sizeof *race->numbers);
        race->numbers[0] = 1;
        for (size_t i = race->shown; i < race->count; i++)
            join(race->numbers, race->shown, arrived_of(&race->racers[i]));
        add_node(race, race->numbers, 0, race->shown);
        for (size_t i = 0; i < race->count; i++)
            race->racers[i].passed *= factor;
    }
    for (size_t i = 0; i < race->shown; i++)
        race->sums[i] *= step;
    /* The first place has a short form, and the longest way to go for the integral. */
    double total = 0;
    for (size_t i = 0; i < race->count; i++)
        total += exp(race->racers[i].ln_rate);
    race->sums[0] = exp(race->racers[0].ln_rate) / total;
}

/* ------------------------------------------------------------ */

/* Where a candidate shown stands in the best order. */
static size_t best_place(const struct race *race, size_t racer)
{
    const struct racer *own = &race->racers[racer];
    size_t better = 0;
    for (size_t i = 0; i < race->count; i++) {
        const struct racer *other = &race->racers[i];
        better += other->utility > own->utility ||
                  (other->utility == own->utility && other->candidate < own->candidate);
    }
    return better;
}

int place_probabilities(double *out, const struct place_ranking *r, struct arena *a, struct err *e)
{
    struct race race = {0};
    struct arena_mark mark = arena_mark(a);
    if (!(r->share >= 0 && r->share <= 1) || !(r->temperature > 0))
        return err_set(e, ERR_INVALID,
                       "exploration of share %g at temperature %g: it must be 0 to 1, and above 0",
                       r->share, r->temperature);
    int rc = line_up(&race, r, a, e);
    bool is_drawn = !rc && r->share > 0 && race.shown;
    if (is_drawn && !set_rates(&race, r->temperature, a))
        rc = err_nomem(e);
    if (is_drawn && !rc)
        integrate(&race);
    for (size_t i = 0; i < race.shown && !rc; i++) {
        double best = best_place(&race, i) == i ? 1 - r->share : 0;
        out[i] = fmin(fmax(best + (is_drawn ? r->share * race.sums[i] : 0), DBL_MIN), 1);
    }
    arena_rewind(a, mark);
    return rc;
}

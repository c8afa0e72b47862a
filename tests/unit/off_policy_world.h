/*
 * Small simulated shops in memory: users ask, choose() ranks and explores, users click by the
 * shop's truth. What another order would bring is known there.
 */
#pragma once

#include "base/arena.h"
#include "base/prng.h"
#include "ctl/shop.h"
#include "ranker/choose.h"
#include "stats/off_policy.h"
#include "stats/place_probability.h"

#include <math.h>

enum {
    WORLD_USERS = 300,
    WORLD_PROPOSITIONS = 80,
    WORLD_REQUESTS = 1000,
    WORLD_CANDIDATES = 15,
    WORLD_PLACES = 5,
    WORLD_ROWS = WORLD_REQUESTS * WORLD_CANDIDATES
};

struct world {
    struct shop shop;
    struct prng random;
    double share, temperature; /* of exploration */
    uint64_t first[WORLD_REQUESTS + 1];
    uint32_t users[WORLD_REQUESTS];
    uint32_t items[WORLD_ROWS];
    int32_t places[WORLD_ROWS];
    double propensities[WORLD_ROWS];
    float clicks[WORLD_ROWS];
    float target[WORLD_ROWS];   /* what the order to be judged is by */
    float other[WORLD_ROWS];    /* another such order */
    float expected[WORLD_ROWS]; /* what a model that is not quite right expects */
    double target_clicks;       /* what the order would bring with these very requests, each */
    double other_clicks;
};

/* Of one request. */
struct world_visit {
    uint32_t user, device;
    int64_t time_ms;
    uint32_t items[WORLD_CANDIDATES];
    double utilities[WORLD_CANDIDATES]; /* of what ranks */
};

static inline double world_score(struct world *w, const struct world_visit *v, uint32_t item,
                                 double noise)
{
    double p = shop_attraction(&w->shop, v->user, item, v->time_ms);
    return log(p) + noise * prng_normal(&w->random);
}

static inline void world_visit_make(struct world *w, struct world_visit *v)
{
    v->user = weighted_choose(&w->shop.visitors, &w->random);
    v->device = prng_below(&w->random, SHOP_DEVICES);
    v->time_ms = 1735689600000 + prng_below(&w->random, 14 * 24) * INT64_C(3600000);
    for (size_t i = 0; i < WORLD_CANDIDATES;) {
        uint32_t item = prng_below(&w->random, WORLD_PROPOSITIONS);
        bool is_known = false;
        for (size_t k = 0; k < i; k++)
            is_known |= v->items[k] == item;
        if (is_known)
            continue;
        v->items[i++] = item;
    }
}

/* What an order brings, on average. */
static inline double world_clicks(const struct world *w, const struct world_visit *v,
                                  const float *scores)
{
    double sum = 0;
    for (size_t i = 0; i < WORLD_CANDIDATES; i++) {
        uint32_t place = 0;
        for (size_t k = 0; k < WORLD_CANDIDATES; k++)
            place += scores[k] > scores[i] || (scores[k] == scores[i] && k < i);
        if (place < WORLD_PLACES)
            sum += shop_attraction(&w->shop, v->user, v->items[i], v->time_ms) *
                   shop_examination(place, v->device);
    }
    return sum;
}

static inline int world_show(struct world *w, const struct world_visit *v, size_t first,
                             struct chooser *c, struct arena *a, struct err *e)
{
    static const struct str ids[WORLD_CANDIDATES] = {
        {"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}, {"f", 1}, {"g", 1}, {"h", 1},
        {"i", 1}, {"j", 1}, {"k", 1}, {"l", 1}, {"m", 1}, {"n", 1}, {"o", 1}};
    struct choose_request q = {.ids = ids,
                               .utilities = v->utilities,
                               .count = WORLD_CANDIDATES,
                               .limit = WORLD_PLACES,
                               .share = w->share,
                               .temperature = w->temperature,
                               .seed = prng_next(&w->random)};
    struct choice shown;
    double probabilities[WORLD_PLACES];
    int32_t order[WORLD_PLACES];
    int rc = choose(&shown, c, &q, e);
    for (size_t p = 0; p < WORLD_PLACES && !rc; p++)
        order[p] = (int32_t)shown.places[p];
    struct place_ranking r = {.utilities = v->utilities,
                              .count = WORLD_CANDIDATES,
                              .shown = order,
                              .shown_count = WORLD_PLACES,
                              .share = w->share,
                              .temperature = w->temperature};
    if (!rc)
        rc = place_probabilities(probabilities, &r, a, e);
    for (uint32_t p = 0; p < WORLD_PLACES && !rc; p++) {
        size_t row = first + (size_t)order[p];
        double attraction = shop_attraction(&w->shop, v->user, w->items[row], v->time_ms);
        w->places[row] = (int32_t)p;
        w->propensities[row] = probabilities[p];
        w->clicks[row] =
            prng_unit(&w->random) < attraction * shop_examination(p, v->device) ? 1 : 0;
    }
    return rc;
}

/* All requests of a world. */
static inline int world_run(struct world *w, struct chooser *c, struct arena *a, struct err *e)
{
    int rc = 0;
    w->target_clicks = w->other_clicks = 0;
    for (size_t q = 0; q < WORLD_REQUESTS && !rc; q++) {
        struct world_visit v;
        size_t first = w->first[q] = q * WORLD_CANDIDATES;
        world_visit_make(w, &v);
        w->users[q] = v.user;
        for (size_t i = 0; i < WORLD_CANDIDATES; i++) {
            size_t row = first + i;
            w->items[row] = v.items[i];
            w->places[row] = -1;
            w->propensities[row] = NAN;
            w->clicks[row] = NAN;
            v.utilities[i] = world_score(w, &v, v.items[i], 1);
            w->target[row] = (float)world_score(w, &v, v.items[i], 0.3);
            w->other[row] = (float)world_score(w, &v, v.items[i], 2);
            w->expected[row] = (float)exp(world_score(w, &v, v.items[i], 0.5));
        }
        w->target_clicks += world_clicks(w, &v, w->target + first) / WORLD_REQUESTS;
        w->other_clicks += world_clicks(w, &v, w->other + first) / WORLD_REQUESTS;
        rc = world_show(w, &v, first, c, a, e);
    }
    w->first[WORLD_REQUESTS] = WORLD_ROWS;
    return rc;
}

/* A world of this seed: to be freed with shop_free(&w->shop). */
static inline int world_new(struct world *w, uint64_t seed, double share, double temperature,
                            struct chooser *c, struct arena *a, struct err *e)
{
    w->share = share;
    w->temperature = temperature;
    prng_seed(&w->random, prng_mix(seed));
    int rc = shop_init(&w->shop, seed, WORLD_USERS, WORLD_PROPOSITIONS, 1735689600000, e);
    return rc ? rc : world_run(w, c, a, e);
}

static inline struct off_policy_log world_log(const struct world *w)
{
    return (struct off_policy_log){.request_count = WORLD_REQUESTS,
                                   .first = w->first,
                                   .items = w->items,
                                   .places = w->places,
                                   .propensities = w->propensities,
                                   .rewards = w->clicks,
                                   .clusters = w->users};
}

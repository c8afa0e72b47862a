/*
 * The truth of the simulated shop: who its users are, what its propositions are, and how likely one
 * clicks the other.
 *
 *     attraction(u, p, t) = 1 / (1 + exp(-logit))
 *     logit = base + quality of p + mean of u's tastes for p's genres + novelty of p at t
 *             + weekend of p (minus it on other days) - sensitivity of u * ln(price of p / 20)
 *
 * It is the probability of a click on what is looked at; how likely a place of a list is looked at,
 * shop_examination() says (the position-based model of Craswell et al., WSDM 2008). Visits come
 * more in the evening and at weekends (UTC). Read-only once built: any thread then. No clock. About
 * 70 bytes a user, 60 a proposition.
 */
#pragma once

#include "base/err.h"
#include "base/prng.h"
#include "ctl/weighted.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SHOP_GENRES = 12,
    SHOP_GENRES_MOST = 3,
    SHOP_DEVICES = 3,
    SHOP_NOUNS = 4,
    SHOP_ADJECTIVES = 16,
    SHOP_BRANDS = 24
};

extern const char *const shop_genres[SHOP_GENRES];
extern const char *const shop_devices[SHOP_DEVICES];
extern const char *const shop_nouns[SHOP_GENRES][SHOP_NOUNS]; /* of titles and of queries */
extern const char *const shop_adjectives[SHOP_ADJECTIVES];
extern const char *const shop_brands[SHOP_BRANDS];

struct shop_user {
    float taste[SHOP_GENRES];
    float sensitivity;  /* to the price */
    uint32_t born_days; /* since 1900-01-01 */
    uint8_t tier;       /* 0 to 2 */
    uint8_t device;     /* the usual one */
};

struct shop_proposition {
    int64_t released_ms;
    float quality;
    float weekend; /* added at weekends, taken off on other days */
    float log_price;
    uint32_t price_cents;
    uint8_t genres[SHOP_GENRES_MOST];
    uint8_t genre_count;
    uint8_t noun, adjective, brand;
    bool active; /* only active ones are ever shown */
};

struct shop {
    struct shop_user *users; /* owned, as all of these */
    struct shop_proposition *propositions;
    uint32_t user_count, proposition_count, active_count;
    struct weighted visitors; /* users by how often they come: log-normal */
    struct weighted popular;  /* active propositions by how often they are shown: Zipf */
    struct shop_shelf {
        uint32_t *propositions; /* active ones of a genre, the most popular first */
        uint32_t count;
    } shelves[SHOP_GENRES];
};

/* Counts are not 0. Fails with ERR_NOMEM. */
int shop_init(struct shop *s, uint64_t seed, uint32_t users, uint32_t propositions,
              int64_t start_ms, struct err *e);
void shop_free(struct shop *s);

double shop_attraction(const struct shop *s, uint32_t user, uint32_t proposition, int64_t time_ms);

/* Of a place in a list, from 0, on a device. */
double shop_examination(uint32_t place, unsigned device);

/* How many visits there are at a time, as a multiple of the week's mean; never above
 * SHOP_SEASON_MOST. */
double shop_season(int64_t time_ms);
#define SHOP_SEASON_MOST (1.7 * 1.35)

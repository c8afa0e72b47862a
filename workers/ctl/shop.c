#include "ctl/shop.h"

#include <math.h>
#include <stdlib.h>

enum { DAY_MS = 86400000, HOUR_MS = 3600000, ZIPF_SHIFT = 5 };

static const double base = -2.4, novelty = 0.6, novelty_days = 30, zipf = 0.9, typical_price = 20;

const char *const shop_genres[SHOP_GENRES] = {"drama",  "comedy", "thriller",    "romance",
                                              "action", "family", "documentary", "fantasy",
                                              "horror", "music",  "sport",       "travel"};
const char *const shop_devices[SHOP_DEVICES] = {"mobile", "desktop", "tv"};
const char *const shop_nouns[SHOP_GENRES][SHOP_NOUNS] = {
    {"Inheritance", "Silence", "Letters", "Winter"},
    {"Wedding", "Neighbours", "Mistake", "Holiday"},
    {"Witness", "Alibi", "Pursuit", "Verdict"},
    {"Kiss", "Summer", "Promise", "Roses"},
    {"Strike", "Convoy", "Fuse", "Rescue"},
    {"Puppy", "Treehouse", "Cousins", "Picnic"},
    {"Glacier", "Archive", "Harvest", "Engine"},
    {"Dragon", "Crown", "Oracle", "Forest"},
    {"Cellar", "Shadow", "Scream", "Mirror"},
    {"Concert", "Quartet", "Chorus", "Vinyl"},
    {"Final", "Marathon", "Keeper", "Derby"},
    {"Island", "Railway", "Desert", "Harbour"}};
const char *const shop_adjectives[SHOP_ADJECTIVES] = {
    "Last", "Hidden", "Golden", "Broken",  "Quiet", "Endless", "First", "Little",
    "Wild", "Secret", "Blue",   "Distant", "Old",   "Bright",  "Lost",  "Great"};
const char *const shop_brands[SHOP_BRANDS] = {
    "Aldra", "Borea", "Corvo", "Delfin", "Elko",  "Fjord", "Gamma", "Halden",
    "Ibis",  "Juno",  "Kappa", "Lumen",  "Mira",  "Nord",  "Orion", "Pelago",
    "Quill", "Riva",  "Solis", "Tundra", "Umbra", "Vela",  "Wren",  "Zephyr"};

static struct shop_user make_user(struct prng *r)
{
    struct shop_user u = {
        .sensitivity = (float)fabs(0.4 + 0.3 * prng_normal(r)),
        .born_days = 365 * 40 + prng_below(r, 365 * 65),
    };
    double tier = prng_unit(r), device = prng_unit(r);
    u.tier = (uint8_t)((tier > 0.7) + (tier > 0.93));
    u.device = (uint8_t)((device > 0.55) + (device > 0.85));
    for (int g = 0; g < SHOP_GENRES; g++)
        u.taste[g] = (float)prng_normal(r);
    return u;
}

static void add_genre(struct shop_proposition *p, uint8_t genre)
{
    for (int i = 0; i < p->genre_count; i++)
        if (p->genres[i] == genre)
            return;
    p->genres[p->genre_count++] = genre;
}

/* The first genre is the one of its title. Prices are log-normal and end in 99. */
static struct shop_proposition make_proposition(struct prng *r, int64_t start_ms)
{
    double price = typical_price * exp(0.7 * prng_normal(r));
    struct shop_proposition p = {
        .released_ms = start_ms / DAY_MS * DAY_MS - (int64_t)(prng_exponential(r, 400)) * DAY_MS,
        .quality = (float)(0.6 * prng_normal(r)),
        .weekend = (float)(0.3 * prng_normal(r)),
        .price_cents = (uint32_t)price * 100 + 99,
        .noun = (uint8_t)prng_below(r, SHOP_NOUNS),
        .adjective = (uint8_t)prng_below(r, SHOP_ADJECTIVES),
        .brand = (uint8_t)prng_below(r, SHOP_BRANDS),
        .active = prng_unit(r) < 0.97,
    };
    p.log_price = (float)log(p.price_cents / (100 * typical_price));
    for (uint32_t n = 1 + prng_below(r, SHOP_GENRES_MOST); n > 0; n--)
        add_genre(&p, (uint8_t)prng_below(r, SHOP_GENRES));
    return p;
}

static int build_users(struct shop *s, struct prng *r, struct err *e)
{
    double *visits = malloc(s->user_count * sizeof *visits);
    s->users = malloc(s->user_count * sizeof *s->users);
    int rc = visits && s->users ? 0 : err_nomem(e);
    for (uint32_t i = 0; !rc && i < s->user_count; i++) {
        s->users[i] = make_user(r);
        visits[i] = exp(prng_normal(r));
    }
    if (!rc)
        rc = weighted_init(&s->visitors, visits, s->user_count, e);
    free(visits);
    return rc;
}

/* Shelves are filled in the order of popularity; a genre's may stay empty. */
static int fill_shelves(struct shop *s, const uint32_t *by_rank, struct err *e)
{
    uint32_t sizes[SHOP_GENRES] = {0};
    for (uint32_t i = 0; i < s->proposition_count; i++)
        for (int g = 0; s->propositions[i].active && g < s->propositions[i].genre_count; g++)
            sizes[s->propositions[i].genres[g]]++;
    for (int g = 0; g < SHOP_GENRES; g++) {
        s->shelves[g].propositions = malloc((sizes[g] + 1) * sizeof *s->shelves[g].propositions);
        if (!s->shelves[g].propositions)
            return err_nomem(e);
    }
    for (uint32_t rank = 0; rank < s->proposition_count; rank++) {
        const struct shop_proposition *p = &s->propositions[by_rank[rank]];
        for (int g = 0; p->active && g < p->genre_count; g++) {
            struct shop_shelf *shelf = &s->shelves[p->genres[g]];
            shelf->propositions[shelf->count++] = by_rank[rank];
        }
    }
    return 0;
}

/* A shuffle gives each its rank, so that ids say nothing about popularity. */
static void shuffle(uint32_t *items, uint32_t count, struct prng *r)
{
    for (uint32_t i = 0; i < count; i++)
        items[i] = i;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t j = prng_below(r, i), moved = items[j];
        items[j] = items[i - 1];
        items[i - 1] = moved;
    }
}

static int build_propositions(struct shop *s, struct prng *r, int64_t start_ms, struct err *e)
{
    uint32_t n = s->proposition_count;
    double *weights = malloc(n * sizeof *weights);
    uint32_t *by_rank = malloc(n * sizeof *by_rank);
    s->propositions = malloc(n * sizeof *s->propositions);
    int rc = 0;

    if (!weights || !by_rank || !s->propositions) {
        rc = err_nomem(e);
        goto out;
    }
    for (uint32_t i = 0; i < n; i++) {
        s->propositions[i] = make_proposition(r, start_ms);
        s->propositions[i].active |= i == 0; /* so that there is always one to show */
        s->active_count += s->propositions[i].active;
    }
    shuffle(by_rank, n, r);
    for (uint32_t rank = 0; rank < n; rank++)
        weights[by_rank[rank]] =
            s->propositions[by_rank[rank]].active ? pow(rank + ZIPF_SHIFT, -zipf) : 0;
    rc = weighted_init(&s->popular, weights, n, e);
    if (!rc)
        rc = fill_shelves(s, by_rank, e);
out:
    free(by_rank);
    free(weights);
    return rc;
}

int shop_init(struct shop *s, uint64_t seed, uint32_t users, uint32_t propositions,
              int64_t start_ms, struct err *e)
{
    struct prng r;
    prng_seed(&r, seed);
    *s = (struct shop){.user_count = users, .proposition_count = propositions};
    int rc = build_users(s, &r, e);
    if (!rc)
        rc = build_propositions(s, &r, start_ms, e);
    if (rc)
        shop_free(s);
    return rc;
}

void shop_free(struct shop *s)
{
    for (int g = 0; g < SHOP_GENRES; g++)
        free(s->shelves[g].propositions);
    weighted_free(&s->popular);
    weighted_free(&s->visitors);
    free(s->propositions);
    free(s->users);
    *s = (struct shop){0};
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The epoch was a Thursday. */
static bool is_weekend(int64_t time_ms)
{
    int64_t weekday = (floor_div(time_ms, DAY_MS) % 7 + 7 + 3) % 7;
    return weekday >= 5;
}

double shop_attraction(const struct shop *s, uint32_t user, uint32_t proposition, int64_t time_ms)
{
    const struct shop_user *u = &s->users[user];
    const struct shop_proposition *p = &s->propositions[proposition];
    double taste = 0;
    for (int i = 0; i < p->genre_count; i++)
        taste += (double)u->taste[p->genres[i]];
    double days = (double)(time_ms - p->released_ms) / DAY_MS;
    double logit = base + (double)p->quality + taste / p->genre_count +
                   novelty * exp(-fmax(days, 0) / novelty_days) +
                   (double)(is_weekend(time_ms) ? p->weekend : -p->weekend) -
                   (double)u->sensitivity * (double)p->log_price;
    return 1 / (1 + exp(-logit));
}

double shop_examination(uint32_t place, unsigned device)
{
    static const double falls[SHOP_DEVICES] = {0.18, 0.08,
                                               0.12}; /* a small screen is left sooner */
    return 1 / (1 + falls[device] * place);
}

/* Means over a day and over a week are 1; the peak is at 20:00. */
double shop_season(int64_t time_ms)
{
    double hour = (double)(time_ms - floor_div(time_ms, DAY_MS) * DAY_MS) / HOUR_MS;
    double daily = 1 + 0.7 * cos((hour - 20) * (6.283185307179586 / 24));
    return daily * (is_weekend(time_ms) ? 1.35 : 0.86);
}

/*
 * How many requests the rules answer from a catalogue of 100,000, in CPU time: ten of a placement
 * with filters, without what the user dismissed, by the full rules' score, with diversity and
 * exploration. Only the ranker's own part: values of users and propositions lie in arrays here.
 *
 * In the same run: a bare scan that looks at one number and one flag of each proposition and keeps
 * the ten largest; what a change of a base score costs in ten placements; and bytes.
 * tests/bench/rules.sh builds and runs it.
 */
#include "base/prng.h"
#include "ranker/catalogue.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    PROPOSITIONS = 100000,
    USERS = 1000,
    GENRES = 12,
    DISMISSED = 20,
    LIMIT = 10,
    REQUESTS = 20000,
    SCANS = 500,
    CHANGES = 200000,
    OUTPUTS = 5,
    ROUNDS = 5,
};

static const char features[] =
    "features:\n"
    "  - {name: ctr, scope: proposition, rate: {of: click, per: impression, windows: [7d], weight: "
    "50, prior: global}}\n"
    "  - {name: age, scope: proposition, age: {field: released}}\n"
    "  - {name: taste, scope: user, overlap: {event: click, attribute: genres, last: 50, within: "
    "30d}}\n"
    "  - {name: genre_ctr, scope: user*proposition.genres, rate: {of: click, per: impression, "
    "windows: [30d], weight: 10, prior: 0.05}}\n"
    "  - {name: dismissed, scope: user*proposition, recency: {event: dismiss}}\n";

/* The placement that is asked, and nine more that make changes dearer. */
static const char placements[] =
    "default:\n"
    "  filters: [{attribute: country, equals: de}, {attribute: price, from: 0, to: 20}]\n"
    "  hide: [{event: dismiss, within: 30d}]\n"
    "  diversity: {attribute: genres, most: 3, first: 10}\n"
    "  exploration: {share: 0.05}\n"
    "  rules: {recency: {weight: 0.3}}\n"
    "p1:\np2:\np3:\np4:\np5:\np6:\np7:\np8:\n";

struct user {
    double taste[GENRES], genre_ctr[GENRES];
    uint32_t dismissed[DISMISSED]; /* sorted */
};

struct bench {
    struct feature_set *set;
    struct placements *placements;
    struct catalogue *catalogue;
    struct chooser *chooser;
    struct prng random;
    char ids[PROPOSITIONS][8];
    double ctr[PROPOSITIONS], age_s[PROPOSITIONS], bases[PROPOSITIONS];
    uint8_t genre[PROPOSITIONS];
    bool passes[PROPOSITIONS];
    struct user users[USERS];
    const struct user *user; /* whose request it is */
    const struct rules *rules;
    size_t scored, answered;
    double seen; /* what was found is used, or the compiler would leave it out */
};

static _Noreturn void die(const struct err *e)
{
    fprintf(stderr, "bench_rules: %s\n", e->msg);
    exit(1);
}

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ids are the numbers of propositions. */
static uint32_t number_of(struct str id)
{
    uint32_t n = 0;
    for (size_t i = 0; i < id.len; i++)
        n = n * 10 + (uint32_t)(id.data[i] - '0');
    return n;
}

/* ------------------------------------------------------------ the world */

static void make_propositions(struct bench *b)
{
    static const char *const countries[] = {"de", "fr", "at"};
    struct err e;
    char genre[8];
    for (uint32_t i = 0; i < PROPOSITIONS; i++) {
        double impressions = 2000 * exp(-8 * prng_unit(&b->random)),
               rate = 0.05 * exp(0.6 * prng_normal(&b->random));
        snprintf(b->ids[i], sizeof b->ids[i], "%u", (unsigned)i);
        b->ctr[i] = (impressions * rate + 50 * 0.05) / (impressions + 50);
        b->age_s[i] = prng_exponential(&b->random, 90 * 86400);
        b->genre[i] = (uint8_t)prng_below(&b->random, GENRES);
        const char *country = countries[prng_below(&b->random, 3)];
        double price = 40 * prng_unit(&b->random);
        b->passes[i] = country[0] == 'd' && price <= 20;
        struct str genres = {genre, (size_t)snprintf(genre, sizeof genre, "g%d", b->genre[i])};
        struct attribute attributes[] = {
            {.name = str_of("country"), .type = ATTRIBUTE_TEXT, .text = str_of(country)},
            {.name = str_of("price"), .type = ATTRIBUTE_NUMBER, .number = price},
            {.name = str_of("genres"), .type = ATTRIBUTE_LIST, .list = {&genres, 1}}};
        struct entity record = {
            .id = str_of(b->ids[i]), .active = true, .attributes = {attributes, 3}};
        if (catalogue_put(b->catalogue, &record, &e))
            die(&e);
    }
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Users dismiss what is near the top, where it is met. */
static void make_users(struct bench *b)
{
    for (size_t i = 0; i < USERS; i++) {
        struct user *u = &b->users[i];
        for (int g = 0; g < GENRES; g++) {
            u->taste[g] = pow(prng_unit(&b->random), 3);
            u->genre_ctr[g] = 0.1 * u->taste[g];
        }
        for (int k = 0; k < DISMISSED; k++)
            u->dismissed[k] = prng_below(&b->random, PROPOSITIONS);
        struct catalogue_ask ask = {.placement = 1, .most = 200};
        struct catalogue_answer top;
        struct err e;
        if (catalogue_best(&top, b->catalogue, &ask, &e))
            die(&e);
        for (int k = 0; k < DISMISSED / 2; k++)
            u->dismissed[k] = number_of(top.ids[prng_below(&b->random, (uint32_t)top.count)]);
        qsort(u->dismissed, DISMISSED, sizeof *u->dismissed, by_number);
    }
}

static void fill_vector(const struct bench *b, uint32_t n, double vector[OUTPUTS])
{
    const struct user *u = b->user;
    vector[0] = b->ctr[n];
    vector[1] = b->age_s[n];
    vector[2] = u ? u->taste[b->genre[n]] : NAN;
    vector[3] = u ? u->genre_ctr[b->genre[n]] : NAN;
    vector[4] = NAN;
}

static void score_base(struct bench *b, uint32_t n)
{
    double bases[MAX_PLACEMENTS], vector[OUTPUTS];
    struct err e;
    b->user = NULL;
    fill_vector(b, n, vector);
    for (size_t i = 0; i < placements_count(b->placements); i++)
        bases[i] = rules_ln_base(placements_at(b->placements, i)->rules, vector);
    b->bases[n] = bases[1];
    if (catalogue_score(b->catalogue, str_of(b->ids[n]), bases, 0, &e))
        die(&e);
}

static void make(struct bench *b)
{
    struct err e;
    struct yaml_tree *y = NULL;
    prng_seed(&b->random, 1);
    if (feature_set_parse(&b->set, "features", str_of(features), &e) ||
        yaml_tree_parse(&y, "placements", str_of(placements), &e) ||
        placements_parse(&b->placements, yaml_tree_root(y), "placements", b->set, &e) ||
        chooser_new(&b->chooser, &e))
        die(&e);
    yaml_tree_free(y);
    struct catalogue_opts opts = {b->placements, 60000};
    if (catalogue_new(&b->catalogue, &opts, &e))
        die(&e);
    b->rules = placements_at(b->placements, 1)->rules;
    make_propositions(b);
    for (uint32_t i = 0; i < PROPOSITIONS; i++)
        score_base(b, i);
    make_users(b);
}

/* ------------------------------------------------------------ ways */

static bool is_dismissed(void *arg, struct str id)
{
    const struct bench *b = arg;
    uint32_t n = number_of(id);
    return bsearch(&n, b->user->dismissed, DISMISSED, sizeof n, by_number) != NULL;
}

static int score(void *arg, const struct str *ids, size_t count, double *ln_scores, struct err *e)
{
    const struct bench *b = arg;
    double vector[OUTPUTS];
    (void)e;
    for (size_t i = 0; i < count; i++) {
        fill_vector(b, number_of(ids[i]), vector);
        ln_scores[i] = rules_ln_score(b->rules, vector);
    }
    return 0;
}

/* The best of a request's user, after so many were scored (0: as many as is the rule). */
static struct catalogue_answer find_best(struct bench *b, size_t request, size_t most_scored)
{
    struct catalogue_ask ask = {.placement = 1,
                                .most = LIMIT,
                                .most_scored = most_scored,
                                .ln_bound = rules_ln_personal_bound(b->rules),
                                .hidden = is_dismissed,
                                .score = score,
                                .arg = b};
    struct catalogue_answer got;
    struct err e;
    b->user = &b->users[request % USERS];
    if (catalogue_best(&got, b->catalogue, &ask, &e))
        die(&e);
    return got;
}

/* Against the proven best of each user: the share that was found, and how many it takes to prove
 * them. */
static void compare_with_proven(struct bench *b, double *found, double *to_prove)
{
    size_t common = 0, wanted = 0, scored = 0;
    for (size_t i = 0; i < USERS; i++) {
        struct catalogue_answer got = find_best(b, i, 0);
        uint32_t ids[LIMIT];
        for (size_t k = 0; k < got.count; k++)
            ids[k] = number_of(got.ids[k]);
        struct catalogue_answer proven = find_best(b, i, PROPOSITIONS);
        for (size_t n = 0; n < proven.count; n++)
            for (size_t k = 0; k < got.count; k++)
                common += ids[k] == number_of(proven.ids[n]);
        wanted += proven.count;
        scored += proven.scored;
    }
    *found = (double)common / (double)wanted;
    *to_prove = (double)scored / USERS;
}

static void answer(struct bench *b, size_t request)
{
    const struct placement *p = placements_at(b->placements, 1);
    struct catalogue_answer got = find_best(b, request, 0);
    struct value_hashes values[LIMIT];
    struct choice choice;
    struct err e;
    for (size_t i = 0; i < got.count; i++)
        values[i] = catalogue_values(b->catalogue, got.ids[i], 1);
    struct choose_request q = {.ids = got.ids,
                               .utilities = got.ln_scores,
                               .count = got.count,
                               .values = values,
                               .limit = LIMIT,
                               .most = p->most,
                               .first = p->first,
                               .share = p->explored_share,
                               .temperature = p->temperature,
                               .seed = request};
    if (choose(&choice, b->chooser, &q, &e))
        die(&e);
    b->seen += choice.propensities[0];
    b->scored += got.scored;
    b->answered++;
}

static void scan(struct bench *b)
{
    double best[LIMIT];
    for (int i = 0; i < LIMIT; i++)
        best[i] = -INFINITY;
    for (size_t n = 0; n < PROPOSITIONS; n++) {
        if (!b->passes[n] || b->bases[n] <= best[LIMIT - 1])
            continue;
        int at = LIMIT - 1;
        for (; at > 0 && best[at - 1] < b->bases[n]; at--)
            best[at] = best[at - 1];
        best[at] = b->bases[n];
    }
    b->seen += best[LIMIT - 1];
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double rates[ROUNDS])
{
    qsort(rates, ROUNDS, sizeof *rates, by_value);
    return rates[ROUNDS / 2];
}

int main(void)
{
    struct bench *b = calloc(1, sizeof *b);
    double answers[ROUNDS], scans[ROUNDS], changes[ROUNDS];
    if (!b)
        return 1;
    make(b);
    for (int round = 0; round < ROUNDS; round++) {
        double start = cpu_s();
        for (size_t i = 0; i < REQUESTS; i++)
            answer(b, i);
        answers[round] = REQUESTS / (cpu_s() - start);
        start = cpu_s();
        for (size_t i = 0; i < SCANS; i++)
            scan(b);
        scans[round] = SCANS / (cpu_s() - start);
        start = cpu_s();
        for (size_t i = 0; i < CHANGES; i++) {
            uint32_t n = prng_below(&b->random, PROPOSITIONS);
            b->ctr[n] *= 1 + 0.02 * (prng_unit(&b->random) - 0.5);
            score_base(b, n);
        }
        changes[round] = CHANGES / (cpu_s() - start);
    }
    size_t count = placements_count(b->placements);
    double rate = median(answers), bare = median(scans), found, to_prove;
    compare_with_proven(b, &found, &to_prove);
    printf("propositions             %10d, of which %zu pass the filters; %zu placements\n",
           PROPOSITIONS, catalogue_shown(b->catalogue, 1), count);
    printf("answers of %d            %10.0f a CPU-second (goal: 10000)\n", LIMIT, rate);
    printf("  scored for one         %10.1f, which finds %.1f %% of the best\n",
           (double)b->scored / (double)b->answered, 100 * found);
    printf("  to prove the best      %10.1f\n", to_prove);
    printf("bare scans               %10.0f a CPU-second\n", bare);
    printf("answers / bare scans     %10.1f\n", rate / bare);
    printf("changes of base scores   %10.0f a CPU-second, in %zu placements\n", median(changes),
           count);
    printf("memory                   %10.1f MB\n", (double)catalogue_bytes(b->catalogue) / 1e6);
    catalogue_free(b->catalogue);
    chooser_free(b->chooser);
    placements_free(b->placements);
    feature_set_free(b->set);
    int status = isnan(b->seen);
    free(b);
    return status;
}

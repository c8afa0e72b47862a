/*
 * How long reading vectors takes: 20 values (vectors.yaml) of 24, 100 and 500 candidates of a
 * request, from the state of 20,000 users and 2,500 propositions with the shape of RankLens: two
 * rankings of 24 for each user, 9 clicks, 3 genres, 3 actors and 9 tags for each proposition.
 *
 * Two ways: `still`, nothing changes between requests; `live`, after each request its impression
 * and 5 clicks are taken in, which is not measured, but leaves the cells that they changed to be
 * read anew. On one core, each way 15 times over; printed are the medians, and the shortest time.
 * tests/bench/vectors.sh builds and runs it.
 */
#include "feature/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    PROPOSITIONS = 2500,
    USERS = 20000,
    SHOWN = 24,
    CLICKS = 5,
    HISTORY = 2 * USERS, /* rankings before what is measured */
    REQUESTS = 1000,     /* in one round */
    ROUNDS = 15,
    MOST_CANDIDATES = 500,
};

static const int64_t START_MS = 1760000000000;

struct bench {
    struct feature_set *set;
    struct replay *replay;
    uint64_t random;
    int64_t now_ms;
    size_t events; /* so far: their ids */
    char names[PROPOSITIONS][16];
    double *values;
    double seen; /* what was read is used, or the compiler would leave it out */
};

static _Noreturn void die(const char *what, const struct err *e)
{
    fprintf(stderr, "bench_vectors: %s: %s\n", what, e->msg);
    exit(1);
}

static uint64_t random_next(struct bench *b)
{
    uint64_t z = b->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t random_below(struct bench *b, size_t n)
{
    return (size_t)(random_next(b) % n);
}

/* The square of an even number: a few are drawn often, as popular things are. */
static size_t skewed_below(struct bench *b, size_t n)
{
    double u = (double)(random_next(b) >> 11) / 9007199254740992.0;
    return (size_t)(u * u * (double)n);
}

/* ------------------------------------------------------------ state */

/* Texts of a list attribute. */
struct list {
    char texts[9][32];
    struct str items[9];
};

static struct attribute list_of(struct bench *b, struct list *l, const char *name, size_t count,
                                size_t different)
{
    for (size_t i = 0; i < count; i++) {
        snprintf(l->texts[i], sizeof l->texts[i], "%.5s number %zu", name,
                 skewed_below(b, different));
        l->items[i] = str_of(l->texts[i]);
    }
    return (struct attribute){
        .name = str_of(name), .type = ATTRIBUTE_LIST, .list = {l->items, count}};
}

static struct attribute number_of(const char *name, double number)
{
    return (struct attribute){.name = str_of(name), .type = ATTRIBUTE_NUMBER, .number = number};
}

static void put_proposition(struct bench *b, size_t i)
{
    struct list genres, actors, tags, director;
    struct err e = {0};
    struct attribute attributes[] = {
        list_of(b, &genres, "genres", 2 + random_below(b, 2), 20),
        list_of(b, &actors, "actors", 3, 2500),
        list_of(b, &tags, "tags", 9, 2000),
        list_of(b, &director, "director", 1, 1200),
        number_of("popularity", (double)random_below(b, 100000) / 1000),
        number_of("vote_avg", (double)random_below(b, 100) / 10),
        number_of("vote_cnt", (double)random_below(b, 20000)),
        number_of("released", (double)START_MS - (double)random_below(b, 1000000) * 1e6),
    };
    attributes[3].type = ATTRIBUTE_TEXT;
    attributes[3].text = director.items[0];
    snprintf(b->names[i], sizeof b->names[i], "%zu", 100000 + i);
    struct entity record = {.id = str_of(b->names[i]),
                            .timestamp = START_MS,
                            .active = true,
                            .attributes = {attributes, sizeof attributes / sizeof *attributes}};
    if (replay_entity(b->replay, SIDE_PROPOSITION, &record, &e))
        die("a proposition", &e);
}

static void put_event(struct bench *b, const char *name, struct str user, struct str_list shown)
{
    char id[32];
    struct err e = {0};
    bool accepted;
    snprintf(id, sizeof id, "event-%zu", b->events++);
    struct event event = {.event_id = str_of(id),
                          .event = str_of(name),
                          .user_id = user,
                          .timestamp = b->now_ms,
                          .propositions = shown};
    if (replay_event(b->replay, &event, APPLY_NO_TIME, &accepted, &e))
        die("an event", &e);
}

/* A user and what is to be ranked. */
struct asked {
    char user[16];
    struct str candidates[MOST_CANDIDATES];
};

static void ask(struct bench *b, struct asked *a, size_t count)
{
    snprintf(a->user, sizeof a->user, "user%zu", random_below(b, USERS));
    for (size_t i = 0; i < count; i++)
        a->candidates[i] = str_of(b->names[skewed_below(b, PROPOSITIONS)]);
}

/* The first 24 are shown, and some of them clicked. */
static void show(struct bench *b, struct asked *a)
{
    put_event(b, "impression", str_of(a->user), (struct str_list){a->candidates, SHOWN});
    for (size_t i = 0; i < CLICKS; i++) {
        b->now_ms += 3;
        put_event(b, "click", str_of(a->user),
                  (struct str_list){&a->candidates[random_below(b, SHOWN)], 1});
    }
}

static void set_up(struct bench *b)
{
    struct asked a;
    struct err e = {0};
    if (feature_set_load(&b->set, FLOTILLA_SOURCE_DIR "/tests/bench/vectors.yaml", &e))
        die("the definitions", &e);
    struct replay_opts opts = {b->set, 300000, 256};
    if (replay_new(&b->replay, &opts, &e))
        die("the state", &e);
    if (!(b->values = malloc(MOST_CANDIDATES * b->set->output_count * sizeof *b->values)))
        die("the values", &(struct err){.msg = "out of memory"});
    b->now_ms = START_MS;
    for (size_t i = 0; i < PROPOSITIONS; i++)
        put_proposition(b, i);
    for (size_t i = 0; i < HISTORY; i++) {
        b->now_ms += 15;
        ask(b, &a, SHOWN);
        show(b, &a);
    }
}

/* ------------------------------------------------------------ measuring */

/* Of the processor: what else the machine does is not counted. */
static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *rounds)
{
    qsort(rounds, ROUNDS, sizeof *rounds, by_size);
    return rounds[ROUNDS / 2];
}

/* What asking for the time costs, which is measured with every request of `live`. */
static double clock_ns(void)
{
    double rounds[ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        int64_t began = now_ns(), last = 0;
        for (size_t i = 0; i < REQUESTS; i++)
            last = now_ns();
        rounds[round] = (double)(last - began) / REQUESTS;
    }
    return median(rounds);
}

static void read_one(struct bench *b, struct asked *a, size_t count)
{
    struct err e = {0};
    struct rank_request q = {.request_id = str_of("r"),
                             .user_id = str_of(a->user),
                             .timestamp = b->now_ms,
                             .candidates = {a->candidates, count}};
    if (replay_request(b->replay, &q, NULL, b->values, &e))
        die("a request", &e);
    b->seen += b->values[0];
}

/* Nanoseconds that a round of requests takes. */
static double still(struct bench *b, struct asked *asked, size_t count)
{
    int64_t began = now_ns();
    for (size_t i = 0; i < REQUESTS; i++, b->now_ms++)
        read_one(b, &asked[i], count);
    return (double)(now_ns() - began);
}

static double live(struct bench *b, struct asked *asked, size_t count)
{
    double took = -clock_ns() * REQUESTS;
    for (size_t i = 0; i < REQUESTS; i++, b->now_ms++) {
        int64_t began = now_ns();
        read_one(b, &asked[i], count);
        took += (double)(now_ns() - began);
        show(b, &asked[i]);
    }
    return took;
}

static const struct way {
    const char *name;
    double (*round)(struct bench *b, struct asked *asked, size_t count);
} ways[] = {{"still", still}, {"live", live}};

/* Microseconds a request, of the median round and of the shortest. */
static void measure(double *us, double *least_us, struct bench *b, const struct way *way,
                    size_t count)
{
    static struct asked asked[REQUESTS];
    double rounds[ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < REQUESTS; i++)
            ask(b, &asked[i], count);
        rounds[round] = way->round(b, asked, count) / REQUESTS / 1000;
    }
    *us = median(rounds);
    *least_us = rounds[0];
}

int main(int argc, char **argv)
{
    static struct bench b = {.random = 1};
    static const size_t counts[] = {24, 100, 500};
    set_up(&b);
    printf("%-8s %10s %14s %10s %14s %12s\n", "", "candidates", "us a request", "at least",
           "ns a vector", "ns a value");
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            if ((argc > 1 && strcmp(argv[1], ways[w].name) != 0) ||
                (argc > 2 && strtoul(argv[2], NULL, 10) != counts[i]))
                continue;
            double us, least_us;
            measure(&us, &least_us, &b, &ways[w], counts[i]);
            double ns = us * 1000 / (double)counts[i];
            printf("%-8s %10zu %14.2f %10.2f %14.1f %12.2f\n", ways[w].name, counts[i], us,
                   least_us, ns, ns / (double)b.set->output_count);
        }
    replay_free(b.replay);
    feature_set_free(b.set);
    free(b.values);
    return b.seen < 0; /* counts are not: it is 0 */
}

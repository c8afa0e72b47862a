#include "training/search.h"

#include <math.h>
#include <stdlib.h>

struct search {
    struct search_trial standard; /* its point */
    struct search_trial *trials;
    size_t count; /* that have ended; trials[count] is the running one */
    size_t cap;
    uint64_t seed;
};

int search_new(struct search **out, const struct space_point *standard, uint64_t seed,
               struct err *e)
{
    struct search *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s || !(s->trials = calloc(SEARCH_MOST_TRIALS, sizeof *s->trials))) {
        free(s);
        return err_nomem(e);
    }
    s->cap = SEARCH_MOST_TRIALS;
    s->standard.point = *standard;
    s->seed = seed;
    *out = s;
    return 0;
}

void search_free(struct search *s)
{
    if (s)
        free(s->trials);
    free(s);
}

const struct space_point *search_begin(struct search *s)
{
    struct prng r;
    if (s->count == s->cap)
        return NULL;
    struct search_trial *t = &s->trials[s->count];
    *t = s->standard;
    if (s->count) {
        prng_seed(&r, prng_mix(s->seed) ^ s->count);
        space_draw(&t->point, &s->standard.point, &r);
    }
    return &t->point;
}

uint32_t search_round_of(const struct search *s, int look)
{
    double eta = s->trials[s->count].point.values[SPACE_ETA];
    double rounds = ceil(ldexp(1, look) / eta - 1e-9);
    return rounds < 1 ? 1 : rounds > 1e9 ? 1000000000 : (uint32_t)rounds;
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool search_look(struct search *s, double score)
{
    struct search_trial *t = &s->trials[s->count];
    double others[SEARCH_MOST_TRIALS];
    size_t n = 0;
    int look = t->looks;
    if (look == SEARCH_LOOKS)
        return true;
    t->seen[look] = look && t->seen[look - 1] > score ? t->seen[look - 1] : score;
    t->looks++;
    for (size_t i = 0; i < s->count; i++)
        if (s->trials[i].looks > look)
            others[n++] = s->trials[i].seen[look];
    if (n < SEARCH_FIRST_STOPPED)
        return true;
    qsort(others, n, sizeof *others, by_number);
    return t->seen[look] >= (others[(n - 1) / 2] + others[n / 2]) / 2;
}

void search_end(struct search *s, const struct search_trial *ended)
{
    struct search_trial *t = &s->trials[s->count++];
    t->score = ended->score;
    t->trees = ended->trees;
    t->stopped = ended->stopped;
    t->better = ended->better;
    t->seconds = ended->seconds;
}

void search_abandon(struct search *s)
{
    s->trials[s->count] = (struct search_trial){0};
}

size_t search_count(const struct search *s)
{
    return s->count;
}

const struct search_trial *search_trials(const struct search *s)
{
    return s->trials;
}

size_t search_best(const struct search *s)
{
    size_t best = 0;
    for (size_t i = 1; i < s->count; i++) {
        const struct search_trial *t = &s->trials[i];
        if (t->better && !t->stopped && t->score > s->trials[best].score)
            best = i;
    }
    return best;
}

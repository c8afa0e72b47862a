#include "ctl/weighted.h"

#include <stdlib.h>

/* A slot is chosen evenly; then it is itself with a probability of keep, else it is other. */
struct weighted_slot {
    float keep;
    uint32_t other;
};

int weighted_init(struct weighted *w, const double *weights, uint32_t n, struct err *e)
{
    struct weighted_slot *slots = malloc(n * sizeof *slots);
    double *share = malloc(n * sizeof *share); /* of an even one */
    uint32_t *waiting =
        malloc(n * sizeof *waiting); /* small ones from the left, large ones from the right */
    double total = 0;
    uint32_t small = 0, large = n;
    int rc = 0;

    if (!slots || !share || !waiting) {
        rc = err_nomem(e);
        goto out;
    }
    for (uint32_t i = 0; i < n; i++)
        total += weights[i];
    for (uint32_t i = 0; i < n; i++) {
        share[i] = weights[i] / total * n;
        waiting[share[i] < 1 ? small++ : --large] = i;
        slots[i] = (struct weighted_slot){1, i};
    }
    while (small > 0 && large < n) {
        uint32_t s = waiting[--small], l = waiting[large];
        slots[s] = (struct weighted_slot){(float)share[s], l};
        share[l] -= 1 - share[s];
        if (share[l] < 1) {
            large++;
            waiting[small++] = l;
        }
    }
    *w = (struct weighted){slots, n};
    slots = NULL;
out:
    free(waiting);
    free(share);
    free(slots);
    return rc;
}

void weighted_free(struct weighted *w)
{
    free(w->slots);
    *w = (struct weighted){0};
}

uint32_t weighted_choose(const struct weighted *w, struct prng *r)
{
    uint32_t i = prng_below(r, w->count);
    const struct weighted_slot *slot = &w->slots[i];
    return prng_unit(r) < (double)slot->keep ? i : slot->other;
}

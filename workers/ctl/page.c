#include "ctl/page.h"

static bool listed(const struct page *p, uint32_t proposition)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->list[i] == proposition)
            return true;
    return false;
}

/* By popularity, each once. Where little is left that is not listed yet, the list may stay short.
 */
static void fill_list(struct page *p, const struct shop *s, uint32_t list_size, struct prng *r)
{
    const struct shop_shelf *shelf = &s->shelves[p->genre];
    bool all = p->placement == PLACEMENT_HOME;
    uint32_t available = all ? s->active_count : shelf->count;
    uint32_t size = available < list_size ? available : list_size;
    for (uint32_t tries = 20 * size; p->count < size && tries > 0; tries--) {
        double skewed = prng_unit(r);
        uint32_t proposition =
            all ? weighted_choose(&s->popular, r)
                : shelf->propositions[(uint32_t)(skewed * skewed * shelf->count)];
        if (!listed(p, proposition))
            p->list[p->count++] = proposition;
    }
}

void page_make(struct page *p, const struct shop *s, uint64_t seed, uint32_t user,
               uint32_t list_size)
{
    const struct shop_user *u = &s->users[user];
    struct prng r;
    prng_seed(&r, seed);
    double where = prng_unit(&r);
    p->placement = where < 0.6 ? PLACEMENT_HOME : where < 0.8 ? PLACEMENT_GENRE : PLACEMENT_SEARCH;
    p->device = prng_unit(&r) < 0.85 ? u->device : prng_below(&r, SHOP_DEVICES);
    unsigned one = prng_below(&r, SHOP_GENRES), other = prng_below(&r, SHOP_GENRES);
    p->genre = u->taste[one] > u->taste[other] ? one : other;
    if (s->shelves[p->genre].count == 0) /* in a small shop */
        p->placement = PLACEMENT_HOME;
    p->noun = prng_below(&r, SHOP_NOUNS + 1);
    p->count = 0;
    fill_list(p, s, list_size, &r);
}

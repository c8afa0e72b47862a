#include "ctl/shop_best.h"

#include "ctl/page.h"

double shop_list_mean(const struct shop *s, const struct shop_look *at)
{
    double clicks = 0;
    for (uint32_t place = 0; place < at->count; place++)
        clicks += shop_examination(place, at->device) *
                  shop_attraction(s, at->user, at->propositions[place], at->shown_ms);
    return clicks;
}

/* The highest values so far, the highest first. */
struct highest {
    double values[PAGE_LIST_MOST];
    uint32_t count, most;
};

static void take(struct highest *h, double value)
{
    if (h->count == h->most && value <= h->values[h->count - 1])
        return;
    uint32_t at = h->count < h->most ? h->count++ : h->count - 1;
    for (; at > 0 && h->values[at - 1] < value; at--)
        h->values[at] = h->values[at - 1];
    h->values[at] = value;
}

double shop_best_mean(const struct shop *s, const struct shop_choice *of)
{
    struct highest h = {.most = of->places < PAGE_LIST_MOST ? of->places : PAGE_LIST_MOST};
    double clicks = 0;
    uint32_t count = of->candidates ? of->count : s->proposition_count;
    for (uint32_t i = 0; i < count && h.most; i++) {
        uint32_t p = of->candidates ? of->candidates[i] : i;
        if (of->candidates || s->propositions[p].active)
            take(&h, shop_attraction(s, of->user, p, of->time_ms));
    }
    for (uint32_t place = 0; place < h.count; place++)
        clicks += h.values[place] * shop_examination(place, of->device);
    return clicks;
}

#include "ctl/shop_looks.h"

enum {
    FIRST_LOOK_MS = 500,
    LOOK_PAUSE_MS = 700,
    CONVERT_LEAST_MS = 10000,
    PAGE_LEAST_MS = 15000,
};

const double shop_page_again = 0.7;

static const double page_pause_ms = 30000, convert_share = 0.12, dismiss_share = 0.02,
                    click_pause_ms = 4000, convert_pause_ms = 180000;

static int64_t after(struct prng *r, int64_t time_ms, int64_t least_ms, double mean_ms)
{
    return time_ms + least_ms + (int64_t)prng_exponential(r, mean_ms);
}

static int look_at_place(const struct shop *s, struct prng *r, const struct shop_look *at,
                         uint32_t place, shop_act *act, void *arg, struct err *e)
{
    uint32_t proposition = at->propositions[place];
    if (prng_unit(r) >= shop_examination(place, at->device))
        return 0;
    int64_t seen_ms =
        after(r, at->shown_ms, FIRST_LOOK_MS + LOOK_PAUSE_MS * (int64_t)place, click_pause_ms);
    if (prng_unit(r) >= shop_attraction(s, at->user, proposition, at->shown_ms)) {
        bool dismissed = prng_unit(r) < dismiss_share;
        return dismissed ? act(arg, PENDING_DISMISS, proposition, seen_ms, e) : 0;
    }
    int rc = act(arg, PENDING_CLICK, proposition, seen_ms, e);
    if (!rc && prng_unit(r) < convert_share)
        rc = act(arg, PENDING_CONVERT, proposition,
                 after(r, seen_ms, CONVERT_LEAST_MS, convert_pause_ms), e);
    return rc;
}

int shop_look(const struct shop *s, struct prng *r, const struct shop_look *at, shop_act *act,
              void *arg, struct err *e)
{
    int rc = 0;
    for (uint32_t place = 0; !rc && place < at->count; place++)
        rc = look_at_place(s, r, at, place, act, arg, e);
    return rc;
}

void shop_look_mean(double *acts, const struct shop *s, const struct shop_look *at)
{
    for (uint32_t place = 0; place < at->count; place++) {
        double seen = shop_examination(place, at->device);
        double click = seen * shop_attraction(s, at->user, at->propositions[place], at->shown_ms);
        *acts += click * (1 + convert_share) + (seen - click) * dismiss_share;
    }
}

bool shop_goes_on(struct prng *r, int64_t shown_ms, int64_t *next_ms)
{
    if (prng_unit(r) >= shop_page_again)
        return false;
    *next_ms = after(r, shown_ms, PAGE_LEAST_MS, page_pause_ms);
    return true;
}

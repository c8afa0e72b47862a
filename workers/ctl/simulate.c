#include "ctl/simulate.h"

#include "ctl/page.h"
#include "ctl/pending.h"
#include "ctl/shop_looks.h"
#include "ctl/shop_records.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALIBRATION_PAGES = 2000, SEARCH_TO_LIST_MS = 150 };

#define YEARS_10000_MS INT64_C(315569520000000)

static const double visits_a_day = 2, late_pause_ms = 1200000, repeat_pause_ms = 5000;

const struct simulate_opts simulate_defaults = {
    .seed = 1,
    .users = 1000,
    .propositions = 500,
    .start_ms = 1735689600000,
    .list_size = 10,
    .late_share = 0.005,
    .repeat_share = 0.002,
};

struct simulate {
    struct simulate_opts opts;
    struct shop shop;
    struct prng prng;     /* of visits and behaviour */
    uint64_t pages_seed;  /* with the request's number: of what a page shows */
    char prefix[10];      /* of ids: two simulations must not share any */
    double visits_per_ms; /* in the mean of a week */
    double next_visit_ms;
    int64_t now_ms; /* arrival of the last item */
    struct pending_heap pending;
    uint64_t entities, events, requests, numbers; /* so far */
};

static int check(const struct simulate_opts *o, struct err *e)
{
    if (o->users < 1 || o->users > SIMULATE_USERS_MOST)
        return err_set(e, ERR_INVALID, "users is %" PRIu32 ": 1 to %d are possible", o->users,
                       SIMULATE_USERS_MOST);
    if (o->propositions < 1 || o->propositions > SIMULATE_PROPOSITIONS_MOST)
        return err_set(e, ERR_INVALID, "propositions is %" PRIu32 ": 1 to %d are possible",
                       o->propositions, SIMULATE_PROPOSITIONS_MOST);
    if (o->list_size < 1 || o->list_size > SIMULATE_LIST_MOST)
        return err_set(e, ERR_INVALID, "list size is %" PRIu32 ": 1 to %d are possible",
                       o->list_size, SIMULATE_LIST_MOST);
    if (o->start_ms < -YEARS_10000_MS || o->start_ms > YEARS_10000_MS)
        return err_set(e, ERR_INVALID, "start is %" PRId64 ": 10000 years around 1970 are possible",
                       o->start_ms);
    if (!(o->events_per_s >= 0 && o->events_per_s <= 1e6))
        return err_set(e, ERR_INVALID, "events per second is %g: 0 to 1000000 are possible",
                       o->events_per_s);
    if (!(o->late_share >= 0 && o->late_share <= 1))
        return err_set(e, ERR_INVALID, "share of late events is %g: 0 to 1 is possible",
                       o->late_share);
    if (!(o->repeat_share >= 0 && o->repeat_share <= 1))
        return err_set(e, ERR_INVALID, "share of repeats is %g: 0 to 1 is possible",
                       o->repeat_share);
    return 0;
}

/* Expected number of events of a visit, from what many of them would do. */
static double events_of_a_visit(const struct simulate *s)
{
    struct prng users;
    struct page p;
    double events = 0;
    prng_seed(&users, s->pages_seed);
    for (uint64_t i = 0; i < CALIBRATION_PAGES; i++) {
        uint32_t user = weighted_choose(&s->shop.visitors, &users);
        page_make(&p, &s->shop, s->pages_seed + i, user, s->opts.list_size);
        struct shop_look at = {user, p.device, p.list, p.count, s->opts.start_ms};
        events += 1 + (p.placement == PLACEMENT_SEARCH);
        shop_look_mean(&events, &s->shop, &at);
    }
    return events / CALIBRATION_PAGES / (1 - shop_page_again) * (1 + s->opts.repeat_share);
}

/* The next point of a Poisson process whose rate follows the season, by thinning (Lewis and
 * Shedler, 1979). */
static void draw_next_visit(struct simulate *s)
{
    do {
        s->next_visit_ms += prng_exponential(&s->prng, 1 / (s->visits_per_ms * SHOP_SEASON_MOST));
    } while (prng_unit(&s->prng) * SHOP_SEASON_MOST >
             shop_season((int64_t)floor(s->next_visit_ms)));
}

int simulate_new(struct simulate **out, const struct simulate_opts *opts, struct err *e)
{
    int rc = check(opts, e);
    if (rc)
        return rc;
    struct simulate *s = calloc(1, sizeof *s);
    if (!s)
        return err_nomem(e);
    uint64_t id = prng_mix(prng_mix(opts->seed) ^ (uint64_t)opts->start_ms);
    s->opts = *opts;
    s->pages_seed = prng_mix(id);
    snprintf(s->prefix, sizeof s->prefix, "%08" PRIx32 "-", (uint32_t)(id >> 32));
    prng_seed(&s->prng, id);
    rc = shop_init(&s->shop, opts->seed, opts->users, opts->propositions, opts->start_ms, e);
    if (rc) {
        free(s);
        return err_wrap(e, "simulate %" PRIu32 " users and %" PRIu32 " propositions", opts->users,
                        opts->propositions);
    }
    s->visits_per_ms = opts->events_per_s > 0 ? opts->events_per_s / events_of_a_visit(s) / 1000
                                              : visits_a_day * opts->users / 86400000;
    s->now_ms = opts->start_ms;
    s->next_visit_ms = (double)opts->start_ms;
    draw_next_visit(s);
    *out = s;
    return 0;
}

void simulate_free(struct simulate *s)
{
    if (!s)
        return;
    pending_free(&s->pending);
    shop_free(&s->shop);
    free(s);
}

static int push_page(struct simulate *s, uint32_t user, int64_t time_ms, struct err *e)
{
    struct pending p = {
        .kind = PENDING_PAGE, .arrival_ms = time_ms, .time_ms = time_ms, .user = user};
    p.number = ++s->numbers;
    return pending_push(&s->pending, &p, e);
}

/* An event of a page, which may be late, or come twice, or both. */
static int push_event(struct simulate *s, const struct pending *page, enum pending_kind kind,
                      uint32_t proposition, int64_t time_ms, struct err *e)
{
    struct pending p = *page;
    p.kind = kind;
    p.proposition = proposition;
    p.number = ++s->numbers;
    p.time_ms = p.arrival_ms = time_ms;
    if (prng_unit(&s->prng) < s->opts.late_share)
        p.arrival_ms += (int64_t)prng_exponential(&s->prng, late_pause_ms);
    int rc = pending_push(&s->pending, &p, e);
    if (!rc && prng_unit(&s->prng) < s->opts.repeat_share) {
        p.arrival_ms += (int64_t)prng_exponential(&s->prng, repeat_pause_ms);
        rc = pending_push(&s->pending, &p, e);
    }
    return rc;
}

/* What the user does with a page. */
struct acts {
    struct simulate *s;
    const struct pending *page;
};

static int push_act(void *arg, enum pending_kind kind, uint32_t proposition, int64_t time_ms,
                    struct err *e)
{
    const struct acts *a = arg;
    return push_event(a->s, a->page, kind, proposition, time_ms, e);
}

/* A page is opened: everything that comes of it is decided now. */
static int open_page(struct simulate *s, struct pending *page, struct err *e)
{
    struct page p;
    int64_t shown_ms = page->time_ms, again_ms;
    int rc = 0;
    page->request = ++s->requests;
    page_make(&p, &s->shop, s->pages_seed + page->request, page->user, s->opts.list_size);
    if (p.placement == PLACEMENT_SEARCH) {
        rc = push_event(s, page, PENDING_SEARCH, 0, shown_ms, e);
        shown_ms += SEARCH_TO_LIST_MS;
    }
    if (!rc)
        rc = push_event(s, page, PENDING_IMPRESSION, 0, shown_ms, e);
    struct shop_look at = {page->user, p.device, p.list, p.count, shown_ms};
    if (!rc)
        rc = shop_look(&s->shop, &s->prng, &at, push_act, &(struct acts){s, page}, e);
    if (!rc && shop_goes_on(&s->prng, shown_ms, &again_ms))
        rc = push_page(s, page->user, again_ms, e);
    return rc;
}

static int write_event(const struct simulate *s, const struct pending *p, struct arena *a,
                       struct event *out, struct err *e)
{
    struct page page;
    uint32_t list_size = p->kind == PENDING_IMPRESSION ? s->opts.list_size : 0;
    page_make(&page, &s->shop, s->pages_seed + p->request, p->user, list_size);
    return shop_event_record(out, &s->shop, p, &page, str_of(s->prefix), a, e);
}

static int next_event(struct simulate *s, struct arena *a, struct simulate_item *item,
                      struct err *e)
{
    for (;;) {
        while (s->pending.count == 0 ||
               s->next_visit_ms <= (double)s->pending.items[0].arrival_ms) {
            uint32_t user = weighted_choose(&s->shop.visitors, &s->prng);
            int rc = push_page(s, user, (int64_t)floor(s->next_visit_ms), e);
            if (rc)
                return rc;
            draw_next_visit(s);
        }
        struct pending p = pending_pop(&s->pending);
        if (p.kind != PENDING_PAGE) {
            item->kind = SIMULATE_EVENT;
            item->arrival_ms = s->now_ms = p.arrival_ms;
            s->events++;
            return write_event(s, &p, a, &item->event, e);
        }
        int rc = open_page(s, &p, e);
        if (rc)
            return rc;
    }
}

int simulate_next(struct simulate *s, struct arena *a, struct simulate_item *item, struct err *e)
{
    item->arrival_ms = s->now_ms;
    if (s->entities < s->opts.users) {
        item->kind = SIMULATE_USER;
        return shop_user_record(&item->entity, &s->shop, (uint32_t)s->entities++, s->opts.start_ms,
                                a, e);
    }
    if (s->entities < (uint64_t)s->opts.users + s->opts.propositions) {
        uint32_t proposition = (uint32_t)(s->entities++ - s->opts.users);
        item->kind = SIMULATE_PROPOSITION;
        return shop_proposition_record(&item->entity, &s->shop, proposition, s->opts.start_ms, a,
                                       e);
    }
    if (s->opts.events == 0 || s->events < s->opts.events)
        return next_event(s, a, item, e);
    item->kind = SIMULATE_END;
    return 0;
}

const struct shop *simulate_shop(const struct simulate *s)
{
    return &s->shop;
}

double simulate_truth(const struct simulate *s, struct str user_id, struct str proposition_id,
                      int64_t time_ms)
{
    uint32_t user, proposition;
    if (!shop_id_number(&user, user_id, 'u', s->opts.users) ||
        !shop_id_number(&proposition, proposition_id, 'p', s->opts.propositions))
        return NAN;
    return shop_attraction(&s->shop, user, proposition, time_ms);
}

double simulate_examination(uint32_t place, struct str device)
{
    for (unsigned d = 0; d < SHOP_DEVICES; d++)
        if (str_is(device, shop_devices[d]))
            return shop_examination(place, d);
    return NAN;
}

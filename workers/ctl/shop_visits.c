#include "ctl/shop_visits.h"

#include "ctl/shop_best.h"
#include "ctl/shop_records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What the id of a twin has behind its request's. */
static const char twin_mark[] = ".twin";

/* A request that was sent; number 0: none, or all its answers came. */
struct open_request {
    uint64_t number;
    int64_t sent;
    int64_t asked_ms;
    bool has_answer, has_twin; /* that came */
    struct visits_pair pair;
};

struct visits {
    struct visits_opts opts;
    struct prng prng;
    uint64_t pages_seed;       /* with the request's number: of what a page is */
    char prefix[10];           /* of ids */
    uint64_t requests, events; /* so far */
    struct open_request *open; /* by number, the newest VISITS_OPEN_MOST */
    struct pending_heap pages; /* to be opened */
    struct pending_heap acts;  /* events to come */
    struct page page;          /* at hand */
};

int visits_new(struct visits **out, const struct visits_opts *opts, struct err *e)
{
    struct visits *v = calloc(1, sizeof *v);
    struct open_request *open = calloc(VISITS_OPEN_MOST, sizeof *open);
    if (!v || !open) {
        free(v);
        free(open);
        return err_nomem(e);
    }
    /* Mixed once more than simulate.c does: both may write events of the same users. */
    uint64_t id = prng_mix(prng_mix(prng_mix(opts->seed) ^ (uint64_t)opts->start_ms));
    v->opts = *opts;
    v->open = open;
    v->pages_seed = prng_mix(id);
    snprintf(v->prefix, sizeof v->prefix, "%08" PRIx32 "-", (uint32_t)(id >> 32));
    prng_seed(&v->prng, id);
    *out = v;
    return 0;
}

void visits_free(struct visits *v)
{
    if (!v)
        return;
    pending_free(&v->pages);
    pending_free(&v->acts);
    free(v->open);
    free(v);
}

/* ---- Asking ---- */

static uint32_t next_user(struct visits *v, int64_t now_ms)
{
    if (v->pages.count > 0 && v->pages.items[0].arrival_ms <= now_ms)
        return pending_pop(&v->pages).user;
    return weighted_choose(&v->opts.shop->visitors, &v->prng);
}

static int fill_candidates(struct visits *v, struct arena *a, struct rank_request *out,
                           struct err *e)
{
    const struct shop_shelf *shelf = &v->opts.shop->shelves[v->page.genre];
    uint32_t count = shelf->count < VISITS_CANDIDATES_MOST ? shelf->count : VISITS_CANDIDATES_MOST;
    if (v->page.placement == PLACEMENT_HOME)
        return 0;
    return shop_proposition_ids(&out->candidates, shelf->propositions, count, a, e);
}

/* The search itself is seen by all, and comes before its list is asked for. */
static int push_search(struct visits *v, uint32_t user, int64_t now_ms, struct err *e)
{
    struct pending p = {.kind = PENDING_SEARCH,
                        .arrival_ms = now_ms,
                        .time_ms = now_ms,
                        .number = ++v->events,
                        .request = v->requests,
                        .user = user};
    return pending_push(&v->acts, &p, e);
}

int visits_ask(struct visits *v, int64_t now_ms, int64_t sent, struct arena *a,
               struct rank_request *out, struct err *e)
{
    uint32_t user = next_user(v, now_ms);
    uint64_t number = ++v->requests;
    page_make(&v->page, v->opts.shop, v->pages_seed + number, user, 0);
    int rc = shop_request_record(out, number, user, &v->page, str_of(v->prefix), a, e);
    if (!rc)
        rc = fill_candidates(v, a, out, e);
    if (!rc && v->page.placement == PLACEMENT_SEARCH)
        rc = push_search(v, user, now_ms, e);
    if (rc)
        return rc;
    out->timestamp = now_ms;
    out->limit = (int32_t)v->opts.list_size;
    out->deadline = (struct optional_long){.given = true, .value = now_ms + v->opts.patience_ms};
    v->open[number % VISITS_OPEN_MOST] = (struct open_request){
        .number = number, .sent = sent, .asked_ms = now_ms, .pair = {.user = user}};
    return 0;
}

static struct str joined(struct arena *a, struct str one, struct str other)
{
    char *text = arena_alloc(a, one.len + other.len + 1);
    if (!text)
        return (struct str){0};
    memcpy(text, one.data, one.len);
    memcpy(text + one.len, other.data, other.len);
    return str_bytes(text, one.len + other.len);
}

int visits_twin(const struct visits *v, const struct rank_request *request, struct arena *a,
                struct rank_request *out, struct err *e)
{
    *out = *request;
    out->request_id = joined(a, request->request_id, str_of(twin_mark));
    out->placement = joined(a, request->placement, str_of(v->opts.twins));
    return out->request_id.data && out->placement.data ? 0 : err_nomem(e);
}

/* ---- Answers ---- */

/* The id of the request itself. */
static bool is_twin(struct str *id)
{
    size_t n = strlen(twin_mark);
    if (id->len < n || memcmp(id->data + id->len - n, twin_mark, n) != 0)
        return false;
    id->len -= n;
    return true;
}

/* The request that an answer is for, if it waits for that one; else NULL. */
static struct open_request *find_request(struct visits *v, const struct ranking *answer, bool *twin)
{
    uint64_t number;
    struct str id = answer->request_id;
    *twin = is_twin(&id);
    if ((*twin && !v->opts.twins) || !shop_request_number(&number, id, str_of(v->prefix)))
        return NULL;
    struct open_request *open = &v->open[number % VISITS_OPEN_MOST];
    bool waits = open->number == number && !(*twin ? open->has_twin : open->has_answer);
    return waits ? open : NULL;
}

/* What of an answer this shop has: a catalogue may hold other propositions as well. */
static void read_list(struct visits *v, const struct ranking *answer)
{
    uint32_t proposition;
    v->page.count = 0;
    for (size_t i = 0; i < answer->items.count && v->page.count < PAGE_LIST_MOST; i++)
        if (shop_id_number(&proposition, answer->items.items[i].proposition_id, 'p',
                           v->opts.shop->proposition_count))
            v->page.list[v->page.count++] = proposition;
}

struct acts {
    struct visits *v;
    const struct open_request *request;
    uint32_t clicks;
};

static int push_act(void *arg, enum pending_kind kind, uint32_t proposition, int64_t time_ms,
                    struct err *e)
{
    struct acts *a = arg;
    a->clicks += kind == PENDING_CLICK;
    struct pending p = {.kind = kind,
                        .arrival_ms = time_ms,
                        .time_ms = time_ms,
                        .number = ++a->v->events,
                        .request = a->request->number,
                        .user = a->request->pair.user,
                        .proposition = proposition};
    return pending_push(&a->v->acts, &p, e);
}

static int push_page(struct visits *v, uint32_t user, int64_t time_ms, struct err *e)
{
    struct pending p = {
        .kind = PENDING_PAGE, .arrival_ms = time_ms, .number = ++v->events, .user = user};
    return pending_push(&v->pages, &p, e);
}

static int write_event(struct visits *v, const struct pending *p, struct arena *a,
                       struct event *out, struct err *e)
{
    return shop_event_record(out, v->opts.shop, p, &v->page, str_of(v->prefix), a, e);
}

/* Everything that comes of a list is decided here. */
static int show_list(struct visits *v, const struct open_request *request, int64_t now_ms,
                     uint32_t *clicks, struct err *e)
{
    int64_t next_ms;
    uint32_t user = request->pair.user;
    struct acts acts = {v, request, 0};
    struct shop_look at = {user, v->page.device, v->page.list, v->page.count, now_ms};
    int rc = shop_look(v->opts.shop, &v->prng, &at, push_act, &acts, e);
    if (!rc && shop_goes_on(&v->prng, now_ms, &next_ms))
        rc = push_page(v, user, next_ms, e);
    *clicks = acts.clicks;
    return rc;
}

/* Both lists of a pair are judged as of the request's time. */
static double list_mean(const struct visits *v, const struct open_request *r)
{
    struct shop_look at = {r->pair.user, v->page.device, v->page.list, v->page.count, r->asked_ms};
    return shop_list_mean(v->opts.shop, &at);
}

static double best_mean(const struct visits *v, const struct open_request *r)
{
    const struct shop_shelf *shelf = &v->opts.shop->shelves[v->page.genre];
    struct shop_choice of = {.user = r->pair.user,
                             .device = v->page.device,
                             .places = v->opts.list_size,
                             .time_ms = r->asked_ms};
    if (v->page.placement != PLACEMENT_HOME) {
        of.candidates = shelf->propositions;
        of.count = shelf->count < VISITS_CANDIDATES_MOST ? shelf->count : VISITS_CANDIDATES_MOST;
    }
    return shop_best_mean(v->opts.shop, &of);
}

/* With both answers, the request is over. Without twins it is so with its own. */
static void settle(struct visits *v, struct open_request *r, struct visits_shown *out)
{
    out->is_pair = r->has_answer && r->has_twin;
    out->pair = r->pair;
    if (out->is_pair || !v->opts.twins)
        *r = (struct open_request){0};
}

static int show_answer(struct visits *v, struct open_request *r, const struct ranking *answer,
                       int64_t now_ms, struct arena *a, struct visits_shown *out, struct err *e)
{
    r->pair.by_model = !str_is(answer->model, "rules");
    r->pair.version = answer->version;
    r->pair.shown = list_mean(v, r);
    r->pair.best = v->opts.twins ? best_mean(v, r) : 0;
    out->is_seen = v->page.count > 0;
    if (!out->is_seen)
        return 0;
    struct pending impression = {.kind = PENDING_IMPRESSION,
                                 .arrival_ms = now_ms,
                                 .time_ms = now_ms,
                                 .number = ++v->events,
                                 .request = r->number,
                                 .user = r->pair.user};
    int rc = write_event(v, &impression, a, &out->impression, e);
    return rc ? rc : show_list(v, r, now_ms, &out->clicks, e);
}

int visits_show(struct visits *v, const struct ranking *answer, int64_t now_ms, struct arena *a,
                struct visits_shown *out, struct err *e)
{
    bool twin;
    int rc = 0;
    struct open_request *r = find_request(v, answer, &twin);
    *out = (struct visits_shown){.is_expected = r && !twin};
    if (!r)
        return 0;
    out->sent = r->sent;
    out->user = r->pair.user;
    page_make(&v->page, v->opts.shop, v->pages_seed + r->number, r->pair.user, 0);
    read_list(v, answer);
    if (twin) {
        r->has_twin = true;
        r->pair.twin = list_mean(v, r);
    } else {
        r->has_answer = true;
        rc = show_answer(v, r, answer, now_ms, a, out, e);
    }
    settle(v, r, out);
    return rc;
}

/* ---- Events ---- */

int visits_next(struct visits *v, int64_t now_ms, struct arena *a, bool *due, struct event *out,
                struct err *e)
{
    *due = visits_next_ms(v) <= now_ms;
    if (!*due)
        return 0;
    struct pending p = pending_pop(&v->acts);
    page_make(&v->page, v->opts.shop, v->pages_seed + p.request, p.user, 0);
    return write_event(v, &p, a, out, e);
}

int64_t visits_next_ms(const struct visits *v)
{
    return v->acts.count ? v->acts.items[0].arrival_ms : INT64_MAX;
}

/* flotilla simulate: the simulated shop, into Kafka or into files. */
#include "ctl.h"
#include "grid.h"
#include "lines.h"
#include "simulate.h"
#include "simulate_out.h"
#include "simulate_requests.h"

#include "base/clock.h"
#include "feature/instant.h"

#include <stdio.h>

enum {
    SLICE_MS = 50,
    MOST_RATE = 1000000,
    MOST_REQUESTS = 100000,
    MOST_DAYS = 3650,
    STANDARD_DAYS = 7
};

#define DAY_MS INT64_C(86400000)

struct run {
    const struct ctl *ctl;
    struct simulate_opts opts;
    struct simulate *shop;
    struct simulate_out *out;
    struct requests *requests; /* NULL: none are sent */
    struct arena arena;
    struct progress progress;
    int64_t total;  /* records expected; -1: without end */
    int64_t rate;   /* of events that come live; 0: only a history */
    int64_t asked;  /* requests a second, beside those events; 0: none */
    int64_t now_ms; /* when the run began: what was simulated before is history */
    int64_t live_since_us, live_count;
    int64_t until_ms; /* simulated time ends here; INT64_MAX: it does not */
    int64_t started_us;
};

/* ---- Options ---- */

static int read_start(struct run *r, int64_t now_ms, int64_t days, struct err *e)
{
    const char *start = ctl_option(r->ctl, "start");
    int64_t us;
    if (!start) {
        r->opts.start_ms = now_ms - days * DAY_MS;
        return 0;
    }
    if (r->rate)
        return err_set(e, ERR_INVALID,
                       "--start and --rate do not go together: with a rate, the "
                       "time is now; --days begins before it");
    if (!instant_parse_us(&us, str_of(start)))
        return err_set(e, ERR_INVALID,
                       "--start is \"%s\": give a date as 2025-01-01 or a time as "
                       "2025-01-01T12:00:00Z",
                       start);
    r->opts.start_ms = us / 1000;
    return 0;
}

/* With a rate, events come live, behind a history of --days if there are any; without one, there is
 * only a history, which ends now or begins at --start. */
static int read_options(struct run *r, int64_t now_ms, struct err *e)
{
    int64_t users, propositions, events, seed, days;
    const struct ctl *c = r->ctl;
    r->opts = simulate_defaults;
    int rc = ctl_number(&users, c, "users", r->opts.users, 1, SIMULATE_USERS_MOST, e);
    if (!rc)
        rc = ctl_number(&propositions, c, "propositions", r->opts.propositions, 1,
                        SIMULATE_PROPOSITIONS_MOST, e);
    if (!rc)
        rc = ctl_number(&events, c, "events", 0, 0, INT64_MAX, e);
    if (!rc)
        rc = ctl_number(&r->rate, c, "rate", 0, 0, MOST_RATE, e);
    if (!rc)
        rc = ctl_number(&r->asked, c, "requests", 0, 0, MOST_REQUESTS, e);
    if (!rc && r->asked && (!r->rate || ctl_option(c, "out")))
        rc = err_set(e, ERR_INVALID,
                     "--requests needs a --rate, and goes to Kafka: rankings answer what is asked "
                     "live");
    if (!rc && ctl_option(c, "twins") && !r->asked)
        rc = err_set(e, ERR_INVALID, "--twins needs --requests: it is those that have twins");
    if (!rc)
        rc = ctl_number(&seed, c, "seed", (int64_t)r->opts.seed, 0, INT64_MAX, e);
    if (!rc)
        rc = ctl_number(&days, c, "days", r->rate ? 0 : STANDARD_DAYS, 0, MOST_DAYS, e);
    r->now_ms = now_ms;
    if (!rc)
        rc = read_start(r, now_ms, days, e);
    if (rc)
        return rc;
    r->opts.users = (uint32_t)users;
    r->opts.propositions = (uint32_t)propositions;
    r->opts.events = (uint64_t)events;
    r->opts.seed = (uint64_t)seed;
    r->opts.events_per_s = (double)r->rate;
    if (!r->rate && events && days && !(ctl_option(c, "start") && !ctl_option(c, "days")))
        r->opts.events_per_s = (double)events / ((double)days * (double)DAY_MS / 1000);
    r->total = events ? users + propositions + events : -1;
    r->until_ms = r->rate ? INT64_MAX : now_ms;
    if (ctl_option(c, "start") && ctl_option(c, "days"))
        r->until_ms = r->opts.start_ms + days * DAY_MS;
    if (ctl_option(c, "start") && events)
        r->until_ms = INT64_MAX; /* exactly so many */
    return 0;
}

/* ---- The run ---- */

/* An entity and an event stand at the same place of the item; the key is the record's own. */
static int put(struct run *r, const struct simulate_item *item, struct err *e)
{
    bool is_event = item->kind == SIMULATE_EVENT;
    enum out_stream to = is_event                      ? OUT_EVENTS
                         : item->kind == SIMULATE_USER ? OUT_USERS
                                                       : OUT_PROPOSITIONS;
    return simulate_out_put(r->out, to, &item->entity,
                            is_event ? item->event.user_id : item->entity.id,
                            is_event ? item->arrival_ms : 0, e);
}

static void end_progress(struct run *r)
{
    progress_end(&r->progress);
    r->progress.shown = false;
}

/* Until the next event is due. */
static int wait_turn(struct run *r, struct err *e)
{
    double due_us = (double)r->live_since_us + (double)r->live_count * 1e6 / (double)r->rate;
    if (r->requests)
        return requests_turn(r->requests, (int64_t)due_us, e);
    while (!ctl_stopping()) {
        int64_t left_ms = (int64_t)(due_us - (double)clock_monotonic_us()) / 1000;
        if (left_ms <= 0)
            return 0;
        simulate_out_wait(r->out, left_ms < SLICE_MS ? left_ms : SLICE_MS);
    }
    return 0;
}

/* From now on events come at the rate asked for, so simulated time, which has its quiet nights,
 * passes at a pace of its own; they happen when they are sent, or as much before as simulated. */
static int go_live(struct run *r, struct simulate_item *item, struct err *e)
{
    if (!r->live_since_us) {
        r->live_since_us = clock_monotonic_us();
        /* Requests have lines of their own, which a bar would break. */
        if (r->requests)
            end_progress(r);
    }
    int rc = wait_turn(r, e);
    r->live_count++;
    int64_t now_ms = clock_now_ms();
    item->event.timestamp += now_ms - item->arrival_ms;
    item->arrival_ms = now_ms;
    return rc;
}

static int run_shop(struct run *r, struct err *e)
{
    struct simulate_item item;
    int64_t done = 0;
    int rc = 0;
    while (!rc && !ctl_stopping()) {
        arena_reset(&r->arena);
        rc = simulate_next(r->shop, &r->arena, &item, e);
        if (rc || item.kind == SIMULATE_END || item.arrival_ms > r->until_ms)
            break;
        if (item.kind == SIMULATE_EVENT && r->rate && item.arrival_ms >= r->now_ms)
            rc = go_live(r, &item, e);
        if (rc || ctl_stopping())
            break;
        rc = put(r, &item, e);
        done++;
        progress_show(&r->progress, done, done, r->total);
    }
    return rc || !r->requests ? rc : requests_end(r->requests, e);
}

static void report(const struct run *r)
{
    char users[HUMAN_BYTES], propositions[HUMAN_BYTES], events[HUMAN_BYTES];
    double seconds = (double)(clock_monotonic_us() - r->started_us) / 1e6;
    int64_t count = simulate_out_count(r->out, OUT_EVENTS);
    printf("%s users, %s propositions, %s events %s in %.1f s (%.0f events/s)\n",
           human_count(users, simulate_out_count(r->out, OUT_USERS)),
           human_count(propositions, simulate_out_count(r->out, OUT_PROPOSITIONS)),
           human_count(events, count), ctl_option(r->ctl, "out") ? "written" : "sent", seconds,
           (double)count / (seconds > 0.001 ? seconds : 0.001));
}

static int open_run(struct run *r, struct err *e)
{
    int rc = read_options(r, clock_now_ms(), e);
    if (!rc)
        rc = simulate_new(&r->shop, &r->opts, e);
    struct simulate_out_opts out = {.folder = ctl_option(r->ctl, "out"), .is_live = r->asked > 0};
    if (!rc)
        rc = simulate_out_new(&r->out, r->ctl, &out, e);
    if (rc || !r->asked)
        return rc;
    struct requests_opts opts = {.ctl = r->ctl,
                                 .shop = simulate_shop(r->shop),
                                 .out = r->out,
                                 .seed = r->opts.seed,
                                 .start_ms = r->now_ms,
                                 .per_s = r->asked,
                                 .list_size = r->opts.list_size,
                                 .twins = ctl_option(r->ctl, "twins")};
    return requests_new(&r->requests, &opts, e);
}

/* What was put before a failure is written as well; the first failure is the one to be told. */
static int close_run(struct run *r, int rc, struct err *e)
{
    int late = simulate_out_close(r->out, rc ? NULL : e);
    return rc ? rc : late;
}

static enum ctl_status simulate(const struct ctl *c, struct err *e)
{
    struct run r = {.ctl = c};
    int rc = open_run(&r, e);
    if (!rc) {
        r.started_us = clock_monotonic_us();
        progress_start(&r.progress, "records");
        rc = run_shop(&r, e);
        rc = close_run(&r, rc, e);
        end_progress(&r);
        report(&r);
    }
    requests_free(r.requests);
    simulate_out_free(r.out);
    simulate_free(r.shop);
    arena_free(&r.arena);
    return rc == ERR_INVALID ? CTL_USAGE : rc ? CTL_FAILED : CTL_OK;
}

const struct command simulate_command = {
    .name = "simulate",
    .arguments = "",
    .purpose = "a simulated shop: users, propositions and events with known truth behind them",
    .example = "flotilla simulate --users 10000 --events 1000000 --days 30\n"
               "         flotilla simulate --rate 500    (until Ctrl-C)\n"
               "         flotilla simulate --rate 500 --requests 50    (with rankers at work)\n\n"
               "The same options, --start among them, give the same records",
    .options = {{"users", "N", "how many (1000)"},
                {"propositions", "N", "how many (500)"},
                {"events", "N", "end after so many; 0, the default: no such end"},
                {"rate", "N",
                 "events a second, happening now, until Ctrl-C or --events. 0, the default: only a "
                 "history, as fast as possible"},
                {"requests", "N",
                 "with --rate, requests a second besides: live visits whose lists are what the "
                 "rankers answer, and whose users do with them what they do with others (0)"},
                {"twins", "SUFFIX",
                 "with --requests: ask each of them of the placement with this behind its name as "
                 "well, where rules rank. The answer is shown to nobody; it tells how much of the "
                 "possible gain over rules a model gets"},
                {"days", "D",
                 "the history begins so long before now (7), and has about --events events; with "
                 "--rate, it comes first (0)"},
                {"start", "TIME",
                 "the history begins at this time instead, and has --events events"},
                {"seed", "N", "of the random numbers (1)"},
                {"out", "DIR",
                 "write DIR/users.jsonl, propositions.jsonl and events.jsonl instead"}},
    .run = simulate,
};
